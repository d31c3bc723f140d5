//! The demo: some weeks of a made-up shop, played through the jobs in a
//! directory of their own.
//!
//! May touch: the other jobs, that directory, and what is embedded of
//! `templates/demo`.
//!
//! Invariant: the clock is never asked. The same program writes the same
//! messages and reports, whenever and however often it is run.

mod counts;
mod facts;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{NaiveDate, TimeDelta};

pub use self::counts::Count;
use super::import::{files, import_files};
use super::{Refused, Shop, When, daily_report, deliver, enforce, messages};
use crate::config::Config;
use crate::intake::parse_time;
use crate::policy::{Calendar, Instant};
use crate::store::MessageState;

/// The config, and how it begins: by that a demo is known.
const CONFIG: &str = include_str!("../../../templates/demo/warrantyd.toml");
const CONFIG_NAME: &str = "warrantyd.toml";

/// The shop's own policy.
const POLICY: &str = include_str!("../../../templates/demo/extended.toml");

/// What a former demo left beside its config.
const PARTS: [&str; 7] = [
    "facts",
    "outbox",
    "policy",
    "reports",
    "warrantyd.db",
    "warrantyd.db-wal",
    "warrantyd.db-shm",
];

// The dates are evaluated by the compiler.

/// The shop's first and last day on which the jobs run on time.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 4, 17).unwrap();

/// Easter: the machine is off, and nobody notices.
const OFF_FROM: NaiveDate = NaiveDate::from_ymd_opt(2026, 4, 3).unwrap();
const OFF_UNTIL: NaiveDate = NaiveDate::from_ymd_opt(2026, 4, 6).unwrap();

/// The machine is off once more, for so long that nobody believes its clock.
const BACK_ON: NaiveDate = NaiveDate::from_ymd_opt(2026, 4, 27).unwrap();

/// The times of day at which the jobs run. Customers are not written to at
/// the second.
const MORNING: &str = "09:00";
const EVENING: &str = "21:00";

/// Whose letter is shown, about what.
const CUSTOMER: &str = "c5@example.com";
const CLAIM: &str = "C-2001";

/// What the demo left.
#[derive(Debug)]
pub struct Demo {
    /// Its config.
    pub config: PathBuf,
    /// The last instant that was played, as a person of the shop writes it.
    pub at: String,
    /// What there is, and how much of it.
    pub counts: Vec<Count>,
    /// The files to open first.
    pub open_first: Vec<(&'static str, PathBuf)>,
    /// A claim worth an explanation.
    pub claim: &'static str,
}

/// Plays the demo in a directory, which is made. A former demo in it goes
/// first; one that holds anything else is refused.
pub async fn demo(dir: &Path) -> Result<Demo> {
    prepare(dir)?;
    let config = dir.join(CONFIG_NAME);
    let shop = Shop::open(Config::load(Some(&config), std::iter::empty())?).await?;
    let last = play(&shop, dir).await?;
    let reported = last + TimeDelta::minutes(10);
    daily_report(&shop, When::new(None, reported)).await?;
    let at = reported + TimeDelta::minutes(5);
    send(&shop, at).await?;

    let calendar = &shop.config.calendar;
    let reports = shop.config.reports.dir.as_deref().unwrap_or(dir);
    let reports = reports.join(calendar.date_of(reported).to_string());
    let demo = Demo {
        config,
        at: at.with_timezone(&calendar.zone).format("%F %R").to_string(),
        counts: counts::counts(&shop, &reports, at).await?,
        open_first: vec![
            ("the managers' page", reports.join("summary.html")),
            ("a letter to a customer", letter(&shop).await?),
            (
                "what somebody should look at",
                reports.join("exceptions.csv"),
            ),
        ],
        claim: CLAIM,
    };
    shop.store.close().await;
    Ok(demo)
}

/// Runs the jobs from the first day to the last. Gives the last run's time.
async fn play(shop: &Shop, dir: &Path) -> Result<Instant> {
    let calendar = &shop.config.calendar;
    let sheets = facts::sheets(calendar)?;
    let mut before = None;
    for at in run_times(calendar)? {
        let local = at.with_timezone(&calendar.zone).format("%F-%Hh");
        let entered = dir.join("facts").join(local.to_string());
        if facts::write(&sheets, before, at, &entered)? {
            import(shop, &entered, at).await?;
        }
        enforce(shop, When::new(None, at), false).await?;
        send(shop, at + TimeDelta::minutes(5)).await?;
        before = Some(at);
    }
    before.context("the demo has no days")
}

/// When the jobs run.
fn run_times(calendar: &Calendar) -> Result<Vec<Instant>> {
    let days = FIRST_DAY.iter_days().take_while(|day| *day <= LAST_DAY);
    let on = days.filter(|day| !(OFF_FROM..=OFF_UNTIL).contains(day));
    let times = on.flat_map(|day| [(day, MORNING), (day, EVENING)]);
    let times = times.chain([(BACK_ON, MORNING)]);
    let times = times.map(|(day, time)| parse_time(&format!("{day} {time}"), calendar));
    times
        .collect::<Option<_>>()
        .context("the demo runs at a time that does not exist")
}

async fn import(shop: &Shop, dir: &Path, at: Instant) -> Result<()> {
    let imported = import_files(
        shop,
        &files(&shop.config.dialects, &[dir], None, None)?,
        at,
        &mut |_| {},
    )
    .await?;
    match imported.files.iter().find(|file| file.rejected > 0) {
        Some(file) => bail!("{}: rows refused: {}", file.path.display(), file.rejected),
        None => Ok(()),
    }
}

async fn send(shop: &Shop, at: Instant) -> Result<()> {
    match deliver(shop, When::new(None, at)).await?.problem {
        Some(problem) => bail!(problem),
        None => Ok(()),
    }
}

/// Makes the directory ready: with the config and the policy, and with
/// nothing else of a demo.
fn prepare(dir: &Path) -> Result<()> {
    let shown = || dir.display().to_string();
    fs::create_dir_all(dir).with_context(shown)?;
    let config = dir.join(CONFIG_NAME);
    let is_empty = fs::read_dir(dir).with_context(shown)?.next().is_none();
    if !is_empty && !is_demo(&config)? {
        return Err(Refused(format!(
            "{}: is there and is no former demo: expected a directory that is empty or not there",
            dir.display()
        ))
        .into());
    }
    // First, so that a demo that is broken off is known as one.
    fs::write(&config, CONFIG).with_context(shown)?;
    for part in PARTS {
        remove(&dir.join(part))?;
    }
    let policy = dir.join("policy");
    fs::create_dir(&policy).with_context(shown)?;
    fs::write(policy.join("extended.toml"), POLICY).with_context(shown)
}

fn is_demo(config: &Path) -> Result<bool> {
    match fs::read_to_string(config) {
        Ok(text) => Ok(text.lines().next() == CONFIG.lines().next()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| config.display().to_string()),
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// The last letter to the customer who is shown.
async fn letter(shop: &Shop) -> Result<PathBuf> {
    let sent = messages(shop, Some(MessageState::Sent), u32::MAX).await?;
    let to_customer = sent.iter().find(|sent| sent.draft.recipient == CUSTOMER);
    let answer = to_customer.and_then(|sent| sent.answer.as_deref());
    let path = answer.and_then(|answer| answer.strip_prefix("written to "));
    path.map(PathBuf::from)
        .with_context(|| format!("the demo has sent nothing to {CUSTOMER}"))
}
