//! `status`: what runs, what is late, what is stuck.

use anyhow::Result;
use strum::VariantArray;

use super::Done;
use super::output::{Rows, TableFormat, or_dash};
use crate::clock;
use crate::config::JobName;
use crate::daemon::schedule_of;
use crate::jobs::{self, Shop};

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
    let local = |at: crate::policy::Instant| {
        at.with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    let status = jobs::status(&shop, now).await?;
    let mut rows = Rows::new(&[
        "job",
        "schedule",
        "last run",
        "state",
        "next run",
        "what it did",
    ]);
    for name in JobName::VARIANTS {
        let job = jobs::job(*name);
        let schedule = schedule_of(&shop.config, job);
        let last = status.runs.iter().find(|run| run.job == name.to_string());
        let did = last.map(|run| run.error.clone().unwrap_or_else(|| run.counts.clone()));
        rows.push([
            name.to_string(),
            schedule.as_ref().map_or("off".to_owned(), |schedule| {
                schedule.expression.cron().to_string()
            }),
            or_dash(last.and_then(|run| run.started_at).map(local)),
            or_dash(last.map(|run| run.state)),
            or_dash(schedule.and_then(|schedule| schedule.next(now)).map(local)),
            or_dash(did),
        ]);
    }
    let lines = status.lines(local);
    if args.format == TableFormat::Json {
        let state: std::collections::BTreeMap<_, _> = lines.into_iter().collect();
        let both = serde_json::json!({ "jobs": rows.objects(), "state": state });
        println!("{}", serde_json::to_string_pretty(&both)?);
        return Ok(Done::Well);
    }
    rows.print(args.format)?;
    println!();
    for (name, value) in lines {
        println!("{name:<16}{value}");
    }
    Ok(Done::Well)
}
