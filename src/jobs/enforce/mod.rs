//! The job `enforce`: works out what has come due and records it. It renders
//! nothing and sends nothing.
//!
//! A page is one transaction. While one is written, the next is read and
//! decided.

mod decide;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;
use tokio::task::JoinSet;

use super::book::rules;
use super::guard::{Guarded, guarded};
use super::{Outcome, Shop, When};
use crate::case::{Notice, NoticeKey, PlanContext};
use crate::config::Config;
use crate::policy::{PolicyId, Subject, Window};
use crate::store::{self, Ahead, Tx};
use decide::{Decided, Decider, Next};

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

impl Enforced {
    fn add(&mut self, other: Self) {
        for (name, by) in other.outcome.counts {
            self.outcome.count(name, by);
        }
        self.moved.extend(other.moved);
        self.notices.extend(other.notices);
    }
}

/// Enforces up to `when`. A dry run writes nothing and keeps what it would
/// have written in the answer.
pub async fn enforce(shop: &Shop, when: When, dry_run: bool) -> Result<Enforced> {
    let mut tx = shop.begin(dry_run).await?;
    let guard = store::guard_load(&mut tx).await?;
    let guarded = match dry_run {
        true => Guarded {
            at: when.at,
            guard,
            goes_back: false,
        },
        false => guarded(&guard, when, shop.config.calendar.zone)?,
    };
    let in_force = rules(shop, &mut tx).await?;
    let mut done = Enforced::default();
    let rules_id = match dry_run {
        true => in_force.rules_id.unwrap_or(i64::MAX),
        false => {
            keep_guard(&mut tx, &guarded, &mut done.outcome).await?;
            in_force.number(&mut tx, guarded.at).await?
        }
    };
    let Config {
        calendar, notices, ..
    } = shop.config.as_ref();
    let decider = Decider {
        context: PlanContext {
            now: guarded.at,
            stale_after: notices.stale_after,
            live_from: notices.live_from.map(|day| calendar.day_start(day)),
            customers_held: guarded.guard.held_since.is_some(),
        },
        shop: shop.clone(),
        rules: in_force.rules,
        rules_id,
        dry_run,
    };
    let mut run = Run {
        decider: Arc::new(decider),
        kept_policies: BTreeSet::new(),
        ahead: shop.store.ahead(tx).await?,
        done,
    };
    let after = (i64::MIN, i64::MIN);
    run.pages(Next::Due { after }).await?;
    let left = STALE_CASES_A_RUN;
    if let Next::Stale { left: 0, .. } = run.pages(Next::Stale { after: 0, left }).await? {
        run.done.outcome.count("at_limit", 1);
    }
    Ok(run.done)
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

struct Run {
    decider: Arc<Decider>,
    /// Versions whose texts this run has kept.
    kept_policies: BTreeSet<PolicyId>,
    ahead: Ahead,
    done: Enforced,
}

/// A page that was read, in its transaction; `None`: there is none.
type Read = Result<(Tx<'static>, Option<Decided>)>;

async fn read(mut tx: Tx<'static>, decider: Arc<Decider>, next: Next) -> Read {
    let decided = decider.decide(&mut tx, next).await?;
    Ok((tx, decided))
}

impl Run {
    /// Enforces the cases of the agenda from a place on. Gives the place after
    /// the last.
    async fn pages(&mut self, mut next: Next) -> Result<Next> {
        let mut reading = JoinSet::new();
        self.read_ahead(&mut reading, next).await?;
        while let Some(read) = reading.join_next().await {
            let (tx, Some(decided)) = read?? else {
                break;
            };
            let (mut tx, holds) = self.ahead.write(tx).await?;
            let decided = match holds {
                true => Some(decided),
                false => self.decider.decide(&mut tx, next).await?,
            };
            let Some(decided) = decided else {
                break;
            };
            next = decided.next;
            self.read_ahead(&mut reading, next).await?;
            self.write(tx, decided).await?;
        }
        Ok(next)
    }

    async fn read_ahead(&self, reading: &mut JoinSet<Read>, next: Next) -> Result<()> {
        let tx = self.ahead.read().await?;
        reading.spawn(read(tx, Arc::clone(&self.decider), next));
        Ok(())
    }

    async fn write(&mut self, mut tx: Tx<'static>, decided: Decided) -> Result<()> {
        let Decider {
            rules_id, context, ..
        } = self.decider.as_ref();
        if !self.decider.dry_run {
            let policies = decided.policies.values();
            let used = policies.filter(|policy| !self.kept_policies.contains(&policy.id));
            store::policies_write(&mut tx, used.map(Arc::as_ref), context.now).await?;
            let ready_at = |key: &NoticeKey| self.decider.ready_at(key);
            store::plan_write(&mut tx, &decided.plans, context.now, ready_at).await?;
            store::notices_again(&mut tx, &decided.again).await?;
            store::agenda_move(&mut tx, *rules_id, &decided.agenda).await?;
        }
        self.ahead.commit(tx).await?;
        self.kept_policies.extend(decided.policies.into_keys());
        self.done.add(decided.done);
        Ok(())
    }
}
