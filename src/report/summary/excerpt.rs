//! The first rows of a report, as tables of the page.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

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

/// A promise that is late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Late {
    /// Local days.
    pub days: i64,
    /// The promise.
    pub window: String,
    /// The clause of the policy.
    pub clause: String,
    /// What it hangs on: `claim` or `order`.
    pub subject: String,
    /// Its name.
    pub subject_ref: String,
    /// The order.
    pub order_ref: String,
    /// The last local date on which it would have been kept.
    pub last_day: String,
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
        self.of(|fields| fields.texts(calendar))
    }

    /// The rows of `overdue`: those that are late for the longest time first.
    pub fn late(&self, calendar: &Calendar) -> Table<Late> {
        self.of(|fields| fields.late(calendar))
    }

    fn of<T>(&self, make: impl Fn(Fields<'_>) -> T) -> Table<T> {
        Table {
            rows: self.rows.iter().map(|row| make(self.fields(row))).collect(),
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

    /// All fields as texts; who has a promise; and the last day of a refund, of
    /// which the report has only the instant after it.
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
        if let (Some(window), Some(assignee)) = (texts.get("window"), texts.get("assignee")) {
            texts.insert("who", who(window, assignee));
        }
        texts
    }

    fn late(&self, calendar: &Calendar) -> Late {
        let mut texts = self.texts(calendar);
        let mut text = |column| texts.remove(column).unwrap_or_default();
        Late {
            who: text("who"),
            window: text("window"),
            clause: text("clause"),
            subject: text("subject"),
            subject_ref: text("ref"),
            order_ref: text("order_ref"),
            last_day: text("last_day"),
            days: number(self.cell("late_days")),
            level: number(self.cell("level")),
        }
    }
}

/// Who has a promise, as on the worklists: finance what is to be paid, else
/// the assignee, else the lead.
fn who(window: &str, assignee: &str) -> String {
    let paid = [Window::RefundPayment, Window::CancellationRefund];
    if paid.iter().any(|paid| window == <&str>::from(paid)) {
        Audience::Finance.to_string()
    } else if assignee.is_empty() {
        Audience::Lead.to_string()
    } else {
        assignee.to_owned()
    }
}

fn number(cell: &Cell<'_>) -> i64 {
    match cell {
        Cell::Number(number) => *number,
        _ => 0,
    }
}
