//! Whether the daemon gets on, for whoever asks from beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::JobName;

/// The alarm clock rings every second: a planner that is silent for longer
/// than this is stuck.
const MAY_BE_SILENT: Duration = Duration::from_secs(60);

/// The merge of a very large import is silent for as long as it takes; what is
/// for longer is stuck. The units' `WatchdogSec` is the same.
const MAY_WORK_SILENTLY: Duration = Duration::from_secs(1_800);

/// What the planner is at, and whether it has planned.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Doing>);

#[derive(Debug, Clone, Copy, Default)]
struct Doing {
    job: Option<JobName>,
    has_planned: bool,
}

impl Pulse {
    /// The planner looks for work, or begins with a job.
    pub fn at(&self, job: Option<JobName>) {
        self.lock().job = job;
    }

    /// All slots until now are planned.
    pub fn planned(&self) {
        self.lock().has_planned = true;
    }

    /// Whether the slots were planned since the start.
    pub fn has_planned(&self) -> bool {
        self.lock().has_planned
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

    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            let pulse = Pulse::default();
            pulse.at(job);
            let found = pulse.problem(Duration::from_secs(seconds));
            assert_eq!(found.as_deref(), expected);
        }
    }
}
