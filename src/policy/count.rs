//! Counting the days of a window.

use chrono::NaiveDate;

use super::calendar::plus_days;
use super::{Calendar, Counting, Instant, WindowTerms};

/// A time in which a claim waits for the customer, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When the wait began.
    pub from: Instant,
    /// When it ended; `None` while it lasts.
    pub until: Option<Instant>,
}

/// Why a day was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// A weekend or holiday under business counting.
    NotWorking,
    /// The claim was waiting for the customer at the end of the day.
    Waiting,
    /// The last day fell on it and rolled forward.
    RolledForward,
}

/// A day that was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The local date.
    pub date: NaiveDate,
    /// Why.
    pub why: SkipReason,
}

/// The end of a window, counted from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The last local date on which the window is open.
    pub last_day: NaiveDate,
    /// The first instant after it.
    pub due_at: Instant,
    /// When the wait began that keeps the window from having a due date.
    pub paused_since: Option<Instant>,
    /// The days that were left out, in the order of time.
    pub skipped: Vec<Skipped>,
}

/// Counts the days of a window from its start (spec, section 2). The day of
/// the start is not counted. `waits` are those that have begun by now; one
/// without an end pauses the window if it began before the due date.
pub fn count_days(
    terms: &WindowTerms,
    start: Instant,
    waits: &[Wait],
    calendar: &Calendar,
) -> Counted {
    let waits = if terms.pause_on_wait { waits } else { &[] };
    let mut skipped = Vec::new();
    let first = calendar.date_of(start);
    let mut last_day = match terms.count {
        Counting::Calendar if waits.is_empty() => plus_days(first, terms.days.into()),
        _ => count_one_by_one(terms, first, waits, calendar, &mut skipped),
    };
    while let Some(why) = not_a_last_day(terms, last_day, waits, calendar) {
        skipped.push(Skipped {
            date: last_day,
            why,
        });
        last_day = plus_days(last_day, 1);
    }
    let due_at = calendar.day_end(last_day);
    let paused_since = waits
        .iter()
        .filter(|wait| wait.until.is_none() && wait.from < due_at)
        .map(|wait| wait.from)
        .min();
    Counted {
        last_day,
        due_at,
        paused_since,
        skipped,
    }
}

fn count_one_by_one(
    terms: &WindowTerms,
    first: NaiveDate,
    waits: &[Wait],
    calendar: &Calendar,
    skipped: &mut Vec<Skipped>,
) -> NaiveDate {
    let mut day = first;
    let mut left = terms.days;
    while left > 0 && day < NaiveDate::MAX {
        day = plus_days(day, 1);
        let why = if terms.count == Counting::Business && !calendar.is_working_day(day) {
            Some(SkipReason::NotWorking)
        } else if is_waiting(waits, calendar.day_end(day)) {
            Some(SkipReason::Waiting)
        } else {
            None
        };
        match why {
            Some(why) => skipped.push(Skipped { date: day, why }),
            None => left -= 1,
        }
    }
    day
}

/// Why a window cannot end on the day that it was counted to, or rolled to.
fn not_a_last_day(
    terms: &WindowTerms,
    day: NaiveDate,
    waits: &[Wait],
    calendar: &Calendar,
) -> Option<SkipReason> {
    if day == NaiveDate::MAX {
        None
    } else if terms.roll_forward && !calendar.is_working_day(day) {
        Some(SkipReason::RolledForward)
    } else {
        is_waiting(waits, calendar.day_end(day)).then_some(SkipReason::Waiting)
    }
}

/// Whether a wait that has ended covers an instant. One that begins at that
/// very instant does not: what is already due never pauses.
fn is_waiting(waits: &[Wait], at: Instant) -> bool {
    waits
        .iter()
        .any(|wait| wait.from < at && wait.until.is_some_and(|until| at < until))
}
