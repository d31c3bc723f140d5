//! The managers' page: how the shop stands, and what that was a day and a week
//! before. All of it follows from the cases that the files are made of, so that
//! the page and the files never say different things.
//!
//! Memory does not grow with the number of cases: counters, and the first rows
//! of some reports.

mod ageing;
mod chart;
mod due;
mod excerpt;
mod figures;
mod page;
mod repairs;
mod standing;
mod weeks;

use std::collections::BTreeMap;
use std::io;

use super::ReportName;
use super::rows::NoticeRow;
use super::table::{Finished, Scope};
use crate::case::{Case, Disposition, Evaluation, evaluate, stood_alike};
use crate::policy::Calendar;
use ageing::Ageing;
use due::Due;
use figures::{on_time, owed};
use repairs::Repairs;
use standing::{Standing, of_times};
use weeks::Weeks;

pub use due::DueDay;
pub use excerpt::RunningPromise;
pub use figures::{Figures, OnTime, Owed, Trend};

pub(super) use excerpt::Excerpt;
use excerpt::Table;
pub(super) use page::page;

/// How many local days the figures about the past look back, today included.
pub const RECENT_DAYS: u16 = 30;

/// What the page counts, case by case.
pub(super) struct Counters {
    standings: Trend<Standing>,
    due: Due,
    weeks: Weeks,
    repairs: Repairs,
    ageing: Ageing,
    notices_held: u64,
}

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The figures on top.
    pub figures: Figures,
    /// What falls due in the next days, day by day.
    pub due: Vec<DueDay>,
    /// The promises that are late, the longest first; at most 200 of them.
    pub(super) overdue: Option<Table<RunningPromise>>,
    upcoming: Option<Table<RunningPromise>>,
    refunds: Option<Table<BTreeMap<&'static str, String>>>,
    /// How many exceptions there are of each code.
    pub(super) exceptions: BTreeMap<String, u64>,
    pub(super) weeks: Weeks,
    pub(super) repairs: Repairs,
    pub(super) ageing: Ageing,
}

impl Summary {
    /// The promises that are late, the longest first; at most 200 of them.
    pub fn worst(&self) -> &[RunningPromise] {
        self.overdue.as_ref().map_or(&[], |overdue| &overdue.rows)
    }
}

impl Counters {
    /// Nothing counted yet.
    pub fn new(scope: &Scope<'_>) -> Self {
        let calendar = &scope.rules.calendar;
        let today = calendar.date_of(scope.at);
        let weeks = Weeks::until(today);
        Self {
            standings: of_times(scope.at, calendar),
            due: Due::from(today, calendar),
            repairs: Repairs::since(weeks.first()),
            weeks,
            ageing: Ageing::default(),
            notices_held: 0,
        }
    }

    /// Counts a case: as it stands, and as it stood. What stood alike is not
    /// evaluated again.
    pub fn add(
        &mut self,
        case: &Case,
        evaluation: &Evaluation,
        scope: &Scope<'_>,
    ) -> io::Result<()> {
        let (rules, calendar) = (scope.rules, &scope.rules.calendar);
        for deadline in &evaluation.deadlines {
            self.due.add(deadline);
            self.weeks.add(deadline);
            self.repairs.add(deadline, calendar);
            self.ageing.add(deadline);
        }
        self.standings.now.add(evaluation, calendar);
        for earlier in [&mut self.standings.yesterday, &mut self.standings.last_week] {
            if stood_alike(case, evaluation, earlier.at, scope.at) {
                earlier.add(evaluation, calendar);
            } else {
                let then = evaluate(case, rules, earlier.at).map_err(io::Error::other)?;
                earlier.add(&then, calendar);
            }
        }
        Ok(())
    }

    /// Counts a notice.
    pub fn add_notice(&mut self, notice: &NoticeRow, calendar: &Calendar) {
        match notice.disposition {
            Disposition::Held => self.notices_held += 1,
            Disposition::Failed => {
                for standing in self.standings.each() {
                    standing.add_failed_notice(notice.recorded_at, calendar);
                }
            }
            _ => {}
        }
    }

    /// All that was counted, with what the reports show.
    pub fn finish<W>(self, scope: &Scope<'_>, reports: &[Finished<W>]) -> Summary {
        let calendar = &scope.rules.calendar;
        let report = |name| reports.iter().find(|report| report.name == name);
        let rows = |name| report(name).map_or(0, |report| report.rows);
        let excerpt = |name| report(name).map(|report| &report.excerpt);
        let promises = |name| excerpt(name).map(|found| found.promises(calendar));
        let exceptions = excerpt(ReportName::Exceptions).map(|found| found.codes.clone());
        let standings = &self.standings;
        let figures = Figures {
            overdue: standings.map(|standing| standing.overdue),
            missed: standings.map(|standing| standing.recent.missed()),
            on_time: on_time(standings),
            refunds_owed: owed(standings),
            notices_failed: standings.map(|standing| standing.notices_failed),
            notices_held: self.notices_held,
            due_soon: rows(ReportName::Upcoming),
            exceptions: rows(ReportName::Exceptions),
        };
        Summary {
            figures,
            due: self.due.days,
            overdue: promises(ReportName::Overdue),
            upcoming: promises(ReportName::Upcoming),
            refunds: excerpt(ReportName::Refunds).map(|found| found.table(calendar)),
            exceptions: exceptions.unwrap_or_default(),
            weeks: self.weeks,
            repairs: self.repairs,
            ageing: self.ageing,
        }
    }
}
