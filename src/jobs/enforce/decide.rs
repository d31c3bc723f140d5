//! A page of the agenda: read, then decided.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Result;
use chrono::TimeDelta;

use super::super::Shop;
use super::super::page::{Evaluated, Loaded, load_page, page_len};
use super::{Enforced, Moved};
use crate::case::{
    Disposition, NoticeKey, Plan, PlanContext, Recorded, RecordedDeadline, Rules, plan,
    policies as policies_of,
};
use crate::policy::{Audience, Instant, Policy, PolicyId};
use crate::store::{self, AgendaRow, DueCase, Guard, Tx};

/// Cases read ahead of a page.
const CASES_A_PAGE: usize = 2_000;

/// What the pages of a run have in common.
pub struct Decider {
    pub shop: Shop,
    pub rules: Rules,
    pub rules_id: i64,
    /// What the guard says while the run is the latest.
    pub guard: Guard,
    pub context: PlanContext,
    /// Keeps what would be written in the answer.
    pub dry_run: bool,
}

/// How a page holds the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Beside pages of other nodes.
    Shared,
    /// When none is at work any more.
    Alone,
}

/// Before the first place.
const FIRST: (i64, i64) = (i64::MIN, i64::MIN);

/// Which cases of the agenda come next.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// Those whose time has come, after a place on the agenda.
    Due { after: (i64, i64), hold: Hold },
    /// Open ones that were evaluated under older rules, after a place among
    /// them, so many at most.
    Stale { after: (i64, i64), left: usize },
}

impl Next {
    /// All whose time has come.
    pub fn due(hold: Hold) -> Self {
        Self::Due { after: FIRST, hold }
    }

    /// Those of older rules.
    pub fn stale(left: usize) -> Self {
        Self::Stale { after: FIRST, left }
    }

    /// What comes after a page of so many that ends with a case.
    fn after(self, last: &DueCase, found: usize) -> Self {
        let after = (last.place, last.order_id);
        match self {
            Self::Due { hold, .. } => Self::Due { after, hold },
            Self::Stale { left, .. } => Self::Stale {
                after,
                left: left.saturating_sub(found),
            },
        }
    }
}

/// What was found on the agenda.
pub enum Found<C> {
    /// The place after these cases, and they.
    Cases(Next, C),
    /// There is nothing left.
    Nothing,
    /// Another run has begun, and the rest is its.
    Overtaken,
}

/// The cases of a page, as they were read.
pub struct Cases {
    loaded: Vec<Loaded>,
    /// How many times in a row the evaluation failed of those that did.
    failures: HashMap<i64, i64>,
    recorded: HashMap<i64, Recorded>,
}

/// What follows for the cases of a page.
#[derive(Default)]
pub struct Decided {
    /// What was counted, and what a dry run keeps.
    pub done: Enforced,
    pub agenda: Vec<AgendaRow>,
    pub plans: Vec<(i64, Plan)>,
    /// From when on notices may be sent that are true again.
    pub again: Vec<(i64, Instant)>,
    /// The versions that the cases follow.
    pub policies: BTreeMap<PolicyId, Arc<Policy>>,
}

impl Decider {
    /// Reads the next cases, as many as make a page.
    pub async fn read(&self, tx: &mut Tx<'_>, next: Next) -> Result<Found<Cases>> {
        if !self.dry_run && self.guard(tx, next).await? != self.guard {
            return Ok(Found::Overtaken);
        }
        let due = self.due(tx, next).await?;
        let due = &due[..page_len(due.iter().map(|case| case.units)).min(due.len())];
        let Some(last) = due.last() else {
            return Ok(Found::Nothing);
        };
        let order_ids: Vec<i64> = due.iter().map(|case| case.order_id).collect();
        let failed = due.iter().filter(|case| case.failures > 0);
        let cases = Cases {
            loaded: load_page(tx, &order_ids, None).await?,
            failures: failed.map(|case| (case.order_id, case.failures)).collect(),
            recorded: store::recorded_load(tx, &order_ids).await?,
        };
        Ok(Found::Cases(next.after(last, due.len()), cases))
    }

    /// What follows for the cases of a page.
    pub fn decide(&self, cases: Cases) -> Decided {
        let Cases {
            loaded,
            failures,
            mut recorded,
        } = cases;
        let mut decided = Decided::default();
        for loaded in loaded {
            let evaluated = loaded.evaluate(&self.rules, self.context.now);
            let failures = failures.get(&evaluated.order_id).copied().unwrap_or(0);
            let recorded = recorded.remove(&evaluated.order_id).unwrap_or_default();
            self.decide_one(evaluated, failures, &recorded, &mut decided);
        }
        decided
    }

    async fn guard(&self, tx: &mut Tx<'_>, next: Next) -> Result<Guard> {
        Ok(match next {
            Next::Due {
                hold: Hold::Alone, ..
            } => store::guard_take(tx).await?,
            _ => store::guard_share(tx).await?,
        })
    }

    async fn due(&self, tx: &mut Tx<'_>, next: Next) -> Result<Vec<DueCase>> {
        let now = self.context.now;
        Ok(match next {
            Next::Due { after, .. } => {
                store::agenda_due(tx, now, after, CASES_A_PAGE as i64).await?
            }
            Next::Stale { after, left } => {
                let at_most = CASES_A_PAGE.min(left) as i64;
                store::agenda_stale(tx, now, self.rules_id, after, at_most).await?
            }
        })
    }

    fn decide_one(
        &self,
        evaluated: Evaluated,
        failures: i64,
        recorded: &Recorded,
        decided: &mut Decided,
    ) {
        let now = self.context.now;
        decided.agenda.push(agenda_row(&evaluated, failures, now));
        decided.done.outcome.count("found", 1);
        let order_id = evaluated.order_id;
        let (case, evaluation) = match evaluated.found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(order_id, error, "a case cannot be evaluated");
                decided.done.outcome.count("failed", 1);
                return;
            }
        };
        for policy in policies_of(&case, &self.rules) {
            if !decided.policies.contains_key(&policy.id) {
                let policy = Arc::clone(policy);
                decided.policies.insert(policy.id.clone(), policy);
            }
        }
        let mut plan = plan(&evaluation, recorded, &self.context);
        if self.context.customers_held {
            // A time that nobody has confirmed changes nothing recorded.
            plan.changed.clear();
        }
        tracing::debug!(
            order = case.order.order_ref,
            notices = plan.notices.len(),
            "planned"
        );
        self.tell(&plan, recorded, &mut decided.done);
        decided.again.extend(self.true_again(&plan, recorded));
        decided.plans.push((order_id, plan));
    }

    /// Counts a plan; a dry run keeps it.
    fn tell(&self, plan: &Plan, recorded: &Recorded, done: &mut Enforced) {
        let outcome = &mut done.outcome;
        let has_changed = *plan != Plan::default();
        outcome.count(if has_changed { "changed" } else { "already" }, 1);
        let recorded_now = plan.notices.iter().map(|notice| notice.fate.disposition);
        for disposition in recorded_now.chain(plan.changed.iter().map(|(_, to)| to.disposition)) {
            outcome.count(name(disposition), 1);
        }
        if self.dry_run {
            done.notices.extend(plan.notices.iter().cloned());
            done.moved.extend(moved(plan, recorded));
        }
    }

    /// From when on a notice may be sent: a customer's outcome waits for a
    /// forgotten entry to be made up (spec, section 5, rule 6).
    pub fn ready_at(&self, key: &NoticeKey) -> Instant {
        let now = self.context.now;
        let delay = self.shop.config.notices.outcome_delay;
        let waits = key.window.is_none() && key.audience == Audience::Customer;
        let ready_at = waits.then(|| now.checked_add_signed(delay)).flatten();
        ready_at.unwrap_or(now)
    }

    /// From when on notices may be sent that are true again.
    fn true_again(&self, plan: &Plan, recorded: &Recorded) -> Vec<(i64, Instant)> {
        let again = plan.changed.iter();
        let again = again.filter(|(_, to)| to.disposition.is_waiting());
        let ready_at = again.filter_map(|(id, _)| {
            let notice = recorded.notices.iter().find(|notice| notice.id == *id)?;
            let was_moot = notice.disposition == Disposition::Moot;
            was_moot.then(|| (*id, self.ready_at(&notice.key)))
        });
        ready_at.collect()
    }
}

fn name(disposition: Disposition) -> &'static str {
    disposition.into()
}

/// A failed case is looked at again after 1, 2, 4 … minutes, at most a day.
fn agenda_row(evaluated: &Evaluated, failures: i64, now: Instant) -> AgendaRow {
    let order_id = evaluated.order_id;
    match &evaluated.found {
        Ok((_, evaluation)) => AgendaRow {
            order_id,
            next_at: evaluation.next_at,
            is_open: evaluation.is_open,
            failures: 0,
            error: None,
        },
        Err(error) => AgendaRow {
            order_id,
            next_at: now.checked_add_signed(TimeDelta::minutes(1 << failures.clamp(0, 10))),
            is_open: true,
            failures: failures + 1,
            error: Some(error.clone()),
        },
    }
}

fn moved(plan: &Plan, recorded: &Recorded) -> Vec<Moved> {
    let of = |deadline: &RecordedDeadline, from, to| Moved {
        subject: deadline.subject,
        subject_ref: deadline.subject_ref.clone(),
        window: deadline.window,
        from,
        to,
    };
    let changed = plan.deadlines.iter().filter_map(|deadline| {
        let before = recorded
            .deadlines
            .iter()
            .find(|old| old.key() == deadline.key());
        let from = before.and_then(|old| old.last_day);
        (from != deadline.last_day).then(|| of(deadline, from, deadline.last_day))
    });
    let gone = plan
        .gone
        .iter()
        .map(|deadline| of(deadline, deadline.last_day, None));
    changed.chain(gone).collect()
}
