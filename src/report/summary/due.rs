//! What falls due in the next days.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use crate::case::{Deadline, State};
use crate::policy::{Calendar, Window, WindowKind};

/// Days that are looked ahead, today included.
const DAYS: u64 = 14;

/// A day, and the open promises of which it is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDay {
    /// The local date.
    pub date: NaiveDate,
    /// Whether the shop works on it.
    pub is_working_day: bool,
    /// How many of each promise.
    pub promises: BTreeMap<Window, u64>,
}

impl DueDay {
    /// How many promises.
    pub fn total(&self) -> u64 {
        self.promises.values().sum()
    }
}

/// The next days, from today on.
#[derive(Debug)]
pub(super) struct Due {
    pub days: Vec<DueDay>,
}

impl Due {
    /// Nothing falls due yet.
    pub fn from(today: NaiveDate, calendar: &Calendar) -> Self {
        let days = (0..DAYS).filter_map(|day| today.checked_add_days(Days::new(day)));
        let days = days.map(|date| DueDay {
            date,
            is_working_day: calendar.is_working_day(date),
            promises: BTreeMap::new(),
        });
        Self {
            days: days.collect(),
        }
    }

    /// Counts a promise that is open.
    pub fn add(&mut self, deadline: &Deadline) {
        let is_open =
            deadline.state == State::Open && deadline.window.kind() == WindowKind::Obligation;
        let last_day = deadline.last_day.filter(|_| is_open);
        let day = self.days.iter_mut().find(|day| Some(day.date) == last_day);
        if let Some(day) = day {
            *day.promises.entry(deadline.window).or_default() += 1;
        }
    }
}
