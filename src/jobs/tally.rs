//! What this process did since it began, counted for whoever measures it.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Counts, Outcome};
use crate::config::JobName;
use crate::mail::Delivery;

/// How long runs take, in seconds: from a look that finds nothing to a first
/// `enforce` of everything.
const DURATIONS: [f64; 10] = [
    0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0,
];

/// How far behind their time runs begin, in seconds: the alarm clock rings
/// every second, a job may wait for another, and a slot may be made up for.
const LAGS: [f64; 10] = [
    0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
];

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// See the module. All copies are one.
#[derive(Debug, Clone)]
pub struct Tally {
    runs: Family<Labels, Counter>,
    durations: Histograms,
    lags: Histograms,
    items: Family<Labels, Counter>,
    mail: Family<Labels, Counter>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            runs: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            lags: Family::new_with_constructor(|| Histogram::new(LAGS)),
            items: Family::default(),
            mail: Family::default(),
        }
    }
}

fn of(job: JobName) -> Labels {
    vec![("job", job.to_string())]
}

impl Tally {
    /// A run of the schedule began so long after it was to.
    pub(super) fn began(&self, job: JobName, lag: TimeDelta) {
        let lag = lag.to_std().unwrap_or_default();
        self.lags.get_or_create(&of(job)).observe(lag.as_secs_f64());
    }

    /// A run took so long; what it did, if it was no failure.
    pub(super) fn worked(&self, job: JobName, took: Duration, ran: &Result<Outcome>) {
        let durations = self.durations.get_or_create(&of(job));
        durations.observe(took.as_secs_f64());
        if let Ok(outcome) = ran {
            self.counted(job, &outcome.counts);
        }
    }

    /// What was done of a job's run.
    pub(super) fn counted(&self, job: JobName, counts: &Counts) {
        for (kind, by) in counts {
            let labels = [of(job), vec![("kind", kind.to_string())]].concat();
            self.items.get_or_create(&labels).inc_by(*by);
        }
    }

    /// A run ended: as it was kept, or `given_back`.
    pub(super) fn ended(&self, job: JobName, state: &'static str) {
        let labels = [of(job), vec![("state", state.to_owned())]].concat();
        self.runs.get_or_create(&labels).inc();
    }

    /// A message was tried.
    pub(super) fn tried(&self, delivery: &Delivery) {
        let outcome: &'static str = delivery.into();
        let labels = vec![("outcome", outcome.to_owned())];
        self.mail.get_or_create(&labels).inc();
    }

    /// Lets a registry show it all.
    pub fn register(&self, registry: &mut Registry) {
        let runs = "Runs of jobs that ended in this process, by state";
        registry.register("runs", runs, self.runs.clone());
        let durations = "How long runs took";
        registry.register_with_unit(
            "run_duration",
            durations,
            Unit::Seconds,
            self.durations.clone(),
        );
        let lags = "How long after the time of the schedule, its jitter counted, runs began";
        registry.register_with_unit("run_lag", lags, Unit::Seconds, self.lags.clone());
        let items = "What runs did, by kind";
        registry.register("items", items, self.items.clone());
        let mail = "What came of messages that were tried";
        registry.register("mail_outcomes", mail, self.mail.clone());
    }
}
