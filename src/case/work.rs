//! Whose list a promise or a claim belongs on: what people inside the shop are
//! to do next.

use std::collections::HashMap;

use chrono::NaiveDate;
use strum::IntoStaticStr;

use super::claim::ClaimView;
use super::deadline::{Deadline, State};
use super::evaluate::{Evaluation, Rules};
use super::facts::{Case, Claim};
use crate::policy::{Audience, Instant, Subject, Window, WindowKind};

/// The parts of a list of work, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WorkGroup {
    /// No change for long while the shop has to act (`stage_stuck`).
    Stuck,
    /// A promise that nobody has in hand.
    Unassigned,
    /// A claim whose next step is the shop's.
    Waiting,
    /// A promise that is late; also a fix window that lapsed, while nobody has
    /// confirmed the fault.
    Late,
    /// A promise that can still be kept.
    Due,
    /// A promise that waits for the customer.
    Paused,
}

/// One line of somebody's list.
#[derive(Debug)]
pub struct Work<'e> {
    /// Whose list: that of the assignee, the lead or finance.
    pub whose: Audience,
    /// Who has the claim.
    pub assignee: Option<&'e str>,
    /// The part of the list.
    pub group: WorkGroup,
    /// The date that the part is sorted by, the earliest first.
    pub sorted_by: NaiveDate,
    /// The claim; `None` for a cancellation.
    pub claim: Option<&'e ClaimView>,
    /// The promise; `None` where the claim has none that runs.
    pub promise: Option<&'e Deadline>,
}

/// What a case puts on whose list: its promises on that of the claim's
/// assignee, its refunds on that of finance; on the lead's every claim that
/// waits for a step of the shop, and promises of claims without an assignee.
pub fn work<'e>(
    case: &'e Case,
    evaluation: &'e Evaluation,
    rules: &Rules,
    now: Instant,
) -> Vec<Work<'e>> {
    let mut promises: HashMap<&str, Vec<&Deadline>> = HashMap::new();
    for deadline in &evaluation.deadlines {
        if deadline.window.kind() == WindowKind::Obligation
            && deadline.subject == Subject::Claim
            && (deadline.is_running() || deadline.lapsed)
        {
            let of_claim = promises.entry(deadline.subject_ref.as_str());
            of_claim.or_default().push(deadline);
        }
    }
    let claims = case.units.iter().flat_map(|unit| &unit.claims);
    let claims: HashMap<&str, &Claim> = claims
        .map(|claim| (claim.claim_ref.as_str(), claim))
        .collect();
    let mut all = Vec::new();
    for view in &evaluation.claims {
        let claim_ref = view.claim_ref.as_str();
        let claim = claims.get(claim_ref);
        let seen = Seen {
            view,
            assignee: claim.and_then(|claim| claim.assignee_email.as_deref()),
            promises: promises.remove(claim_ref).unwrap_or_default(),
        };
        seen.add_to(&mut all, rules, now);
    }
    let of_order = evaluation.deadlines.iter();
    let of_order = of_order.filter(|found| found.subject == Subject::Order && found.is_running());
    all.extend(of_order.map(|promise| Work {
        whose: Audience::Finance,
        assignee: None,
        group: group(promise),
        sorted_by: sorted_by(promise, rules),
        claim: None,
        promise: Some(promise),
    }));
    all
}

/// A claim with the promises that run, or that lapsed.
struct Seen<'e> {
    view: &'e ClaimView,
    assignee: Option<&'e str>,
    promises: Vec<&'e Deadline>,
}

/// Who sees to a promise: finance to what is to be paid, the assignee to the
/// rest, and the lead where there is none.
pub fn whose(window: Window, has_assignee: bool) -> Audience {
    match window {
        Window::RefundPayment | Window::CancellationRefund => Audience::Finance,
        _ if has_assignee => Audience::Assignee,
        _ => Audience::Lead,
    }
}

impl<'e> Seen<'e> {
    fn whose(&self, promise: &Deadline) -> Audience {
        whose(promise.window, self.assignee.is_some())
    }

    fn add_to(&self, all: &mut Vec<Work<'e>>, rules: &Rules, now: Instant) {
        let line = |whose, group, sorted_by, promise| Work {
            whose,
            assignee: self.assignee,
            group,
            sorted_by,
            claim: Some(self.view),
            promise,
        };
        let is_pending = |promise: &&&Deadline| !promise.lapsed || self.view.lapsed_unconfirmed;
        let pending: Vec<&Deadline> = self.promises.iter().filter(is_pending).copied().collect();
        for promise in &pending {
            let whose = self.whose(promise);
            if whose == Audience::Lead {
                continue;
            }
            let date = sorted_by(promise, rules);
            all.push(line(whose, group(promise), date, Some(*promise)));
        }
        let first = pending.first().copied();
        let unassigned = pending
            .iter()
            .copied()
            .find(|promise| self.whose(promise) == Audience::Lead);
        let on_leads = match (self.view.waits_since, unassigned) {
            (Some(since), _) if self.view.stuck_since(rules, now).is_some() => {
                Some((WorkGroup::Stuck, rules.calendar.date_of(since), first))
            }
            (_, Some(promise)) => {
                // What waits for the customer comes last.
                let date = promise.last_day.unwrap_or(NaiveDate::MAX);
                Some((WorkGroup::Unassigned, date, Some(promise)))
            }
            (Some(since), None) => Some((WorkGroup::Waiting, rules.calendar.date_of(since), first)),
            (None, None) => None,
        };
        if let Some((group, date, promise)) = on_leads {
            all.push(line(Audience::Lead, group, date, promise));
        }
    }
}

fn group(promise: &Deadline) -> WorkGroup {
    match promise.state {
        State::Overdue | State::Missed => WorkGroup::Late,
        State::Paused => WorkGroup::Paused,
        _ => WorkGroup::Due,
    }
}

/// The last day; while paused, the day on which that began.
fn sorted_by(promise: &Deadline, rules: &Rules) -> NaiveDate {
    let paused_on = promise.paused_since.map(|at| rules.calendar.date_of(at));
    promise.last_day.or(paused_on).unwrap_or(NaiveDate::MAX)
}
