//! `status`: what runs, what is late, what is stuck.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::{Value, json};
use strum::VariantArray;

use super::Done;
use super::output::{Rows, TableFormat, or_dash};
use super::run::in_words;
use crate::clock;
use crate::config::JobName;
use crate::daemon::{Schedule, schedule_of};
use crate::jobs::{self, GivenUp, Shop, Status};
use crate::policy::Instant;
use crate::store::{JobRun, RunState};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Prints the jobs and the backlog.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let now = clock::now();
    let zone = shop.config.calendar.zone;
    let local = |at: Instant| {
        at.with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    let status = jobs::status(&shop, now).await?;
    if args.format == TableFormat::Json {
        println!("{:#}", json(&status, &shop, now));
        return Ok(Done::Well);
    }
    let mut rows = Rows::new(&[
        "job",
        "schedule",
        "last run",
        "state",
        "took",
        "lag",
        "late since",
        "next run",
        "what it did",
    ]);
    for job in jobs_of(&status, &shop) {
        let last = job.last;
        rows.push([
            job.name.to_string(),
            job.schedule.as_ref().map_or("off".to_owned(), |schedule| {
                schedule.expression.cron().to_string()
            }),
            or_dash(last.and_then(|run| run.started_at).map(local)),
            or_dash(last.map(state)),
            or_dash(job.took().map(shown)),
            or_dash(job.lag().map(shown)),
            or_dash(job.late_since(now).map(local)),
            or_dash(job.next_start(now).map(local)),
            or_dash(last.map(did)),
        ]);
    }
    rows.print(args.format)?;
    println!();
    for (name, value) in status.lines(local) {
        println!("{name:<16}{value}");
    }
    Ok(Done::Well)
}

/// What a run did, or why it failed.
fn did(run: &JobRun) -> String {
    let counts = || serde_json::from_str(&run.counts).map(|counts| in_words(&counts));
    run.error
        .clone()
        .unwrap_or_else(|| counts().unwrap_or_else(|_| run.counts.clone()))
}

/// A job, its schedule and its last run.
struct JobStatus<'s> {
    name: JobName,
    /// `None`: it is switched off.
    schedule: Option<Schedule>,
    last: Option<&'s JobRun>,
    given_up: Option<GivenUp>,
}

fn jobs_of<'s>(status: &'s Status, shop: &Shop) -> Vec<JobStatus<'s>> {
    let job = |name: &JobName| JobStatus {
        name: *name,
        schedule: schedule_of(&shop.config, jobs::job(*name)),
        last: status.runs.iter().find(|run| run.job == name.to_string()),
        given_up: status.given_up.get(&name.to_string()).copied(),
    };
    JobName::VARIANTS.iter().map(job).collect()
}

impl JobStatus<'_> {
    /// How long the last run took.
    fn took(&self) -> Option<TimeDelta> {
        let run = self.last?;
        Some((run.finished_at? - run.started_at?).max(TimeDelta::zero()))
    }

    /// How long after its time a run of the schedule began. Clocks of nodes
    /// differ.
    fn lag(&self) -> Option<TimeDelta> {
        let run = self.last?;
        let slot = run.slot_at?;
        let schedule = self.schedule.as_ref();
        let due = schedule.map_or(slot, |schedule| schedule.starts_at(slot));
        Some((run.started_at? - due).max(TimeDelta::zero()))
    }

    /// When the job was to begin for which it is late. One that never ran is
    /// not: nothing is owed for the time before the first start.
    fn late_since(&self, now: Instant) -> Option<Instant> {
        let run = self.last?;
        // A slot is run at its time or later, but clocks of nodes differ; what
        // was given up is waited for no longer.
        let given_up = self.given_up.map(|given_up| given_up.slot_at);
        let last = run.slot_at.max(run.started_at).max(given_up)?;
        self.schedule.as_ref()?.late_since(last, now)
    }

    fn next_start(&self, now: Instant) -> Option<Instant> {
        self.schedule.as_ref()?.next_start(now)
    }
}

/// A span for people: to the second, a short one to the millisecond.
fn shown(span: TimeDelta) -> String {
    let exact = span.to_std().unwrap_or_default();
    let rounded = match exact.as_secs() {
        0 => Duration::from_millis(exact.as_millis().try_into().unwrap_or(0)),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(rounded).to_string()
}

/// Where a run is, and with whom while it is at work.
fn state(run: &JobRun) -> String {
    match (&run.state, &run.node) {
        (RunState::Running, Some(node)) => format!("running on {node}"),
        (state, _) => state.to_string(),
    }
}

/// The same for machines: times in RFC 3339, counts as numbers.
fn json(status: &Status, shop: &Shop, now: Instant) -> Value {
    let zone = shop.config.calendar.zone;
    let time = |at: Option<Instant>| at.map(|at| at.with_timezone(&zone).to_rfc3339());
    let seconds = |span: Option<TimeDelta>| span.map(|span| span.as_seconds_f64());
    let job = |job: JobStatus| {
        let last = job.last;
        let counts = last.and_then(|run| serde_json::from_str::<Value>(&run.counts).ok());
        let expression = |schedule: &Schedule| schedule.expression.cron().to_string();
        json!({
            "job": job.name.to_string(),
            "schedule": job.schedule.as_ref().map(expression),
            "late_since": time(job.late_since(now)),
            "next_run": time(job.next_start(now)),
            "last_run": time(last.and_then(|run| run.started_at)),
            "last_slot": time(last.and_then(|run| run.slot_at)),
            "finished_at": time(last.and_then(|run| run.finished_at)),
            "duration_seconds": seconds(job.took()),
            "lag_seconds": seconds(job.lag()),
            "state": last.map(|run| run.state),
            "node": last.and_then(|run| run.node.clone()),
            "counts": counts,
            "error": last.and_then(|run| run.error.clone()),
            "given_up": job.given_up.map(|given_up| json!({
                "slots": given_up.slots,
                "newest": time(Some(given_up.slot_at)),
            })),
        })
    };
    let counted = |counts: &[(String, i64)]| -> Value {
        let counts = counts
            .iter()
            .map(|(name, count)| (name.clone(), Value::from(*count)));
        Value::Object(counts.collect())
    };
    let agenda = &status.agenda;
    json!({
        "jobs": jobs_of(status, shop).into_iter().map(job).collect::<Vec<_>>(),
        "backlog": {
            "orders_due": agenda.due,
            "orders_overdue": agenda.overdue,
            "notices_queued": status.queued(),
            "messages_ready": status.ready(),
        },
        "enforced_up_to": time(status.guard.last_at),
        "last_import": time(status.imported_at),
        "delays_held_since": time(status.guard.feed_died_at),
        "customers_held_since": time(status.guard.held_since),
        "customers_held_reason": status.guard.held_reason,
        "restored_at": time(status.guard.restored.map(|restored| restored.at)),
        "restored_backup_at": time(status.guard.restored.map(|restored| restored.backup_at)),
        "mail_paused_since": time(status.mail_pause.as_ref().map(|pause| pause.since)),
        "mail_paused_cause": status.mail_pause.as_ref().map(|pause| pause.cause.clone()),
        "mail_tried_again_at": time(status.mail_pause.as_ref().map(|pause| pause.next_try_at)),
        "orders": {
            "all": agenda.orders,
            "open": agenda.open,
            "due": agenda.due,
            "older_rules": agenda.stale,
            "failing": agenda.failing,
        },
        "alarms": status.alarms.iter().map(|alarm| json!({
            "name": alarm.name,
            "since": time(Some(alarm.since)),
            "detail": alarm.detail,
        })).collect::<Vec<_>>(),
        "notices": counted(&status.notices),
        "held": counted(&status.held),
        "messages": counted(&status.messages),
    })
}
