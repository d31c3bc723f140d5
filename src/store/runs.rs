//! Runs of jobs: what was planned, what came of it.

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
    /// Begun. Found at a start: the process died over it.
    Running,
    /// Done.
    Done,
    /// Done, but some items failed.
    Partial,
    /// Failed.
    Failed,
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
    /// When it began.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// What it did, as JSON.
    pub counts: String,
    /// Why it failed.
    pub error: Option<String>,
}

const RUN: [&str; 8] = [
    "id",
    "job",
    "slot_at",
    "state",
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

/// The slots until `now` that were planned and are not done, oldest first:
/// those that a process died over are among them.
pub async fn runs_owed(tx: &mut Tx<'_>, now: Instant) -> Result<Vec<JobRun>, StoreError> {
    let rest = "FROM job_runs WHERE state IN ('planned', 'running') \
               AND slot_at IS NOT NULL AND slot_at <= $1 ORDER BY slot_at, id";
    let query = select("job_runs", RUN, rest).bind(now);
    query.rows(tx).await?.into_iter().map(run).collect()
}

/// Begins a run: of a planned slot, or one of its own.
pub async fn run_start(
    tx: &mut Tx<'_>,
    job: &str,
    planned: Option<i64>,
    now: Instant,
) -> Result<i64, StoreError> {
    let begun = match planned {
        Some(id) => {
            let sql = "UPDATE job_runs SET state = 'running', started_at = $2 WHERE id = $1";
            write(sql).bind(id).bind(now)
        }
        None => {
            let sql = "INSERT INTO job_runs (job, state, started_at) VALUES ($1, 'running', $2)";
            write(sql).bind(job).bind(now)
        }
    };
    let mut row = begun.returning("job_runs", &["id"]).one(tx).await?;
    row.get("id")
}

/// Ends a run.
pub async fn run_finish(
    tx: &mut Tx<'_>,
    id: i64,
    state: RunState,
    counts: &str,
    error: Option<&str>,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE job_runs SET state = $2, counts = $3, error = $4, finished_at = $5 \
               WHERE id = $1";
    let query = write(sql).bind(id).bind(state.to_string()).bind(counts);
    query.bind(error).bind(now).execute(tx).await?;
    Ok(())
}

/// The newest run of each job that has begun.
pub async fn runs_latest(tx: &mut Tx<'_>) -> Result<Vec<JobRun>, StoreError> {
    let rest = "FROM job_runs WHERE id IN ( \
               SELECT max(id) FROM job_runs WHERE started_at IS NOT NULL GROUP BY job) \
         ORDER BY job";
    let query = select("job_runs", RUN, rest);
    query.rows(tx).await?.into_iter().map(run).collect()
}

/// Forgets runs of before a time, but the newest of each job.
pub async fn runs_forget(tx: &mut Tx<'_>, before: Instant) -> Result<u64, StoreError> {
    let sql = "DELETE FROM job_runs WHERE coalesce(finished_at, started_at, slot_at) < $1 \
               AND id NOT IN (SELECT max(id) FROM job_runs GROUP BY job)";
    write(sql).bind(before).execute(tx).await
}
