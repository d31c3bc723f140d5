//! Runs of jobs: what was planned, what came of it.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;
use strum::{Display, EnumString, IntoStaticStr};

use super::StoreError;
use super::rows::{Reader, instant, micros};
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

fn run(row: &Reader<'_>) -> Result<JobRun, StoreError> {
    Ok(JobRun {
        id: row.row,
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
pub async fn run_plan(
    tx: &mut SqliteConnection,
    job: &str,
    slots: &[Instant],
) -> Result<(), StoreError> {
    let slots: Vec<i64> = slots.iter().copied().map(micros).collect();
    let sql = "INSERT INTO job_runs (job, slot_at, state) \
         SELECT $1, value, 'planned' FROM json_each($2) WHERE true \
         ON CONFLICT (job, slot_at) DO NOTHING";
    sqlx::query(sql)
        .bind(job)
        .bind(super::rows::set(&slots))
        .execute(tx)
        .await?;
    Ok(())
}

/// The newest slot until `now` that was planned for a job. A slot that a wrong
/// clock planned for later is no reason to wait for it.
pub async fn slot_latest(
    tx: &mut SqliteConnection,
    job: &str,
    now: Instant,
) -> Result<Option<Instant>, StoreError> {
    let sql = "SELECT max(slot_at) FROM job_runs WHERE job = $1 AND slot_at <= $2";
    let slot: Option<i64> = sqlx::query_scalar(sql)
        .bind(job)
        .bind(micros(now))
        .fetch_one(tx)
        .await?;
    Ok(slot.and_then(instant))
}

/// The slots until `now` that were planned and are not done, oldest first:
/// those that a process died over are among them.
pub async fn runs_owed(tx: &mut SqliteConnection, now: Instant) -> Result<Vec<JobRun>, StoreError> {
    let sql = "SELECT * FROM job_runs WHERE state IN ('planned', 'running') \
               AND slot_at IS NOT NULL AND slot_at <= $1 ORDER BY slot_at, id";
    let rows = sqlx::query(sql).bind(micros(now)).fetch_all(tx).await?;
    rows.iter()
        .map(|row| run(&Reader::new("job_runs", row)?))
        .collect()
}

/// Begins a run: of a planned slot, or one of its own.
pub async fn run_start(
    tx: &mut SqliteConnection,
    job: &str,
    planned: Option<i64>,
    now: Instant,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO job_runs (id, job, state, started_at) VALUES ($1, $2, 'running', $3) \
         ON CONFLICT (id) DO UPDATE SET state = 'running', started_at = $3 RETURNING id";
    Ok(sqlx::query_scalar(sql)
        .bind(planned)
        .bind(job)
        .bind(micros(now))
        .fetch_one(tx)
        .await?)
}

/// Ends a run.
pub async fn run_finish(
    tx: &mut SqliteConnection,
    id: i64,
    state: RunState,
    counts: &str,
    error: Option<&str>,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE job_runs SET state = $2, counts = $3, error = $4, finished_at = $5 \
               WHERE id = $1";
    let query = sqlx::query(sql)
        .bind(id)
        .bind(state.to_string())
        .bind(counts);
    query.bind(error).bind(micros(now)).execute(tx).await?;
    Ok(())
}

/// The newest run of each job that has begun.
pub async fn runs_latest(tx: &mut SqliteConnection) -> Result<Vec<JobRun>, StoreError> {
    let sql = "SELECT * FROM job_runs WHERE id IN ( \
               SELECT max(id) FROM job_runs WHERE started_at IS NOT NULL GROUP BY job) \
         ORDER BY job";
    let rows = sqlx::query(sql).fetch_all(tx).await?;
    rows.iter()
        .map(|row| run(&Reader::new("job_runs", row)?))
        .collect()
}

/// Forgets runs that ended before a time, but the newest of each job.
pub async fn runs_forget(tx: &mut SqliteConnection, before: Instant) -> Result<u64, StoreError> {
    let sql = "DELETE FROM job_runs WHERE finished_at < $1 \
               AND id NOT IN (SELECT max(id) FROM job_runs GROUP BY job)";
    Ok(sqlx::query(sql)
        .bind(micros(before))
        .execute(tx)
        .await?
        .rows_affected())
}
