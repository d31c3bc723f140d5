//! `simulate --until DATE`: what would be told if nothing else happened.

use anyhow::Result;
use chrono::NaiveDate;

use super::output::{Rows, TableFormat, or_dash, progress};
use super::{Done, parse_date};
use crate::clock;
use crate::jobs::{self, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The last day
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    until: NaiveDate,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Prints what would be told day by day; changes nothing.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let calendar = &shop.config.calendar;
    let bar = progress("{spinner} {msg} {elapsed}", "simulate");
    let simulated = jobs::simulate(&shop, clock::now(), calendar.day_end(args.until)).await;
    bar.finish_and_clear();
    let simulated = simulated?;
    let mut rows = Rows::new(&[
        "date", "time", "subject", "ref", "window", "step", "audience", "level", "becomes",
    ]);
    for coming in &simulated.coming {
        let at = coming.at.with_timezone(&calendar.zone);
        let due = &coming.notice.due;
        rows.push([
            at.format("%Y-%m-%d").to_string(),
            at.format("%H:%M").to_string(),
            due.key.subject.to_string(),
            due.key.subject_ref.clone(),
            or_dash(due.key.window),
            due.key.step.to_string(),
            due.key.audience.to_string(),
            or_dash((due.level > 0).then_some(due.level)),
            coming.notice.fate.disposition.to_string(),
        ]);
    }
    rows.print(args.format)?;
    let told = jobs::number_of(simulated.coming.len(), "notice");
    eprintln!("until {}: {told}; nothing was changed", args.until);
    match simulated.failed {
        0 => Ok(Done::Well),
        failed => {
            let failed = jobs::number_of(failed, "order");
            eprintln!("{failed} cannot be evaluated: see the report exceptions");
            Ok(Done::Partly)
        }
    }
}
