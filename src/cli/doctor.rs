//! `doctor`: whether all is in place.

use std::iter::successors;

use anyhow::Result;
use serde_json::Value;

use super::Done;
use super::output::{Rows, TableFormat};
use crate::clock;
use crate::config::Config;
use crate::daemon::schedule_of;
use crate::jobs::{self, Check, Health, JOBS, Job};
use crate::policy::Instant;

/// How many runs are foretold of each job.
const FORETOLD: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the table is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Looks at everything and changes nothing.
pub async fn run(args: Args, config: Config) -> Result<Done> {
    let now = clock::now();
    let schedule: Vec<Check> = JOBS.iter().map(|job| foretold(job, &config, now)).collect();
    let mut checks = jobs::doctor(config, now).await;
    checks.extend(schedule);
    let mut rows = Rows::new(&["what", "health", "found"]);
    for check in &checks {
        rows.push([
            Value::from(check.what),
            check.health.to_string().into(),
            check.found.clone().into(),
        ]);
    }
    rows.print(args.format)?;
    match checks.iter().any(|check| check.health == Health::Fail) {
        true => Ok(Done::Failed),
        false => Ok(Done::Well),
    }
}

/// The next runs of a job, by the clock on the wall of its schedule's zone.
fn foretold(job: &Job, config: &Config, now: Instant) -> Check {
    let name = job.name;
    let Some(schedule) = schedule_of(config, job) else {
        return Check::ok(
            "schedule",
            format!("{name}: off: the daemon does not run it"),
        );
    };
    let runs = successors(schedule.next_start(now), |at| schedule.next_start(*at));
    let local = |at: Instant| {
        let local = at.with_timezone(&schedule.zone);
        local.format("%Y-%m-%d %H:%M").to_string()
    };
    let runs: Vec<String> = runs.take(FORETOLD).map(local).collect();
    Check::ok("schedule", format!("{name}: {}", runs.join(", ")))
}
