//! The job `enforce`: works out what has come due and records it. It renders
//! nothing and sends nothing.
//!
//! A page is one transaction, and takes cases that no other has in hand: so
//! several nodes share the work of a run. While one is written, the next is
//! decided and those after it are read. What keeps the nodes together is the
//! guard (up to when was enforced): a run begins when it has it alone, its
//! pages share it and are written only while it says their run's time. So
//! pages of one time are all written before those of the next, and a node that
//! was frozen and wakes up in another run's time writes nothing. A run is done
//! when it finds nothing that is due while it has the guard alone.

mod decide;
mod pages;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;

use super::book::rules;
use super::guard::{Guarded, guarded, plan_context, with_feed};
use super::{Outcome, Shop, When};
use crate::case::{Cause, Notice, NoticeKey, Rules};
use crate::policy::{PolicyId, Subject, Window};
use crate::store::{self, Ahead, Guard, StoreError, Tx};
use decide::{Decided, Decider, Found, Hold, Next};
use pages::Pages;

/// How many times a page is tried that the database takes back in favour of
/// another transaction.
const TRIES: usize = 5;

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
        self.outcome.add(&other.outcome.counts);
        self.moved.extend(other.moved);
        self.notices.extend(other.notices);
    }
}

/// Enforces up to `when`. A dry run writes nothing and keeps what it would
/// have written in the answer.
pub async fn enforce(shop: &Shop, when: When, dry_run: bool) -> Result<Enforced> {
    let mut tx = shop.begin(dry_run).await?;
    let guard = store::guard_take(&mut tx).await?;
    let guarded = match dry_run {
        true => Guarded {
            at: when.at,
            guard: guard.clone(),
            goes_back: false,
        },
        false => guarded(&guard, when, shop.config.calendar.zone)?,
    };
    let imported_at = store::feed_load(&mut tx).await?;
    let guarded = with_feed(guarded, imported_at, shop.config.import_max_age);
    let in_force = rules(shop, &mut tx).await?;
    let mut begun = Outcome::default();
    let rules_id = match dry_run {
        true => in_force.rules_id.unwrap_or(i64::MAX),
        false => {
            keep_guard(&mut tx, &guard, &guarded, &mut begun).await?;
            in_force.number(&mut tx, guarded.at).await?
        }
    };
    // Whoever has the guard alone sees what all others left.
    if store::agenda_is_done(&mut tx, guarded.at, rules_id).await? {
        tx.commit().await?;
        return Ok(Enforced {
            outcome: begun,
            ..Enforced::default()
        });
    }
    if shop.watch.is_watched() {
        let all = store::agenda_due_count(&mut tx, guarded.at).await?;
        shop.watch.count("due", all);
    }
    let decider = decider(shop, guarded, in_force.rules, rules_id, dry_run);
    let mut run = Run::new(tx, decider).await?;
    run.done.outcome = begun;
    run.pages(Next::due(Hold::Shared)).await?;
    if !dry_run {
        run.pages(Next::due(Hold::Alone)).await?;
    }
    if let Next::Stale { left: 0, .. } = run.pages(Next::stale(STALE_CASES_A_RUN)).await? {
        run.done.outcome.count("at_limit", 1);
    }
    Ok(run.done)
}

/// Does what is left to do of the cases that are due in a run of another node,
/// which is as of `when`.
pub(super) async fn enforce_share(shop: &Shop, when: When) -> Result<Outcome> {
    let mut tx = shop.store.write().await?;
    let guard = store::guard_load(&mut tx).await?;
    let guarded = guarded(&guard, when, shop.config.calendar.zone)?;
    let in_force = rules(shop, &mut tx).await?;
    if guarded.guard != guard {
        // It has not begun, or another run has.
        return Ok(Outcome::default());
    }
    let Some(rules_id) = in_force.rules_id else {
        tracing::warn!("this node's policies, calendar or version differ: it helps nobody");
        return Ok(Outcome::default());
    };
    let decider = decider(shop, guarded, in_force.rules, rules_id, false);
    let mut run = Run::new(tx, decider).await?;
    run.pages(Next::due(Hold::Shared)).await?;
    Ok(run.done.outcome)
}

fn decider(shop: &Shop, guarded: Guarded, rules: Rules, rules_id: i64, dry_run: bool) -> Decider {
    Decider {
        context: plan_context(&shop.config, &guarded),
        guard: guarded.guard,
        shop: shop.clone(),
        rules,
        rules_id,
        dry_run,
    }
}

/// Keeps up to when was enforced, and holds customers' notices or lets them
/// go.
async fn keep_guard(
    tx: &mut Tx<'_>,
    before: &Guard,
    guarded: &Guarded,
    outcome: &mut Outcome,
) -> Result<()> {
    if guarded.goes_back {
        outcome.count("undone", store::notices_undo(tx, guarded.at).await?);
        store::messages_undo(tx, guarded.at).await?;
    }
    if guarded.guard.held_since.is_some() {
        outcome.count("held", store::notices_hold_customers(tx).await?);
    } else if before.held_since.is_some() {
        outcome.count("let_go", store::notices_let_go(tx, Cause::Clock).await?);
    }
    // What is queued while the feed is dead `deliver` holds.
    if before.feed_died_at.is_some() && guarded.guard.feed_died_at.is_none() {
        outcome.count("let_go", store::notices_let_go(tx, Cause::Feed).await?);
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

impl Run {
    /// Commits what a run began with, and goes on to its pages.
    async fn new(tx: Tx<'_>, decider: Decider) -> Result<Self> {
        Ok(Self {
            ahead: decider.shop.store.ahead(tx).await?,
            decider: Arc::new(decider),
            kept_policies: BTreeSet::new(),
            done: Enforced::default(),
        })
    }

    /// Enforces the cases of the agenda from a place on, unless the run was told
    /// to end; again from the page that the database took back in favour of
    /// another transaction. Gives the place after the last.
    async fn pages(&mut self, mut next: Next) -> Result<Next> {
        let mut tries = 1;
        loop {
            if self.done.outcome.ended_early {
                return Ok(next);
            }
            match self.try_pages(&mut next).await {
                Err(error) if is_taken_back(&error) && tries < TRIES => tries += 1,
                done => return done.map(|()| next),
            }
        }
    }

    async fn try_pages(&mut self, next: &mut Next) -> Result<()> {
        let mut pages = self.read_ahead(*next);
        loop {
            let (read, found) = pages.next().await?;
            let (after, decided) = match found {
                Found::Cases(after, decided) => (after, decided.await?),
                Found::Nothing => return Ok(()),
                Found::Overtaken => return self.overtaken(),
            };
            let (mut tx, holds) = self.ahead.write(read).await?;
            let (after, decided) = match holds {
                true => (after, decided),
                false => match self.decider.read(&mut tx, *next).await? {
                    Found::Cases(after, cases) => (after, self.decider.decide(cases)),
                    Found::Nothing => return Ok(()),
                    Found::Overtaken => return self.overtaken(),
                },
            };
            self.write(tx, decided).await?;
            *next = after;
            if self.decider.shop.watch.is_ending() {
                self.done.outcome.ended_early = true;
                return Ok(());
            }
            if !holds {
                // The pages that were read ahead do not follow this one.
                pages = self.read_ahead(*next);
            }
        }
    }

    fn read_ahead(&self, next: Next) -> Pages {
        Pages::read(self.ahead.reader(), Arc::clone(&self.decider), next)
    }

    /// Ends this run's pages: the rest is another run's.
    fn overtaken(&mut self) -> Result<()> {
        self.done.outcome.counts.insert("overtaken".into(), 1);
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
        let found = decided.done.outcome.get("found");
        self.decider.shop.watch.count("found", found);
        self.done.add(decided.done);
        Ok(())
    }
}

fn is_taken_back(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Again(_)))
}
