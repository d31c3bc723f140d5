//! How the promises were kept, week by week.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};

use super::chart::Parts;
use crate::case::{Deadline, State};
use crate::policy::Window;

/// Weeks that are shown, the running one included.
const WEEKS: u16 = 26;

/// The promises of the last weeks, by the ISO week of their last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Weeks {
    first: NaiveDate,
    /// For each promise of which there was one, all weeks from the first on:
    /// how many were met, and how many were missed or are overdue.
    pub windows: BTreeMap<Window, Vec<Parts>>,
}

impl Weeks {
    /// No promise yet; the last week is that of a day.
    pub fn until(today: NaiveDate) -> Self {
        let back = u64::from(today.weekday().num_days_from_monday()) + 7 * u64::from(WEEKS - 1);
        Self {
            first: today
                .checked_sub_days(Days::new(back))
                .unwrap_or(NaiveDate::MIN),
            windows: BTreeMap::new(),
        }
    }

    /// The Monday of the first week.
    pub fn first(&self) -> NaiveDate {
        self.first
    }

    /// The Mondays of all weeks.
    pub fn mondays(&self) -> impl Iterator<Item = NaiveDate> {
        let mondays = self.first.iter_days().step_by(7);
        mondays.take(WEEKS.into())
    }

    /// Counts a promise that was met, missed or is overdue.
    pub fn add(&mut self, deadline: &Deadline) {
        let is_met = match deadline.state {
            State::Met => true,
            State::Missed | State::Overdue => false,
            _ => return,
        };
        let days = deadline.last_day.map(|day| (day - self.first).num_days());
        let Some(week) = days.and_then(|days| usize::try_from(days.div_euclid(7)).ok()) else {
            return;
        };
        let weeks = self.windows.entry(deadline.window);
        let weeks = weeks.or_insert_with(|| vec![Parts::default(); WEEKS.into()]);
        if let Some(parts) = weeks.get_mut(week) {
            parts.count(is_met);
        }
    }
}
