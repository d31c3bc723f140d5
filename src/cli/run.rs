//! `run JOB`: one job, now.

use std::io::IsTerminal;

use anyhow::Result;

use super::output::{Rows, TableFormat, one_of, or_dash, progress};
use super::{Done, time};
use crate::clock;
use crate::config::JobName;
use crate::jobs::{self, Enforced, Listed, Outcome, Refused, Shop, When};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job
    #[arg(value_parser = one_of::<JobName>())]
    job: JobName,
    /// Run as of a time until now; `now` says that the clock is right
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Say what `enforce` would do, or whom `worklists` would write to, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the rows of a dry run are printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Runs a job and says what it did: always to a person, to cron only if
/// something failed.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let when = When::new(time(&shop, args.at.as_deref())?, clock::now());
    if args.dry_run {
        return match args.job {
            JobName::Enforce => {
                let enforced = jobs::enforce(&shop, when, true).await?;
                print_dry_run(&shop, &enforced, args.format)?;
                Ok(done(&enforced.outcome))
            }
            JobName::Worklists => {
                let (listed, outcome) = jobs::worklists_planned(&shop, when.at).await?;
                print_lists(&listed, &outcome, args.format)?;
                Ok(done(&outcome))
            }
            _ => {
                let why = "--dry-run: only `run enforce` and `run worklists` have one";
                Err(Refused(why.to_owned()).into())
            }
        };
    }
    if args.at.is_some() && matches!(args.job, JobName::Import | JobName::Housekeeping) {
        let why = format!(
            "--at: {} has no time but the present, leave it out",
            args.job
        );
        return Err(Refused(why).into());
    }
    let bar = progress("{spinner} {msg} {elapsed}", args.job);
    let outcome = jobs::run_recorded(&shop, args.job, when).await;
    bar.finish_and_clear();
    let outcome = outcome?;
    // Cron mails whatever is printed: a run that went well says nothing there.
    if std::io::stderr().is_terminal() || done(&outcome) != Done::Well {
        eprintln!("{}: {}", args.job, line(&outcome));
    }
    if let Some(problem) = &outcome.problem {
        eprintln!("error: {problem}");
    }
    Ok(done(&outcome))
}

fn done(outcome: &Outcome) -> Done {
    match &outcome.problem {
        Some(_) => Done::Failed,
        None if outcome.is_partial() => Done::Partly,
        None => Done::Well,
    }
}

/// What a run did, in one line.
pub fn line(outcome: &Outcome) -> String {
    if outcome.counts.is_empty() {
        return "nothing to do".to_owned();
    }
    let counts = outcome
        .counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn print_lists(listed: &[Listed], outcome: &Outcome, format: TableFormat) -> Result<()> {
    let mut rows = Rows::new(&["whose", "recipient", "lines", "late or stuck"]);
    for list in listed {
        rows.push([
            list.whose.to_string(),
            list.recipient.clone(),
            list.total.to_string(),
            list.worst.to_string(),
        ]);
    }
    rows.print(format)?;
    eprintln!("dry run, nothing was written: {}", line(outcome));
    Ok(())
}

fn print_dry_run(shop: &Shop, enforced: &Enforced, format: TableFormat) -> Result<()> {
    let mut rows = Rows::new(&[
        "what", "subject", "ref", "window", "step", "audience", "from", "to",
    ]);
    for moved in &enforced.moved {
        rows.push([
            "deadline".to_owned(),
            moved.subject.to_string(),
            moved.subject_ref.clone(),
            moved.window.to_string(),
            "-".to_owned(),
            "-".to_owned(),
            or_dash(moved.from),
            or_dash(moved.to),
        ]);
    }
    for notice in &enforced.notices {
        let key = &notice.due.key;
        let fires_at = notice
            .due
            .fires_at
            .with_timezone(&shop.config.calendar.zone);
        rows.push([
            "notice".to_owned(),
            key.subject.to_string(),
            key.subject_ref.clone(),
            or_dash(key.window),
            key.step.to_string(),
            key.audience.to_string(),
            fires_at.to_rfc3339(),
            notice.fate.disposition.to_string(),
        ]);
    }
    rows.print(format)?;
    eprintln!("dry run, nothing was written: {}", line(&enforced.outcome));
    Ok(())
}
