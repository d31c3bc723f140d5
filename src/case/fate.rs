//! What becomes of a notice, and why it is kept back.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What became of a notice.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Disposition {
    /// To be sent.
    Queued,
    /// Kept back until its cause is gone or somebody lets it go.
    Held,
    /// Taken over by the mail server.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// A later step for the same audience was sent in its place.
    Superseded,
    /// Found too late to be of use.
    Stale,
    /// Its reason went away before it was sent, or the customer wants no
    /// reminders.
    Moot,
}

impl Disposition {
    /// Whether it may still be sent.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Held)
    }
}

/// Why a notice is held, or failed though no server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The clock has jumped (spec, section 5, rule 8).
    Clock,
    /// Somebody holds what it is about (rule 7).
    Hold,
    /// No import was completed for too long (rule 9).
    Feed,
    /// A run would have sent more messages than are believed.
    Surge,
    /// The database was restored from a backup: it may have been sent after that
    /// was taken.
    Restored,
    /// The server's answer never came.
    Uncertain,
    /// Somebody gave it up: it failed, and is never told.
    Discarded,
}

/// A disposition and its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// What becomes of the notice.
    pub disposition: Disposition,
    /// Why it is held; `None`: it is not.
    pub cause: Option<Cause>,
}

impl Fate {
    /// Held by what keeps it back, or else to be sent.
    pub fn waits(held_by: Option<Cause>) -> Self {
        let disposition = match held_by {
            Some(_) => Disposition::Held,
            None => Disposition::Queued,
        };
        Self {
            disposition,
            cause: held_by,
        }
    }
}

impl From<Disposition> for Fate {
    fn from(disposition: Disposition) -> Self {
        Self {
            disposition,
            cause: None,
        }
    }
}
