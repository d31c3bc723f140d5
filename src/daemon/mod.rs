//! Runs the jobs on their schedule.
//!
//! May touch: `jobs`, `config`, `clock`, `policy`, and the store's list of runs
//! through `jobs`.
//!
//! Invariant: every slot of a schedule is planned once, whatever the clock
//! does, however often the daemon starts and on however many nodes; a node
//! runs one job at a time, so that no job overlaps itself and `enforce` comes
//! before `deliver`.
//!
//! Two bells wake the planner: one goes by the system's clock, one by elapsed
//! time, so that a clock which was set back silences nobody.
//!
//! Where it is, systemd is told and others may ask: `service.rs`, `observe.rs`.
//! What is wrong is looked for beside the jobs: `alarms.rs`.
//!
//! Several nodes on one PostgreSQL: each plans, one takes a slot and holds it
//! by a lease. The others help it with `enforce` and `deliver`, and take the
//! slot over if its node dies or freezes ([`crate::jobs`]).

mod alarms;
mod listener;
mod metrics;
mod observe;
mod opening;
mod planner;
mod ring;
mod schedule;
mod service;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_cron_scheduler::{Job, JobScheduler};

pub use planner::schedule_of;
pub use schedule::{Missed, Schedule};

use self::observe::Observer;
use self::service::Service;
use crate::config::Config;

/// How often the second bell rings.
const SECOND_BELL: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. A database that cannot be reached is waited
/// for. `enforce` and `deliver` at work end where their work is whole, an
/// import and what is made of figures are given up; `housekeeping` is finished
/// first.
pub async fn daemon(config: Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    let service = Service::new(config.calendar.zone);
    let observer = Observer::start(config.metrics_listen, service.clone()).await?;
    let Some(shop) = opening::open(config, &service, &mut signals).await? else {
        tracing::info!("stopped");
        return Ok(());
    };
    let lock = shop.store.file_lock("daemon").await?;
    let _lock = lock.context("another daemon runs on this database file: one is enough")?;
    let bell = Arc::new(Notify::new());
    observer.opened(&shop);
    let mut alarm = alarm_clock(Arc::clone(&bell)).await?;
    let mut beside = JoinSet::new();
    beside.spawn(second_bell(Arc::clone(&bell)));
    beside.spawn(Service::pet(shop.watch.clone()));
    beside.spawn(alarms::watch(shop.clone(), alarms::EVERY));
    let stop = Arc::new(Notify::new());
    let mut worker = tokio::spawn(planner::work(
        shop.clone(),
        Arc::clone(&bell),
        Arc::clone(&stop),
        service.clone(),
    ));
    tracing::info!(database = shop.store.name(), "started");
    let ended = tokio::select! {
        ended = &mut worker => Some(ended),
        _ = signals.next() => None,
    };
    stop.notify_one();
    shop.watch.end();
    service.stopping();
    tracing::info!("stopping: the job at work ends first");
    match ended {
        Some(ended) => ended??,
        None => worker.await??,
    }
    beside.shutdown().await;
    alarm.shutdown().await?;
    drop(observer);
    shop.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that ask the program to end, in place of what they would do.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes them from now on.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT")?,
        })
    }

    /// Waits for the next, and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Rings at every second, in UTC. It knows no slot and no job: those are the
/// planner's.
async fn alarm_clock(bell: Arc<Notify>) -> Result<JobScheduler> {
    let alarm = JobScheduler::new().await?;
    let ring = Job::new_async("* * * * * *", move |_, _| {
        let bell = Arc::clone(&bell);
        Box::pin(async move { bell.notify_one() })
    })?;
    alarm.add(ring).await?;
    alarm.start().await?;
    Ok(alarm)
}

/// Rings every few seconds of time that elapses: the alarm clock goes by the
/// system's, and is silent after that was set back until it has caught up.
async fn second_bell(bell: Arc<Notify>) {
    let mut every = interval(SECOND_BELL);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        every.tick().await;
        bell.notify_one();
    }
}
