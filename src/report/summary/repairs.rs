//! How long repairs really take.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::chart::Parts;
use crate::case::{Deadline, State};
use crate::policy::{Calendar, Counting, Window};
use crate::report::compliance::DaysTaken;

/// The repairs and fixes that ended since a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Repairs {
    since: NaiveDate,
    /// By promise, where there were any.
    pub windows: BTreeMap<Window, Taken>,
}

/// How long the promises of one kind took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::report) struct Taken {
    /// How many took so many local days, from the start to the end.
    pub days: BTreeMap<i64, Parts>,
    /// The same days without those on time or late apart.
    pub gross: DaysTaken,
    /// Without the days that waits for the customer took.
    pub net: DaysTaken,
    /// How many were paused by such a wait.
    pub paused: u64,
    /// Fix windows that ran out by themselves: nobody knows what they took.
    pub lapsed: u64,
    /// The days that were promised, in calendar days or working days.
    pub promised: BTreeSet<(u16, bool)>,
}

impl Repairs {
    /// None yet.
    pub fn since(since: NaiveDate) -> Self {
        Self {
            since,
            windows: BTreeMap::new(),
        }
    }

    /// Counts a repair that was done, in time or late.
    pub fn add(&mut self, deadline: &Deadline, calendar: &Calendar) {
        let is_repair = matches!(
            deadline.window,
            Window::HardwareRepair
                | Window::SoftwareRepair
                | Window::HardwareFix
                | Window::SoftwareFix
        );
        let ended_on = deadline.ended_at.map(|at| calendar.date_of(at));
        if !is_repair || ended_on.is_none_or(|date| date < self.since) {
            return;
        }
        let Some(gross) = deadline.gross_days(calendar) else {
            return;
        };
        let taken = self.windows.entry(deadline.window).or_default();
        let terms = deadline.terms();
        let is_business = terms.count == Counting::Business;
        taken.promised.insert((terms.days, is_business));
        if deadline.lapsed {
            taken.lapsed += 1;
            return;
        }
        let parts = taken.days.entry(gross).or_default();
        parts.count(deadline.state == State::Met);
        taken.gross.add(Some(gross));
        taken.net.add(deadline.net_days(calendar));
        taken.paused += u64::from(deadline.paused_days > 0);
    }
}
