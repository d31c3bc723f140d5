//! Plans the slots that have come and works them off, oldest first.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Notify;

use super::schedule::Schedule;
use super::systemd::Service;
use crate::clock;
use crate::config::{Config, Expression};
use crate::jobs::{self, JOBS, Job, Owed, Shop};
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
pub(super) async fn work(
    shop: Shop,
    bell: Arc<Notify>,
    stop: Arc<Notify>,
    service: Service,
) -> Result<()> {
    let started_at = clock::now();
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return Ok(()),
            () = bell.notified() => shop.watch.beat(),
        }
        // A fault of the database passes: the next ring tries again.
        if let Err(error) = plan(&shop, started_at).await {
            tracing::error!(error = format!("{error:#}"), "cannot plan");
            service.wrong("cannot plan", format!("{error:#}"));
            is_told = false;
            continue;
        }
        service.ready();
        let owed = jobs::slots_owed(&shop, clock::now()).await;
        let owed = owed.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "cannot read what is planned");
            Vec::new()
        });
        for slot in in_turn(owed, |job| schedule_of(&shop.config, job).is_some()) {
            service.at_work(slot.job, clock::now());
            is_told = false;
            // A run that could not even be recorded is owed still, and one
            // that another node was faster to take is to be helped: later.
            if !work_on(&shop, slot).await {
                break;
            }
            let is_stopping = tokio::time::timeout(std::time::Duration::ZERO, stop.notified());
            if is_stopping.await.is_ok() {
                return Ok(());
            }
        }
        if !is_told {
            // Without the database, the next ring says so.
            is_told = tell_idle(&shop, &service).await.is_ok();
        }
    }
}

/// Tells systemd what comes next, and what failed last.
async fn tell_idle(shop: &Shop, service: &Service) -> Result<()> {
    let now = clock::now();
    let is_on = JOBS
        .iter()
        .filter_map(|job| Some((job, schedule_of(&shop.config, job)?)));
    let next = is_on.filter_map(|(job, schedule)| Some((schedule.next(now)?, job.name)));
    service.idle(next.min(), &jobs::failed(shop).await?);
    Ok(())
}

/// The slots that a node can work on now, of jobs that are on. What looks for
/// its work at the present goes one after the other on all nodes together, as
/// it does on one: while another is at such a slot, it can be helped and no
/// other is begun. A dated report waits for nobody.
fn in_turn(mut owed: Vec<Owed>, is_on: impl Fn(&Job) -> bool) -> Vec<Owed> {
    let is_scan = |slot: &Owed| !jobs::job(slot.job).is_dated();
    let held = |slot: &Owed| slot.held_since.is_some();
    let others_scan = owed.iter().any(|slot| is_scan(slot) && held(slot));
    owed.retain(|slot| {
        let waits = others_scan && is_scan(slot) && !held(slot);
        !waits && is_on(jobs::job(slot.job))
    });
    owed
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

/// Runs a slot, or helps the node that is at it. `false`: the run failed, or
/// another node was faster.
async fn work_on(shop: &Shop, slot: Owed) -> bool {
    let worked = match slot.held_since {
        Some(_) => jobs::help_slot(shop, slot).await.map(|()| true),
        None => jobs::run_slot(shop, slot).await,
    };
    worked.unwrap_or_else(|error| {
        tracing::error!(job = %slot.job, error = format!("{error:#}"), "failed");
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobName::{self, Deliver, Enforce, Import, Report};

    fn slot(job: JobName, is_held: bool) -> Owed {
        let slot_at = Instant::UNIX_EPOCH;
        Owed {
            run_id: 1,
            job,
            slot_at,
            held_since: is_held.then_some(slot_at),
        }
    }

    fn turn(owed: &[(JobName, bool)], off: &[JobName]) -> Vec<(JobName, bool)> {
        let owed = owed.iter().map(|(job, is_held)| slot(*job, *is_held));
        let turn = in_turn(owed.collect(), |job| !off.contains(&job.name));
        turn.iter()
            .map(|slot| (slot.job, slot.held_since.is_some()))
            .collect()
    }

    #[test]
    fn scans_wait_for_the_one_at_work_and_reports_do_not() {
        let free = [(Import, false), (Enforce, false), (Report, false)];
        assert_eq!(turn(&free, &[]), free);
        let held = [
            (Enforce, true),
            (Deliver, false),
            (Report, true),
            (Report, false),
        ];
        assert_eq!(turn(&held, &[]), [held[0], held[2], held[3]]);
        let report = [(Report, true), (Enforce, false)];
        assert_eq!(turn(&report, &[]), report);
    }

    #[test]
    fn a_job_that_is_off_here_is_left_to_others_and_waited_for() {
        let owed = [(Import, true), (Enforce, false), (Report, false)];
        assert_eq!(turn(&owed, &[Import]), [owed[2]]);
    }
}
