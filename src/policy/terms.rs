//! What a policy says: one version of the terms, as values.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What a deadline hangs on.
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
pub enum Subject {
    /// One claim of a customer on a unit.
    Claim,
    /// One order.
    Order,
    /// One sold item.
    Unit,
}

/// A period that the policy defines.
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
pub enum Window {
    /// Warranty of devices, boxes, accessories and gifts (1.1).
    HardwareWarranty,
    /// Warranty of software (1.2).
    SoftwareWarranty,
    /// Return of a faulty device (1.1).
    FaultReturn,
    /// Request of a refund or an exchange (3).
    RefundRequest,
    /// Repair of hardware (4.1).
    HardwareRepair,
    /// Repair of software (4.2).
    SoftwareRepair,
    /// Fixing hardware before the customer may return it (5.1).
    HardwareFix,
    /// Fixing software before it is refunded (5.1).
    SoftwareFix,
    /// Paying a refund (5.1).
    RefundPayment,
    /// Paying back a cancelled order (5.2).
    CancellationRefund,
}

/// Whose a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WindowKind {
    /// The customer's right: it expires.
    Entitlement,
    /// The company's promise: it is met or missed.
    Obligation,
}

impl Window {
    /// Whether the window is the customer's right or the company's promise.
    pub fn kind(self) -> WindowKind {
        match self {
            Self::HardwareWarranty
            | Self::SoftwareWarranty
            | Self::FaultReturn
            | Self::RefundRequest => WindowKind::Entitlement,
            _ => WindowKind::Obligation,
        }
    }

    /// What the window hangs on.
    pub fn subject(self) -> Subject {
        match self {
            Self::HardwareWarranty
            | Self::SoftwareWarranty
            | Self::FaultReturn
            | Self::RefundRequest => Subject::Unit,
            Self::CancellationRefund => Subject::Order,
            _ => Subject::Claim,
        }
    }

    /// The windows that end at their due date whether or not the fix came
    /// (5.1): what follows is a refund or an exchange, not a longer wait.
    pub fn lapses(self) -> bool {
        matches!(self, Self::HardwareFix | Self::SoftwareFix)
    }
}

/// How the days of a window are counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Counting {
    /// Every day.
    Calendar,
    /// Every day that is neither on a weekend nor a holiday.
    Business,
}

/// Who must be told.
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
pub enum Audience {
    /// Who bought the product.
    Customer,
    /// The technician who has the claim.
    Assignee,
    /// The team lead.
    Lead,
    /// Who pays refunds.
    Finance,
    /// The manager.
    Manager,
    /// The director.
    Director,
}

/// What the policy says happens next with a claim.
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
pub enum Outcome {
    /// The customer is to send the whole package back (5.1).
    ReturnDue,
    /// The shop is to pay the refund (5.1).
    RefundDue,
    /// The shop is to exchange the product 1:1 (5.1).
    ExchangeDue,
    /// The claim is declined (2.1, 2.2, 3).
    Declined,
}

/// A point at which somebody is told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The window starts.
    Start,
    /// So many local days before the due day.
    Before(u16),
    /// The window is due.
    Due,
    /// So many local days after the due day.
    After(u16),
    /// An outcome was reached.
    Outcome(Outcome),
    /// An outcome that somebody was told of is no longer true.
    Withdrawn(Outcome),
}

impl Step {
    /// Its place on a ladder: of steps at the same instant the later counts.
    pub fn order(self) -> (u8, i32) {
        match self {
            Self::Start => (0, 0),
            Self::Before(days) => (1, -i32::from(days)),
            Self::Due => (2, 0),
            Self::After(days) => (3, i32::from(days)),
            Self::Outcome(_) | Self::Withdrawn(_) => (4, 0),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Due => f.write_str("due"),
            Self::Before(days) => write!(f, "-{days}d"),
            Self::After(days) => write!(f, "+{days}d"),
            Self::Outcome(outcome) => outcome.fmt(f),
            Self::Withdrawn(outcome) => write!(f, "{outcome}_withdrawn"),
        }
    }
}

/// A text that names no step.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step: expected `start`, `due`, `-Nd` or `+Nd` (N days, 1 to 999)")]
pub struct StepParseError(pub String);

impl FromStr for Step {
    type Err = StepParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || StepParseError(text.to_owned());
        let days = |digits: &str| {
            let digits = digits.strip_suffix('d').ok_or_else(refused)?;
            match digits.parse::<u16>() {
                Ok(days @ 1..=999) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(days),
                _ => Err(refused()),
            }
        };
        match text {
            "start" => Ok(Self::Start),
            "due" => Ok(Self::Due),
            _ => {
                if let Some(rest) = text.strip_prefix('-') {
                    Ok(Self::Before(days(rest)?))
                } else if let Some(rest) = text.strip_prefix('+') {
                    Ok(Self::After(days(rest)?))
                } else if let Some(rest) = text.strip_suffix("_withdrawn") {
                    rest.parse().map(Self::Withdrawn).map_err(|_| refused())
                } else {
                    text.parse().map(Self::Outcome).map_err(|_| refused())
                }
            }
        }
    }
}

/// One line of a window's ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderStep {
    /// When: `Start`, `Due`, `Before` or `After`.
    pub at: Step,
    /// Who is told, at least one.
    pub to: Vec<Audience>,
    /// The escalation level that the deadline reaches here; 0 for a reminder.
    pub level: u8,
}

/// The terms of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowTerms {
    /// The clause of the policy.
    pub clause: String,
    /// How many countable days the window has.
    pub days: u16,
    /// Which days are countable.
    pub count: Counting,
    /// Whether a last day on a weekend or holiday moves to the next working day.
    pub roll_forward: bool,
    /// Whether days on which the claim waits for the customer are left out.
    pub pause_on_wait: bool,
    /// The policy's text does not say this; the shop assumed it.
    pub assumed: bool,
    /// The ladder, in the order of time.
    pub steps: Vec<LadderStep>,
}

/// What the policy says about an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeTerms {
    /// The clause of the policy.
    pub clause: String,
    /// Who is told.
    pub to: Vec<Audience>,
}

/// What the policy says about the amount of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundTerms {
    /// Percent of the order's total kept if accessories are missing (3).
    pub accessories_missing_percent: u8,
}

/// Which version of which policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyId {
    /// The policy's name.
    pub name: String,
    /// The first local date whose orders follow this version.
    pub effective_from: NaiveDate,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.effective_from)
    }
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Name and first day.
    pub id: PolicyId,
    /// The text that it was read from, byte for byte.
    pub text: String,
    /// SHA-256 of the text, in hex.
    pub sha256: String,
    pub(super) windows: Vec<WindowTerms>,
    pub(super) outcomes: Vec<OutcomeTerms>,
    /// Amounts.
    pub refund: RefundTerms,
}

impl Policy {
    /// The terms of a window. Every version has all of them.
    pub fn window(&self, window: Window) -> &WindowTerms {
        &self.windows[window as usize]
    }

    /// All windows with their terms.
    pub fn windows(&self) -> impl Iterator<Item = (Window, &WindowTerms)> {
        Window::VARIANTS.iter().copied().zip(&self.windows)
    }

    /// What follows an outcome. Every version has all of them.
    pub fn outcome(&self, outcome: Outcome) -> &OutcomeTerms {
        &self.outcomes[outcome as usize]
    }
}
