//! The terms as data: windows, ladders, versions, the calendar and money.
//!
//! May touch: nothing of ours; no I/O, no clock, no log. Values in, values out.
//!
//! Invariant: a [`Policy`] that exists is valid. Whatever the text said that
//! could not be meant was refused by [`Policy::parse`] with file, line and key.

mod book;
mod calendar;
mod check;
mod count;
mod money;
mod terms;

pub use book::{Book, BookError};
pub use calendar::{Calendar, CalendarError, Instant};
pub use check::{PolicyError, hex, sha256_hex};
pub(crate) use check::{place, problem};
pub use count::{Counted, SkipReason, Skipped, Wait, count_days, paused_days};
pub(crate) use money::percent_of;
pub use money::{Currency, Money, MoneyError};
pub use terms::{
    Audience, Counting, LadderStep, Outcome, OutcomeTerms, Policy, PolicyId, RefundTerms, Step,
    StepParseError, Subject, Window, WindowKind, WindowTerms,
};

/// The built-in policy, the file that `warrantyd policy show` prints.
pub const STANDARD: &str = include_str!("../../templates/policy/standard.toml");

/// The name of the policy that an order's own window follows, and of the one
/// that a unit follows if it names none.
pub const STANDARD_NAME: &str = "standard";
