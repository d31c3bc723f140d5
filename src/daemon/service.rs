//! Where the daemon is: whether it is ready, what it does, and whether it makes
//! progress. Systemd is told (`Type=notify`), if there is one; others may ask.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono_tz::Tz;
use sd_notify::NotifyState;

use crate::config::JobName;
use crate::jobs::Watch;
use crate::policy::Instant;

/// A status is one line of so many characters at most.
const LONGEST_STATUS: usize = 300;

/// Progress is looked for so many times before the watchdog would bite.
const LOOKS: u32 = 4;

/// The alarm clock rings every second: a planner that is silent for longer
/// than this is stuck.
const MAY_BE_SILENT: Duration = Duration::from_secs(60);

/// The merge of a very large import is silent for as long as it takes; what is
/// for longer is stuck. The units' `WatchdogSec` is the same.
const MAY_WORK_SILENTLY: Duration = Duration::from_secs(1_800);

/// The service as others see it. All copies are one.
#[derive(Debug, Clone)]
pub(super) struct Service {
    zone: Tz,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_ready: bool,
    /// The job at work.
    job: Option<JobName>,
    /// What systemd was told of it.
    status: String,
}

impl Service {
    /// A service that is not ready; its status has the times of a zone.
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            state: Arc::default(),
        }
    }

    /// The daemon works, as all slots until now are planned: told once,
    /// whatever comes later.
    pub fn ready(&self) {
        let mut state = self.lock();
        if !state.is_ready {
            state.is_ready = true;
            notify(NotifyState::Ready);
        }
    }

    /// Whether it was ready once.
    pub fn is_ready(&self) -> bool {
        self.lock().is_ready
    }

    /// The planner looks for work.
    pub fn looks(&self) {
        self.lock().job = None;
    }

    /// Nothing is to do before a slot; `failed` says what went wrong last.
    pub fn idle(&self, next: Option<(Instant, JobName)>, failed: &[(String, String)]) {
        let next = next.map_or("no job is on".to_owned(), |(at, job)| {
            format!("next is {job} at {}", self.local(at))
        });
        let failed = failed.iter().map(|(job, why)| format!("; {job}: {why}"));
        self.status(format!("idle, {next}{}", failed.collect::<String>()));
    }

    /// A job is at work.
    pub fn at_work(&self, job: JobName, since: Instant) {
        self.lock().job = Some(job);
        self.status(format!("{job} since {}", self.local(since)));
    }

    /// What is wrong where nothing went on for so long: the planner is stuck,
    /// or a job.
    pub fn problem(&self, silent: Duration) -> Option<String> {
        let seconds = silent.as_secs();
        match self.lock().job {
            None if silent > MAY_BE_SILENT => {
                Some(format!("the planner was last seen {seconds} s ago"))
            }
            Some(job) if silent > MAY_WORK_SILENTLY => {
                Some(format!("the job {job} was last seen {seconds} s ago"))
            }
            _ => None,
        }
    }

    /// What keeps the daemon from its work.
    pub fn wrong(&self, what: &str, why: impl Display) {
        self.status(format!("{what}: {why}"));
    }

    /// The daemon ends.
    pub fn stopping(&self) {
        notify(NotifyState::Stopping);
        self.status("stopping: the job at work ends first".to_owned());
    }

    /// Starting takes longer: so long from now on.
    pub fn needs(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        notify(NotifyState::ExtendTimeoutUsec(micros));
    }

    /// Pets the watchdog for as long as the planner and the jobs make
    /// progress: not at all if there is none.
    pub async fn pet(watch: Watch) {
        let Some(patience) = sd_notify::watchdog_enabled() else {
            return;
        };
        let mut seen = None;
        loop {
            let beat_at = watch.beat_at();
            if seen.replace(beat_at) != Some(beat_at) {
                notify(NotifyState::Watchdog);
            }
            tokio::time::sleep(patience / LOOKS).await;
        }
    }

    fn local(&self, at: Instant) -> impl Display {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z")
    }

    fn status(&self, text: String) {
        let text = one_line(&text);
        let mut state = self.lock();
        if state.status != text {
            notify(NotifyState::Status(&text));
            state.status = text;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text that is no more than a line: each line of a notice is a word of its
/// own to systemd.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST_STATUS).collect()
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_be_silent_for_longer_than_the_planner() {
        for (seconds, job, expected) in [
            (60, None, None),
            (61, None, Some("the planner was last seen 61 s ago")),
            (61, Some(JobName::Import), None),
            (
                1_801,
                Some(JobName::Import),
                Some("the job import was last seen 1801 s ago"),
            ),
        ] {
            let service = Service::new(Tz::UTC);
            match job {
                Some(job) => service.at_work(job, Instant::UNIX_EPOCH),
                None => service.looks(),
            }
            let found = service.problem(Duration::from_secs(seconds));
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("gone:\nREADY=1"), "gone: READY=1");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), LONGEST_STATUS);
    }
}
