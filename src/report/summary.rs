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

impl Figures {
    pub(super) fn of<W>(reports: &[Finished<W>], recent: &Recent) -> Self {
        let rows = |name| held(reports, name).len() as u64;
        let mut owed: BTreeMap<String, (u64, Decimal)> = BTreeMap::new();
        for row in held(reports, ReportName::Refunds) {
            let fields = Fields::of(ReportName::Refunds, row);
            if let (Cell::Code(currency), Cell::Money(amount), Cell::Empty) = (
                fields.cell("currency"),
                fields.cell("amount"),
                fields.cell("refunded_at"),
            ) {
                let (refunds, sum) = owed.entry(currency.to_string()).or_default();
                *refunds += 1;
                *sum = sum.saturating_add(*amount);
            }
        }
        let owed = owed.into_iter().map(|(currency, (refunds, sum))| Owed {
            currency,
            refunds,
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

fn held<W>(reports: &[Finished<W>], name: ReportName) -> &[Row] {
    reports
        .iter()
        .find(|report| report.name == name)
        .map_or(&[], |report| &report.held)
}

/// The cells of a row by their columns.
#[derive(Clone, Copy)]
struct Fields<'t> {
    columns: &'static [&'static str],
    row: &'t Row,
}

impl<'t> Fields<'t> {
    fn of(name: ReportName, row: &'t Row) -> Self {
        let columns = name.columns();
        Self { columns, row }
    }

    fn cell(&self, column: &str) -> &'t Cell {
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
            .map(|(column, cell)| (*column, cell.plain(calendar.zone).into_owned()))
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
    let table = |name: ReportName, keep: &dyn Fn(Fields<'_>) -> bool| {
        let rows = held(reports, name).iter();
        let kept: Vec<_> = rows
            .map(|row| Fields::of(name, row))
            .filter(|fields| keep(*fields))
            .collect();
        let shown = kept.iter().take(MAX_ROWS);
        Table {
            rows: shown.map(|fields| fields.texts(calendar)).collect(),
            total: kept.len(),
            file: format!("{name}.csv"),
        }
    };
    let mut exceptions = BTreeMap::new();
    for row in held(reports, ReportName::Exceptions) {
        let code = Fields::of(ReportName::Exceptions, row).cell("code");
        *exceptions
            .entry(code.plain(calendar.zone).into_owned())
            .or_default() += 1;
    }
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
        overdue: table(ReportName::Overdue, &|_| true),
        upcoming: table(ReportName::Upcoming, &|_| true),
        compliance: table(ReportName::Compliance, &|_| true),
        refunds: table(ReportName::Refunds, &|row| {
            *row.cell("refunded_at") == Cell::Empty
        }),
        exceptions,
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_named_str("summary.html", TEMPLATE, Serde(page))
        .map_err(io::Error::other)
}
