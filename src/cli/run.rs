//! `run JOB`: one job, now.

use std::io::IsTerminal;

use anyhow::Result;
use indicatif::ProgressBar;

use super::ending::until_told;
use super::output::{Rows, TableFormat, one_of, or_dash, progress, progress_told};
use super::{Done, time};
use crate::clock;
use crate::config::JobName;
use crate::jobs::{self, Counts, Enforced, Listed, Outcome, Refused, Shop, Watch, When};

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
    let bar = bar(args.job, &shop.watch);
    let outcome = run_until_told(&shop, args.job, when, &bar).await;
    bar.finish_and_clear();
    let outcome = outcome?;
    // Cron mails whatever is printed: a run that went well says nothing there.
    if std::io::stderr().is_terminal() || done(&outcome) != Done::Well {
        eprintln!("{}: {}", args.job, in_words(&outcome.counts));
    }
    if let Some(problem) = &outcome.problem {
        eprintln!("error: {problem}");
    }
    Ok(done(&outcome))
}

/// Runs a job. All but `housekeeping`, which is whole at any time, end early if
/// a signal asks for it.
async fn run_until_told(
    shop: &Shop,
    job: JobName,
    when: When,
    bar: &ProgressBar,
) -> Result<Outcome> {
    let running = jobs::run_recorded(shop, job, when);
    match job {
        JobName::Housekeeping => running.await,
        _ => until_told(job, &shop.watch, bar, running).await,
    }
}

/// Shows a person on a terminal how far a job is.
fn bar(job: JobName, watch: &Watch) -> ProgressBar {
    let so_far: fn(&Watch) -> String = match job {
        JobName::Enforce => enforced,
        JobName::Deliver => delivered,
        _ => return progress("{spinner} {msg} {elapsed}", job),
    };
    if std::io::stderr().is_terminal() {
        watch.begin();
    }
    let watch = watch.clone();
    progress_told(job, move || so_far(&watch))
}

/// How far `enforce` is.
fn enforced(watch: &Watch) -> String {
    let found = watch.so_far("found");
    // Cases of older rules come on top.
    let all = watch.so_far("due").max(found);
    format!("{found} of {all} cases")
}

/// How far `deliver` is. What is not composed yet counts as a message for each
/// customer: nobody knows before.
fn delivered(watch: &Watch) -> String {
    let so_far = |name| watch.so_far(name);
    let all = so_far("waiting") + so_far("ready").max(so_far("composed"));
    let ended = ["sent", "failed", "later", "uncertain", "held", "dropped"];
    let left = all.saturating_sub(ended.map(so_far).iter().sum());
    let (sent, failed) = (so_far("sent"), so_far("failed"));
    format!("{sent} sent, {failed} failed, about {left} left")
}

fn done(outcome: &Outcome) -> Done {
    match &outcome.problem {
        Some(_) => Done::Failed,
        None if outcome.is_partial() => Done::Partly,
        None => Done::Well,
    }
}

/// What a run did, in one line.
pub(super) fn in_words(counts: &Counts) -> String {
    if counts.is_empty() {
        return "nothing to do".to_owned();
    }
    let counts = counts.iter().map(|(name, count)| format!("{count} {name}"));
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
    eprintln!(
        "dry run, nothing was written: {}",
        in_words(&outcome.counts)
    );
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
    eprintln!(
        "dry run, nothing was written: {}",
        in_words(&enforced.outcome.counts)
    );
    Ok(())
}
