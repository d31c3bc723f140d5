//! How the shop stands at a time, in counters.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::RECENT_DAYS;
use super::figures::Trend;
use crate::case::{Evaluation, State};
use crate::policy::{Calendar, Currency, Instant};
use crate::report::compliance::Compliance;

/// How the shop stands, or stood, at a time.
#[derive(Debug)]
pub(super) struct Standing {
    /// The time.
    pub at: Instant,
    /// Promises that are late.
    pub overdue: u64,
    /// The promises whose last day is one of the recent days.
    pub recent: Compliance,
    /// What is to be paid back, by currency.
    pub owed: BTreeMap<String, Sum>,
    /// Notices that were recorded on one of the recent days and that nobody got.
    pub notices_failed: u64,
    first_day: NaiveDate,
    last_day: NaiveDate,
}

/// Refunds of one currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub currency: Currency,
    pub refunds: u64,
    /// In minor units.
    pub minor: i64,
}

/// Empty counters for a time, the same local time a day before, and a week.
pub(super) fn of_times(at: Instant, calendar: &Calendar) -> Trend<Standing> {
    let standing = |days| Standing::new(calendar.days_before(at, days), calendar);
    Trend {
        now: Standing::new(at, calendar),
        yesterday: standing(1),
        last_week: standing(7),
    }
}

impl Standing {
    fn new(at: Instant, calendar: &Calendar) -> Self {
        let last_day = calendar.date_of(at);
        let back = Days::new(u64::from(RECENT_DAYS) - 1);
        Self {
            at,
            overdue: 0,
            recent: Compliance::default(),
            owed: BTreeMap::new(),
            notices_failed: 0,
            first_day: last_day.checked_sub_days(back).unwrap_or(NaiveDate::MIN),
            last_day,
        }
    }

    /// Counts a case as it was evaluated at the time.
    pub fn add(&mut self, evaluation: &Evaluation, calendar: &Calendar) {
        for deadline in &evaluation.deadlines {
            self.overdue += u64::from(deadline.state == State::Overdue);
            if deadline.last_day.is_some_and(|day| self.is_recent(day)) {
                self.recent.add(deadline, calendar);
            }
        }
        let of_claims = evaluation.claims.iter();
        let of_claims = of_claims.filter_map(|claim| claim.refund.as_ref());
        let refunds = of_claims.chain(&evaluation.cancellation);
        for refund in refunds.filter(|refund| refund.refunded_at.is_none()) {
            let sum = self.owed.entry(refund.currency.to_string());
            let sum = sum.or_insert(Sum {
                currency: refund.currency,
                refunds: 0,
                minor: 0,
            });
            sum.refunds += 1;
            sum.minor = sum.minor.saturating_add(refund.amount);
        }
    }

    /// Counts a notice that nobody got, by when it was recorded.
    pub fn add_failed_notice(&mut self, recorded_at: Instant, calendar: &Calendar) {
        let is_recent = recorded_at <= self.at && self.is_recent(calendar.date_of(recorded_at));
        self.notices_failed += u64::from(is_recent);
    }

    fn is_recent(&self, date: NaiveDate) -> bool {
        self.first_day <= date && date <= self.last_day
    }
}
