//! What somebody should look at: facts that contradict each other, data that
//! is missing, work that stands still.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::claim::{ClaimView, Handling};
use super::evaluate::{Evaluation, Rules, SeenUnit};
use super::facts::{Case, Claim, Kind, Order};
use super::hold::HoldKind;
use super::refund::{cancellation_refund, cancelled_at, cancelled_in_transit};
use crate::policy::{Calendar, Instant, Money, Subject};

/// The kinds of exceptions (spec, section 7).
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
pub enum ExceptionCode {
    /// A claim on a unit whose receipt, or start of warranty, is not known.
    MissingReceipt,
    /// Software that only one side has confirmed.
    HalfConfirmed,
    /// Goods at the warehouse that technical support had not asked for (2.1).
    GoodsBeforeConfirmation,
    /// A claim opened before the customer had the product.
    OpenedBeforeReceipt,
    /// Hardware repaired before it was at the warehouse.
    RepairedBeforeArrival,
    /// Hardware refunded before it came back.
    RefundBeforeReturn,
    /// A cancellation of what had been delivered.
    CancelledAfterDelivery,
    /// A cancellation in transit whose costs are not known (5.2).
    MissingShippingCosts,
    /// Refunds of one order that together exceed its total.
    RefundsExceedOrder,
    /// Two units with the same serial.
    DuplicateSerial,
    /// No change for long while the shop has to act.
    StageStuck,
    /// An outcome that was told and is no longer true.
    OutcomeWithdrawn,
    /// A fix window lapsed and nobody has confirmed the fault.
    LapsedUnconfirmed,
    /// Findings that came after the repair.
    FindingsAfterRepair,
    /// A fact dated in the future.
    FactInFuture,
    /// Customer notices are held.
    OnHold,
    /// A notice that nobody in the shop receives.
    NoRecipient,
    /// An address that refuses mail for good.
    UndeliverableAddress,
    /// The case cannot be evaluated.
    EvaluationFailed,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// What kind.
    pub code: ExceptionCode,
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// What was found, without names and addresses.
    pub detail: String,
}

/// A case as it is seen at `now`.
pub(super) struct Found<'c> {
    /// The case as it was entered.
    pub case: &'c Case,
    /// Its order as seen.
    pub order: &'c Order,
    /// Its units as seen.
    pub units: &'c [SeenUnit],
    pub rules: &'c Rules,
    pub now: Instant,
}

/// A fact with a time.
pub(super) struct FactTime<'c> {
    pub subject: Subject,
    pub subject_ref: &'c str,
    /// The column's name, that of a wait with what it belongs to.
    pub name: &'static str,
    pub at: Option<Instant>,
    /// When what it hangs on was last changed.
    pub changed_at: Instant,
}

impl Case {
    /// All facts with a time.
    pub(super) fn fact_times(&self) -> impl Iterator<Item = FactTime<'_>> {
        let order = &self.order;
        let placed = [("placed_at", Some(order.placed_at))];
        let of_order = placed
            .into_iter()
            .chain(order.times())
            .map(|(name, at)| FactTime {
                subject: Subject::Order,
                subject_ref: &order.order_ref,
                name,
                at,
                changed_at: order.changed_at,
            });
        let of_units = self.units.iter().flat_map(|unit| {
            unit.times().into_iter().map(|(name, at)| FactTime {
                subject: Subject::Unit,
                subject_ref: &unit.unit_ref,
                name,
                at,
                changed_at: unit.changed_at,
            })
        });
        let claims = self.units.iter().flat_map(|unit| &unit.claims);
        let of_claims = claims.flat_map(|claim| {
            let opened = [("opened_at", Some(claim.opened_at))];
            let waits = claim.waits.iter();
            let waits =
                waits.flat_map(|wait| [("wait from", Some(wait.from)), ("wait until", wait.until)]);
            opened
                .into_iter()
                .chain(claim.times())
                .chain(waits)
                .map(|(name, at)| FactTime {
                    subject: Subject::Claim,
                    subject_ref: &claim.claim_ref,
                    name,
                    at,
                    changed_at: claim.changed_at,
                })
        });
        of_order.chain(of_units).chain(of_claims)
    }
}

/// Facts that were known by `now` and are dated after it. A fact recorded
/// later than `now` is none: seen from there it was not yet known.
pub(super) fn facts_in_future(case: &Case, calendar: &Calendar, now: Instant) -> Vec<Exception> {
    let ahead = case.fact_times().filter(|fact| fact.changed_at <= now);
    let ahead = ahead.filter_map(|fact| {
        let at = fact.at.filter(|at| *at > now)?;
        let detail = format!("{} is {}", fact.name, on(calendar, at));
        Some(exception(
            ExceptionCode::FactInFuture,
            fact.subject,
            fact.subject_ref,
            detail,
        ))
    });
    ahead.collect()
}

fn on(calendar: &Calendar, at: Instant) -> String {
    at.with_timezone(&calendar.zone)
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

fn exception(
    code: ExceptionCode,
    subject: Subject,
    subject_ref: &str,
    detail: impl Into<String>,
) -> Exception {
    Exception {
        code,
        subject,
        subject_ref: subject_ref.to_owned(),
        detail: detail.into(),
    }
}

/// Lists what is wrong with a case.
pub(super) fn exceptions(found: &Found<'_>, evaluation: &Evaluation) -> Vec<Exception> {
    let mut all = facts_in_future(found.case, &found.rules.calendar, found.now);
    of_holds(found, &mut all);
    of_order(found, evaluation, &mut all);
    for seen in found.units {
        of_unit(seen, found, &mut all);
        let views = evaluation.claims.iter().skip(seen.first_claim);
        for (claim, view) in seen.unit.claims.iter().zip(views) {
            of_claim(claim, view, seen, found, &mut all);
        }
    }
    all
}

fn of_holds(found: &Found<'_>, all: &mut Vec<Exception>) {
    let at = |time| on(&found.rules.calendar, time);
    let holds = found.case.holds.iter();
    for hold in holds.filter(|hold| hold.is_in_force(found.now)) {
        let order_ref = &found.order.order_ref;
        let (subject, name, whose) = match hold.kind {
            HoldKind::Claim => (Subject::Claim, &hold.name, String::new()),
            HoldKind::Unit => (Subject::Unit, &hold.name, String::new()),
            HoldKind::Order => (Subject::Order, order_ref, String::new()),
            HoldKind::Customer => {
                let whose = format!("customer {}: ", hold.name);
                (Subject::Order, order_ref, whose)
            }
        };
        let until = hold.until.map(|until| format!(" until {}", at(until)));
        let until = until.unwrap_or_default();
        let detail = format!(
            "{whose}held since {}{until}: {}",
            at(hold.held_at),
            hold.reason
        );
        all.push(exception(ExceptionCode::OnHold, subject, name, detail));
    }
}

fn of_order(found: &Found<'_>, evaluation: &Evaluation, all: &mut Vec<Exception>) {
    use ExceptionCode::*;
    let Found { order, rules, .. } = *found;
    let calendar = &rules.calendar;
    let mut add =
        |code, detail| all.push(exception(code, Subject::Order, &order.order_ref, detail));
    if let (Some(cancelled), Some(delivered), None) =
        (order.cancelled_at, order.delivered_at, cancelled_at(order))
    {
        let (cancelled, delivered) = (on(calendar, cancelled), on(calendar, delivered));
        let detail = format!("cancelled {cancelled}, delivered {delivered}: not a cancellation");
        add(CancelledAfterDelivery, detail);
    }
    let costs = [
        ("shipping_out", order.shipping_out),
        ("shipping_back", order.shipping_back),
    ];
    let missing: Vec<&str> = costs
        .iter()
        .filter(|(_, cost)| cost.is_none())
        .map(|(name, _)| *name)
        .collect();
    if cancelled_in_transit(order) && order.paid_at.is_some() && !missing.is_empty() {
        add(
            MissingShippingCosts,
            format!("{} not known, taken as 0", missing.join(" and ")),
        );
    }
    let cancellation = cancellation_refund(order);
    let refunds = evaluation
        .claims
        .iter()
        .filter_map(|claim| claim.refund.as_ref());
    let sum: i64 = refunds
        .chain(&cancellation)
        .map(|refund| refund.amount)
        .sum();
    if sum > order.total {
        let money = |minor| Money {
            minor,
            currency: order.currency,
        };
        let detail = format!(
            "refunds of {} {}, the order's total is {}",
            money(sum),
            order.currency,
            money(order.total)
        );
        add(RefundsExceedOrder, detail);
    }
}

fn of_unit(seen: &SeenUnit, found: &Found<'_>, all: &mut Vec<Exception>) {
    use ExceptionCode::*;
    let unit = &seen.unit;
    let mut add = |code, detail: String| {
        all.push(exception(code, Subject::Unit, &unit.unit_ref, detail));
    };
    let known = |at: Option<Instant>| at.is_some_and(|at| at <= found.now);
    let is_software = unit.kind == Kind::Software && unit.root.is_none();
    let (company, customer) = (
        known(unit.company_confirmed_at),
        known(unit.customer_confirmed_at),
    );
    if is_software && company != customer {
        let missing = if company {
            "customer_confirmed_at"
        } else {
            "company_confirmed_at"
        };
        add(
            HalfConfirmed,
            format!("{missing} is missing: the warranty has not started"),
        );
    }
    if !unit.claims.is_empty() && !seen.warranty_started {
        let whose = unit
            .root
            .as_ref()
            .map_or(&unit.unit_ref, |root| &root.unit_ref);
        let detail = match unit.kind {
            Kind::Hardware => format!("received_at of {whose} is missing"),
            Kind::Software => format!("the confirmations of {whose} are missing"),
        };
        add(
            MissingReceipt,
            format!("{detail}: claims are taken as in warranty"),
        );
    } else if !unit.claims.is_empty() && seen.received_at.is_none() && unit.root.is_none() {
        add(
            MissingReceipt,
            "received_at is missing: claims are taken as in time".to_owned(),
        );
    }
}

fn of_claim(
    claim: &Claim,
    view: &ClaimView,
    seen: &SeenUnit,
    found: &Found<'_>,
    all: &mut Vec<Exception>,
) {
    use ExceptionCode::*;
    let unit = &seen.unit;
    let calendar = &found.rules.calendar;
    let at = |time| on(calendar, time);
    let mut add = |code, detail: String| {
        all.push(exception(code, Subject::Claim, &claim.claim_ref, detail));
    };
    let is_hardware = unit.kind == Kind::Hardware;
    if let Some(received) = claim.received_at.filter(|_| is_hardware)
        && claim
            .confirmed_at
            .is_none_or(|confirmed| confirmed > received)
    {
        add(
            GoodsBeforeConfirmation,
            format!("at the warehouse {}, not confirmed", at(received)),
        );
    }
    if let Some(received) = seen.received_at.filter(|at| claim.opened_at < *at) {
        let opened = at(claim.opened_at);
        add(
            OpenedBeforeReceipt,
            format!("opened {opened}, received {}", at(received)),
        );
    }
    if let Some(repaired) = claim.repaired_at.filter(|_| is_hardware)
        && view.handling == Handling::Repair
        && claim.received_at.is_none_or(|received| received > repaired)
    {
        add(
            RepairedBeforeArrival,
            format!("repaired {}, not at the warehouse", at(repaired)),
        );
    }
    if let Some(refunded) = claim.refunded_at.filter(|_| is_hardware)
        && matches!(view.handling, Handling::Refund | Handling::Return)
        && claim.returned_at.is_none_or(|returned| returned > refunded)
    {
        add(
            RefundBeforeReturn,
            format!("refunded {}, not returned", at(refunded)),
        );
    }
    if view.lapsed_unconfirmed {
        let detail = "the fix window lapsed: confirm the fault, or reject the claim";
        add(LapsedUnconfirmed, detail.to_owned());
    }
    if let (Some(repaired), Some(inspected)) = (claim.repaired_at, claim.inspected_at)
        && inspected > repaired
        && !claim.findings.is_empty()
    {
        let codes: Vec<String> = claim.findings.iter().map(ToString::to_string).collect();
        let codes = codes.join(";");
        add(
            FindingsAfterRepair,
            format!("{codes} on {}, repaired before", at(inspected)),
        );
    }
    if let Some(since) = view.stuck_since(found.rules, found.now) {
        add(StageStuck, format!("{} since {}", view.stage, at(since)));
    }
}
