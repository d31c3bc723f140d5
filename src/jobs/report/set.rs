//! The kinds of sets of reports, as they are written once more for comparing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use super::super::book::InForce;
use super::super::{Refused, Shop};
use super::compliance::period_fill;
use super::{AsOf, day_scope, set_fill};
use crate::case::{Case, Evaluation};
use crate::policy::{Window, WindowKind};
use crate::report::{
    COUNTED, DailySet, Dialect, Format, History, Manifest, PeriodSet, Report, ReportName, Scope,
    Span, read_rows,
};

/// SHA-256 of files, by their names.
pub(super) type Hashes = BTreeMap<String, String>;

/// Rows, each by its file and the fields that the file is sorted by.
pub(super) type Rows = BTreeMap<Row, Vec<String>>;

/// A row by its file and the fields that the file is sorted by.
pub(super) type Row = (String, Vec<String>);

/// The promises of a week or a month one by one: what its `compliance.csv`
/// counts. It is not published.
pub(super) const PROMISES: &str = "promises.csv";

/// Reports whose rows are of one case each.
const OF_CASES: [ReportName; 6] = [
    ReportName::Deadlines,
    ReportName::Overdue,
    ReportName::Upcoming,
    ReportName::Claims,
    ReportName::Refunds,
    ReportName::Exceptions,
];

/// The states of a week's or month's `missed.csv`.
const MISSED: [&str; 2] = ["missed", "overdue"];

/// Which set it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetKind {
    Day,
    Period(Span),
}

impl SetKind {
    /// The kind of a manifest's set; `name` is the manifest's.
    pub fn of(manifest: &Manifest, name: &str) -> Result<Self> {
        match &manifest.period {
            None => Ok(Self::Day),
            Some(period) => {
                let span = Span::parse(period).with_context(|| {
                    Refused(format!(
                        "{name}: period: found `{period}`, expected a week such as `2026-W07` or \
                         a month such as `2026-01`"
                    ))
                })?;
                Ok(Self::Period(span))
            }
        }
    }

    /// The report in whose columns a file is; `None`: a page.
    pub fn report_of(&self, file: &str) -> Option<ReportName> {
        match (self, file.strip_suffix(".csv")?) {
            (Self::Period(_), "missed") => Some(ReportName::Deadlines),
            (_, name) => name.parse().ok(),
        }
    }

    /// Writes the set's files to a directory; gives their hashes.
    pub async fn write(
        &self,
        shop: &Shop,
        as_of: AsOf,
        in_force: &InForce,
        dialect: Dialect,
        dir: &Path,
    ) -> Result<Hashes> {
        let tx = shop.store.read().await?;
        let scope = day_scope(in_force, as_of.at);
        let history = History::default();
        let manifest = match self {
            Self::Day => {
                let mut set = DailySet::create(dir, scope, dialect)?;
                set_fill(shop, tx, in_force, as_of, &mut set).await?;
                set.finish(history)?.manifest
            }
            Self::Period(span) => {
                let set = PeriodSet::create(dir, scope, dialect, span.clone())?;
                let mut set = set.with_promises(&dir.join(PROMISES))?;
                period_fill(shop, tx, in_force, as_of, &mut set).await?;
                set.finish(history)?.1
            }
        };
        let files = manifest.files.into_iter();
        Ok(files.map(|file| (file.name, file.sha256)).collect())
    }

    /// The rows of a case in the set's files. A row of `compliance` is what it
    /// counts of a promise.
    pub fn rows_of(
        &self,
        case: &Case,
        evaluation: &Evaluation,
        dialect: Dialect,
        scope: Scope<'_>,
    ) -> io::Result<Rows> {
        let mut rows = Rows::new();
        let read = |name| rows_in(name, dialect, scope, |report| report.add(case, evaluation));
        match self {
            Self::Day => {
                for name in OF_CASES {
                    rows.extend(named(name, read(name)?));
                }
            }
            Self::Period(span) => {
                for (key, row) in read(ReportName::Deadlines)? {
                    if is_promise_within(&row, span) {
                        let of = |file: &str| (file.to_owned(), key.clone());
                        rows.insert(of("compliance.csv"), counted(&row));
                        if MISSED.contains(&field(&row, "state")) {
                            rows.insert(of("missed.csv"), row);
                        }
                    }
                }
            }
        }
        Ok(rows)
    }

    /// The rows of exceptions in the set's files: a week or a month has none.
    pub fn rows_of_exceptions(
        &self,
        dialect: Dialect,
        scope: Scope<'_>,
        add: impl FnOnce(&mut Report<'_, Vec<u8>>) -> io::Result<()>,
    ) -> io::Result<Rows> {
        let name = ReportName::Exceptions;
        match self {
            Self::Day => Ok(named(name, rows_in(name, dialect, scope, add)?).collect()),
            Self::Period(_) => Ok(Rows::new()),
        }
    }
}

/// A row's fields that a report is sorted by, and all of them.
type KeyedRow = (Vec<String>, Vec<String>);

/// The rows that a report has of what is added to it.
fn rows_in(
    name: ReportName,
    dialect: Dialect,
    scope: Scope<'_>,
    add: impl FnOnce(&mut Report<'_, Vec<u8>>) -> io::Result<()>,
) -> io::Result<Vec<KeyedRow>> {
    let mut report = Report::new(name, Format::Csv(dialect), scope, Vec::new())?;
    add(&mut report)?;
    let text = report.finish()?.out;
    read_rows(name, dialect, text.as_slice())
}

/// Rows of a day's file.
fn named(name: ReportName, rows: Vec<KeyedRow>) -> impl Iterator<Item = (Row, Vec<String>)> {
    let rows = rows.into_iter();
    rows.map(move |(key, row)| ((format!("{name}.csv"), key), row))
}

/// A field of a row of `deadlines`.
fn field<'r>(row: &'r [String], column: &str) -> &'r str {
    let mut columns = ReportName::Deadlines.columns().iter();
    let place = columns.position(|found| *found == column);
    place
        .and_then(|place| row.get(place))
        .map_or("", String::as_str)
}

/// Whether a row of `deadlines` is a promise of a week or a month.
fn is_promise_within(row: &[String], span: &Span) -> bool {
    let window: Option<Window> = field(row, "window").parse().ok();
    let is_promise = window.is_some_and(|window| window.kind() == WindowKind::Obligation);
    let last_day: Option<NaiveDate> = field(row, "last_day").parse().ok();
    is_promise && last_day.is_some_and(|day| span.from <= day && day <= span.to)
}

/// What `compliance` counts of a row of `deadlines`.
fn counted(row: &[String]) -> Vec<String> {
    let counted = COUNTED.iter().map(|column| field(row, column).to_owned());
    counted.collect()
}
