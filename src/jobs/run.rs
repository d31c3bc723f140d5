//! THE list of jobs, and how one runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::alarms::monitor::tell_run;
use super::deliver::Pace;
use super::tally::Tally;
use super::watch::{ToldToEnd, Watch};
use crate::clock;
use crate::config::{CatchUp, Config, Database, JobName};
use crate::policy::Instant;
use crate::report::Period;
use crate::store::{self, Held, RunState, Store, StoreError, Tx};

/// What every job works on: the database and the settings of one business.
#[derive(Debug, Clone)]
pub struct Shop {
    /// The database.
    pub store: Store,
    /// The settings.
    pub config: std::sync::Arc<Config>,
    /// How fast this process sends.
    pub(super) pace: Pace,
    /// How far the run at work is, and the word to end it.
    pub watch: Watch,
    /// What this process did so far.
    pub tally: Tally,
    /// Who gave the command, as the operating system knows them; `None`: no
    /// person did.
    pub person: Option<String>,
}

impl Shop {
    /// Opens the database of a config.
    pub async fn open(config: Config) -> Result<Self> {
        let store = match &config.database {
            Database::Sqlite(path) => Store::sqlite(path).await?,
            Database::Postgres(url) => Store::postgres(url).await?,
        };
        Ok(Self::of(store, config))
    }

    /// With a database that is open.
    pub(super) fn of(store: Store, config: Config) -> Self {
        let mail = config.mail.as_ref();
        Self {
            store,
            pace: Pace::per_minute(mail.and_then(|mail| mail.max_per_minute)),
            config: std::sync::Arc::new(config),
            watch: Watch::default(),
            tally: Tally::default(),
            person: None,
        }
    }

    /// A command as the history names it.
    pub(super) fn given(&self, command: &str) -> String {
        match &self.person {
            Some(person) => format!("{command} by {person}"),
            None => command.to_owned(),
        }
    }

    /// Begins a transaction: one that reads only, for a dry run.
    pub(super) async fn begin(&self, reads_only: bool) -> Result<Tx<'static>> {
        Ok(match reads_only {
            true => self.store.read().await?,
            false => self.store.write().await?,
        })
    }
}

/// Whether what keeps a database from being opened may pass without anybody
/// doing something about this program: a server that is down, a disk that is
/// not mounted, another process that migrates.
pub fn may_pass(error: &anyhow::Error) -> bool {
    use StoreError::{Again, Full, Gone, Lock, Locked, Open, ReadOnly};
    matches!(
        error.downcast_ref(),
        Some(Open { .. } | Gone(_) | Again(_) | Locked | Lock { .. } | ReadOnly | Full)
    )
}

/// When a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// The run's time.
    pub at: Instant,
    /// What the system's clock says.
    pub clock: Instant,
    /// Whether the time was named (`--at`) and not read from the clock.
    pub is_named: bool,
    /// Whether it is that of a slot of the schedule.
    pub is_slot: bool,
    /// Whether the daemon began it, and no person and no cron.
    pub is_daemons: bool,
}

impl When {
    /// A run at a time that was named, or now.
    pub fn new(at: Option<Instant>, clock: Instant) -> Self {
        Self {
            at: at.unwrap_or(clock),
            clock,
            is_named: at.is_some(),
            is_slot: false,
            is_daemons: false,
        }
    }

    /// A run of a slot of the schedule, which another node may have begun:
    /// what is dated is as of its slot, what finds its work at the present is
    /// as of its beginning.
    pub fn of_slot(job: &Job, slot_at: Instant, started_at: Instant, clock: Instant) -> Self {
        let at = if job.is_dated() { slot_at } else { started_at };
        Self {
            at,
            // The other's clock may be ahead.
            clock: clock.max(at),
            is_named: false,
            is_slot: job.is_dated(),
            is_daemons: true,
        }
    }

    /// When its messages are composed: now, be what they tell of an earlier
    /// slot. Now is when their tries begin.
    pub(super) fn composed_at(self) -> Instant {
        if self.is_slot { self.clock } else { self.at }
    }
}

/// Counts by name: found, changed, already, failed …
pub type Counts = BTreeMap<Cow<'static, str>, u64>;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many of what.
    pub counts: Counts,
    /// Why the run as a whole failed, though what it did stands.
    pub problem: Option<String>,
    /// Whether it was told to end before its work was done.
    pub ended_early: bool,
}

impl Outcome {
    /// Adds to a count; nothing to add leaves no trace.
    pub fn count(&mut self, name: &'static str, by: u64) {
        if by > 0 {
            *self.counts.entry(name.into()).or_default() += by;
        }
    }

    /// Adds what another part of the same run counted.
    pub fn add(&mut self, counts: &Counts) {
        for (name, by) in counts {
            *self.counts.entry(name.clone()).or_default() += by;
        }
    }

    /// A count.
    pub fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Whether some items failed or were refused, though the run is done.
    pub fn is_partial(&self) -> bool {
        self.get("failed") + self.get("rejected") > 0
    }
}

/// A job as it is listed.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Its name, in the config, on the command line and in the store.
    pub name: JobName,
    /// When it runs if the config does not say otherwise: a cron expression
    /// in the business's time zone.
    pub schedule: &'static str,
    /// What becomes of slots that were missed.
    pub catch_up: CatchUp,
    /// What it does, in a line.
    pub what: &'static str,
}

impl Job {
    /// Whether a run is as of its slot; others find their work at the present.
    pub fn is_dated(&self) -> bool {
        matches!(
            self.name,
            JobName::Report
                | JobName::Worklists
                | JobName::ComplianceWeekly
                | JobName::ComplianceMonthly
        )
    }
}

/// The jobs, in the order in which they run when several are due.
pub const JOBS: [Job; 8] = [
    Job {
        name: JobName::Import,
        schedule: "*/10 * * * *",
        catch_up: CatchUp::Latest,
        what: "takes the files of import.dir, if it is set",
    },
    Job {
        name: JobName::Enforce,
        schedule: "*/5 * * * *",
        catch_up: CatchUp::Latest,
        what: "works out what has come due and records the notices",
    },
    Job {
        name: JobName::Deliver,
        schedule: "* * * * *",
        catch_up: CatchUp::Latest,
        what: "composes and sends the messages that are ready",
    },
    Job {
        name: JobName::Report,
        schedule: "0 6 * * *",
        catch_up: CatchUp::All,
        what: "writes the daily report set and mails it to the managers",
    },
    Job {
        name: JobName::Worklists,
        schedule: "30 6 * * *",
        catch_up: CatchUp::Latest,
        what: "on working days mails everybody who has something to do their list",
    },
    Job {
        name: JobName::ComplianceWeekly,
        schedule: "15 6 * * 1",
        catch_up: CatchUp::All,
        what: "writes and mails how the promises of the last week were kept",
    },
    Job {
        name: JobName::ComplianceMonthly,
        schedule: "20 6 1 * *",
        catch_up: CatchUp::All,
        what: "writes and mails how the promises of the last month were kept",
    },
    Job {
        name: JobName::Housekeeping,
        schedule: "30 3 * * *",
        catch_up: CatchUp::Latest,
        what: "forgets old runs and tidies the database",
    },
];

/// The job of a name.
pub fn job(name: JobName) -> &'static Job {
    // Every name has its line: a test holds it.
    JOBS.iter().find(|job| job.name == name).unwrap_or(&JOBS[0])
}

/// What cannot be done as it was asked: wrong usage, or a config that does not
/// fit what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Runs a job that nobody has planned, and keeps what came of it.
pub async fn run_recorded(shop: &Shop, name: JobName, when: When) -> Result<Outcome> {
    let mut tx = shop.store.write().await?;
    let held = store::run_start(&mut tx, &name.to_string(), &node(), clock::now()).await?;
    tx.commit().await?;
    let mut ran = run(shop, name, when).await;
    if let Ok(outcome) = &mut ran
        && outcome.ended_early
    {
        let why = "told to end before all was done: what was done is kept, the next run does the \
                   rest";
        outcome.problem.get_or_insert_with(|| why.to_owned());
    }
    let kept = keep(shop, name, held, &ran).await;
    let ran = ran.and_then(|outcome| kept.map(|()| outcome));
    let is_well = ran.as_ref().is_ok_and(|outcome| outcome.problem.is_none());
    tell_run(shop, &name.to_string(), is_well).await;
    ran
}

/// Who runs what: a process on a machine, as people know it.
pub(super) fn node() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}

/// Keeps what came of a run, with what other nodes did of it; but nothing of
/// one that another node has taken.
pub(super) async fn keep(
    shop: &Shop,
    name: JobName,
    held: Held,
    ran: &Result<Outcome>,
) -> Result<()> {
    let mut tx = shop.store.write().await?;
    let mut all = counted(&mut tx, held.id).await?;
    match ran {
        Ok(outcome) => {
            all.add(&outcome.counts);
            all.problem = outcome.problem.clone();
        }
        Err(error) => all.problem = Some(format!("{error:#}")),
    }
    let state = match &all.problem {
        Some(_) => RunState::Failed,
        None if all.is_partial() => RunState::Partial,
        None => RunState::Done,
    };
    let counts = serde_json::to_string(&all.counts)?;
    let error = all.problem.as_deref();
    let is_ours = store::run_finish(&mut tx, held, state, &counts, error, clock::now()).await?;
    tx.commit().await?;
    match is_ours {
        true => {
            shop.tally.ended(name, state.into());
            tracing::info!(job = %name, %state, counts, error, "ran");
        }
        false => tracing::warn!(job = %name, "another node has taken the run over: nothing kept"),
    }
    Ok(())
}

/// Adds to a run what this node did of it. Its end may have been written.
pub(super) async fn keep_share(shop: &Shop, id: i64, outcome: &Outcome) -> Result<()> {
    let mut tx = shop.store.write().await?;
    let mut all = counted(&mut tx, id).await?;
    all.add(&outcome.counts);
    let counts = serde_json::to_string(&all.counts)?;
    store::run_counted(&mut tx, id, &counts, all.is_partial()).await?;
    Ok(tx.commit().await?)
}

/// What a run did so far.
async fn counted(tx: &mut Tx<'_>, id: i64) -> Result<Outcome> {
    let counts = store::run_counts(tx, id).await?;
    let counts = serde_json::from_str(&counts);
    Ok(Outcome {
        counts: counts.with_context(|| format!("job_runs.counts of row {id}"))?,
        ..Outcome::default()
    })
}

/// Runs a job as cron would.
pub(super) async fn run(shop: &Shop, job: JobName, when: When) -> Result<Outcome> {
    let ran = match job {
        JobName::Import => super::import::import_dir(shop, when).await,
        JobName::Enforce => Ok(super::enforce(shop, when, false).await?.outcome),
        JobName::Deliver => super::deliver(shop, when).await,
        JobName::Report => super::daily_report(shop, when).await,
        JobName::Worklists => super::worklists(shop, when).await,
        JobName::ComplianceWeekly => super::compliance_report(shop, when, Period::Week).await,
        JobName::ComplianceMonthly => super::compliance_report(shop, when, Period::Month).await,
        JobName::Housekeeping => super::housekeeping::housekeeping(shop, when).await,
    };
    match ran {
        Err(error) if error.is::<ToldToEnd>() => Ok(Outcome {
            problem: Some(error.to_string()),
            ended_early: true,
            ..Outcome::default()
        }),
        ran => ran,
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_job_has_its_line_and_a_schedule_that_can_be_read() {
        let names: Vec<JobName> = JOBS.iter().map(|job| job.name).collect();
        assert_eq!(names, JobName::VARIANTS);
        for listed in &JOBS {
            assert_eq!(job(listed.name).what, listed.what);
            let schedule = listed.schedule.parse::<crate::config::Expression>();
            assert!(schedule.is_ok(), "{}", listed.name);
        }
    }
}
