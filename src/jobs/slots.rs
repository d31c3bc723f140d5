//! The slots of the schedule: planned once, taken by one node, which others
//! may help.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use chrono::TimeDelta;
use tokio::task::JoinSet;

use super::alarms::monitor::tell_run;
use super::limit::within_limit;
use super::run::{keep, keep_share, node, run};
use super::{Outcome, Shop, When, job};
use crate::clock::{self, Stopwatch};
use crate::config::JobName;
use crate::policy::Instant;
use crate::store::{self, Held, StoreError, TakenSlot};

/// A run whose node died goes on at its own time, as if it had not been
/// disturbed, unless it lay for longer than this: then it finds its work at
/// the present.
const GOES_ON: TimeDelta = TimeDelta::minutes(5);

/// A lease is renewed so many times before it would end.
const RENEWALS: u32 = 4;

/// Before work that lost its database is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// A slot that was planned and is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The number of its run.
    pub run_id: i64,
    /// The job.
    pub job: JobName,
    /// The slot.
    pub slot_at: Instant,
    /// Since when another node is at it; `None`: none is.
    pub held_since: Option<Instant>,
    /// Whether it was ever begun.
    pub has_begun: bool,
}

/// Slots that nobody runs any more: they are too old, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// The newest of them.
    pub slot_at: Instant,
    /// How many they are.
    pub slots: u64,
}

/// Keeps the slots of a job; one that was planned before stays as it is.
pub async fn plan_slots(shop: &Shop, job: JobName, slots: &[Instant]) -> Result<()> {
    if slots.is_empty() {
        return Ok(());
    }
    let mut tx = shop.store.write().await?;
    store::run_plan(&mut tx, &job.to_string(), slots).await?;
    Ok(tx.commit().await?)
}

/// Keeps that slots of a job were given up; `false`: it was kept before, or
/// the newest of them was begun.
pub async fn give_up(shop: &Shop, job: JobName, given_up: GivenUp) -> Result<bool> {
    let GivenUp { slot_at, slots } = given_up;
    let mut outcome = Outcome::default();
    outcome.count("given_up", slots);
    let counts = serde_json::to_string(&outcome.counts)?;
    let mut tx = shop.store.write().await?;
    let job = job.to_string();
    let is_kept = store::slots_give_up(&mut tx, &job, slot_at, &counts, clock::now()).await?;
    tx.commit().await?;
    Ok(is_kept)
}

/// The newest slot until `now` of a job that was planned.
pub async fn slot_latest(shop: &Shop, job: JobName, now: Instant) -> Result<Option<Instant>> {
    let mut tx = shop.store.read().await?;
    Ok(store::slot_latest(&mut tx, &job.to_string(), now).await?)
}

/// The slots until `now` that were planned and are not done, in the order in
/// which they are run: those that a process died over are among them. What
/// looks for its work at the present comes before what is dated.
pub async fn slots_owed(shop: &Shop, now: Instant) -> Result<Vec<Owed>> {
    let mut tx = shop.store.read().await?;
    let mut owed = Vec::new();
    for run in store::runs_owed(&mut tx, now).await? {
        let job = run.job.parse();
        let job = job.map_err(|_| anyhow!("job_runs: there is no job `{}`", run.job))?;
        owed.push(Owed {
            run_id: run.id,
            job,
            slot_at: run.slot_at,
            held_since: run.started_at.filter(|_| run.is_held),
            has_begun: run.started_at.is_some(),
        });
    }
    owed.sort_by_key(|owed| (job(owed.job).is_dated(), owed.slot_at, owed.job));
    Ok(owed)
}

/// Takes a slot that was to begin at a time, and runs it. `false`: another node
/// was faster.
pub async fn run_slot(shop: &Shop, owed: Owed, starts_at: Instant) -> Result<bool> {
    let ran = take_and_run(shop, owed, starts_at).await;
    let is_well = match &ran {
        Ok(Some(outcome)) if !outcome.ended_early => Some(outcome.problem.is_none()),
        Ok(_) => None,
        Err(_) => Some(false),
    };
    if let Some(is_well) = is_well {
        let (shop, job) = (shop.clone(), owed.job.to_string());
        // A monitor that is slow to answer holds up no job.
        drop(tokio::spawn(async move {
            tell_run(&shop, &job, is_well).await;
        }));
    }
    ran.map(|ran| ran.is_some())
}

async fn take_and_run(shop: &Shop, owed: Owed, starts_at: Instant) -> Result<Option<Outcome>> {
    let mut tx = shop.store.write().await?;
    let now = clock::now();
    let taken = store::run_take(&mut tx, owed.run_id, &node(), now, GOES_ON).await?;
    let Some(taken) = taken else {
        return Ok(None);
    };
    let ran = match tx.commit().await {
        Ok(()) => run_taken(shop, owed, starts_at, taken, now).await,
        Err(error) => Err(error.into()),
    };
    if ran.is_err() {
        // Perhaps its end could not be written, or nobody knows whether it was
        // taken. One that has ended stays as it is.
        drop(tokio::spawn(give_back(shop.clone(), taken)));
    }
    ran.map(Some)
}

/// Runs a slot that this node has taken at `now`, and keeps what came of it.
async fn run_taken(
    shop: &Shop,
    owed: Owed,
    starts_at: Instant,
    taken: TakenSlot,
    now: Instant,
) -> Result<Outcome> {
    let mut renewing = JoinSet::new();
    if !taken.lease.is_zero() {
        renewing.spawn(renew(shop.clone(), taken.held, taken.lease / RENEWALS));
    }
    let when = When::of_slot(job(owed.job), owed.slot_at, taken.started_at, now);
    // One that goes on began before.
    if taken.started_at == now {
        shop.tally.began(owed.job, now - starts_at);
    }
    let since = Stopwatch::start();
    let ran = within_limit(shop, owed.job, run(shop, owed.job, when)).await;
    shop.tally.worked(owed.job, since.elapsed(), &ran);
    match &ran {
        Err(error) if lost_the_database(error) => shop.tally.ended(owed.job, "given_back"),
        // Another node goes on with it, or this one when it starts again.
        Ok(outcome) if outcome.ended_early => {
            keep_share(shop, owed.run_id, outcome).await?;
            given_back(shop, taken.held).await?;
            shop.tally.ended(owed.job, "given_back");
            tracing::info!(job = %owed.job, "told to end: the rest is left to the next");
        }
        _ => keep(shop, owed.job, taken.held, &ran).await?,
    }
    ran
}

/// Lets any node take a slot whose run is not known to have ended, once the
/// database can be reached, or until the lease has ended by itself.
async fn give_back(shop: Shop, taken: TakenSlot) {
    let since = Stopwatch::start();
    while since.elapsed() < taken.lease {
        tokio::time::sleep(PAUSE).await;
        if given_back(&shop, taken.held).await.is_ok() {
            return;
        }
    }
}

async fn given_back(shop: &Shop, held: Held) -> Result<(), StoreError> {
    let mut tx = shop.store.write().await?;
    store::run_give_back(&mut tx, held).await?;
    tx.commit().await
}

/// Renews a lease for as long as the run is this node's.
async fn renew(shop: Shop, held: Held, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        match renewed(&shop, held).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "a lease cannot be renewed"),
        }
    }
}

async fn renewed(shop: &Shop, held: Held) -> Result<bool, StoreError> {
    let mut tx = shop.store.write().await?;
    let is_ours = store::run_renew(&mut tx, held).await?;
    tx.commit().await?;
    Ok(is_ours)
}

fn lost_the_database(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes.any(|cause| matches!(cause, StoreError::Gone(_) | StoreError::Again(_)))
}

/// Helps the node that is at a slot, at the time of its run, as far as there
/// is work that nobody has in hand.
pub async fn help_slot(shop: &Shop, owed: Owed) -> Result<()> {
    let Some(started_at) = owed.held_since else {
        return Ok(());
    };
    let when = When::of_slot(job(owed.job), owed.slot_at, started_at, clock::now());
    let helping = async {
        match owed.job {
            JobName::Enforce => super::enforce::enforce_share(shop, when).await,
            JobName::Deliver => super::deliver(shop, when).await,
            _ => Ok(Outcome::default()),
        }
    };
    let helped = within_limit(shop, owed.job, helping).await?;
    if helped.counts.is_empty() {
        return Ok(());
    }
    shop.tally.counted(owed.job, &helped.counts);
    tracing::info!(job = %owed.job, counts = ?helped.counts, "helped");
    let kept = keep_share(shop, owed.run_id, &helped).await;
    kept.context("what this node did of a run")
}
