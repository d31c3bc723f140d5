//! A claim: how it is handled, what it runs, where it stands.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::deadline::{Deadline, Ends, Start, State, deadline};
use super::evaluate::Rules;
use super::facts::{Claim, ClaimType, Finding, Kind, Order, Unit, normalized_serial};
use super::reach::{Reached, reach};
use super::refund::{Refund, claim_refund};
use super::unit::UnitView;
use crate::policy::{Instant, Outcome, Policy, Window};

/// How a claim is handled.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Handling {
    /// Under warranty: repaired.
    Repair,
    /// Faulty within the days of return: taken back.
    Return,
    /// Requested in time: fixed within the window or refunded.
    Refund,
    /// Requested in time: fixed within the window or exchanged.
    Exchange,
    /// Not covered.
    Declined,
}

/// Where a claim stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Neither confirmed nor at the warehouse.
    AwaitingConfirmation,
    /// A hardware repair that has not reached the warehouse.
    AwaitingGoods,
    /// The shop works on it.
    InRepair,
    /// The customer is to send the package back.
    ReturnDue,
    /// The shop is to pay.
    RefundDue,
    /// The shop is to exchange.
    ExchangeDue,
    /// Repaired, refunded or exchanged.
    Resolved,
    /// Not covered, or a condition was broken.
    Declined,
    /// Closed.
    Closed,
    /// Rejected.
    Rejected,
}

impl Stage {
    /// Whether nothing more is to be done.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Resolved | Self::Declined | Self::Closed | Self::Rejected
        )
    }

    /// Whether the next step is the shop's, not the customer's.
    pub fn waits_for_shop(self) -> bool {
        matches!(
            self,
            Self::AwaitingConfirmation | Self::InRepair | Self::RefundDue | Self::ExchangeDue
        )
    }
}

/// Why a claim is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Opened after the warranty's last day.
    OutOfWarranty,
    /// The unit had been refunded, exchanged or cancelled before.
    UnitEnded,
    /// An inspection, or the serial that the customer named.
    Finding(Finding),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfWarranty => f.write_str("out_of_warranty"),
            Self::UnitEnded => f.write_str("unit_ended"),
            Self::Finding(finding) => finding.fmt(f),
        }
    }
}

/// A decline, from when on and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// From when on.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
    /// The clause of the policy.
    pub clause: String,
}

/// A claim as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimView {
    /// Its name.
    pub claim_ref: String,
    /// The unit's name.
    pub unit_ref: String,
    /// The version of the policy that it follows.
    pub policy: Arc<Policy>,
    /// How it is handled.
    pub handling: Handling,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Instant,
    /// Since when the next step is the shop's; `None`: it is the customer's,
    /// or nothing more is to be done.
    pub waits_since: Option<Instant>,
    /// Why it is declined.
    pub decline: Option<Decline>,
    /// The outcomes that were reached, whatever came after, with their time.
    pub outcomes: Vec<(Outcome, Instant)>,
    /// What is owed or was paid, where it is.
    pub refund: Option<Refund>,
    /// Whether a fix window lapsed and nobody has confirmed the fault.
    pub lapsed_unconfirmed: bool,
}

/// A claim as seen at a time, with what it hangs on.
pub(super) struct Seen<'c> {
    pub claim: &'c Claim,
    /// Its place among the unit's claims.
    pub place: usize,
    pub unit: &'c Unit,
    pub unit_view: &'c UnitView,
    pub order: &'c Order,
}

/// Works out a claim, and the deadlines that it runs.
pub(super) fn view(seen: &Seen<'_>, rules: &Rules, now: Instant) -> (ClaimView, Vec<Deadline>) {
    let Seen {
        claim,
        unit,
        unit_view,
        ..
    } = *seen;
    let (handling, not_covered) = handling(seen);
    let decline = decline(seen, handling, not_covered);
    let ended_at = [
        claim.closed_at,
        claim.rejected_at,
        decline.as_ref().map(|d| d.at),
    ];
    let ended_at = ended_at.into_iter().flatten().min();

    let start = |window, started_at, satisfied: &[Option<Instant>], ended_at| {
        let satisfied_at = satisfied.iter().flatten().copied().min();
        let start = Start {
            subject_ref: &claim.claim_ref,
            window,
            policy: &unit_view.policy,
            started_at,
            steps_from: started_at,
            waits: &claim.waits,
            ends: Ends {
                satisfied_at,
                subject_ended_at: ended_at,
            },
        };
        deadline(start, &rules.calendar, now)
    };
    let fixed = [
        claim.repaired_at,
        claim.unrepairable_at,
        claim.refunded_at,
        claim.exchanged_at,
    ];
    let mut deadlines = Vec::new();
    let work = work_window(handling, unit.kind, claim);
    deadlines.extend(work.map(|(window, started_at)| start(window, started_at, &fixed, ended_at)));

    let reached = reach(claim, unit.kind, handling, deadlines.first(), ended_at);
    if let Some(at) = reached.refund_due_at {
        // Who has a new unit is owed no money.
        let ended_at = ended_at.into_iter().chain(claim.exchanged_at).min();
        let paid = [claim.refunded_at];
        deadlines.push(start(Window::RefundPayment, at, &paid, ended_at));
    }
    let (stage, stage_since) = stage(claim, unit.kind, handling, &reached, decline.as_ref());
    let owed = matches!(stage, Stage::ReturnDue | Stage::RefundDue);
    let refund = (matches!(handling, Handling::Refund | Handling::Return)
        && (owed || claim.refunded_at.is_some()))
    .then(|| claim_refund(claim, unit, seen.order, &unit_view.policy.refund));
    let lapsed = deadlines.first().is_some_and(|work| work.lapsed);
    let mut outcomes: Vec<_> = reached.outcome.into_iter().collect();
    outcomes.extend(
        decline
            .as_ref()
            .map(|decline| (Outcome::Declined, decline.at)),
    );
    let view = ClaimView {
        claim_ref: claim.claim_ref.clone(),
        unit_ref: unit.unit_ref.clone(),
        policy: Arc::clone(&unit_view.policy),
        handling,
        stage,
        stage_since,
        waits_since: waits_since(claim, stage, stage_since),
        decline,
        outcomes,
        refund,
        lapsed_unconfirmed: lapsed && !reached.is_confirmed && !stage.is_final(),
    };
    (view, deadlines)
}

/// How a claim is handled, and why not at all (spec, section 3).
fn handling(seen: &Seen<'_>) -> (Handling, Option<Reason>) {
    let Seen {
        claim,
        unit,
        unit_view,
        ..
    } = *seen;
    let unit_ended = unit_view.had_ended_at(claim.opened_at, seen.place);
    // Missing data never costs a customer a right: a window that has not
    // started still takes the claim.
    let is_in = |window| {
        !unit_ended
            && unit_view
                .deadline(window)
                .and_then(|deadline| deadline.due_at)
                .is_none_or(|due_at| claim.opened_at < due_at)
    };
    let is_original = unit.root.is_none();
    let repair = || match is_in(unit.kind.warranty()) {
        true => (Handling::Repair, None),
        false if unit_ended => (Handling::Declined, Some(Reason::UnitEnded)),
        false => (Handling::Declined, Some(Reason::OutOfWarranty)),
    };
    let on_request = |handling| match is_original && is_in(Window::RefundRequest) {
        true => (handling, None),
        false => repair(),
    };
    match claim.claim_type {
        ClaimType::Repair => repair(),
        ClaimType::Return
            if unit.kind == Kind::Hardware && is_original && is_in(Window::FaultReturn) =>
        {
            (Handling::Return, None)
        }
        ClaimType::Return | ClaimType::Refund => on_request(Handling::Refund),
        ClaimType::Exchange => on_request(Handling::Exchange),
    }
}

/// The earliest decline; at the same instant a serial mismatch first, then
/// the first finding that counts, then the others.
fn decline(seen: &Seen<'_>, handling: Handling, not_covered: Option<Reason>) -> Option<Decline> {
    let Seen {
        claim,
        unit,
        unit_view,
        ..
    } = *seen;
    let wants_it_taken_back = matches!(
        handling,
        Handling::Return | Handling::Refund | Handling::Exchange
    );
    let counts = |finding: &Finding| {
        finding.kind() == unit.kind && (wants_it_taken_back || !finding.is_return_condition())
    };
    let inspected_at = claim.inspected_at.filter(|inspected| {
        claim
            .repaired_at
            .is_none_or(|repaired| *inspected <= repaired)
    });
    let found = inspected_at.into_iter().flat_map(|at| {
        let findings = claim.findings.iter().filter(|finding| counts(finding));
        findings.map(move |finding| (at, Reason::Finding(*finding)))
    });
    let mismatch = serial_differs(claim, unit)
        .then_some((claim.opened_at, Reason::Finding(Finding::SerialMismatch)));
    let not_covered = not_covered.map(|reason| (claim.opened_at, reason));
    // `min_by_key` keeps the first of equals: findings in their own order, then
    // the others.
    let all = mismatch.into_iter().chain(found).chain(not_covered);
    let is_other = |reason: &Reason| *reason != Reason::Finding(Finding::SerialMismatch);
    let (at, reason) = all.min_by_key(|(at, reason)| (*at, is_other(reason)))?;
    let clause = match reason {
        Reason::Finding(finding) => finding.clause().to_owned(),
        _ => unit_view.policy.window(unit.kind.warranty()).clause.clone(),
    };
    Some(Decline { at, reason, clause })
}

fn serial_differs(claim: &Claim, unit: &Unit) -> bool {
    let known = |serial: &Option<String>| {
        let serial = serial.as_deref().map(normalized_serial);
        serial.filter(|serial| !serial.is_empty())
    };
    let (reported, sold) = (known(&claim.reported_serial), known(&unit.serial));
    unit.kind == Kind::Hardware && reported.is_some() && sold.is_some() && reported != sold
}

/// The window in which the shop works on the claim, once it has started.
fn work_window(handling: Handling, kind: Kind, claim: &Claim) -> Option<(Window, Instant)> {
    match (handling, kind) {
        (Handling::Repair, Kind::Hardware) => {
            claim.received_at.map(|at| (Window::HardwareRepair, at))
        }
        (Handling::Repair, Kind::Software) => {
            claim.confirmed_at.map(|at| (Window::SoftwareRepair, at))
        }
        (Handling::Refund | Handling::Exchange, Kind::Hardware) => {
            Some((Window::HardwareFix, claim.opened_at))
        }
        (Handling::Refund | Handling::Exchange, Kind::Software) => {
            Some((Window::SoftwareFix, claim.opened_at))
        }
        (Handling::Return | Handling::Declined, _) => None,
    }
}

/// The first of the stages that applies (spec, section 3), and since when.
fn stage(
    claim: &Claim,
    kind: Kind,
    handling: Handling,
    reached: &Reached,
    decline: Option<&Decline>,
) -> (Stage, Instant) {
    let settled_at = claim
        .refunded_at
        .into_iter()
        .chain(claim.exchanged_at)
        .min();
    let at_shop = claim
        .confirmed_at
        .into_iter()
        .chain(claim.received_at)
        .min();
    let hardware_repair = handling == Handling::Repair && kind == Kind::Hardware;
    let by_outcome = reached
        .outcome
        .map(|(outcome, at)| match (outcome, reached.refund_due_at) {
            (_, Some(at)) => (Stage::RefundDue, at),
            (Outcome::ExchangeDue, None) => (Stage::ExchangeDue, at),
            (_, None) => (Stage::ReturnDue, at),
        });
    let ladder = [
        claim.rejected_at.map(|at| (Stage::Rejected, at)),
        claim.closed_at.map(|at| (Stage::Closed, at)),
        settled_at.map(|at| (Stage::Resolved, at)),
        decline.map(|decline| (Stage::Declined, decline.at)),
        by_outcome,
        reached.repaired_at.map(|at| (Stage::Resolved, at)),
    ];
    if let Some(found) = ladder.into_iter().flatten().next() {
        return found;
    }
    match (at_shop, claim.received_at) {
        (None, _) => (Stage::AwaitingConfirmation, claim.opened_at),
        (Some(at), None) if hardware_repair => (Stage::AwaitingGoods, at),
        (Some(_), Some(received)) if hardware_repair => (Stage::InRepair, received),
        (Some(at), _) => (Stage::InRepair, at),
    }
}

/// Since when a claim waits for the shop: in its stage, without a wait for the
/// customer.
fn waits_since(claim: &Claim, stage: Stage, stage_since: Instant) -> Option<Instant> {
    let is_waiting = claim.waits.iter().any(|wait| wait.until.is_none());
    let last_wait = claim.waits.iter().filter_map(|wait| wait.until).max();
    let since = last_wait.map_or(stage_since, |at| at.max(stage_since));
    (stage.waits_for_shop() && !is_waiting).then_some(since)
}

impl ClaimView {
    /// Since when it has stood still for too long while the shop has to act.
    pub fn stuck_since(&self, rules: &Rules, now: Instant) -> Option<Instant> {
        self.waits_since.filter(|since| {
            since
                .checked_add_signed(rules.stuck_after)
                .is_some_and(|at| at <= now)
        })
    }

    /// Whether the claim stands in the stage of an outcome.
    pub fn is_in(&self, outcome: Outcome) -> bool {
        let stage = match outcome {
            Outcome::ReturnDue => Stage::ReturnDue,
            Outcome::RefundDue => Stage::RefundDue,
            Outcome::ExchangeDue => Stage::ExchangeDue,
            Outcome::Declined => Stage::Declined,
        };
        self.stage == stage
    }
}

/// Whether a deadline's ladder still speaks (spec, section 5, rule 2): all of
/// it, or only its due step.
pub(super) fn speaks(deadline: &Deadline, claim: Option<&ClaimView>) -> Option<Speaks> {
    match deadline.state {
        State::Open | State::Overdue | State::Expired => Some(Speaks::AllSteps),
        State::Missed if deadline.lapsed && claim.is_some_and(|claim| !claim.stage.is_final()) => {
            Some(Speaks::DueStep)
        }
        _ => None,
    }
}

/// How much of a ladder still speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    AllSteps,
    DueStep,
}
