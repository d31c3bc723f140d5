//! How the shop stands, as a letter to the managers: what heads their page.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use minijinja::{Error, Value, context};

use crate::policy::{Money, Subject, Window};

use super::files::Files;
use super::layout::{Bar, Item, Section};
use super::letter::{ComposeError, Letter, Letters};
use super::notice::Shop;
use super::scribe::Scribe;
use super::text::one_line;

/// The most late promises that the letter tells; the page and the files have
/// the others.
pub const WORST_PER_LETTER: usize = 10;

/// How the shop stands at the end of a night.
#[derive(Debug, Clone)]
pub struct DayReport {
    /// The local date.
    pub date: NaiveDate,
    /// Promises that are late.
    pub overdue: Count,
    /// Promises of the last days that were broken.
    pub missed: Count,
    /// How many days these are, today included.
    pub recent_days: u16,
    /// Refunds that are owed, by currency.
    pub refunds: Vec<OwedMoney>,
    /// Notices of the last days that nobody got.
    pub notices_failed: Count,
    /// Notices that are kept back.
    pub notices_held: u64,
    /// What somebody should look at.
    pub exceptions: u64,
    /// How each promise of the last days was kept.
    pub on_time: Vec<OnTimeShare>,
    /// The first late promises, the longest first.
    pub worst: Vec<LatePromise>,
    /// The next days.
    pub due: Vec<DueOn>,
}

/// A count, and by how much it went up or down.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// As of the report.
    pub now: u64,
    /// More than a day before, or less.
    pub since_yesterday: i64,
    /// More than a week before, or less.
    pub since_last_week: i64,
}

/// What is owed in one currency, and by how much it went up or down.
#[derive(Debug, Clone)]
pub struct OwedMoney {
    /// How many refunds.
    pub refunds: Count,
    /// Their sum.
    pub sum: Money,
    /// In minor units.
    pub since_yesterday: i64,
    /// In minor units.
    pub since_last_week: i64,
}

/// How a promise was kept.
#[derive(Debug, Clone)]
pub struct OnTimeShare {
    /// The promise.
    pub window: Window,
    /// How many were met, missed or are overdue.
    pub decided: u64,
    /// How many of those were met, in hundredths of a percent; `None` of none.
    pub share: Option<i64>,
    /// By how much that went up or down, where there was any.
    pub since_yesterday: Option<i64>,
    /// The same in a week.
    pub since_last_week: Option<i64>,
}

/// A promise that is late.
#[derive(Debug, Clone)]
pub struct LatePromise {
    /// The promise.
    pub window: Window,
    /// The name of what it hangs on.
    pub subject_ref: String,
    /// The order.
    pub order_ref: String,
    /// Local days.
    pub days: i64,
    /// An address inside the shop, or `lead`, or `finance`.
    pub who: String,
}

/// What falls due on a day.
#[derive(Debug, Clone)]
pub struct DueOn {
    /// The local date.
    pub date: NaiveDate,
    /// Whether the shop works on it.
    pub is_working_day: bool,
    /// How many promises.
    pub promises: u64,
}

impl Letters {
    /// The managers' daily mail, in the shop's locale.
    pub fn report(
        &self,
        shop: &Shop,
        day: &DayReport,
        files: &Files,
    ) -> Result<Letter, ComposeError> {
        let scribe = self.scribe(&shop.locale, shop);
        let values = values(&scribe, day)?;
        let (subject, intro) = scribe.letter("report", &values)?;
        let words: BTreeMap<String, String> =
            scribe.pairs("report_words", &values)?.into_iter().collect();
        let title = |key: &str| words.get(key).cloned().unwrap_or_else(|| key.to_owned());
        let sections = [
            Section {
                title: title("figures"),
                items: figures(&scribe, &values)?,
                ..Section::default()
            },
            Section {
                title: title("worst"),
                items: worst(&scribe, day)?,
                ..Section::default()
            },
            Section {
                title: title("due"),
                bars: due(&scribe, day)?,
                ..Section::default()
            },
            Section {
                title: title("on_time"),
                bars: on_time(&scribe, day)?,
                ..Section::default()
            },
            Section {
                title: title("files"),
                paragraphs: files.paragraphs(&scribe)?,
                ..Section::default()
            },
        ];
        let sections = sections.into_iter().filter(|section| !section.is_empty());
        scribe.lay_out_list(subject, intro, sections.collect())
    }
}

fn values(scribe: &Scribe<'_>, day: &DayReport) -> Result<Value, Error> {
    let refunds = day.refunds.iter().map(|owed| {
        let money = |minor| scribe.money(Money { minor, ..owed.sum });
        Ok(context! {
            refunds => count(owed.refunds),
            currency => owed.sum.currency.to_string(),
            sum => scribe.money(owed.sum)?,
            since_yesterday => owed.since_yesterday,
            since_last_week => owed.since_last_week,
            // Without their sign, which the words have.
            by_yesterday => money(owed.since_yesterday.saturating_abs())?,
            by_last_week => money(owed.since_last_week.saturating_abs())?,
        })
    });
    Ok(context! {
        date => scribe.date(day.date)?,
        recent_days => day.recent_days,
        due_days => day.due.len(),
        overdue => count(day.overdue),
        missed => count(day.missed),
        refunds => refunds.collect::<Result<Vec<Value>, Error>>()?,
        notices_failed => count(day.notices_failed),
        notices_held => day.notices_held,
        exceptions => day.exceptions,
        worst => day.worst.len().min(WORST_PER_LETTER),
    })
}

fn count(count: Count) -> Value {
    let Count {
        now,
        since_yesterday,
        since_last_week,
    } = count;
    context! { now, since_yesterday, since_last_week }
}

/// Each figure, and by how much it went up or down.
fn figures(scribe: &Scribe<'_>, values: &Value) -> Result<Vec<Item>, Error> {
    let figures = scribe.pairs("report_figures", values)?.into_iter();
    let item = |(title, change): (String, String)| Item {
        title,
        lines: [change]
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect(),
    };
    Ok(figures.map(item).collect())
}

fn worst(scribe: &Scribe<'_>, day: &DayReport) -> Result<Vec<Item>, Error> {
    let worst = day.worst.iter().take(WORST_PER_LETTER);
    let items = worst.map(|late| {
        let (window, subject) = scribe.promise(late.window, &late.subject_ref)?;
        let is_order = late.window.subject() == Subject::Order;
        let values = context! {
            window,
            subject,
            is_order,
            order_ref => scribe.name(&late.order_ref),
            days => late.days,
            who => one_line(&late.who),
        };
        let (title, lines) = scribe.letter("report_late", &values)?;
        Ok(Item { title, lines })
    });
    items.collect()
}

fn due(scribe: &Scribe<'_>, day: &DayReport) -> Result<Vec<Bar>, Error> {
    let most = day.due.iter().map(|due| due.promises).max().unwrap_or(0);
    let bars = day.due.iter().map(|due| {
        Ok(Bar {
            label: scribe.date(due.date)?,
            value: due.promises.to_string(),
            note: None,
            share: share(due.promises, most),
            is_quiet: !due.is_working_day,
        })
    });
    match most {
        0 => Ok(Vec::new()),
        _ => bars.collect(),
    }
}

fn on_time(scribe: &Scribe<'_>, day: &DayReport) -> Result<Vec<Bar>, Error> {
    let decided = day
        .on_time
        .iter()
        .filter_map(|kept| Some((kept, kept.share?)));
    let bars = decided.map(|(kept, hundredths)| {
        let values = context! {
            share => hundredths,
            since_yesterday => kept.since_yesterday,
            since_last_week => kept.since_last_week,
            decided => kept.decided,
        };
        let (window, _) = scribe.promise(kept.window, "")?;
        let (value, note) = scribe.letter("report_on_time", &values)?;
        Ok(Bar {
            label: window,
            value,
            note: note.into_iter().next(),
            share: share(u64::try_from(hundredths).unwrap_or(0), 10_000),
            is_quiet: false,
        })
    });
    bars.collect()
}

/// In percent; what is there at all can be seen.
fn share(part: u64, whole: u64) -> u8 {
    let share = part.saturating_mul(100) / whole.max(1);
    let share = u8::try_from(share.min(100)).unwrap_or(100);
    share.max(u8::from(part > 0))
}
