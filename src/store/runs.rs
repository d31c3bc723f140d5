//! Runs of jobs: what was planned, who is at it, what came of it.
//!
//! Several nodes may see the same slot. One takes it, with a lease that it
//! renews while it works, and a fence that each taking raises: what a node
//! writes of a run that another has taken since changes nothing.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use super::StoreError;
use super::engine::{Page, Row, Tx, select, write};
use crate::policy::Instant;

/// Where a run is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunState {
    /// A slot of the schedule that was not begun.
    Planned,
    /// Begun. With no lease that holds: the process died over it.
    Running,
    /// Done.
    Done,
    /// Done, but some items failed.
    Partial,
    /// Failed.
    Failed,
    /// Slots of the schedule, this one the newest, that nobody runs any more.
    GivenUp,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Its number.
    pub id: i64,
    /// The job's name.
    pub job: String,
    /// The slot of the schedule; `None`: started by hand or by cron.
    pub slot_at: Option<Instant>,
    /// Where it is.
    pub state: RunState,
    /// The node that runs it, or did last.
    pub node: Option<String>,
    /// When it began.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// What it did, as JSON.
    pub counts: String,
    /// Why it failed.
    pub error: Option<String>,
}

const RUN: [&str; 9] = [
    "id",
    "job",
    "slot_at",
    "state",
    "node",
    "started_at",
    "finished_at",
    "counts",
    "error",
];

fn run(mut row: Row) -> Result<JobRun, StoreError> {
    Ok(JobRun {
        id: row.get("id")?,
        job: row.get("job")?,
        slot_at: row.time_if_known("slot_at")?,
        state: row.parse("state", "a run's state")?,
        node: row.get("node")?,
        started_at: row.time_if_known("started_at")?,
        finished_at: row.time_if_known("finished_at")?,
        counts: row.get("counts")?,
        error: row.get("error")?,
    })
}

/// Plans slots of the schedule, each once; one that was planned before stays.
pub async fn run_plan(tx: &mut Tx<'_>, job: &str, slots: &[Instant]) -> Result<(), StoreError> {
    let slots: Vec<i64> = slots.iter().map(|at| at.timestamp_micros()).collect();
    let sql = "INSERT INTO job_runs (job, slot_at, state) \
         SELECT $1, slot_at, 'planned' FROM {page} AS page WHERE true \
         ON CONFLICT (job, slot_at) DO NOTHING";
    let page = Page::of_ints("slot_at", &slots);
    write(sql).bind(job).page(page).execute(tx).await?;
    Ok(())
}

/// Keeps that slots of the schedule are not run any more, the newest of which
/// is `slot_at`; `false`: it was kept before, or that one was begun.
pub async fn slots_give_up(
    tx: &mut Tx<'_>,
    job: &str,
    slot_at: Instant,
    counts: &str,
    now: Instant,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO job_runs (job, slot_at, state, counts, finished_at) \
         VALUES ($1, $2, 'given_up', $3, $4) \
         ON CONFLICT (job, slot_at) DO UPDATE SET state = 'given_up', counts = $3, \
             finished_at = $4 WHERE job_runs.state = 'planned'";
    let given_up = write(sql).bind(job).bind(slot_at).bind(counts).bind(now);
    Ok(given_up.execute(tx).await? == 1)
}

/// The newest slot until `now` that was planned for a job. A slot that a wrong
/// clock planned for later is no reason to wait for it.
pub async fn slot_latest(
    tx: &mut Tx<'_>,
    job: &str,
    now: Instant,
) -> Result<Option<Instant>, StoreError> {
    let rest = "FROM job_runs WHERE job = $1 AND slot_at <= $2";
    let query = select("job_runs", ["max(slot_at) AS slot_at"], rest);
    let mut row = query.bind(job).bind(now).one(tx).await?;
    row.time_if_known("slot_at")
}

/// A slot that was planned and is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedRun {
    /// Its number.
    pub id: i64,
    /// The job's name.
    pub job: String,
    /// The slot.
    pub slot_at: Instant,
    /// When it was begun, if it was.
    pub started_at: Option<Instant>,
    /// Whether a node is at it, as far as its lease says.
    pub is_held: bool,
}

/// The slots until `now` that were planned and are not done, oldest first:
/// those that a process died over are among them.
pub async fn runs_owed(tx: &mut Tx<'_>, now: Instant) -> Result<Vec<OwedRun>, StoreError> {
    let columns = [
        "id",
        "job",
        "slot_at",
        "started_at",
        // One process has the file of SQLite: it leaves no lease to others,
        // whatever its clock says.
        "state = 'running' AND lease_until >= {clock} AND {lease} > 0 AS is_held",
    ];
    let rest = "FROM job_runs WHERE state IN ('planned', 'running') \
               AND slot_at IS NOT NULL AND slot_at <= $1 ORDER BY slot_at, id";
    let owed = |mut row: Row| {
        Ok(OwedRun {
            id: row.get("id")?,
            job: row.get("job")?,
            slot_at: row.time("slot_at")?,
            started_at: row.time_if_known("started_at")?,
            is_held: row.flag("is_held")?,
        })
    };
    let query = select("job_runs", columns, rest).bind(now);
    query.rows(tx).await?.into_iter().map(owed).collect()
}

/// Begins a run that has no slot.
pub async fn run_start(
    tx: &mut Tx<'_>,
    job: &str,
    node: &str,
    now: Instant,
) -> Result<Held, StoreError> {
    let sql = "INSERT INTO job_runs (job, state, node, started_at) \
               VALUES ($1, 'running', $2, $3)";
    let begun = write(sql).bind(job).bind(node).bind(now);
    let mut row = begun.returning("job_runs", &["id"]).one(tx).await?;
    Ok(Held {
        id: row.get("id")?,
        fence: 0,
    })
}

/// A run in somebody's hands: the fence tells one taking from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The run's number.
    pub id: i64,
    /// How many times it had been taken by then.
    pub fence: i64,
}

/// A slot that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenSlot {
    /// The run.
    pub held: Held,
    /// When it began.
    pub started_at: Instant,
    /// How long the lease holds; zero: nobody else can take it.
    pub lease: Duration,
}

/// Takes a slot that is planned, or that a node left when it died. Such a run
/// goes on as begun when it was, unless its lease ended more than `goes_on`
/// ago. `None`: another node has it, or it is done.
pub async fn run_take(
    tx: &mut Tx<'_>,
    id: i64,
    node: &str,
    now: Instant,
    goes_on: TimeDelta,
) -> Result<Option<TakenSlot>, StoreError> {
    let sql = "UPDATE job_runs SET state = 'running', node = $2, fence = fence + 1, \
               lease_until = {lease}, started_at = CASE WHEN lease_until > {clock} - $4 \
                                                   THEN started_at ELSE $3 END \
         WHERE id = $1 AND (state = 'planned' \
             OR state = 'running' AND (lease_until < {clock} OR {lease} = 0))";
    let goes_on = goes_on.num_microseconds().unwrap_or(i64::MAX);
    let taking = write(sql).bind(id).bind(node).bind(now).bind(goes_on);
    let columns = ["fence", "started_at", "lease_until - {clock} AS lease"];
    let taken = |mut row: Row| {
        let fence = row.get("fence")?;
        let started_at = row.time("started_at")?;
        let lease: i64 = row.get("lease")?;
        Ok(TakenSlot {
            held: Held { id, fence },
            started_at,
            lease: Duration::from_micros(lease.try_into().unwrap_or(0)),
        })
    };
    let row = taking.returning("job_runs", &columns).row(tx).await?;
    row.map(taken).transpose()
}

/// Renews the lease; `false`: another node has taken the run.
pub async fn run_renew(tx: &mut Tx<'_>, held: Held) -> Result<bool, StoreError> {
    let sql = "UPDATE job_runs SET lease_until = {lease} \
         WHERE id = $1 AND fence = $2 AND state = 'running'";
    let renewed = write(sql).bind(held.id).bind(held.fence);
    Ok(renewed.execute(tx).await? == 1)
}

/// Ends the lease of a run that is not done: any node may take it.
pub async fn run_give_back(tx: &mut Tx<'_>, held: Held) -> Result<(), StoreError> {
    let sql = "UPDATE job_runs SET lease_until = {clock} - 1 \
         WHERE id = $1 AND fence = $2 AND state = 'running'";
    let query = write(sql).bind(held.id).bind(held.fence);
    query.execute(tx).await?;
    Ok(())
}

/// What a run did so far, as JSON; nobody else adds to it until the
/// transaction ends.
pub async fn run_counts(tx: &mut Tx<'_>, id: i64) -> Result<String, StoreError> {
    let query = select("job_runs", ["counts"], "FROM job_runs WHERE id = $1 {lock}");
    query.bind(id).one(tx).await?.get("counts")
}

/// Writes what a run did so far. If some of it failed, a run that is done is
/// done in part.
pub async fn run_counted(
    tx: &mut Tx<'_>,
    id: i64,
    counts: &str,
    is_partial: bool,
) -> Result<(), StoreError> {
    let sql = "UPDATE job_runs SET counts = $2, state = CASE WHEN $3 AND state = 'done' \
               THEN 'partial' ELSE state END WHERE id = $1";
    let query = write(sql).bind(id).bind(counts).bind(is_partial);
    query.execute(tx).await?;
    Ok(())
}

/// Ends a run; `false`: another node has taken it.
pub async fn run_finish(
    tx: &mut Tx<'_>,
    held: Held,
    state: RunState,
    counts: &str,
    error: Option<&str>,
    now: Instant,
) -> Result<bool, StoreError> {
    let sql = "UPDATE job_runs SET state = $3, counts = $4, error = $5, finished_at = $6 \
               WHERE id = $1 AND fence = $2 AND state = 'running'";
    let query = write(sql).bind(held.id).bind(held.fence);
    let query = query.bind(state.to_string()).bind(counts).bind(error);
    Ok(query.bind(now).execute(tx).await? == 1)
}

/// The newest run of each job that has begun.
pub async fn runs_latest(tx: &mut Tx<'_>) -> Result<Vec<JobRun>, StoreError> {
    let rest = "FROM job_runs WHERE id IN ( \
               SELECT max(id) FROM job_runs WHERE started_at IS NOT NULL GROUP BY job) \
         ORDER BY job";
    let query = select("job_runs", RUN, rest);
    query.rows(tx).await?.into_iter().map(run).collect()
}

/// The slots that were given up, as far as they are not forgotten, in the order
/// of time.
pub async fn runs_given_up(tx: &mut Tx<'_>) -> Result<Vec<JobRun>, StoreError> {
    let rest = "FROM job_runs WHERE state = 'given_up' ORDER BY slot_at";
    let query = select("job_runs", RUN, rest);
    query.rows(tx).await?.into_iter().map(run).collect()
}

/// Forgets runs of before a time, but the newest of each job.
pub async fn runs_forget(tx: &mut Tx<'_>, before: Instant) -> Result<u64, StoreError> {
    let sql = "DELETE FROM job_runs WHERE coalesce(finished_at, started_at, slot_at) < $1 \
               AND id NOT IN (SELECT max(id) FROM job_runs GROUP BY job)";
    write(sql).bind(before).execute(tx).await
}
