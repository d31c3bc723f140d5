//! One report, filled case by case.

use std::fmt;
use std::io::{self, Write};

use chrono::{Days, NaiveDate};
use strum::{Display, EnumString, VariantArray};

use super::ReportName;
use super::cell::Cell;
use super::compliance::Compliance;
use super::period::Span;
use super::rows::{self, NoticeRow, OrderDeadlines};
use super::sorted::Sorted;
use super::summary::Excerpt;
use super::writer::{Format, RowWriter};
use crate::case::{Case, Deadline, Evaluation, Exception, ExceptionCode, Rules, State};
use crate::policy::{Instant, Subject, WindowKind};

/// The date by which a promise belongs to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum By {
    /// On which it started.
    Started,
    /// Its last day; a promise that is paused has none, and is in no period.
    Due,
}

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'r> {
    /// What the cases were evaluated under.
    pub rules: &'r Rules,
    /// The time at which they were evaluated.
    pub at: Instant,
    /// `compliance`: the first local date on which a promise started, or fell
    /// due, that counts; `None`: from the beginning.
    pub from: Option<NaiveDate>,
    /// `compliance`: the last such date; `None`: to the end.
    pub to: Option<NaiveDate>,
    /// `compliance`: which of its dates counts.
    pub by: By,
    /// `upcoming`: how many local days ahead.
    pub days: u16,
}

impl Scope<'_> {
    /// The same of the promises that fell due in a week or a month.
    pub fn due_within(self, span: &Span) -> Self {
        Self {
            from: Some(span.from),
            to: Some(span.to),
            by: By::Due,
            ..self
        }
    }

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

    /// Whether a promise is one of the period; without one all are.
    pub(super) fn is_in_period(&self, deadline: &Deadline) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        let date = match self.by {
            By::Started => Some(self.rules.calendar.date_of(deadline.started_at)),
            By::Due => deadline.last_day,
        };
        date.is_some_and(|date| {
            self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
        })
    }
}

/// One report on its way to `W`. It is offered everything and takes what is
/// its own. `deadlines` is written as it comes; the others are sorted first.
pub struct Report<'r, W: Write> {
    name: ReportName,
    scope: Scope<'r>,
    out: RowWriter<W>,
    sorted: Sorted,
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
    /// What the managers' page shows of it.
    pub(super) excerpt: Excerpt,
}

impl<'r, W: Write> Report<'r, W> {
    /// Begins a report.
    pub fn new(name: ReportName, format: Format, scope: Scope<'r>, out: W) -> io::Result<Self> {
        Ok(Self {
            name,
            scope,
            out: RowWriter::new(name, format, &scope, out)?,
            sorted: Sorted::new(name),
            compliance: Compliance::default(),
        })
    }

    /// Takes from a case what belongs to the report. Cases come in the order
    /// of their `order_ref`, bytewise.
    pub fn add(&mut self, case: &Case, evaluation: &Evaluation) -> io::Result<()> {
        match self.name {
            ReportName::Claims => self.hold_all(rows::claims(case, evaluation)),
            ReportName::Refunds => self.hold_all(rows::refunds(case, evaluation)),
            ReportName::Exceptions => {
                let mut found = evaluation.exceptions.iter();
                found.try_for_each(|exception| self.add_exception(exception))
            }
            ReportName::Notices => Ok(()),
            _ => self.add_deadlines(&OrderDeadlines::of(case, evaluation)),
        }
    }

    /// Takes the deadlines of an order; enough for the reports that are made
    /// of deadlines alone. They come in the same order.
    pub fn add_deadlines(&mut self, order: &OrderDeadlines<'_>) -> io::Result<()> {
        let scope = self.scope;
        let calendar = &scope.rules.calendar;
        match self.name {
            ReportName::Deadlines => {
                let mut rows = order.rows(calendar, |_| true);
                rows.try_for_each(|row| self.out.write(&row))
            }
            ReportName::Overdue => {
                self.hold_all(order.rows(calendar, |found| found.state == State::Overdue))
            }
            ReportName::Upcoming => {
                self.hold_all(order.rows(calendar, |found| scope.is_upcoming(found)))
            }
            ReportName::Compliance => {
                for deadline in order.iter().filter(|found| scope.is_in_period(found)) {
                    self.compliance.add(deadline, calendar);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hold_all<'a>(
        &mut self,
        rows: impl IntoIterator<Item = impl AsRef<[Cell<'a>]>>,
    ) -> io::Result<()> {
        let mut rows = rows.into_iter();
        rows.try_for_each(|row| self.sorted.push(row.as_ref()))
    }

    /// Takes a case that could not be evaluated: an exception.
    pub fn add_failed(&mut self, order_ref: &str, error: &impl fmt::Display) -> io::Result<()> {
        self.add_exception(&Exception {
            code: ExceptionCode::EvaluationFailed,
            subject: Subject::Order,
            subject_ref: order_ref.to_owned(),
            detail: error.to_string(),
        })
    }

    /// Takes an exception.
    pub fn add_exception(&mut self, exception: &Exception) -> io::Result<()> {
        match self.name {
            ReportName::Exceptions => self.sorted.push(&rows::exception(exception)),
            _ => Ok(()),
        }
    }

    /// Takes a notice.
    pub fn add_notice(&mut self, notice: &NoticeRow) -> io::Result<()> {
        match self.name {
            ReportName::Notices => self.sorted.push(&rows::notice(notice)),
            _ => Ok(()),
        }
    }

    /// Writes what was sorted, and ends the report.
    pub fn finish(mut self) -> io::Result<Finished<W>> {
        if self.name == ReportName::Compliance {
            self.hold_all(self.compliance.rows(&self.scope.rules.policies))?;
        }
        let mut excerpt = Excerpt::new(self.name);
        self.sorted.drain(|row| {
            self.out.write(&row)?;
            excerpt.add(row);
            Ok(())
        })?;
        let (out, rows) = self.out.finish()?;
        Ok(Finished {
            name: self.name,
            out,
            rows,
            excerpt,
        })
    }
}
