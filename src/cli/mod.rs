//! The command line: one file a command. It prints, and asks nothing of SQL.
//!
//! May touch: everything above `store`'s SQL through `jobs`, `daemon` and
//! `config`.
//!
//! Invariant: a command ends with 0 (done), 1 (failed), 2 (wrong usage or
//! config) or 3 (done, but with rejected rows or failed items), and says why
//! on stderr. Only `bounce`, which mail servers call, has one more: 75, to be
//! tried again later.

mod backup;
mod bounce;
mod copy_to;
mod demo;
mod doctor;
mod ending;
mod explain;
mod forget;
mod generate;
mod hold;
mod import;
mod init;
mod log;
mod mail;
mod output;
mod policy;
mod preview;
mod report;
mod restore;
mod run;
mod simulate;
mod status;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use clap::{Parser, Subcommand};

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::jobs::import::ImportError;
use crate::jobs::{Refused, Shop};
use crate::policy::Instant;

/// The heading of what every command takes.
const EVERYWHERE: &str = "Options of every command";

/// What the help and the manual page end with.
const AFTER: &str = "\
Exit status: 0 done; 1 failed; 2 wrong usage, config or policy; 3 done, but with rejected rows or \
failed items. Why is on stderr.

The keys of the config are in the file that `warrantyd init` writes (man warrantyd.toml).";

/// Keeps a shop's warranty clocks: deadlines, reminders, escalations, mails
/// and compliance reports.
#[derive(Debug, Parser)]
#[command(name = "warrantyd", version, max_term_width = 100, after_long_help = AFTER)]
struct Cli {
    /// The config [default: warrantyd.toml, then /etc/warrantyd/warrantyd.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: log::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: made-up facts, some weeks of simulated days, mails and reports
    Demo(demo::Args),
    /// Write a commented config and create the database
    Init(init::Args),
    /// Run all jobs on their schedule until SIGTERM
    Daemon,
    /// Run one job now: what cron calls
    Run(run::Args),
    /// Take in facts from CSV files
    Import(import::Args),
    /// Record one fact: `record claim C-1 repaired`
    Record(import::RecordArgs),
    /// Write one report
    Report(report::Args),
    /// Show all about an order, a unit or a claim, with the arithmetic
    Explain(explain::Args),
    /// Say what would be told until a day if nothing else happened
    Simulate(simulate::Args),
    /// Tell a customer nothing about an order, a unit, a claim, or at all, for a while
    Hold(hold::Args),
    /// Lift a hold
    Unhold(hold::What),
    /// Send a customer no reminders
    OptOut(hold::OptOutArgs),
    /// Send a customer reminders again
    OptIn(hold::OptInArgs),
    /// Print or check policies
    Policy(policy::Args),
    /// Look into the outbox
    Mail(mail::Args),
    /// Read mail that comes back: what a mail server pipes into it
    Bounce(bounce::Args),
    /// Copy the SQLite database into an empty one of PostgreSQL
    CopyTo(copy_to::Args),
    /// Write a backup of the database, while everything runs
    Backup(backup::Args),
    /// Take a backup into an empty database; customers' mail is held
    ///
    /// Stop the daemon first, and move the old database away. What came since
    /// the backup is imported and recorded again before `mail release`.
    Restore(restore::Args),
    /// Erase a customer's name and address everywhere; deadlines stay
    Forget(forget::Args),
    /// Whether all is in place, from the config to the mail server
    Doctor(doctor::Args),
    /// What runs, what is late, what is stuck
    Status(status::Args),
    /// Write the manual pages and the shells' completions into a directory
    #[command(hide = true)]
    Generate(generate::Args),
}

/// Done, or done with rejected rows or failed items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Well,
    Partly,
    /// The run failed; it has been said why.
    Failed,
    /// Whoever piped something in is to do so again later (EX_TEMPFAIL).
    Later,
}

/// Runs the program and gives its exit status.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let usual = match cli.command {
        Command::Daemon => "warn,warrantyd=info",
        // What goes wrong in the demo is meant to.
        Command::Demo(_) => "error",
        _ => "warn",
    };
    let log = log::start(&cli.log, usual);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::fail(log, format!("cannot start: {error}"));
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Failed) => ExitCode::from(1),
        Ok(Done::Partly) => ExitCode::from(3),
        Ok(Done::Later) => ExitCode::from(75),
        // Whoever read our output has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            log::fail(log, format!("{error:#}"));
            ExitCode::from(status_of(&error))
        }
    }
}

async fn dispatch(cli: Cli) -> Result<Done> {
    let config = cli.config;
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Init(args) => init::run(args, config).await,
        Command::Policy(args) => policy::run(args, config).await,
        Command::Generate(args) => generate::run(args),
        Command::Daemon => {
            crate::daemon::daemon(load(config)?).await?;
            Ok(Done::Well)
        }
        Command::Run(args) => run::run(args, open(config).await?).await,
        Command::Import(args) => import::run(args, open(config).await?).await,
        Command::Record(args) => import::record(args, open(config).await?).await,
        Command::Report(args) => report::run(args, open(config).await?).await,
        Command::Explain(args) => explain::run(args, open(config).await?).await,
        Command::Simulate(args) => simulate::run(args, open(config).await?).await,
        Command::Hold(args) => hold::hold(args, open(config).await?).await,
        Command::Unhold(args) => hold::unhold(args, open(config).await?).await,
        Command::OptOut(args) => hold::opt_out(args, open(config).await?).await,
        Command::OptIn(args) => hold::opt_in(args, open(config).await?).await,
        Command::Mail(args) => mail::run(args, open(config).await?).await,
        Command::Bounce(args) => bounce::run(args, config).await,
        Command::CopyTo(args) => copy_to::run(args, open(config).await?).await,
        Command::Backup(args) => backup::run(args, open(config).await?).await,
        Command::Restore(args) => restore::run(args, config).await,
        Command::Forget(args) => forget::run(args, open(config).await?).await,
        Command::Doctor(args) => doctor::run(args, load(config)?).await,
        Command::Status(args) => status::run(args, open(config).await?).await,
    }
}

fn load(path: Option<PathBuf>) -> Result<Config> {
    Ok(Config::load(path.as_deref(), std::env::vars())?)
}

async fn open(path: Option<PathBuf>) -> Result<Shop> {
    let mut shop = Shop::open(load(path)?).await?;
    shop.person = user();
    Ok(shop)
}

/// Who gives the command, as this process's environment says it.
fn user() -> Option<String> {
    person(|name| std::env::var(name).ok())
}

/// Who gives the command: whoever stands behind `sudo`, or else the user that
/// is logged in. A trace, no proof: the environment says so.
fn person(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@\\".contains(c);
    let found = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(env);
    let mut found = found.filter(|name| !name.is_empty());
    let name = found.next()?;
    (name.len() <= 64 && name.chars().all(is_plain)).then_some(name)
}

fn status_of(error: &anyhow::Error) -> u8 {
    // A cause, or what was said about one.
    fn is<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> bool {
        error.is::<E>() || error.chain().any(|cause| cause.is::<E>())
    }
    let is_usage =
        is::<ConfigError>(error) || is::<Refused>(error) || is::<crate::policy::PolicyError>(error);
    let is_bad_file = matches!(
        error.downcast_ref::<ImportError>(),
        Some(ImportError::File(_) | ImportError::Refused(_))
    );
    if is_usage || is_bad_file { 2 } else { 1 }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = io.map(std::io::Error::kind);
        kind.or(json.and_then(serde_json::Error::io_error_kind)) == Some(ErrorKind::BrokenPipe)
    })
}

/// The time of `--at`, read as in the import files, or `now`.
fn time(shop: &Shop, text: Option<&str>) -> Result<Option<Instant>> {
    time_of(shop, "--at", text)
}

/// The same of another option.
fn time_of(shop: &Shop, option: &str, text: Option<&str>) -> Result<Option<Instant>> {
    let read = |text| {
        match text {
        "now" => Ok(clock::now()),
        _ => crate::intake::parse_time(text, &shop.config.calendar).with_context(|| {
            Refused(format!(
                "{option}: found `{text}`, expected `now`, RFC 3339 such as 2026-01-31T09:00:00Z, or \
                 YYYY-MM-DD[ HH:MM[:SS]] in the business's time zone"
            ))
        }),
    }
    };
    text.map(read).transpose()
}

/// A date from the command line.
fn parse_date(text: &str) -> Result<NaiveDate, &'static str> {
    let date = text.parse();
    date.map_err(|_| "expected a date of the calendar such as 2026-01-31")
}

/// A time from the command line, or now.
fn time_or_now(shop: &Shop, text: Option<&str>) -> Result<Instant> {
    Ok(time(shop, text)?.unwrap_or_else(clock::now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stands_behind_sudo_gave_the_command() {
        let long = "a".repeat(65);
        for (env, expected) in [
            (&[("SUDO_USER", "ann"), ("USER", "root")][..], Some("ann")),
            (&[("SUDO_USER", ""), ("LOGNAME", "bob")], Some("bob")),
            (
                &[("USER", "SHOP\\ann.b-c_d@example")],
                Some("SHOP\\ann.b-c_d@example"),
            ),
            (&[], None),
            // Nothing that would be read as more than a name.
            (&[("USER", "ann` at noon")], None),
            (&[("USER", &long)], None),
        ] {
            let named = |name: &str| {
                let found = env.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(person(named).as_deref(), expected, "{env:?}");
        }
    }
}
