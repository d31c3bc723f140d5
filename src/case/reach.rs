//! Outcomes: what the policy says happens next with a claim, and when.

use super::claim::Handling;
use super::deadline::Deadline;
use super::facts::{Claim, Kind};
use crate::policy::{Instant, Outcome};

/// How far a claim has come.
pub(super) struct Reached {
    /// The outcome, and when it was reached. It stands, whatever comes later.
    pub outcome: Option<(Outcome, Instant)>,
    /// When the refund fell due: for hardware once the package was sent back.
    pub refund_due_at: Option<Instant>,
    /// When a repair came, where it counts.
    pub repaired_at: Option<Instant>,
    /// Whether a person has confirmed that there is something to settle.
    pub is_confirmed: bool,
}

/// Works out the outcome of a claim (spec, section 3). `work` is the window
/// in which the shop works on it, if that has started; `ended_at` is when the
/// claim was closed, rejected or declined.
pub(super) fn reach(
    claim: &Claim,
    kind: Kind,
    handling: Handling,
    work: Option<&Deadline>,
    ended_at: Option<Instant>,
) -> Reached {
    let (repaired_at, unrepairable_at) = earlier(claim.repaired_at, claim.unrepairable_at);
    let confirmed_at = [claim.confirmed_at, claim.received_at, unrepairable_at];
    let confirmed_at = confirmed_at.into_iter().flatten().min();
    // A lapse promises money, so it takes a person.
    let lapsed_at = work
        .filter(|work| work.lapsed)
        .and_then(|work| Some(work.due_at?.max(confirmed_at?)));
    let given_up_at = unrepairable_at.into_iter().chain(lapsed_at).min();
    let outcome = match (handling, kind) {
        (Handling::Repair, _) => unrepairable_at.map(|at| (Outcome::ExchangeDue, at)),
        (Handling::Exchange, _) => given_up_at.map(|at| (Outcome::ExchangeDue, at)),
        (Handling::Refund, Kind::Hardware) => given_up_at.map(|at| (Outcome::ReturnDue, at)),
        (Handling::Refund, Kind::Software) => given_up_at.map(|at| (Outcome::RefundDue, at)),
        (Handling::Return, _) => claim.confirmed_at.map(|at| (Outcome::ReturnDue, at)),
        (Handling::Declined, _) => None,
    };
    let settled = [repaired_at, claim.refunded_at, claim.exchanged_at];
    let outcome = outcome.filter(|(_, at)| {
        ended_at.is_none_or(|ended| *at < ended)
            && settled.iter().flatten().all(|settled| at <= settled)
    });
    let refund_due_at = outcome.and_then(|(outcome, at)| match outcome {
        Outcome::RefundDue => Some(at),
        Outcome::ReturnDue => claim.returned_at.map(|returned| returned.max(at)),
        _ => None,
    });
    Reached {
        outcome,
        refund_due_at,
        repaired_at,
        is_confirmed: confirmed_at.is_some(),
    }
}

/// Where both are known only the earlier one counts; at the same instant the
/// repair.
fn earlier(
    repaired_at: Option<Instant>,
    unrepairable_at: Option<Instant>,
) -> (Option<Instant>, Option<Instant>) {
    match (repaired_at, unrepairable_at) {
        (Some(repaired), Some(unrepairable)) if unrepairable < repaired => {
            (None, Some(unrepairable))
        }
        (Some(repaired), _) => (Some(repaired), None),
        (None, unrepairable) => (None, unrepairable),
    }
}
