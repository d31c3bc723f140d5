//! The job `report`, and single reports. They evaluate the facts; reports of
//! deadlines alone read what was recorded where an evaluation would find the
//! same.

mod chain;
mod compliance;
mod enclosed;
mod explaining;
mod feed;
mod rule_changes;
mod set;
mod told;
mod trial;
mod verify;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use super::alarms::WITHOUT_START;
use super::book::{InForce, rules, rules_known};
use super::postbox::{Parcel, letters, post, shop as letterhead};
use super::{Outcome, Refused, Shop, When};
use crate::case::{Evaluation, ExceptionCode};
use crate::config::{Config, Mail};
use crate::mail::{Attachment, Letter, Mailbox};
use crate::policy::Instant;
use crate::report::{
    By, Daily, DailySet, Dialect, Format, History, Previous, Report, ReportName, Scope, Source,
};
use crate::store::{self, MessageKind, Tx};
use enclosed::enclosed;
use told::told;

pub use chain::Broken;
pub use compliance::compliance_report;
pub use explaining::{Explaining, HoldChange};
pub(super) use feed::{AsOf, Item, Known, feed};
pub use trial::{Difference, Trial, policy_try};
pub use verify::{FileCheck, Verdict, Verified, verify};

/// Days that the daily report looks ahead.
pub const UPCOMING_DAYS: u16 = 7;

/// Which report, as of when.
#[derive(Debug, Clone, Copy)]
pub struct ReportRequest {
    /// Its name.
    pub name: ReportName,
    /// As of when.
    pub at: Instant,
    /// What was recorded later does not count; `None`: all counts.
    pub known_at: Option<Instant>,
    /// `compliance`, `notices`: the first local date.
    pub from: Option<NaiveDate>,
    /// `compliance`, `notices`: the last local date.
    pub to: Option<NaiveDate>,
    /// `compliance`: which date of a promise counts.
    pub by: By,
    /// `upcoming`: how many days ahead.
    pub days: u16,
    /// How it is written.
    pub format: Format,
}

/// Writes one report.
pub async fn one_report<W: Write>(shop: &Shop, request: ReportRequest, out: W) -> Result<(W, u64)> {
    let ReportRequest {
        name,
        at,
        known_at,
        from,
        to,
        by,
        days,
        format,
    } = request;
    let mut tx = shop.store.read().await?;
    let in_force = rules_known(shop, &mut tx, known_at).await?;
    let rules = &in_force.rules;
    let scope = Scope {
        rules,
        at,
        from,
        to,
        by,
        days,
    };
    let mut report = Report::new(name, format, scope, out)?;
    let calendar = &rules.calendar;
    let known = Known::by(&mut tx, known_at).await?;
    let as_of = AsOf { at, known };
    feed(
        shop,
        tx,
        &in_force,
        as_of,
        name.source(),
        |item| match item {
            Item::Recorded(order) => report.add_deadlines(&order.deadlines()),
            Item::Case(found) => report.add(&found.0, &found.1),
            Item::Failed(order_ref, error) => report.add_failed(&order_ref, &error),
            Item::Notice(notice) => {
                let fired_on = calendar.date_of(notice.fires_at);
                let is_in =
                    from.is_none_or(|from| from <= fired_on) && to.is_none_or(|to| fired_on <= to);
                if is_in {
                    report.add_notice(&notice)
                } else {
                    Ok(())
                }
            }
            Item::Exception(exception) => report.add_exception(&exception),
        },
    )
    .await?;
    let finished = report.finish()?;
    Ok((finished.out, finished.rows))
}

/// How the files of a set are written.
fn dialect(config: &Config) -> Dialect {
    Dialect {
        delimiter: config.reports.csv_delimiter,
        bom: config.reports.csv_bom,
    }
}

/// Writes the daily set as of the run's time, and mails it to the managers.
pub async fn daily_report(shop: &Shop, when: When) -> Result<Outcome> {
    let date = shop.config.calendar.date_of(when.at);
    let reports = directory(shop, when)?;
    let dir = reports.join(date.to_string());
    let mut tx = shop.store.read().await?;
    let in_force = rules(shop, &mut tx).await?;
    let latest = store::change_set_latest(&mut tx).await?;
    let last_notice = Some(store::notice_newest(&mut tx).await?);
    let scope = day_scope(&in_force, when.at);
    let mut set = DailySet::create(&dir, scope, dialect(&shop.config))?;
    let as_of = AsOf::all_known(when.at);
    let mut outcome = set_fill(shop, tx, &in_force, as_of, &mut set).await?;
    let previous = Previous::find(reports, date)?;
    let daily = set.finish(History {
        latest,
        last_notice,
        previous,
        ..History::default()
    })?;
    outcome.count("files", daily.manifest.files.len() as u64 + 1);
    mail_managers(shop, &daily, &dir, date, when, &mut outcome).await?;
    Ok(outcome)
}

fn day_scope(in_force: &InForce, at: Instant) -> Scope<'_> {
    Scope {
        rules: &in_force.rules,
        at,
        from: None,
        to: None,
        by: By::Started,
        days: UPCOMING_DAYS,
    }
}

/// Hands all cases, notices and exceptions to a day's files.
async fn set_fill(
    shop: &Shop,
    tx: Tx<'static>,
    in_force: &InForce,
    as_of: AsOf,
    set: &mut DailySet<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let source = Source::Everything;
    feed(shop, tx, in_force, as_of, source, |item| match item {
        // Exceptions are of cases: all of them are evaluated.
        Item::Recorded(_) => Ok(()),
        Item::Case(found) => {
            outcome.count("found", 1);
            outcome.count(WITHOUT_START, without_start(&found.1));
            set.add(&found.0, &found.1)
        }
        Item::Failed(order_ref, error) => {
            outcome.count("failed", 1);
            set.add_failed(&order_ref, &error)
        }
        Item::Notice(notice) => set.add_notice(&notice),
        Item::Exception(exception) => set.add_exception(&exception),
    })
    .await?;
    Ok(outcome)
}

/// Windows of a case that have no start, as a fact is missing.
fn without_start(evaluation: &Evaluation) -> u64 {
    let codes = evaluation.exceptions.iter().map(|exception| exception.code);
    let missing = codes.filter(|code| {
        matches!(
            code,
            ExceptionCode::MissingReceipt | ExceptionCode::HalfConfirmed
        )
    });
    missing.count() as u64
}

/// Where sets of reports go, if one can be written as of a time.
fn directory(shop: &Shop, when: When) -> Result<&Path> {
    let dir = shop.config.reports.dir.as_deref().with_context(|| {
        Refused("reports.dir is not set: expected a directory for the reports".to_owned())
    })?;
    if when.at > when.clock {
        let why = "--at is in the future: expected a time until now, or a single `report`";
        return Err(Refused(why.to_owned()).into());
    }
    Ok(dir)
}

/// Puts the managers' mail into the outbox, once for each of them.
async fn mail_managers(
    shop: &Shop,
    daily: &Daily,
    dir: &Path,
    date: NaiveDate,
    when: When,
    outcome: &mut Outcome,
) -> Result<()> {
    let config = &shop.config;
    let Some(mail) = &config.mail else {
        return Ok(());
    };
    let set = format!("reports-{date}");
    let (attachments, files) = enclosed(&daily.manifest.files, dir, &set)?;
    let told = told(&daily.summary, date);
    let letter = letters(config)?.report(&letterhead(config), &told, &files)?;
    let key = when.at.to_string();
    let posted = post_to_managers(shop, mail, &key, &letter, &attachments, when).await?;
    outcome.count("composed", posted);
    Ok(())
}

/// Puts a letter into the outbox for each manager; gives how many were not
/// there already.
async fn post_to_managers(
    shop: &Shop,
    mail: &Mail,
    key: &str,
    letter: &Letter,
    attachments: &[Attachment],
    when: When,
) -> Result<u64> {
    let config = &shop.config;
    let mut tx = shop.store.write().await?;
    let mut posted = 0;
    for address in &config.reports.recipients {
        let parcel = Parcel {
            kind: MessageKind::Report,
            is_reminder: false,
            audience: "managers",
            key: key.to_owned(),
            notice_ids: &[],
            to: Mailbox {
                name: None,
                address: address.clone(),
            },
            letter,
            attachments,
        };
        posted += u64::from(post(&mut tx, config, mail, parcel, when.composed_at()).await?);
    }
    tx.commit().await?;
    Ok(posted)
}
