//! A case, a notice, an exception as the rows of a report.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cell::{Cell, Row};
use crate::case::{Case, Claim, Deadline, Disposition, Evaluation, Exception, Refund};
use crate::policy::{Audience, Calendar, Instant, Money, Step, Subject, Window, WindowKind};

/// A recorded notice, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// When its step was due to fire.
    pub fires_at: Instant,
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// The window; `None` for an outcome.
    pub window: Option<Window>,
    /// The step or the outcome.
    pub step: Step,
    /// Who is told.
    pub audience: Audience,
    /// A customer's `customer_ref`, or an address inside the shop; `None`
    /// where nobody receives it.
    pub recipient: Option<String>,
    /// What became of it.
    pub disposition: Disposition,
    /// The `now` of the run that recorded it.
    pub recorded_at: Instant,
    /// The Message-ID of the message that it is in.
    pub message_id: Option<String>,
    /// When the mail server took that over.
    pub sent_at: Option<Instant>,
}

/// The deadlines of an order, each with the assignee of its claim; units and
/// orders have none.
#[derive(Debug)]
pub struct OrderDeadlines<'a> {
    order_ref: &'a str,
    customer_ref: &'a str,
    deadlines: Vec<(&'a Deadline, Option<&'a str>)>,
}

impl<'a> OrderDeadlines<'a> {
    /// Puts deadlines in the order of their report.
    pub fn new(
        order_ref: &'a str,
        customer_ref: &'a str,
        mut deadlines: Vec<(&'a Deadline, Option<&'a str>)>,
    ) -> Self {
        deadlines.sort_unstable_by_key(|(deadline, _)| -> (&str, &str, &str) {
            let subject = deadline.subject.into();
            (subject, &deadline.subject_ref, deadline.window.into())
        });
        Self {
            order_ref,
            customer_ref,
            deadlines,
        }
    }

    /// Those of a case that was evaluated.
    pub fn of(case: &'a Case, evaluation: &'a Evaluation) -> Self {
        let claims = claims_by_ref(case);
        let assignee = |deadline: &Deadline| match deadline.subject {
            Subject::Claim => claims
                .get(deadline.subject_ref.as_str())
                .and_then(|claim| claim.assignee_email.as_deref()),
            Subject::Order | Subject::Unit => None,
        };
        let found = evaluation.deadlines.iter();
        let deadlines = found.map(|found| (found, assignee(found))).collect();
        Self::new(&case.order.order_ref, &case.order.customer_ref, deadlines)
    }

    /// The deadlines.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a Deadline> {
        self.deadlines.iter().map(|(deadline, _)| *deadline)
    }

    /// The rows of those that are kept.
    pub(super) fn rows(
        &self,
        calendar: &Calendar,
        keep: impl Fn(&Deadline) -> bool,
    ) -> impl Iterator<Item = [Cell<'a>; 17]> {
        let kept = self.deadlines.iter().filter(move |(found, _)| keep(found));
        kept.map(move |(found, assignee)| {
            [
                Cell::text(Some(self.order_ref)),
                Cell::code(found.subject),
                Cell::text(Some(&found.subject_ref)),
                Cell::code(found.window),
                Cell::text(Some(&found.terms().clause)),
                Cell::policy(&found.policy.id),
                Cell::Time(found.started_at),
                Cell::time(found.due_at),
                found.last_day.map_or(Cell::Empty, Cell::Date),
                Cell::code(found.state),
                Cell::time(found.ended_at),
                late_days(found),
                Cell::Number(found.level.into()),
                Cell::text(Some(self.customer_ref)),
                Cell::text(*assignee),
                Cell::days(found.gross_days(calendar)),
                Cell::days(found.net_days(calendar)),
            ]
        })
    }
}

/// A right that runs out is not late.
fn late_days(deadline: &Deadline) -> Cell<'static> {
    match deadline.window.kind() {
        WindowKind::Obligation => Cell::Number(deadline.late_days),
        WindowKind::Entitlement => Cell::Empty,
    }
}

/// The claims of a case that were opened. The reason is that of a decline;
/// amount and currency stand where a refund is owed or was paid.
pub(super) fn claims<'a>(case: &'a Case, evaluation: &'a Evaluation) -> Vec<Row<'a>> {
    let facts = claims_by_ref(case);
    let rows = evaluation.claims.iter().filter_map(|view| {
        let claim = facts.get(view.claim_ref.as_str())?;
        let reason = view.decline.as_ref().map(|decline| decline.reason);
        let refund = view.refund.as_ref();
        Some(vec![
            Cell::text(Some(&view.claim_ref)),
            Cell::text(Some(&view.unit_ref)),
            Cell::text(Some(&case.order.order_ref)),
            Cell::text(Some(&case.order.customer_ref)),
            Cell::code(claim.claim_type),
            Cell::code(view.handling),
            Cell::code(view.stage),
            Cell::Time(view.stage_since),
            reason.map_or(Cell::Empty, |reason| written(&reason)),
            Cell::Time(claim.opened_at),
            refund.map_or(Cell::Empty, |refund| Cell::money(refund.money())),
            refund.map_or(Cell::Empty, |refund| written(&refund.currency)),
        ])
    });
    rows.collect()
}

/// What a case pays back: the refunds of its claims and of its cancellation,
/// owed or paid. `deductions` is what the shop keeps. `due_at` and `state`
/// are those of the window in which the money is to be paid; both are empty
/// where that has not started (the customer has not sent the package back)
/// or never ran (the money was paid before it was owed).
pub(super) fn refunds<'a>(case: &'a Case, evaluation: &'a Evaluation) -> Vec<Row<'a>> {
    let payments = evaluation.deadlines.iter().filter(|deadline| {
        matches!(
            deadline.window,
            Window::RefundPayment | Window::CancellationRefund
        )
    });
    let payments: HashMap<(Subject, &str), &Deadline> = payments
        .map(|deadline| ((deadline.subject, deadline.subject_ref.as_str()), deadline))
        .collect();
    let of_claims = evaluation
        .claims
        .iter()
        .filter_map(|claim| claim.refund.as_ref());
    let rows = of_claims.chain(&evaluation.cancellation).map(|refund| {
        let payment = payments.get(&(refund.subject, refund.subject_ref.as_str()));
        vec![
            Cell::text(Some(&refund.subject_ref)),
            refund_kind(refund),
            Cell::text(Some(&case.order.customer_ref)),
            Cell::money(refund.money()),
            Cell::money(Money {
                minor: refund.deductions,
                currency: refund.currency,
            }),
            written(&refund.currency),
            Cell::time(payment.and_then(|payment| payment.due_at)),
            payment.map_or(Cell::Empty, |payment| Cell::code(payment.state)),
            Cell::time(refund.refunded_at),
        ]
    });
    rows.collect()
}

fn refund_kind(refund: &Refund) -> Cell<'static> {
    Cell::code(match refund.subject {
        Subject::Order => "cancellation",
        Subject::Claim | Subject::Unit => "claim",
    })
}

/// One exception.
pub(super) fn exception(found: &Exception) -> Row<'_> {
    vec![
        Cell::code(found.code),
        Cell::code(found.subject),
        Cell::text(Some(&found.subject_ref)),
        Cell::text(Some(&found.detail)),
    ]
}

/// One notice.
pub(super) fn notice(found: &NoticeRow) -> Row<'_> {
    vec![
        Cell::Time(found.fires_at),
        Cell::code(found.subject),
        Cell::text(Some(&found.subject_ref)),
        found.window.map_or(Cell::Empty, Cell::code),
        written(&found.step),
        Cell::code(found.audience),
        Cell::text(found.recipient.as_deref()),
        Cell::code(found.disposition),
        Cell::Time(found.recorded_at),
        Cell::text(found.message_id.as_deref()),
        Cell::time(found.sent_at),
    ]
}

/// A value out of a fixed list that is put together when it is shown.
fn written(value: &impl ToString) -> Cell<'static> {
    Cell::Code(Cow::Owned(value.to_string()))
}

fn claims_by_ref(case: &Case) -> HashMap<&str, &Claim> {
    let claims = case.units.iter().flat_map(|unit| &unit.claims);
    claims
        .map(|claim| (claim.claim_ref.as_str(), claim))
        .collect()
}
