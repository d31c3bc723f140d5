//! One report, filled case by case.

use std::fmt;
use std::io::{self, Write};

use chrono::{Days, NaiveDate};

use super::ReportName;
use super::cell::{Row, sort};
use super::compliance::Compliance;
use super::rows::{self, NoticeRow};
use super::writer::{Format, RowWriter};
use crate::case::{Case, Deadline, Evaluation, Exception, ExceptionCode, Rules, State};
use crate::policy::{Instant, Subject, WindowKind};

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'r> {
    /// What the cases were evaluated under.
    pub rules: &'r Rules,
    /// The time at which they were evaluated.
    pub at: Instant,
    /// `compliance`: the first local date on which a promise started that
    /// counts; `None`: from the beginning.
    pub from: Option<NaiveDate>,
    /// `compliance`: the last such date; `None`: to the end.
    pub to: Option<NaiveDate>,
    /// `upcoming`: how many local days ahead.
    pub days: u16,
}

impl Scope<'_> {
    /// Whether a promise is due soon: its due day is at most so many local
    /// days after today.
    fn is_upcoming(&self, deadline: &Deadline) -> bool {
        let calendar = &self.rules.calendar;
        let today = calendar.date_of(self.at);
        let horizon = today.checked_add_days(Days::new(self.days.into()));
        deadline.window.kind() == WindowKind::Obligation
            && deadline.state == State::Open
            && deadline.due_at.is_some_and(|due_at| {
                horizon.is_none_or(|horizon| calendar.date_of(due_at) <= horizon)
            })
    }

    fn is_in_period(&self, deadline: &Deadline) -> bool {
        let started_on = self.rules.calendar.date_of(deadline.started_at);
        self.from.is_none_or(|from| from <= started_on) && self.to.is_none_or(|to| started_on <= to)
    }
}

/// One report on its way to `W`. It is offered everything and takes what is
/// its own. `deadlines` and `notices` are written as they come; the others
/// are held, sorted and written at the end.
pub struct Report<'r, W: Write> {
    name: ReportName,
    scope: Scope<'r>,
    out: RowWriter<W>,
    held: Vec<Row>,
    compliance: Compliance,
}

/// A report that was written.
#[derive(Debug)]
pub struct Finished<W> {
    /// Which one.
    pub name: ReportName,
    /// What it was written to.
    pub out: W,
    /// How many rows it has.
    pub rows: u64,
    /// The rows, if they were held, in the report's order.
    pub(super) held: Vec<Row>,
}

impl<'r, W: Write> Report<'r, W> {
    /// Begins a report.
    pub fn new(name: ReportName, format: Format, scope: Scope<'r>, out: W) -> io::Result<Self> {
        Ok(Self {
            name,
            scope,
            out: RowWriter::new(name, format, scope.rules.calendar.zone, out)?,
            held: Vec::new(),
            compliance: Compliance::default(),
        })
    }

    /// Takes from a case what belongs to the report. Cases come in the order
    /// of their `order_ref`, bytewise.
    pub fn add(&mut self, case: &Case, evaluation: &Evaluation) -> io::Result<()> {
        let scope = self.scope;
        let deadlines = |keep: &dyn Fn(&Deadline) -> bool| rows::deadlines(case, evaluation, keep);
        let mut rows = match self.name {
            ReportName::Deadlines => deadlines(&|_| true),
            ReportName::Overdue => deadlines(&|found| found.state == State::Overdue),
            ReportName::Upcoming => deadlines(&|found| scope.is_upcoming(found)),
            ReportName::Claims => rows::claims(case, evaluation),
            ReportName::Refunds => rows::refunds(case, evaluation),
            ReportName::Exceptions => evaluation.exceptions.iter().map(rows::exception).collect(),
            ReportName::Compliance => {
                let found = evaluation.deadlines.iter();
                for deadline in found.filter(|deadline| scope.is_in_period(deadline)) {
                    self.compliance.add(deadline, &scope.rules.calendar);
                }
                Vec::new()
            }
            ReportName::Notices => Vec::new(),
        };
        if self.name == ReportName::Deadlines {
            sort(self.name, &mut rows);
            return rows.iter().try_for_each(|row| self.out.write(row));
        }
        self.held.append(&mut rows);
        Ok(())
    }

    /// Takes a case that could not be evaluated: an exception.
    pub fn add_failed(&mut self, order_ref: &str, error: &impl fmt::Display) {
        self.add_exception(&Exception {
            code: ExceptionCode::EvaluationFailed,
            subject: Subject::Order,
            subject_ref: order_ref.to_owned(),
            detail: error.to_string(),
        });
    }

    /// Takes an exception that only the store knows.
    pub fn add_exception(&mut self, exception: &Exception) {
        if self.name == ReportName::Exceptions {
            self.held.push(rows::exception(exception));
        }
    }

    /// Takes a notice. They come in the order of their report.
    pub fn add_notice(&mut self, notice: &NoticeRow) -> io::Result<()> {
        match self.name {
            ReportName::Notices => self.out.write(&rows::notice(notice)),
            _ => Ok(()),
        }
    }

    /// Writes what was held, and ends the report.
    pub fn finish(mut self) -> io::Result<Finished<W>> {
        if self.name == ReportName::Compliance {
            self.held = self.compliance.rows(&self.scope.rules.policies);
        }
        sort(self.name, &mut self.held);
        for row in &self.held {
            self.out.write(row)?;
        }
        let (out, rows) = self.out.finish()?;
        Ok(Finished {
            name: self.name,
            out,
            rows,
            held: self.held,
        })
    }
}
