//! What systemd is told (`Type=notify`): that the daemon is ready, what it
//! does, and that it makes progress. Without systemd nobody is told.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
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

/// The service as systemd sees it. All copies are one.
#[derive(Debug, Clone)]
pub(super) struct Service {
    zone: Tz,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    is_ready: bool,
    status: String,
}

impl Service {
    /// A service that is not ready; its status has the times of a zone.
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            told: Arc::default(),
        }
    }

    /// The daemon works: told once, whatever comes later.
    pub fn ready(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_ready {
            told.is_ready = true;
            notify(NotifyState::Ready);
        }
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
        self.status(format!("{job} since {}", self.local(since)));
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
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.status != text {
            notify(NotifyState::Status(&text));
            told.status = text;
        }
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
    fn a_status_is_one_line() {
        assert_eq!(one_line("gone:\nREADY=1"), "gone: READY=1");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), LONGEST_STATUS);
    }
}
