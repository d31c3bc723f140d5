//! The slots of the schedule, as they are kept.

use anyhow::{Result, anyhow};

use super::{Shop, job};
use crate::config::JobName;
use crate::policy::Instant;
use crate::store;

/// A slot that was planned and is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The number of its run.
    pub run_id: i64,
    /// The job.
    pub job: JobName,
    /// The slot.
    pub slot_at: Instant,
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
        let job = run
            .job
            .parse()
            .map_err(|_| anyhow!("job_runs: there is no job `{}`", run.job))?;
        owed.extend(run.slot_at.map(|slot_at| Owed {
            run_id: run.id,
            job,
            slot_at,
        }));
    }
    owed.sort_by_key(|owed| (job(owed.job).is_dated(), owed.slot_at, owed.job));
    Ok(owed)
}
