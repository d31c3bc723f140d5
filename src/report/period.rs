//! The set of a week or a month: how the promises that fell due in it were
//! kept, and which were not.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use rust_decimal::Decimal;
use strum::{Display, IntoStaticStr};

use super::ReportName;
use super::compliance::Compliance;
use super::file::{DescribedFile, create_directory};
use super::manifest::{History, Manifest, publish};
use super::rows::OrderDeadlines;
use super::table::{By, Scope};
use super::writer::{Dialect, Format, RowWriter};
use crate::case::State;
use crate::policy::{Window, WindowKind};

/// How the promises of the period were kept, in the columns of `compliance`.
const COMPLIANCE_NAME: &str = "compliance.csv";

/// The promises of the period that were not kept in time, in the columns of
/// `deadlines`.
const MISSED_NAME: &str = "missed.csv";

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
        Some(Span { name, from, to })
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
    scope_before: Scope<'r>,
    dialect: Dialect,
    compliance: RowWriter<DescribedFile>,
    missed: RowWriter<DescribedFile>,
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
        span: &Span,
        before: &Span,
    ) -> io::Result<Self> {
        create_directory(directory)?;
        let within = |span: &Span| Scope {
            from: Some(span.from),
            to: Some(span.to),
            by: By::Due,
            ..scope
        };
        let rows = |file: &str, columns: ReportName| {
            let file = DescribedFile::create(&directory.join(file))?;
            RowWriter::new(columns, Format::Csv(dialect), &scope, file)
        };
        Ok(Self {
            directory: directory.to_owned(),
            compliance: rows(COMPLIANCE_NAME, ReportName::Compliance)?,
            missed: rows(MISSED_NAME, ReportName::Deadlines)?,
            dialect,
            scope: within(span),
            scope_before: within(before),
            now: Compliance::default(),
            before: Compliance::default(),
        })
    }

    /// Takes the deadlines of an order. They come in the order of their
    /// `order_ref`, bytewise.
    pub fn add(&mut self, order: &OrderDeadlines<'_>) -> io::Result<()> {
        let calendar = &self.scope.rules.calendar;
        for deadline in order.iter() {
            if self.scope.is_in_period(deadline) {
                self.now.add(deadline, calendar);
            } else if self.scope_before.is_in_period(deadline) {
                self.before.add(deadline, calendar);
            }
        }
        let mut missed = order.rows(calendar, |found| {
            found.window.kind() == WindowKind::Obligation
                && matches!(found.state, State::Missed | State::Overdue)
                && self.scope.is_in_period(found)
        });
        missed.try_for_each(|row| self.missed.write(&row))
    }

    /// Puts the set in its place, as a daily set is; gives how the promises
    /// were kept, window by window.
    pub fn finish(mut self, history: History) -> io::Result<(Vec<Kept>, Manifest)> {
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
        let files = [
            (COMPLIANCE_NAME.to_owned(), Some(promises), compliance),
            (MISSED_NAME.to_owned(), Some(rows), missed),
        ];
        let manifest = publish(&self.directory, &self.scope, self.dialect, history, files)?;
        Ok((kept, manifest))
    }
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
            let before = period.before(span.from).unwrap();
            assert_eq!(before.to.succ_opt(), Some(span.from));
        }
    }
}
