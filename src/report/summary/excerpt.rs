//! The first rows of a report, as tables of the page.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use crate::case::whose;
use crate::policy::{Audience, Calendar, Window};
use crate::report::ReportName;
use crate::report::cell::{Cell, Row};

/// The longest table of the page; the file has all rows.
const MAX_ROWS: usize = 200;

/// What the page shows of a report: its first rows, and what they come to.
#[derive(Debug)]
pub(in crate::report) struct Excerpt {
    name: ReportName,
    rows: Vec<Row<'static>>,
    total: usize,
    /// `exceptions`: how many there are of each code.
    pub codes: BTreeMap<String, u64>,
}

/// A promise that is still to be kept, late or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunningPromise {
    /// The promise.
    pub window: Window,
    /// The clause of the policy.
    pub clause: String,
    /// What it hangs on: `claim` or `order`.
    pub subject: String,
    /// Its name.
    pub subject_ref: String,
    /// The order.
    pub order_ref: String,
    /// The last local date on which it is kept in time.
    pub last_day: String,
    /// How late it is, in local days.
    pub late_days: i64,
    /// The highest escalation level that it reached.
    pub level: i64,
    /// Who has it: the assignee's address, `lead` or `finance`.
    pub who: String,
}

impl Excerpt {
    /// No rows yet.
    pub fn new(name: ReportName) -> Self {
        Self {
            name,
            rows: Vec::new(),
            total: 0,
            codes: BTreeMap::new(),
        }
    }

    /// Takes a row. They come in the report's order. A refund that was paid is
    /// owed no more.
    pub fn add(&mut self, row: Row<'static>) {
        let fields = self.fields(&row);
        if *fields.cell("refunded_at") != Cell::Empty {
            return;
        }
        if let Cell::Code(code) = fields.cell("code") {
            let code = code.to_string();
            *self.codes.entry(code).or_default() += 1;
        }
        self.total += 1;
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        }
    }

    /// The rows as texts.
    pub fn table(&self, calendar: &Calendar) -> Table<BTreeMap<&'static str, String>> {
        self.of(|fields| Some(fields.texts(calendar)))
    }

    /// The rows of `overdue` or `upcoming`, in their order.
    pub fn promises(&self, calendar: &Calendar) -> Table<RunningPromise> {
        self.of(|fields| fields.promise(calendar))
    }

    fn of<T>(&self, make: impl Fn(Fields<'_>) -> Option<T>) -> Table<T> {
        let rows = self.rows.iter();
        Table {
            rows: rows.filter_map(|row| make(self.fields(row))).collect(),
            total: self.total,
            file: format!("{}.csv", self.name),
        }
    }

    fn fields<'t>(&self, row: &'t Row<'static>) -> Fields<'t> {
        Fields {
            columns: self.name.columns(),
            row,
        }
    }
}

/// The first rows of a report, with the name of the file that has them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::report) struct Table<T> {
    pub rows: Vec<T>,
    pub total: usize,
    pub file: String,
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

    fn promise(&self, calendar: &Calendar) -> Option<RunningPromise> {
        let text = |column| self.cell(column).plain(calendar.zone);
        let (window, assignee) = (text("window").parse().ok()?, text("assignee"));
        let whose = whose(window, !assignee.is_empty());
        Some(RunningPromise {
            window,
            clause: text("clause"),
            subject: text("subject"),
            subject_ref: text("ref"),
            order_ref: text("order_ref"),
            last_day: text("last_day"),
            late_days: number(self.cell("late_days")),
            level: number(self.cell("level")),
            who: match whose {
                Audience::Assignee => assignee,
                _ => whose.to_string(),
            },
        })
    }
}

fn number(cell: &Cell<'_>) -> i64 {
    match cell {
        Cell::Number(number) => *number,
        _ => 0,
    }
}
