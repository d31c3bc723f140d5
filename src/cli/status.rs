//! `status`: what runs, what is late, what is stuck.

use anyhow::Result;
use serde_json::{Value, json};
use strum::VariantArray;

use super::Done;
use super::output::{Rows, TableFormat, or_dash};
use super::run::in_words;
use crate::clock;
use crate::config::JobName;
use crate::daemon::{Schedule, schedule_of};
use crate::jobs::{self, Shop, Status};
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
        "late since",
        "next run",
        "what it did",
    ]);
    for name in JobName::VARIANTS {
        let job = jobs::job(*name);
        let schedule = schedule_of(&shop.config, job);
        let last = status.runs.iter().find(|run| run.job == name.to_string());
        rows.push([
            name.to_string(),
            schedule.as_ref().map_or("off".to_owned(), |schedule| {
                schedule.expression.cron().to_string()
            }),
            or_dash(last.and_then(|run| run.started_at).map(local)),
            or_dash(last.map(state)),
            or_dash(late_since(schedule.as_ref(), last, now).map(local)),
            or_dash(schedule.and_then(|schedule| schedule.next(now)).map(local)),
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

/// The slot of its schedule since which a job is late. One that never ran is
/// not: nothing is owed for the time before the first start.
fn late_since(schedule: Option<&Schedule>, last: Option<&JobRun>, now: Instant) -> Option<Instant> {
    // A slot is run at its time or later, but clocks of nodes differ.
    let last_run = last.and_then(|run| run.slot_at.max(run.started_at))?;
    schedule?.late_since(last_run, now)
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
    let job = |name: &JobName| {
        let schedule = schedule_of(&shop.config, jobs::job(*name));
        let last = status.runs.iter().find(|run| run.job == name.to_string());
        let counts = last.and_then(|run| serde_json::from_str::<Value>(&run.counts).ok());
        json!({
            "job": name.to_string(),
            "schedule": schedule.as_ref().map(|schedule| schedule.expression.cron().to_string()),
            "late_since": time(late_since(schedule.as_ref(), last, now)),
            "next_run": time(schedule.and_then(|schedule| schedule.next(now))),
            "last_run": time(last.and_then(|run| run.started_at)),
            "finished_at": time(last.and_then(|run| run.finished_at)),
            "state": last.map(|run| run.state),
            "node": last.and_then(|run| run.node.clone()),
            "counts": counts,
            "error": last.and_then(|run| run.error.clone()),
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
        "jobs": JobName::VARIANTS.iter().map(job).collect::<Vec<_>>(),
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
        "notices": counted(&status.notices),
        "held": counted(&status.held),
        "messages": counted(&status.messages),
    })
}
