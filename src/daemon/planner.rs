//! Plans the slots that have come and works them off, oldest first.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Notify;

use super::schedule::Schedule;
use crate::clock;
use crate::config::{Config, Expression};
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
        let owed = jobs::slots_owed(&shop, clock::now()).await;
        let owed = owed.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "cannot read what is planned");
            Vec::new()
        });
        for slot in owed {
            if schedule_of(&shop.config, jobs::job(slot.job)).is_none() {
                continue;
            }
            // A run that could not even be recorded is owed still: later.
            if !run(&shop, slot).await {
                break;
            }
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
        let last = jobs::slot_latest(shop, job.name, now).await?;
        let last = last.unwrap_or(started_at);
        let missed = schedule.missed(Some(last), now);
        if missed.dropped > 0 {
            tracing::warn!(job = %job.name, dropped = missed.dropped, "too many slots were missed");
        }
        jobs::plan_slots(shop, job.name, &missed.slots).await?;
    }
    Ok(())
}

/// Runs a slot; `false`: the run failed. A scan finds its work at the present,
/// a dated report is as of its slot.
async fn run(shop: &Shop, owed: Owed) -> bool {
    let at = jobs::job(owed.job).is_dated().then_some(owed.slot_at);
    let when = When::of_slot(at, clock::now());
    let ran = jobs::run_recorded(shop, owed.job, Some(owed.run_id), when).await;
    if let Err(error) = &ran {
        tracing::error!(job = %owed.job, error = format!("{error:#}"), "failed");
    }
    ran.is_ok()
}
