//! The job `enforce`: works out what has come due and records it. It renders
//! nothing and sends nothing.
//!
//! A page is one transaction, and takes cases that no other has in hand: so
//! several nodes share the work of a run. What keeps them together is the guard
//! (up to when was enforced): a run begins when it has it alone, its pages
//! share it and are written only while it says their run's time. So pages of
//! one time are all written before those of the next, and a node that was
//! frozen and wakes up in another run's time writes nothing. A run is done when
//! it finds nothing that is due while it has the guard alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Result;
use chrono::{NaiveDate, TimeDelta};

use super::book::rules;
use super::guard::{Guarded, guarded};
use super::page::{Evaluated, evaluate_page, page_len};
use super::{Outcome, Shop, When};
use crate::case::{
    Disposition, Notice, NoticeKey, Plan, PlanContext, Recorded, RecordedDeadline, Rules, plan,
    policies as policies_of,
};
use crate::config::Config;
use crate::policy::{Audience, Instant, Policy, PolicyId, Subject, Window};
use crate::store::{self, AgendaRow, DueCase, Guard, StoreError, Tx};

/// Cases read ahead of a page.
const CASES_A_PAGE: i64 = 1_000;

/// Cases that one run evaluates again because the rules changed.
const STALE_CASES_A_RUN: usize = 50_000;

/// A due date that moved, or a deadline that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// Which window.
    pub window: Window,
    /// The last day that was recorded; `None`: none.
    pub from: Option<NaiveDate>,
    /// The last day now; `None`: none.
    pub to: Option<NaiveDate>,
}

/// What a run of `enforce` did, or would do.
#[derive(Debug, Default)]
pub struct Enforced {
    /// Counts, for `job_runs`, the log and the exit status.
    pub outcome: Outcome,
    /// Deadlines that were recorded before and moved, began or went.
    pub moved: Vec<Moved>,
    /// Notices that were recorded.
    pub notices: Vec<Notice>,
}

/// How many times a page is tried that the database takes back in favour of
/// another transaction.
const TRIES: usize = 5;

/// Enforces up to `when`. A dry run writes nothing and keeps what it would
/// have written in the answer.
pub async fn enforce(shop: &Shop, when: When, dry_run: bool) -> Result<Enforced> {
    let mut tx = shop.begin(dry_run).await?;
    let guard = store::guard_take(&mut tx).await?;
    let guarded = match dry_run {
        true => Guarded {
            at: when.at,
            guard,
            goes_back: false,
        },
        false => guarded(&guard, when, shop.config.calendar.zone)?,
    };
    let in_force = rules(shop, &mut tx).await?;
    let rules_id = match dry_run {
        true => in_force.rules_id.unwrap_or(i64::MAX),
        false => in_force.number(&mut tx, guarded.at).await?,
    };
    let mut begun = Outcome::default();
    if !dry_run {
        keep_guard(&mut tx, &guarded, &mut begun).await?;
    }
    tx.commit().await?;
    let mut run = Run::new(shop, guarded, in_force.rules, rules_id, dry_run);
    run.done.outcome = begun;
    run.due_cases(Hold::Shared).await?;
    if !dry_run {
        run.due_cases(Hold::Alone).await?;
    }
    run.stale_cases().await?;
    Ok(run.done)
}

/// Does what is left to do of the cases that are due in a run of another node,
/// which is as of `when`.
pub(super) async fn enforce_share(shop: &Shop, when: When) -> Result<Outcome> {
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let guarded = guarded(&guard, when, shop.config.calendar.zone)?;
    let in_force = rules(shop, &mut tx).await?;
    tx.commit().await?;
    if guarded.guard != guard {
        // It has not begun, or another run has.
        return Ok(Outcome::default());
    }
    let Some(rules_id) = in_force.rules_id else {
        tracing::warn!("this node's policies, calendar or version differ: it helps nobody");
        return Ok(Outcome::default());
    };
    let mut run = Run::new(shop, guarded, in_force.rules, rules_id, false);
    run.due_cases(Hold::Shared).await?;
    Ok(run.done.outcome)
}

/// Keeps up to when was enforced, and holds customers' notices or lets them
/// go.
async fn keep_guard(tx: &mut Tx<'_>, guarded: &Guarded, outcome: &mut Outcome) -> Result<()> {
    if guarded.goes_back {
        outcome.count("undone", store::notices_undo(tx, guarded.at).await?);
        store::messages_undo(tx, guarded.at).await?;
    }
    match guarded.guard.held_since {
        Some(_) => outcome.count("held", store::notices_hold_customers(tx).await?),
        None => outcome.count("let_go", store::notices_let_go(tx).await?),
    }
    Ok(store::guard_write(tx, &guarded.guard).await?)
}

/// How a page holds the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Beside pages of other nodes.
    Shared,
    /// When none is at work any more.
    Alone,
}

/// Which cases come next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Those whose time has come, after a place on the agenda.
    Due { after: (i64, i64), hold: Hold },
    /// Open ones that were evaluated under older rules, after an order, so
    /// many at most.
    Stale { after: i64, at_most: i64 },
}

struct Run<'s> {
    shop: &'s Shop,
    rules: Rules,
    rules_id: i64,
    /// What the guard says while the run is the latest.
    guard: Guard,
    context: PlanContext,
    dry_run: bool,
    done: Enforced,
}

impl<'s> Run<'s> {
    fn new(shop: &'s Shop, guarded: Guarded, rules: Rules, rules_id: i64, dry_run: bool) -> Self {
        let Config {
            calendar, notices, ..
        } = shop.config.as_ref();
        Self {
            shop,
            rules,
            rules_id,
            context: PlanContext {
                now: guarded.at,
                stale_after: notices.stale_after,
                live_from: notices.live_from.map(|day| calendar.day_start(day)),
                customers_held: guarded.guard.held_since.is_some(),
            },
            guard: guarded.guard,
            dry_run,
            done: Enforced::default(),
        }
    }

    /// The cases whose time has come.
    async fn due_cases(&mut self, hold: Hold) -> Result<()> {
        let mut after = (i64::MIN, i64::MIN);
        while let Some(last) = self.page(Next::Due { after, hold }).await? {
            after = (last.next_at, last.order_id);
        }
        Ok(())
    }

    /// Open cases that were evaluated under older rules, so many a run.
    async fn stale_cases(&mut self) -> Result<()> {
        let (mut after, mut left) = (0, STALE_CASES_A_RUN);
        while left > 0 {
            let at_most = CASES_A_PAGE.min(left as i64);
            let before = self.done.outcome.get("found");
            let Some(last) = self.page(Next::Stale { after, at_most }).await? else {
                return Ok(());
            };
            after = last.order_id;
            left = left.saturating_sub((self.done.outcome.get("found") - before) as usize);
        }
        self.done.outcome.count("at_limit", 1);
        Ok(())
    }

    /// Does a page; again if the database took it back in favour of another.
    async fn page(&mut self, next: Next) -> Result<Option<DueCase>> {
        let before = self.done.outcome.clone();
        let mut tries = 1;
        loop {
            match self.try_page(next).await {
                Err(error) if is_taken_back(&error) && tries < TRIES => tries += 1,
                done => return done,
            }
            self.done.outcome = before.clone();
        }
    }

    /// Begins a page. `None`: another run has begun, and the rest is its.
    async fn begin(&mut self, hold: Hold) -> Result<Option<Tx<'static>>> {
        let mut tx = self.shop.begin(self.dry_run).await?;
        if self.dry_run {
            return Ok(Some(tx));
        }
        let guard = match hold {
            Hold::Shared => store::guard_share(&mut tx).await?,
            Hold::Alone => store::guard_take(&mut tx).await?,
        };
        if guard == self.guard {
            return Ok(Some(tx));
        }
        self.done.outcome.counts.insert("overtaken".into(), 1);
        Ok(None)
    }

    /// Evaluates the first of the next cases, as many as make a page, and
    /// writes what follows. Gives the last of them.
    async fn try_page(&mut self, next: Next) -> Result<Option<DueCase>> {
        let hold = match next {
            Next::Due { hold, .. } => hold,
            Next::Stale { .. } => Hold::Shared,
        };
        let Some(mut tx) = self.begin(hold).await? else {
            return Ok(None);
        };
        let (now, rules_id) = (self.context.now, self.rules_id);
        let due = match next {
            Next::Due { after, .. } => store::agenda_due(&mut tx, now, after, CASES_A_PAGE).await?,
            Next::Stale { after, at_most } => {
                store::agenda_stale(&mut tx, now, rules_id, after, at_most).await?
            }
        };
        let due = &due[..page_len(due.iter().map(|case| case.units)).min(due.len())];
        let Some(last) = due.last() else {
            return Ok(None);
        };
        let order_ids: Vec<i64> = due.iter().map(|case| case.order_id).collect();
        let page = evaluate_page(&mut tx, &order_ids, &self.rules, now).await?;
        let mut recorded = store::recorded_load(&mut tx, &order_ids).await?;
        let failures: HashMap<i64, i64> = due
            .iter()
            .map(|case| (case.order_id, case.failures))
            .collect();
        let mut agenda = Vec::with_capacity(page.len());
        let mut plans = Vec::with_capacity(page.len());
        let mut again = Vec::new();
        let delay = self.shop.config.notices.outcome_delay;
        let mut policies: BTreeMap<PolicyId, Arc<Policy>> = BTreeMap::new();
        for evaluated in page {
            let failures = failures.get(&evaluated.order_id).copied().unwrap_or(0);
            agenda.push(agenda_row(&evaluated, failures, now));
            self.done.outcome.count("found", 1);
            let order_id = evaluated.order_id;
            let (case, evaluation) = match evaluated.found {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(order_id, error, "a case cannot be evaluated");
                    self.done.outcome.count("failed", 1);
                    continue;
                }
            };
            for policy in policies_of(&case, &self.rules) {
                policies
                    .entry(policy.id.clone())
                    .or_insert_with(|| Arc::clone(policy));
            }
            let recorded = recorded.remove(&order_id).unwrap_or_default();
            let mut plan = plan(&evaluation, &recorded, &self.context);
            if self.context.customers_held {
                // A time that nobody has confirmed changes nothing recorded.
                plan.changed.clear();
            }
            tracing::debug!(
                order = case.order.order_ref,
                notices = plan.notices.len(),
                "planned"
            );
            self.tell(&plan, &recorded);
            again.extend(true_again(&plan, &recorded, now, delay));
            plans.push((order_id, plan));
        }
        if !self.dry_run {
            store::policies_write(&mut tx, policies.values().map(Arc::as_ref), now).await?;
            store::plan_write(&mut tx, &plans, now, |key| ready_at(key, now, delay)).await?;
            store::notices_again(&mut tx, &again).await?;
            store::agenda_move(&mut tx, self.rules_id, &agenda).await?;
        }
        tx.commit().await?;
        Ok(Some(*last))
    }

    /// Counts a plan; a dry run keeps it.
    fn tell(&mut self, plan: &Plan, recorded: &Recorded) {
        let outcome = &mut self.done.outcome;
        let has_changed = *plan != Plan::default();
        outcome.count(if has_changed { "changed" } else { "already" }, 1);
        let recorded_now = plan.notices.iter().map(|notice| notice.disposition);
        for disposition in recorded_now.chain(plan.changed.iter().map(|(_, to)| *to)) {
            outcome.count(name(disposition), 1);
        }
        if self.dry_run {
            self.done.notices.extend(plan.notices.iter().cloned());
            self.done.moved.extend(moved(plan, recorded));
        }
    }
}

fn is_taken_back(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Again(_)))
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

/// From when on a notice may be sent: a customer's outcome waits for a
/// forgotten entry to be made up (spec, section 5, rule 6).
fn ready_at(key: &NoticeKey, now: Instant, outcome_delay: TimeDelta) -> Instant {
    let waits = key.window.is_none() && key.audience == Audience::Customer;
    let ready_at = waits
        .then(|| now.checked_add_signed(outcome_delay))
        .flatten();
    ready_at.unwrap_or(now)
}

/// From when on notices may be sent that are true again.
fn true_again(
    plan: &Plan,
    recorded: &Recorded,
    now: Instant,
    outcome_delay: TimeDelta,
) -> Vec<(i64, Instant)> {
    let keys: HashMap<i64, &NoticeKey> = recorded
        .notices
        .iter()
        .map(|notice| (notice.id, &notice.key))
        .collect();
    let again = plan.changed.iter().filter(|(_, to)| to.is_waiting());
    again
        .filter_map(|(id, _)| Some((*id, ready_at(keys.get(id)?, now, outcome_delay))))
        .collect()
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
