//! The figures on top of the page and of the managers' mail.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::standing::Standing;
use crate::policy::{Currency, Money, Window};

/// A figure, and what it was at the same local time of day before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trend<T> {
    /// As of the report.
    pub now: T,
    /// One local day before.
    pub yesterday: T,
    /// Seven local days before.
    pub last_week: T,
}

/// The figures that head the page and the managers' mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Promises that are late.
    pub overdue: Trend<u64>,
    /// Promises whose last day is one of the last 30, and that were broken.
    pub missed: Trend<u64>,
    /// How many of those were kept, promise by promise.
    pub on_time: Vec<OnTime>,
    /// What is still to be paid, by currency.
    pub refunds_owed: Vec<Owed>,
    /// Notices of the last 30 local days that could not be delivered.
    pub notices_failed: Trend<u64>,
    /// Notices that are kept back. What became of a notice has no history.
    pub notices_held: u64,
    /// Promises that are due in the days that `upcoming` covers.
    pub due_soon: u64,
    /// Exceptions of all codes.
    pub exceptions: u64,
}

/// How a promise was kept, of those whose last day is one of the last 30.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnTime {
    /// The promise.
    pub window: Window,
    /// How many were met, missed or are overdue.
    pub decided: Trend<u64>,
    /// How many of these were met, in percent with two decimals; `None` of none.
    pub percent: Trend<Option<Decimal>>,
}

/// Refunds that are owed in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// How many refunds.
    pub refunds: Trend<u64>,
    /// Their sum.
    pub sum: Trend<Money>,
}

impl<T> Trend<T> {
    /// The three, to be changed.
    pub(super) fn each(&mut self) -> [&mut T; 3] {
        [&mut self.now, &mut self.yesterday, &mut self.last_week]
    }

    /// The same of each of the three times.
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Trend<U> {
        Trend {
            now: of(&self.now),
            yesterday: of(&self.yesterday),
            last_week: of(&self.last_week),
        }
    }
}

/// How each promise was kept, at the three times.
pub(super) fn on_time(standings: &Trend<Standing>) -> Vec<OnTime> {
    let windows = standings.now.recent.kept().map(|(window, _)| window);
    let of_window = |window| {
        let kept = standings.map(|standing| {
            let mut kept = standing.recent.kept();
            let found = kept.find(|(other, _)| *other == window);
            found.map(|(_, kept)| kept).unwrap_or_default()
        });
        OnTime {
            window,
            decided: kept.map(|(decided, _)| *decided),
            percent: kept.map(|(_, percent)| *percent),
        }
    };
    windows.map(of_window).collect()
}

/// What is owed by currency, also where nothing is any more.
pub(super) fn owed(standings: &Trend<Standing>) -> Vec<Owed> {
    let Trend {
        now,
        yesterday,
        last_week,
    } = standings;
    let known = [now, yesterday, last_week].map(|standing| &standing.owed);
    let known: BTreeMap<&String, Currency> = known
        .into_iter()
        .flatten()
        .map(|(name, sum)| (name, sum.currency))
        .collect();
    let of_currency = |(name, currency)| {
        let found = standings.map(|standing| standing.owed.get(name).copied());
        Owed {
            refunds: found.map(|sum| sum.map_or(0, |sum| sum.refunds)),
            sum: found.map(|sum| Money {
                minor: sum.map_or(0, |sum| sum.minor),
                currency,
            }),
        }
    };
    known.into_iter().map(of_currency).collect()
}
