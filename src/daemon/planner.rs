//! Plans the slots that have come and works them off, oldest first.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Notify;

use super::ring::Ring;
use super::schedule::Schedule;
use super::service::Service;
use crate::clock;
use crate::config::{Config, Expression, JobName};
use crate::jobs::{self, GivenUp, JOBS, Job, Owed, Shop};
use crate::policy::Instant;

/// The schedule of a job; `None`: it is switched off.
pub fn schedule_of(config: &Config, job: &Job) -> Option<Schedule> {
    let settings = config.jobs.get(&job.name)?;
    let default = || job.schedule.parse::<Expression>().ok();
    let expression = settings.schedule.clone().or_else(default)?;
    let business = &config.business.name;
    let database = config.database.label();
    settings.enabled.then(|| Schedule {
        expression,
        zone: settings.timezone,
        catch_up: settings.catch_up.unwrap_or(job.catch_up),
        catch_up_within: settings.catch_up_within,
        jitter: settings.jitter,
        seed: format!("{business}\n{database}\n{}", job.name),
    })
}

/// Plans and works at each ring of the bell, until it is told to stop.
pub(super) async fn work(
    shop: Shop,
    bell: Arc<Notify>,
    stop: Arc<Notify>,
    service: Service,
) -> Result<()> {
    // Nothing is owed for the time before the first start.
    let mut owed_since = clock::now();
    let mut ring = Ring::now();
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return Ok(()),
            () = bell.notified() => {}
        }
        shop.watch.beat();
        service.looks();
        ring = ring.next();
        // It may have begun with a clock that was ahead.
        owed_since = owed_since.min(ring.at);
        // A fault of the database passes: the next ring tries again.
        if let Err(error) = plan(&shop, owed_since).await {
            tracing::error!(error = format!("{error:#}"), "cannot plan");
            service.wrong("cannot plan", format!("{error:#}"));
            is_told = false;
            continue;
        }
        service.ready();
        let owed = slots_due(&shop).await.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "cannot read what is planned");
            Vec::new()
        });
        for slot in in_turn(owed) {
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
    let next = is_on.filter_map(|(job, schedule)| Some((schedule.next_start(now)?, job.name)));
    service.idle(next.min(), &jobs::failed(shop).await?);
    Ok(())
}

/// The slots that are owed, and which of them this node may work on.
async fn slots_due(shop: &Shop) -> Result<Vec<(Owed, Turn)>> {
    let now = clock::now();
    let mut due = Vec::new();
    for slot in jobs::slots_owed(shop, now).await? {
        let schedule = schedule_of(&shop.config, jobs::job(slot.job));
        let turn = turn(schedule.as_ref(), slot, now);
        if turn == Turn::TooLate {
            let given_up = GivenUp {
                slot_at: slot.slot_at,
                slots: 1,
            };
            give_up(shop, slot.job, given_up).await?;
        }
        due.push((slot, turn));
    }
    Ok(due)
}

/// Whether a slot is to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    /// Its start is still to come, or it is not this node's.
    NotNow,
    /// It was planned, never begun, and is too old.
    TooLate,
}

/// Whether a slot is to be worked on at `now`. What was begun is ended,
/// however old it is.
fn turn(schedule: Option<&Schedule>, slot: Owed, now: Instant) -> Turn {
    match schedule {
        None => Turn::NotNow,
        Some(_) if slot.has_begun => Turn::Now,
        Some(schedule) if schedule.is_too_old(slot.slot_at, now) => Turn::TooLate,
        Some(schedule) if schedule.starts_at(slot.slot_at) > now => Turn::NotNow,
        Some(_) => Turn::Now,
    }
}

/// The slots that a node works on now. What looks for its work at the present
/// goes one after the other on all nodes together, as it does on one: while
/// another is at such a slot, it can be helped and no other is begun. A dated
/// report waits for nobody.
fn in_turn(owed: Vec<(Owed, Turn)>) -> Vec<Owed> {
    let is_scan = |slot: &Owed| !jobs::job(slot.job).is_dated();
    let held = |slot: &Owed| slot.held_since.is_some();
    let others_scan = owed.iter().any(|(slot, _)| is_scan(slot) && held(slot));
    let can_be_done = |(slot, turn): (Owed, Turn)| {
        let waits = others_scan && is_scan(&slot) && !held(&slot);
        (turn == Turn::Now && !waits).then_some(slot)
    };
    owed.into_iter().filter_map(can_be_done).collect()
}

/// Plans the slots of every job that have come since the last that was
/// planned.
async fn plan(shop: &Shop, owed_since: Instant) -> Result<()> {
    let now = clock::now();
    for job in &JOBS {
        let Some(schedule) = schedule_of(&shop.config, job) else {
            continue;
        };
        let last = jobs::slot_latest(shop, job.name, now).await?;
        let last = last.unwrap_or(owed_since);
        let missed = schedule.missed(Some(last), now);
        if let Some(given_up) = missed.given_up {
            give_up(shop, job.name, given_up).await?;
        }
        jobs::plan_slots(shop, job.name, &missed.slots).await?;
    }
    Ok(())
}

/// Keeps that slots are not run any more; each is told of once.
async fn give_up(shop: &Shop, job: JobName, given_up: GivenUp) -> Result<()> {
    if jobs::give_up(shop, job, given_up).await? {
        let GivenUp { slot_at, slots } = given_up;
        tracing::warn!(%job, slots, newest = %slot_at, "missed slots are given up");
    }
    Ok(())
}

/// Runs a slot, or helps the node that is at it. `false`: the run failed, or
/// another node was faster.
async fn work_on(shop: &Shop, slot: Owed) -> bool {
    let worked = match slot.held_since {
        Some(_) => jobs::help_slot(shop, slot).await.map(|()| true),
        None => {
            let schedule = schedule_of(&shop.config, jobs::job(slot.job));
            let slot_at = slot.slot_at;
            let starts_at = schedule.map_or(slot_at, |schedule| schedule.starts_at(slot_at));
            jobs::run_slot(shop, slot, starts_at).await
        }
    };
    worked.unwrap_or_else(|error| {
        tracing::error!(job = %slot.job, error = format!("{error:#}"), "failed");
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobName::{Deliver, Enforce, Import, Report};

    fn slot(job: JobName, is_held: bool) -> Owed {
        let slot_at = Instant::UNIX_EPOCH;
        Owed {
            run_id: 1,
            job,
            slot_at,
            held_since: is_held.then_some(slot_at),
            has_begun: is_held,
        }
    }

    fn turns(owed: &[(JobName, bool)], off: &[JobName]) -> Vec<(JobName, bool)> {
        let owed = owed.iter().map(|(job, is_held)| {
            let turn = match off.contains(job) {
                true => Turn::NotNow,
                false => Turn::Now,
            };
            (slot(*job, *is_held), turn)
        });
        let turns = in_turn(owed.collect());
        turns
            .iter()
            .map(|slot| (slot.job, slot.held_since.is_some()))
            .collect()
    }

    #[test]
    fn scans_wait_for_the_one_at_work_and_reports_do_not() {
        let free = [(Import, false), (Enforce, false), (Report, false)];
        assert_eq!(turns(&free, &[]), free);
        let held = [
            (Enforce, true),
            (Deliver, false),
            (Report, true),
            (Report, false),
        ];
        assert_eq!(turns(&held, &[]), [held[0], held[2], held[3]]);
        let report = [(Report, true), (Enforce, false)];
        assert_eq!(turns(&report, &[]), report);
    }

    #[test]
    fn a_job_that_is_off_here_is_left_to_others_and_waited_for() {
        let owed = [(Import, true), (Enforce, false), (Report, false)];
        assert_eq!(turns(&owed, &[Import]), [owed[2]]);
    }

    #[test]
    fn a_slot_waits_for_its_start_and_is_given_up_unless_it_was_begun() {
        let minutes = chrono::TimeDelta::minutes;
        let slot_at = Instant::UNIX_EPOCH;
        let schedule = Schedule {
            expression: "0 0 * * *".parse().unwrap(),
            zone: chrono_tz::UTC,
            catch_up: crate::config::CatchUp::All,
            catch_up_within: Some(minutes(30)),
            jitter: minutes(10),
            seed: String::new(),
        };
        let start = schedule.starts_at(slot_at);
        let new = slot(Report, false);
        let begun = slot(Report, true);
        let too_late = slot_at + minutes(41);
        for (slot, now, expected) in [
            (new, slot_at, Turn::NotNow),
            (new, start, Turn::Now),
            (new, slot_at + minutes(40), Turn::Now),
            (new, too_late, Turn::TooLate),
            (begun, too_late, Turn::Now),
        ] {
            assert_eq!(turn(Some(&schedule), slot, now), expected, "{now}");
            assert_eq!(turn(None, slot, now), Turn::NotNow, "{now}");
        }
    }
}
