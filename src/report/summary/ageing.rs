//! For how long what is overdue has been.

use std::collections::BTreeMap;

use crate::case::{Deadline, State};
use crate::policy::Window;

/// The ages, in local days late, each with the last day that belongs to it.
pub(in crate::report) const AGES: [(&str, i64); 6] = [
    ("1–2", 2),
    ("3–7", 7),
    ("8–14", 14),
    ("15–30", 30),
    ("31–90", 90),
    ("more than 90", i64::MAX),
];

/// What is overdue, by promise and age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::report) struct Ageing {
    /// Where there is any: how many of each age.
    pub windows: BTreeMap<Window, [u64; AGES.len()]>,
}

impl Ageing {
    /// Counts a promise that is overdue.
    pub fn add(&mut self, deadline: &Deadline) {
        if deadline.state != State::Overdue {
            return;
        }
        let ages = self.windows.entry(deadline.window).or_default();
        let mut ages = ages.iter_mut().zip(AGES);
        let age = ages.find(|(_, (_, last))| deadline.late_days <= *last);
        if let Some((count, _)) = age {
            *count += 1;
        }
    }

    /// How many of each age, of all promises.
    pub fn totals(&self) -> [u64; AGES.len()] {
        let mut totals = [0; AGES.len()];
        for ages in self.windows.values() {
            for (total, count) in totals.iter_mut().zip(ages) {
                *total += count;
            }
        }
        totals
    }
}
