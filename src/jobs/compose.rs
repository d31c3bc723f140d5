//! From a notice to what its letter says, and to whom it goes.

use crate::case::{Case, Claim, Deadline, Evaluation, NoticeKey, Refund, Unit};
use crate::config::Contacts;
use crate::mail::NoticeText;
use crate::policy::{Audience, Calendar, Counting, Instant, Money, Outcome, Step, Subject, Window};

/// The addresses of an audience inside the shop; of the assignee, those of
/// the claim. None: nobody receives it.
pub fn addresses<'a>(
    contacts: &'a Contacts,
    audience: Audience,
    assignee: Option<&'a str>,
) -> Vec<&'a str> {
    let list = match audience {
        Audience::Customer => return Vec::new(),
        // An assignee who was taken away since: the lead has the claim.
        Audience::Assignee if assignee.is_some() => return assignee.into_iter().collect(),
        Audience::Assignee | Audience::Lead => &contacts.lead,
        Audience::Finance => &contacts.finance,
        Audience::Manager => &contacts.manager,
        Audience::Director => &contacts.director,
    };
    let mut addresses: Vec<&str> = list.iter().map(String::as_str).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The unit and the claim that a notice is about.
pub fn about<'c>(case: &'c Case, key: &NoticeKey) -> (Option<&'c Unit>, Option<&'c Claim>) {
    let units = || case.units.iter();
    match key.subject {
        Subject::Order => (None, None),
        Subject::Unit => (units().find(|unit| unit.unit_ref == key.subject_ref), None),
        Subject::Claim => {
            let mut claims =
                units().flat_map(|unit| unit.claims.iter().map(move |claim| (unit, claim)));
            match claims.find(|(_, claim)| claim.claim_ref == key.subject_ref) {
                Some((unit, claim)) => (Some(unit), Some(claim)),
                None => (None, None),
            }
        }
    }
}

/// What a notice says, as of the evaluation; its clause is that of the policy.
pub fn notice_text(
    case: &Case,
    evaluation: &Evaluation,
    key: &NoticeKey,
    clause: &str,
    calendar: &Calendar,
    now: Instant,
) -> NoticeText {
    let (unit, claim) = about(case, key);
    let view = claim.and_then(|claim| evaluation.claim(&claim.claim_ref));
    let deadline = deadline(evaluation, key);
    let terms = deadline.map(|deadline| deadline.policy.window(deadline.window));
    let due = evaluation.due_steps.iter().find(|due| due.key == *key);
    let refund = refund(evaluation, key);
    let money = |of: fn(&Refund) -> i64| {
        refund.map(|refund| Money {
            minor: of(refund),
            currency: refund.currency,
        })
    };
    NoticeText {
        audience: key.audience,
        subject: key.subject,
        subject_ref: key.subject_ref.clone(),
        order_ref: case.order.order_ref.clone(),
        unit_ref: unit.map(|unit| unit.unit_ref.clone()),
        window: key.window,
        step: key.step,
        clause: clause.to_owned(),
        days: terms.map(|terms| terms.days),
        working_days: terms.is_some_and(|terms| terms.count == Counting::Business),
        product_name: unit.map(|unit| unit.product_name.clone()),
        last_day: key
            .last_day
            .or(deadline.and_then(|deadline| deadline.last_day)),
        level: due.map_or(0, |due| due.level),
        amount: money(|refund| refund.amount),
        deductions: money(|refund| refund.deductions).filter(|money| money.minor > 0),
        reason: view
            .and_then(|view| view.decline.as_ref())
            .filter(|_| key.step == Step::Outcome(Outcome::Declined))
            .map(|decline| decline.reason.to_string()),
        goods_at_shop: claim.is_some_and(|claim| claim.received_at.is_some_and(|at| at <= now)),
        accessories_missing: claim.is_some_and(|claim| claim.accessories_missing),
        assignee: claim.and_then(|claim| claim.assignee_email.clone()),
        started_on: deadline.map(|deadline| calendar.date_of(deadline.started_at)),
    }
}

fn deadline<'e>(evaluation: &'e Evaluation, key: &NoticeKey) -> Option<&'e Deadline> {
    evaluation.deadlines.iter().find(|deadline| {
        Some(deadline.window) == key.window && deadline.subject_ref == key.subject_ref
    })
}

/// The amount that a notice tells: of what is to be refunded.
fn refund<'e>(evaluation: &'e Evaluation, key: &NoticeKey) -> Option<&'e Refund> {
    match (key.window, key.step) {
        (Some(Window::CancellationRefund), _) => evaluation.cancellation.as_ref(),
        (Some(Window::RefundPayment), _)
        | (None, Step::Outcome(Outcome::ReturnDue | Outcome::RefundDue)) => {
            evaluation.claim(&key.subject_ref)?.refund.as_ref()
        }
        _ => None,
    }
}
