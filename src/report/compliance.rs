//! How well each promise was kept.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use strum::VariantArray;

use super::cell::{Cell, Row};
use crate::case::{Deadline, State};
use crate::policy::{Book, Calendar, Window, WindowKind};

/// Counts the promises of a period, window by window.
#[derive(Debug, Default)]
pub(super) struct Compliance {
    windows: BTreeMap<Window, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    states: BTreeMap<State, u64>,
    /// Local days from start to end of the met and missed ones.
    gross: DaysTaken,
    /// The same without those that did not count because of waits.
    net: DaysTaken,
}

/// How many promises took so many days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DaysTaken(BTreeMap<i64, u64>);

impl Compliance {
    /// Counts a promise; a right is none.
    pub fn add(&mut self, deadline: &Deadline, calendar: &Calendar) {
        if deadline.window.kind() != WindowKind::Obligation {
            return;
        }
        let tally = self.windows.entry(deadline.window).or_default();
        *tally.states.entry(deadline.state).or_default() += 1;
        tally.gross.add(deadline.gross_days(calendar));
        tally.net.add(deadline.net_days(calendar));
    }

    /// For every promise how many were met, missed or are overdue, and how many
    /// of those were met, in percent; `None` of none.
    pub fn kept(&self) -> impl Iterator<Item = (Window, (u64, Option<Decimal>))> {
        promises().map(|window| {
            let decided = self.windows.get(&window).map(Tally::decided);
            let (met, decided) = decided.unwrap_or_default();
            (window, (decided, percent(met, decided)))
        })
    }

    /// How many were missed.
    pub fn missed(&self) -> u64 {
        let missed = self
            .windows
            .values()
            .map(|tally| tally.count(State::Missed));
        missed.sum()
    }

    /// A row for every promise of the policy, also where there was none to
    /// keep, bytewise by its window. The clause is that of the window in every
    /// version there is, each once.
    pub fn rows(&self, policies: &Book) -> Vec<Row<'static>> {
        let nothing = Tally::default();
        let mut windows: Vec<Window> = promises().collect();
        windows.sort_unstable_by_key(|window| -> &str { window.into() });
        let rows = windows.into_iter().map(|window| {
            let tally = self.windows.get(&window).unwrap_or(&nothing);
            let mut row = vec![
                Cell::code(window),
                Cell::Text(clauses(window, policies).into()),
            ];
            row.extend(tally.cells());
            row
        });
        rows.collect()
    }
}

fn promises() -> impl Iterator<Item = Window> {
    let windows = Window::VARIANTS.iter().copied();
    windows.filter(|window| window.kind() == WindowKind::Obligation)
}

fn clauses(window: Window, policies: &Book) -> String {
    let mut found: Vec<&str> = Vec::new();
    for policy in policies.versions() {
        let clause = policy.window(window).clause.as_str();
        if !found.contains(&clause) {
            found.push(clause);
        }
    }
    found.join(";")
}

impl Tally {
    fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// How many were met, and how many were met, missed or are overdue.
    fn decided(&self) -> (u64, u64) {
        let met = self.count(State::Met);
        let late = self.count(State::Missed) + self.count(State::Overdue);
        (met, met + late)
    }

    fn cells(&self) -> [Cell<'static>; 14] {
        let (met, decided) = self.decided();
        let [p50, p90, max] = self.gross.ranks();
        let [net_p50, net_p90, net_max] = self.net.ranks();
        [
            Cell::count(self.states.values().sum()),
            Cell::count(met),
            Cell::count(self.count(State::Missed)),
            Cell::count(self.count(State::Open)),
            Cell::count(self.count(State::Overdue)),
            Cell::count(self.count(State::Paused)),
            Cell::count(self.count(State::Void)),
            percent(met, decided).map_or(Cell::Empty, Cell::Percent),
            p50,
            p90,
            max,
            net_p50,
            net_p90,
            net_max,
        ]
    }
}

impl DaysTaken {
    /// Counts a promise that was ended.
    pub fn add(&mut self, days: Option<i64>) {
        if let Some(days) = days {
            *self.0.entry(days).or_default() += 1;
        }
    }

    /// Within how many days half of them were ended, nine in ten, and all.
    fn ranks(&self) -> [Cell<'static>; 3] {
        [50, 90, 100].map(|percent| Cell::days(self.nearest_rank(percent)))
    }

    /// The smallest number of days within which at least so many percent
    /// were ended.
    pub fn nearest_rank(&self, percent: u64) -> Option<i64> {
        let ended: u64 = self.0.values().sum();
        let rank = (ended * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(days, _)| *days)
    }
}

/// `part` of `whole` in percent with two decimals, half away from zero;
/// `None` of nothing.
pub(super) fn percent(part: u64, whole: u64) -> Option<Decimal> {
    let hundred = Decimal::from(part).checked_mul(Decimal::ONE_HUNDRED)?;
    let exact = hundred.checked_div(Decimal::from(whole))?;
    let mut rounded = exact.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(2);
    Some(rounded)
}
