//! The managers' page and its figures. Its tables are rows of the reports, so
//! that the page and the files never say different things.

use std::collections::BTreeMap;
use std::io;

use chrono::{Days, TimeDelta};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use rust_decimal::Decimal;
use serde::Serialize;

use super::ReportName;
use super::cell::{Cell, Row};
use super::rows::NoticeRow;
use super::table::{Finished, Scope};
use crate::case::{Disposition, Evaluation, State};
use crate::policy::{Calendar, Instant};

const TEMPLATE: &str = include_str!("../../templates/report/summary.html");

/// How many local days the figures about the past look back, today included.
const RECENT_DAYS: u16 = 30;

/// The longest table of the page; the file has all rows.
const MAX_ROWS: usize = 200;

/// The figures that head the page and the managers' mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Promises that are late now.
    pub overdue: u64,
    /// Promises that ended too late within the last 30 local days.
    pub missed_recently: u64,
    /// Promises that are due in the days that `upcoming` covers.
    pub due_soon: u64,
    /// What is still to be paid, by currency.
    pub refunds_owed: Vec<Owed>,
    /// Notices of the last 30 local days that could not be delivered.
    pub notices_failed: u64,
    /// Notices that are kept back.
    pub notices_held: u64,
    /// Exceptions of all codes.
    pub exceptions: u64,
}

/// Refunds that are owed in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// ISO 4217.
    pub currency: String,
    /// How many refunds.
    pub refunds: u64,
    /// Their sum, with the currency's own decimals.
    pub sum: String,
}

/// What the figures need and no report holds.
#[derive(Debug, Default)]
pub(super) struct Recent {
    missed: u64,
    notices_failed: u64,
    notices_held: u64,
}

impl Recent {
    pub fn add(&mut self, evaluation: &Evaluation, scope: &Scope<'_>) {
        let missed = evaluation.deadlines.iter().filter(|deadline| {
            deadline.state == State::Missed
                && deadline.ended_at.is_some_and(|at| is_recent(at, scope))
        });
        self.missed += missed.count() as u64;
    }

    pub fn add_notice(&mut self, notice: &NoticeRow, scope: &Scope<'_>) {
        match notice.disposition {
            Disposition::Held => self.notices_held += 1,
            Disposition::Failed if is_recent(notice.recorded_at, scope) => self.notices_failed += 1,
            _ => {}
        }
    }
}

fn is_recent(at: Instant, scope: &Scope<'_>) -> bool {
    let calendar = &scope.rules.calendar;
    let today = calendar.date_of(scope.at);
    let before = today.checked_sub_days(Days::new(RECENT_DAYS.into()));
    at <= scope.at && before.is_none_or(|before| calendar.date_of(at) > before)
}

/// What the page shows of a report: its first rows, and what they come to.
#[derive(Debug)]
pub(super) struct Excerpt {
    name: ReportName,
    rows: Vec<Row<'static>>,
    total: usize,
    /// `refunds`: how many are owed in a currency, and their sum.
    owed: BTreeMap<String, (u64, Decimal)>,
    /// `exceptions`: how many there are of each code.
    codes: BTreeMap<String, u64>,
}

impl Excerpt {
    /// No rows yet.
    pub fn new(name: ReportName) -> Self {
        Self {
            name,
            rows: Vec::new(),
            total: 0,
            owed: BTreeMap::new(),
            codes: BTreeMap::new(),
        }
    }

    /// Takes a row. They come in the report's order. A refund that was paid is
    /// owed no more.
    pub fn add(&mut self, row: Row<'static>) {
        let fields = Fields {
            columns: self.name.columns(),
            row: &row,
        };
        if *fields.cell("refunded_at") != Cell::Empty {
            return;
        }
        if let (Cell::Code(currency), Cell::Money(amount)) =
            (fields.cell("currency"), fields.cell("amount"))
        {
            let (refunds, sum) = self.owed.entry(currency.to_string()).or_default();
            *refunds += 1;
            *sum = sum.saturating_add(*amount);
        }
        if let Cell::Code(code) = fields.cell("code") {
            *self.codes.entry(code.to_string()).or_default() += 1;
        }
        self.total += 1;
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        }
    }

    fn table(&self, calendar: &Calendar) -> Table {
        let columns = self.name.columns();
        let texts = |row| Fields { columns, row }.texts(calendar);
        Table {
            rows: self.rows.iter().map(texts).collect(),
            total: self.total,
            file: format!("{}.csv", self.name),
        }
    }
}

impl Figures {
    pub(super) fn of<W>(reports: &[Finished<W>], recent: &Recent) -> Self {
        let of = |name| reports.iter().find(|report| report.name == name);
        let rows = |name| of(name).map_or(0, |report| report.rows);
        let owed = of(ReportName::Refunds).into_iter();
        let owed = owed.flat_map(|refunds| &refunds.excerpt.owed);
        let owed = owed.map(|(currency, (refunds, sum))| Owed {
            currency: currency.clone(),
            refunds: *refunds,
            sum: sum.to_string(),
        });
        Self {
            overdue: rows(ReportName::Overdue),
            missed_recently: recent.missed,
            due_soon: rows(ReportName::Upcoming),
            refunds_owed: owed.collect(),
            notices_failed: recent.notices_failed,
            notices_held: recent.notices_held,
            exceptions: rows(ReportName::Exceptions),
        }
    }
}

/// The cells of a row by their columns.
#[derive(Clone, Copy)]
struct Fields<'t> {
    columns: &'static [&'static str],
    row: &'t Row<'static>,
}

impl<'t> Fields<'t> {
    fn cell(&self, column: &str) -> &'t Cell<'static> {
        let mut cells = self.columns.iter().zip(self.row);
        cells
            .find(|(name, _)| **name == column)
            .map_or(&Cell::Empty, |(_, cell)| cell)
    }

    /// All fields as texts; and the last day of a refund, of which the report
    /// has only the instant after it.
    fn texts(&self, calendar: &Calendar) -> BTreeMap<&'static str, String> {
        let cells = self.columns.iter().zip(self.row);
        let mut texts: BTreeMap<_, _> = cells
            .map(|(column, cell)| (*column, cell.plain(calendar.zone)))
            .collect();
        texts.entry("last_day").or_insert_with(|| {
            let due_at = match self.cell("due_at") {
                Cell::Time(at) => at.checked_sub_signed(TimeDelta::microseconds(1)),
                _ => None,
            };
            due_at.map_or_else(String::new, |at| calendar.date_of(at).to_string())
        });
        texts
    }
}

/// The first rows of a report, with the name of the file that has them all.
#[derive(Serialize)]
struct Table {
    rows: Vec<BTreeMap<&'static str, String>>,
    total: usize,
    file: String,
}

/// All that the template may use.
#[derive(Serialize)]
struct Page<'p> {
    date: String,
    time: String,
    zone: &'static str,
    version: &'static str,
    from: Option<String>,
    to: Option<String>,
    days: u16,
    recent_days: u16,
    figures: &'p Figures,
    overdue: Table,
    upcoming: Table,
    compliance: Table,
    refunds: Table,
    exceptions: BTreeMap<String, u64>,
}

/// Renders the page.
pub(super) fn page<W>(
    scope: &Scope<'_>,
    figures: &Figures,
    reports: &[Finished<W>],
) -> io::Result<String> {
    let calendar = &scope.rules.calendar;
    let local = scope.at.with_timezone(&calendar.zone);
    let excerpt = |name| {
        let report = reports.iter().find(|report| report.name == name);
        let excerpt = report.map(|report| &report.excerpt);
        excerpt.ok_or_else(|| io::Error::other(format!("the set has no report {name}")))
    };
    let table = |name| Ok::<_, io::Error>(excerpt(name)?.table(calendar));
    let page = Page {
        date: local.format("%Y-%m-%d").to_string(),
        time: local.format("%H:%M").to_string(),
        zone: calendar.zone.name(),
        version: env!("CARGO_PKG_VERSION"),
        from: scope.from.map(|date| date.to_string()),
        to: scope.to.map(|date| date.to_string()),
        days: scope.days,
        recent_days: RECENT_DAYS,
        figures,
        overdue: table(ReportName::Overdue)?,
        upcoming: table(ReportName::Upcoming)?,
        compliance: table(ReportName::Compliance)?,
        refunds: table(ReportName::Refunds)?,
        exceptions: excerpt(ReportName::Exceptions)?.codes.clone(),
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_named_str("summary.html", TEMPLATE, Serde(page))
        .map_err(io::Error::other)
}
