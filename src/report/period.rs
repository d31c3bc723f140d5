//! The set of a week or a month: how the promises that fell due in it were
//! kept, and which were not.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use rust_decimal::Decimal;
use strum::{Display, IntoStaticStr};

use super::ReportName;
use super::cell::Cell;
use super::compliance::Compliance;
use super::file::{DescribedFile, create_directory};
use super::manifest::{History, Manifest, publish};
use super::rows::OrderDeadlines;
use super::table::Scope;
use super::writer::{Dialect, Format, RowWriter};
use crate::case::{Deadline, State};
use crate::policy::{Window, WindowKind};

/// How the promises of the period were kept, in the columns of `compliance`.
const COMPLIANCE_NAME: &str = "compliance.csv";

/// The promises of the period that were not kept in time, in the columns of
/// `deadlines`.
const MISSED_NAME: &str = "missed.csv";

/// What tells a promise apart, in the columns of `deadlines`.
const NAMED: [&str; 4] = ["order_ref", "subject", "ref", "window"];

/// What `compliance` counts of a promise, in the columns of `deadlines`.
pub const COUNTED: [&str; 3] = ["state", "gross_days", "net_days"];

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Period {
    /// From Monday to Sunday (ISO 8601).
    Week,
    /// A month of the calendar.
    Month,
}

/// A certain week or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which of the two it is.
    pub period: Period,
    /// `2026-W07` (ISO 8601) or `2026-01`.
    pub name: String,
    /// Its first local date.
    pub from: NaiveDate,
    /// Its last local date.
    pub to: NaiveDate,
}

impl Period {
    /// The last whole one before a date; `None` at the beginning of all dates.
    pub fn before(self, date: NaiveDate) -> Option<Span> {
        let within = match self {
            Self::Week => u64::from(date.weekday().num_days_from_monday()),
            Self::Month => u64::from(date.day0()),
        };
        let to = date.checked_sub_days(Days::new(within + 1))?;
        let (from, name) = match self {
            Self::Week => (to.checked_sub_days(Days::new(6))?, to.format("%G-W%V")),
            Self::Month => (to.with_day(1)?, to.format("%Y-%m")),
        };
        let name = name.to_string();
        Some(Span {
            period: self,
            name,
            from,
            to,
        })
    }
}

impl Span {
    /// The week or month of a name.
    pub fn parse(name: &str) -> Option<Self> {
        let day = |text: String, form| NaiveDate::parse_from_str(&text, form).ok();
        let (period, from) = match name.contains('W') {
            true => (Period::Week, day(format!("{name}-1"), "%G-W%V-%u")?),
            false => (Period::Month, day(format!("{name}-01"), "%Y-%m-%d")?),
        };
        let days = if period == Period::Week { 7 } else { 31 };
        // A day within the next one.
        let after = from.checked_add_days(Days::new(days))?;
        let span = period.before(after)?;
        (span.name == name).then_some(span)
    }
}

/// How one promise was kept in a period, and in the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The promise.
    pub window: Window,
    /// How many were met, missed or are overdue, and how many of them were met,
    /// in percent; `None` of none.
    pub now: (u64, Option<Decimal>),
    /// The same of the period before.
    pub before: (u64, Option<Decimal>),
}

/// The set on its way to a directory. Nothing appears there under its name
/// before [`PeriodSet::finish`].
pub struct PeriodSet<'r> {
    directory: PathBuf,
    scope: Scope<'r>,
    span: Span,
    /// `None`: there is none before.
    scope_before: Option<Scope<'r>>,
    dialect: Dialect,
    compliance: RowWriter<DescribedFile>,
    missed: RowWriter<DescribedFile>,
    promises: Option<RowWriter<DescribedFile>>,
    now: Compliance,
    before: Compliance,
}

impl<'r> PeriodSet<'r> {
    /// Begins the set of a period, held against the one before; the directory
    /// is made if it is not there. Of the scope only the rules and the time
    /// count.
    pub fn create(
        directory: &Path,
        scope: Scope<'r>,
        dialect: Dialect,
        span: Span,
    ) -> io::Result<Self> {
        create_directory(directory)?;
        let before = span.period.before(span.from);
        let rows = |file: &str, columns: ReportName| {
            let file = DescribedFile::create(&directory.join(file))?;
            RowWriter::new(columns, Format::Csv(dialect), &scope, file)
        };
        Ok(Self {
            directory: directory.to_owned(),
            compliance: rows(COMPLIANCE_NAME, ReportName::Compliance)?,
            missed: rows(MISSED_NAME, ReportName::Deadlines)?,
            promises: None,
            dialect,
            scope: scope.due_within(&span),
            scope_before: before.map(|before| scope.due_within(&before)),
            span,
            now: Compliance::default(),
            before: Compliance::default(),
        })
    }

    /// Writes the promises of the period one by one, too, in the columns of
    /// `deadlines`, with nothing in those that `compliance` does not count. That
    /// file is no part of the set.
    pub fn with_promises(mut self, file: &Path) -> io::Result<Self> {
        let file = DescribedFile::create(file)?;
        let format = Format::Csv(self.dialect);
        let rows = RowWriter::new(ReportName::Deadlines, format, &self.scope, file)?;
        self.promises = Some(rows);
        Ok(self)
    }

    /// Takes the deadlines of an order. They come in the order of their
    /// `order_ref`, bytewise.
    pub fn add(&mut self, order: &OrderDeadlines<'_>) -> io::Result<()> {
        let calendar = &self.scope.rules.calendar;
        for deadline in order.iter() {
            if self.scope.is_in_period(deadline) {
                self.now.add(deadline, calendar);
            } else if self
                .scope_before
                .is_some_and(|scope| scope.is_in_period(deadline))
            {
                self.before.add(deadline, calendar);
            }
        }
        let is_promise = |found: &Deadline| {
            found.window.kind() == WindowKind::Obligation && self.scope.is_in_period(found)
        };
        if let Some(promises) = &mut self.promises {
            let mut rows = order.rows(calendar, is_promise);
            rows.try_for_each(|row| promises.write(&counted(row)))?;
        }
        let mut missed = order.rows(calendar, |found| is_promise(found) && is_missed(found));
        missed.try_for_each(|row| self.missed.write(&row))
    }

    /// Puts the set in its place, as a daily set is; gives how the promises
    /// were kept, window by window.
    pub fn finish(mut self, mut history: History) -> io::Result<(Vec<Kept>, Manifest)> {
        history.period = Some(self.span.name);
        let kept = self.now.kept().zip(self.before.kept());
        let kept = kept.map(|((window, now), (_, before))| Kept {
            window,
            now,
            before,
        });
        let kept = kept.collect();
        for row in self.now.rows(&self.scope.rules.policies) {
            self.compliance.write(&row)?;
        }
        let (compliance, promises) = self.compliance.finish()?;
        let (missed, rows) = self.missed.finish()?;
        if let Some(promises) = self.promises {
            promises.finish()?.0.commit()?;
        }
        let files = [
            (COMPLIANCE_NAME.to_owned(), Some(promises), compliance),
            (MISSED_NAME.to_owned(), Some(rows), missed),
        ];
        let manifest = publish(&self.directory, &self.scope, self.dialect, history, files)?;
        Ok((kept, manifest))
    }
}

/// A row of `deadlines` with what `compliance` counts of it.
fn counted<const N: usize>(mut row: [Cell<'_>; N]) -> [Cell<'_>; N] {
    for (cell, column) in row.iter_mut().zip(ReportName::Deadlines.columns()) {
        if !NAMED.contains(column) && !COUNTED.contains(column) {
            *cell = Cell::Empty;
        }
    }
    row
}

fn is_missed(deadline: &Deadline) -> bool {
    matches!(deadline.state, State::Missed | State::Overdue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_period_before_a_day() {
        for (period, today, expected) in [
            // A Monday, a Sunday, and the days around the ends of years with
            // 52 and 53 weeks.
            (Period::Week, "2026-02-16", "2026-W07 2026-02-09 2026-02-15"),
            (Period::Week, "2026-02-15", "2026-W06 2026-02-02 2026-02-08"),
            (Period::Week, "2027-01-03", "2026-W52 2026-12-21 2026-12-27"),
            (Period::Week, "2027-01-04", "2026-W53 2026-12-28 2027-01-03"),
            (Period::Week, "2027-01-11", "2027-W01 2027-01-04 2027-01-10"),
            (Period::Week, "2025-01-06", "2025-W01 2024-12-30 2025-01-05"),
            (Period::Month, "2026-02-01", "2026-01 2026-01-01 2026-01-31"),
            (Period::Month, "2026-02-28", "2026-01 2026-01-01 2026-01-31"),
            (Period::Month, "2024-03-31", "2024-02 2024-02-01 2024-02-29"),
            (Period::Month, "2026-01-31", "2025-12 2025-12-01 2025-12-31"),
        ] {
            let span = period.before(today.parse().unwrap()).unwrap();
            let found = format!("{} {} {}", span.name, span.from, span.to);
            assert_eq!(found, expected, "{period} before {today}");
            assert_eq!(Span::parse(&span.name).as_ref(), Some(&span));
            let before = period.before(span.from).unwrap();
            assert_eq!(before.to.succ_opt(), Some(span.from));
        }
    }

    #[test]
    fn what_names_no_period() {
        for name in [
            "",
            "2026",
            "2026-13",
            "2026-W54",
            "2025-W53",
            "2026-1",
            "2026-01-02",
            "W",
        ] {
            assert_eq!(Span::parse(name), None, "{name}");
        }
    }
}
