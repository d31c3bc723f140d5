//! Numbers in the text format that Prometheus reads (OpenMetrics 1.0).
//!
//! What this process did is counted by itself; what waits is read from the
//! database, so that it is the same on every node.

use std::sync::atomic::AtomicU64;

use anyhow::Result;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::planner::schedule_of;
use crate::jobs::{self, JOBS, Measured, Shop};
use crate::policy::Instant;

/// What the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All numbers; without a measured database those that need none.
pub fn text(shop: Option<&Shop>, measured: Option<&Measured>, now: Instant) -> Result<String> {
    let mut registry = Registry::with_prefix("warrantyd");
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The program that runs", version);
    let tally = shop.map(|shop| shop.tally.clone());
    tally.unwrap_or_default().register(&mut registry);
    let mut gauges = Gauges(registry);
    let is_up = i64::from(measured.is_some());
    gauges.number("database_up", "Whether the database answered", is_up);
    if let (Some(shop), Some(measured)) = (shop, measured) {
        gauges.jobs(shop, measured, now);
        gauges.backlog(measured, now);
        gauges.guards(measured);
    }
    let mut text = String::new();
    encode(&mut text, &gauges.0)?;
    Ok(text)
}

struct Gauges(Registry);

/// A time as seconds since 1970.
fn timestamp(at: Instant) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}

fn seconds(since: Option<Instant>, now: Instant) -> f64 {
    let age = since.map(|since| (now - since).as_seconds_f64());
    age.unwrap_or(0.0).max(0.0)
}

impl Gauges {
    fn jobs(&mut self, shop: &Shop, measured: &Measured, now: Instant) {
        let done = |name: &str| measured.done.iter().find(|done| done.job == name);
        let times = measured.done.iter();
        let times = times.map(|done| (done.job.clone(), timestamp(done.finished_at)));
        let help = "When the last run that was done, be it in part, ended, on any node";
        self.seconds_by("job_last_success_timestamp", help, "job", times);
        let late = JOBS.iter().filter_map(|job| {
            let name = job.name.to_string();
            let start = schedule_of(&shop.config, job)?.start_after(done(&name)?.run_at);
            Some((name, seconds(start, now)))
        });
        let help = "For how long a slot of the schedule has waited since that run";
        self.seconds_by("job_late", help, "job", late);
    }

    fn backlog(&mut self, measured: &Measured, now: Instant) {
        let backlog = &measured.backlog;
        let due = "Cases that wait for enforce, counted up to 100,000";
        self.number("cases_due", due, backlog.cases_due);
        let oldest = seconds(backlog.cases_due_since, now);
        let help = "For how long the first of the due cases has waited";
        self.seconds("cases_oldest_due", help, oldest);
        let messages = backlog.messages.iter().cloned();
        let help = "Messages by state, but those that are done with, counted up to 100,000";
        self.numbers("messages", help, "state", messages);
        let oldest = seconds(backlog.messages_due_since, now);
        let help = "For how long the first of the messages has waited that could be sent";
        self.seconds("messages_oldest_due", help, oldest);
        let help = "Notices that are in no message yet, counted up to 100,000";
        self.number("notices_queued", help, backlog.notices_queued);
        let held = jobs::HELD_FOR.map(|cause| {
            let name = cause.to_string();
            let held = &backlog.notices_held;
            let count = held.iter().find(|(held_for, _)| *held_for == name);
            (name, count.map_or(0, |(_, count)| *count))
        });
        let help = "Customers' notices that are held, by cause, counted up to 100,000";
        self.numbers("notices_held", help, "cause", held);
    }

    fn guards(&mut self, measured: &Measured) {
        let guard = &measured.guard;
        let on = [
            ("clock", guard.held_since.is_some()),
            ("feed", guard.feed_died_at.is_some()),
            ("restored", guard.restored.is_some()),
        ];
        let on = on.map(|(name, is_on)| (name.to_owned(), i64::from(is_on)));
        let help =
            "Whether customers' notices are held because of the clock, of imports, or a restore";
        self.numbers("guard_on", help, "guard", on);
        let is_paused = i64::from(measured.mail_is_paused);
        self.number(
            "mail_paused",
            "Whether the mail server cannot be used",
            is_paused,
        );
        let undeliverable = i64::try_from(measured.undeliverable.len()).unwrap_or(i64::MAX);
        let help = "Addresses of [contacts] and reports.recipients that no mail goes to";
        self.number("contacts_undeliverable", help, undeliverable);
        if let Some(at) = measured.imported_at {
            let help = "When an import was last completed";
            self.seconds("last_import_timestamp", help, timestamp(at));
        }
        if let Some(at) = guard.last_at {
            let help = "Up to when was enforced";
            self.seconds("enforced_until_timestamp", help, timestamp(at));
        }
    }

    fn number(&mut self, name: &str, help: &str, value: i64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn numbers(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, i64)>,
    ) {
        let gauges = Family::<Vec<(&'static str, String)>, Gauge>::default();
        for (of, value) in values {
            gauges.get_or_create(&vec![(label, of)]).set(value);
        }
        self.0.register(name, help, gauges);
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register_with_unit(name, help, Unit::Seconds, gauge);
    }

    fn seconds_by(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) {
        let gauges = Family::<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>::default();
        for (of, value) in values {
            gauges.get_or_create(&vec![(label, of)]).set(value);
        }
        self.0.register_with_unit(name, help, Unit::Seconds, gauges);
    }
}
