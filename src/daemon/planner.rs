//! Plans the slots that have come and works them off, oldest first.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Notify;

use super::schedule::Schedule;
use crate::clock;
use crate::config::{CatchUp, Config, Expression};
use crate::jobs::{self, JOBS, Job, Owed, Shop, When};
use crate::policy::Instant;

/// The schedule of a job; `None`: it is switched off.
pub fn schedule_of(config: &Config, job: &Job) -> Option<Schedule> {
    let settings = config.jobs.get(&job.name)?;
    let default = || job.schedule.parse::<Expression>().ok();
    let expression = settings.schedule.clone().or_else(default)?;
    settings.enabled.then(|| Schedule {
        expression,
        zone: settings.timezone,
        catch_up: settings.catch_up.unwrap_or(job.catch_up),
    })
}

/// Plans and works at each ring of the bell, until it is told to stop.
pub(super) async fn work(shop: Shop, bell: Arc<Notify>, stop: Arc<Notify>) -> Result<()> {
    let started_at = clock::now();
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return Ok(()),
            () = bell.notified() => {}
        }
        // A fault of the database passes: the next ring tries again.
        if let Err(error) = plan(&shop, started_at).await {
            tracing::error!(error = format!("{error:#}"), "cannot plan");
            continue;
        }
        while let Some(owed) = jobs::next_owed(&shop).await.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "cannot read what is planned");
            None
        }) {
            run(&shop, owed).await;
            let is_stopping = tokio::time::timeout(std::time::Duration::ZERO, stop.notified());
            if is_stopping.await.is_ok() {
                return Ok(());
            }
        }
    }
}

/// Plans the slots of every job that have come since the last that was
/// planned.
async fn plan(shop: &Shop, started_at: Instant) -> Result<()> {
    let now = clock::now();
    for job in &JOBS {
        let Some(schedule) = schedule_of(&shop.config, job) else {
            continue;
        };
        // Nothing is owed for the time before the first start.
        let last = jobs::slot_latest(shop, job.name)
            .await?
            .unwrap_or(started_at);
        let missed = schedule.missed(Some(last), now);
        if missed.dropped > 0 {
            tracing::warn!(job = %job.name, dropped = missed.dropped, "too many slots were missed");
        }
        jobs::plan_slots(shop, job.name, &missed.slots).await?;
    }
    Ok(())
}

/// Runs a slot. A scan finds its work at the present, a dated report is as of
/// its slot.
async fn run(shop: &Shop, owed: Owed) {
    let now = clock::now();
    let is_dated = jobs::job(owed.job).catch_up == CatchUp::All;
    let at = is_dated
        .then_some(owed.slot_at)
        .filter(|slot_at| *slot_at <= now);
    let ran = jobs::run_recorded(shop, owed.job, Some(owed.run_id), When::new(at, now)).await;
    if let Err(error) = ran {
        tracing::error!(job = %owed.job, error = format!("{error:#}"), "failed");
    }
}
