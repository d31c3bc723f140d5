//! Facts and what follows from them: deadlines, handling, steps, amounts,
//! exceptions, and what must be recorded of it.
//!
//! How a shop's own files write facts is data of this room, too: `config` reads
//! it, `intake` reads by it.
//!
//! May touch: `policy`. No I/O, no async, no clock, no log.
//!
//! Invariant: [`evaluate`] and [`plan`] are functions. The same facts, rules
//! and `now` give the same answer whatever happened before, and nothing else
//! in the program knows a rule.

mod claim;
mod deadline;
mod dialect;
mod evaluate;
mod exceptions;
mod facts;
mod fate;
mod fields;
mod hold;
mod plan;
mod reach;
mod refund;
mod unit;
mod work;

pub use claim::{ClaimView, Decline, Handling, Reason, Stage};
pub use deadline::{Deadline, State};
pub use dialect::{DateFormat, Dialect, Dialects, Moment, is_word, words};
pub use evaluate::{DueStep, Evaluation, EvaluationError, Rules, evaluate, policies, stood_alike};
pub use exceptions::{Exception, ExceptionCode};
pub use facts::{
    Case, Claim, ClaimType, Finding, Kind, Order, Unit, WarrantyRoot, normalized_serial,
};
pub use fate::{Cause, Disposition, Fate};
pub use fields::{Entity, FactType, Field, Value};
pub use hold::{Hold, HoldKind, Stop, is_reminder};
pub use plan::{
    Notice, NoticeKey, Plan, PlanContext, Recorded, RecordedDeadline, RecordedNotice, overruled,
    plan, withdrawn_outcomes,
};
pub use refund::Refund;
pub use work::{Work, WorkGroup, whose, work};
