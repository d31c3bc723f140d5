//! The job `report`, and single reports. They always evaluate from the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use super::book::rules;
use super::compose::addresses;
use super::page::{evaluate_page, page_len};
use super::postbox::{Parcel, post, shop as letterhead};
use super::{Outcome, Refused, Shop, When};
use crate::case::{Case, Disposition, Evaluation, Exception, ExceptionCode, Rules};
use crate::mail::{Attachment, Letters, Mailbox};
use crate::policy::{Audience, Instant, Step, Subject};
use crate::report::{
    Daily, DailySet, Figures, FileEntry, Format, NoticeRow, Owed, Report, ReportName, Scope,
};
use crate::store::{self, MessageKind, NoticeLine, Tx};

/// Orders read ahead of a page.
const ORDERS_A_PAGE: i64 = 1_000;

/// What the managers' mail carries at most; larger files stay where they are.
const ATTACHED_BYTES: u64 = 10 << 20;

/// Days that the daily report looks ahead.
pub const UPCOMING_DAYS: u16 = 7;

/// Which report, as of when.
#[derive(Debug, Clone, Copy)]
pub struct ReportRequest {
    /// Its name.
    pub name: ReportName,
    /// As of when.
    pub at: Instant,
    /// `compliance`, `notices`: the first local date.
    pub from: Option<NaiveDate>,
    /// `compliance`, `notices`: the last local date.
    pub to: Option<NaiveDate>,
    /// `upcoming`: how many days ahead.
    pub days: u16,
    /// CSV or JSON.
    pub format: Format,
}

/// What reports are made of, in the order in which it comes.
enum Item<'a> {
    Case(&'a Case, &'a Evaluation),
    Failed(&'a str, &'a str),
    Notice(&'a NoticeRow),
    Exception(&'a Exception),
}

/// Writes one report.
pub async fn one_report<W: Write>(shop: &Shop, request: ReportRequest, out: W) -> Result<(W, u64)> {
    let ReportRequest {
        name,
        at,
        from,
        to,
        days,
        format,
    } = request;
    let mut tx = shop.store.read().await?;
    let rules = rules(shop, &mut tx).await?.rules;
    let scope = Scope {
        rules: &rules,
        at,
        from,
        to,
        days,
    };
    let mut report = Report::new(name, format, scope, out)?;
    let calendar = &rules.calendar;
    feed(shop, &mut tx, &rules, at, |item| match item {
        Item::Case(case, evaluation) => report.add(case, evaluation),
        Item::Failed(order_ref, error) => {
            report.add_failed(order_ref, &error);
            Ok(())
        }
        Item::Notice(notice) => {
            let fired_on = calendar.date_of(notice.fires_at);
            let is_in =
                from.is_none_or(|from| from <= fired_on) && to.is_none_or(|to| fired_on <= to);
            if is_in {
                report.add_notice(notice)
            } else {
                Ok(())
            }
        }
        Item::Exception(exception) => {
            report.add_exception(exception);
            Ok(())
        }
    })
    .await?;
    let finished = report.finish()?;
    Ok((finished.out, finished.rows))
}

/// Writes the daily set as of the run's time, and mails it to the managers.
pub async fn daily_report(shop: &Shop, when: When) -> Result<Outcome> {
    let config = &shop.config;
    let dir = config.reports.dir.as_ref().with_context(|| {
        Refused("reports.dir is not set: expected a directory for the daily reports".to_owned())
    })?;
    if when.at > when.clock {
        let why = "--at is in the future: expected a time until now, or a single `report`";
        return Err(Refused(why.to_owned()).into());
    }
    let date = config.calendar.date_of(when.at);
    let dir = dir.join(date.to_string());
    let mut tx = shop.store.read().await?;
    let rules = rules(shop, &mut tx).await?.rules;
    let scope = Scope {
        rules: &rules,
        at: when.at,
        from: None,
        to: None,
        days: UPCOMING_DAYS,
    };
    let mut set = DailySet::create(&dir, scope)?;
    let mut outcome = Outcome::default();
    feed(shop, &mut tx, &rules, when.at, |item| match item {
        Item::Case(case, evaluation) => {
            outcome.count("found", 1);
            set.add(case, evaluation)
        }
        Item::Failed(order_ref, error) => {
            outcome.count("failed", 1);
            set.add_failed(order_ref, &error);
            Ok(())
        }
        Item::Notice(notice) => set.add_notice(notice),
        Item::Exception(exception) => {
            set.add_exception(exception);
            Ok(())
        }
    })
    .await?;
    tx.commit().await?;
    let daily = set.finish()?;
    outcome.count("files", daily.manifest.files.len() as u64 + 1);
    mail_managers(shop, &daily, &dir, date, when, &mut outcome).await?;
    Ok(outcome)
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
    let (attachments, files) = attached(&daily.manifest.files, dir)?;
    let figures = lines(&daily.figures);
    let letter = Letters::new()?.report(&letterhead(config), date, &figures, &files)?;
    let mut tx = shop.store.write().await?;
    for address in &config.reports.recipients {
        let parcel = Parcel {
            kind: MessageKind::Report,
            audience: "managers",
            key: when.at.to_string(),
            to: Mailbox {
                name: None,
                address: address.clone(),
            },
            letter: &letter,
            attachments: &attachments,
        };
        // Composed now, be the report of an earlier time: now is when its
        // tries begin.
        let now = if when.is_slot { when.clock } else { when.at };
        let posted = post(&mut tx, config, mail, parcel, now).await?;
        outcome.count("composed", posted.into());
    }
    Ok(tx.commit().await?)
}

/// The files of a set as far as a mail can carry them, the managers' page
/// first, and all of their names.
fn attached(files: &[FileEntry], dir: &Path) -> Result<(Vec<Attachment>, Vec<String>)> {
    let mut attachments = Vec::new();
    let mut names = Vec::new();
    let mut room = ATTACHED_BYTES;
    let (pages, tables): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| file.name.ends_with(".html"));
    for file in pages.into_iter().chain(tables) {
        let path = dir.join(&file.name);
        let size = std::fs::metadata(&path)
            .with_context(|| path.display().to_string())?
            .len();
        if size > room {
            names.push(format!(
                "{} (too large to attach): {}",
                file.name,
                path.display()
            ));
            continue;
        }
        room -= size;
        let content_type = if file.name.ends_with(".html") {
            "text/html; charset=utf-8"
        } else {
            "text/csv; charset=utf-8"
        };
        attachments.push(Attachment {
            name: file.name.clone(),
            content_type: content_type.to_owned(),
            bytes: std::fs::read(&path).with_context(|| path.display().to_string())?,
        });
        names.push(file.name.clone());
    }
    Ok((attachments, names))
}

/// Reads everything that reports are made of from one state of the database.
async fn feed(
    shop: &Shop,
    tx: &mut Tx<'_>,
    rules: &Rules,
    at: Instant,
    mut take: impl FnMut(Item<'_>) -> io::Result<()>,
) -> Result<()> {
    let mut after = String::new();
    loop {
        let orders = store::orders_after(tx, &after, ORDERS_A_PAGE).await?;
        let page = &orders[..page_len(orders.iter().map(|order| order.units)).min(orders.len())];
        let Some(last) = page.last() else { break };
        after = last.order_ref.clone();
        let order_ids: Vec<i64> = page.iter().map(|order| order.order_id).collect();
        let evaluated = evaluate_page(tx, &order_ids, rules, at).await?;
        for (order, evaluated) in page.iter().zip(evaluated) {
            match &evaluated.found {
                Ok((case, evaluation)) => take(Item::Case(case, evaluation))?,
                Err(error) => take(Item::Failed(&order.order_ref, error))?,
            }
        }
    }
    let guard = store::guard_load(tx).await?;
    let held_reason = guard.held_reason.unwrap_or_default();
    let mut exceptions = BTreeSet::new();
    let mut refused: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (notice, audience) in store::messages_refused(tx).await? {
        refused.entry(notice).or_default().push(audience);
    }
    store::notices_stream(tx, at, |line| {
        let row = notice_row(shop, &line);
        exceptions.extend(exception_of(&line, &row, &held_reason));
        let of_line = refused.get(&line.id).into_iter().flatten();
        exceptions.extend(of_line.map(|audience| Exception {
            code: ExceptionCode::UndeliverableAddress,
            subject: line.key.subject,
            subject_ref: line.key.subject_ref.clone(),
            detail: format!("mail for the {audience} was refused for good"),
        }));
        take(Item::Notice(&row)).map_err(anyhow::Error::from)
    })
    .await?;
    for (unit_ref, first) in store::duplicate_serials(tx, at).await? {
        exceptions.insert(Exception {
            code: ExceptionCode::DuplicateSerial,
            subject: Subject::Unit,
            subject_ref: unit_ref,
            detail: format!("the same serial as {first}"),
        });
    }
    for exception in &exceptions {
        take(Item::Exception(exception))?;
    }
    Ok(())
}

fn notice_row(shop: &Shop, line: &NoticeLine) -> NoticeRow {
    let key = &line.key;
    let message = line.message.as_ref();
    let recipient = match key.audience {
        Audience::Customer => Some(line.customer_ref.clone()),
        audience => message
            .map(|message| message.recipient.clone())
            .or_else(|| {
                let to = addresses(&shop.config.contacts, audience, line.assignee.as_deref());
                (!to.is_empty()).then(|| to.join(", "))
            }),
    };
    NoticeRow {
        fires_at: line.fires_at,
        subject: key.subject,
        subject_ref: key.subject_ref.clone(),
        window: key.window,
        step: key.step,
        audience: key.audience,
        recipient,
        disposition: line.disposition,
        recorded_at: line.recorded_at,
        message_id: message.map(|message| message.message_id.clone()),
        sent_at: message.and_then(|message| message.sent_at),
    }
}

/// What a notice's fate makes somebody look at.
fn exception_of(line: &NoticeLine, row: &NoticeRow, held_reason: &str) -> Option<Exception> {
    let key = &line.key;
    let (code, detail) = match line.disposition {
        Disposition::Held if held_reason.is_empty() => (
            ExceptionCode::OnHold,
            "the server's answer never came".to_owned(),
        ),
        Disposition::Held => (ExceptionCode::OnHold, held_reason.to_owned()),
        Disposition::Queued if row.recipient.is_none() => {
            let detail = format!("nobody receives what the {} must be told", key.audience);
            (ExceptionCode::NoRecipient, detail)
        }
        Disposition::Queued | Disposition::Sent => match key.step {
            Step::Withdrawn(outcome) => {
                let detail = format!("{outcome} was told and is no longer true");
                (ExceptionCode::OutcomeWithdrawn, detail)
            }
            _ => return None,
        },
        _ => return None,
    };
    let (subject, subject_ref) = (key.subject, key.subject_ref.clone());
    Some(Exception {
        code,
        subject,
        subject_ref,
        detail,
    })
}

/// The figures of the managers' mail.
fn lines(figures: &Figures) -> Vec<(String, String)> {
    let owed = |owed: &Owed| {
        let Owed {
            currency,
            refunds,
            sum,
        } = owed;
        (
            format!("Refunds owed in {currency}"),
            format!("{refunds}, together {sum}"),
        )
    };
    let counts = [
        ("Overdue now", figures.overdue),
        ("Missed in the last 30 days", figures.missed_recently),
        ("Due in the next 7 days", figures.due_soon),
        ("Notices failed in the last 30 days", figures.notices_failed),
        ("Notices held", figures.notices_held),
        ("Exceptions", figures.exceptions),
    ];
    let counts = counts.map(|(label, count)| (label.to_owned(), count.to_string()));
    counts
        .into_iter()
        .chain(figures.refunds_owed.iter().map(owed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_carries_the_page_and_what_has_room() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |name: &str, size: u64| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_len(size).unwrap();
            FileEntry {
                name: name.to_owned(),
                rows: None,
                sha256: String::new(),
            }
        };
        let files = [
            entry("deadlines.csv", ATTACHED_BYTES),
            entry("claims.csv", 10),
            entry("summary.html", 10),
        ];
        let (attachments, names) = attached(&files, dir.path()).unwrap();
        let carried: Vec<&str> = attachments.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(carried, ["summary.html", "claims.csv"]);
        assert_eq!(names.len(), 3);
        assert!(
            names
                .iter()
                .any(|name| name.starts_with("deadlines.csv (too large"))
        );
    }
}
