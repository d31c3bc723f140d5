//! Whether the daemon gets on, for whoever asks from beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::config::JobName;

/// The alarm clock rings every second: a planner that is silent for longer
/// than this is stuck.
const MAY_BE_SILENT: Duration = Duration::from_secs(60);

/// A run that takes longer is taken for stuck.
const MAY_WORK: Duration = Duration::from_secs(3_600);

/// What the planner is at, and whether it has planned.
#[derive(Debug)]
pub struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    since: Stopwatch,
    job: Option<JobName>,
    has_planned: bool,
}

impl Pulse {
    /// Of a planner that begins.
    pub fn start() -> Self {
        Self(Mutex::new(Beat {
            since: Stopwatch::start(),
            job: None,
            has_planned: false,
        }))
    }

    /// The planner looks for work, or begins with a job.
    pub fn beat(&self, job: Option<JobName>) {
        let mut beat = self.lock();
        beat.since = Stopwatch::start();
        beat.job = job;
    }

    /// All slots until now are planned.
    pub fn planned(&self) {
        self.lock().has_planned = true;
    }

    /// Whether the slots were planned since the start.
    pub fn has_planned(&self) -> bool {
        self.lock().has_planned
    }

    /// What is wrong: the planner is silent, or a job at work for too long.
    pub fn problem(&self) -> Option<String> {
        let Beat { since, job, .. } = *self.lock();
        too_long(since.elapsed(), job)
    }

    fn lock(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_long(silent: Duration, job: Option<JobName>) -> Option<String> {
    let seconds = silent.as_secs();
    match job {
        None if silent > MAY_BE_SILENT => {
            Some(format!("the planner was last seen {seconds} s ago"))
        }
        Some(job) if silent > MAY_WORK => {
            Some(format!("the job {job} has been at work for {seconds} s"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_take_longer_than_the_planner() {
        for (seconds, job, expected) in [
            (60, None, None),
            (61, None, Some("the planner was last seen 61 s ago")),
            (61, Some(JobName::Import), None),
            (
                3_601,
                Some(JobName::Import),
                Some("the job import has been at work for 3601 s"),
            ),
        ] {
            let found = too_long(Duration::from_secs(seconds), job);
            assert_eq!(found.as_deref(), expected);
        }
    }
}
