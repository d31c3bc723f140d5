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

/// Whether a wait that has ended covers an instant.
fn is_waiting(waits: &[Wait], at: Instant) -> bool {
    let mut ended = waits.iter().filter(|wait| wait.until.is_some());
    ended.any(|wait| covers(wait, at))
}

/// Whether a wait covers an instant. One that begins at that very instant does
/// not: what is already due never pauses.
fn covers(wait: &Wait, at: Instant) -> bool {
    wait.from < at && wait.until.is_none_or(|until| at < until)
}

/// How many local days of a window did not count because of waits (spec,
/// section 2): those at whose end the claim waited, after the day of the start
/// and before that of the end. What is due never pauses, so none comes after
/// the last day, where there is one. Working days or not, a wait takes them all.
pub fn paused_days(
    terms: &WindowTerms,
    start: Instant,
    end: Instant,
    last_day: Option<NaiveDate>,
    waits: &[Wait],
    calendar: &Calendar,
) -> i64 {
    if !terms.pause_on_wait || waits.is_empty() {
        return 0;
    }
    let ended_on = calendar.date_of(end);
    let days = calendar.date_of(start).iter_days().skip(1);
    let days =
        days.take_while(|day| *day < ended_on && last_day.is_none_or(|last_day| *day <= last_day));
    let paused = days.filter(|day| {
        let midnight = calendar.day_end(*day);
        waits.iter().any(|wait| covers(wait, midnight))
    });
    paused.map(|_| 1).sum()
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;

    use super::*;
    use crate::policy::{Policy, STANDARD, Window};

    fn time(text: &str, calendar: &Calendar) -> Instant {
        let local = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        local.and_local_timezone(calendar.zone).unwrap().to_utc()
    }

    /// The days that waits took of a repair, started on Monday, 3 March 2025,
    /// at 10:00 under the standard terms with some changed.
    fn paused(terms: &str, end: &str, last_day: Option<&str>, waits: &[(&str, &str)]) -> i64 {
        let head = "[windows.hardware_repair]\n";
        let text = STANDARD.replace(head, &format!("{head}{terms}\n"));
        let policy = Policy::parse("terms.toml", &text).unwrap();
        let weekend = vec![Weekday::Sat, Weekday::Sun];
        let zone = "Europe/Rome".parse().unwrap();
        let calendar = Calendar::new(zone, weekend, Default::default()).unwrap();
        let waits: Vec<Wait> = waits
            .iter()
            .map(|(from, until)| Wait {
                from: time(from, &calendar),
                until: (!until.is_empty()).then(|| time(until, &calendar)),
            })
            .collect();
        paused_days(
            policy.window(Window::HardwareRepair),
            time("2025-03-03 10:00", &calendar),
            time(end, &calendar),
            last_day.map(|day| day.parse().unwrap()),
            &waits,
            &calendar,
        )
    }

    /// Terms, the end, the last day, waits from when until when, and how many
    /// days they take.
    type Case = (
        &'static str,
        &'static str,
        Option<&'static str>,
        &'static [(&'static str, &'static str)],
        i64,
    );

    #[test]
    fn a_wait_takes_the_days_at_whose_end_it_lasts() {
        const WEEK: (&str, &str) = ("2025-03-05 10:00", "2025-03-12 10:00");
        let business = "pause_on_wait = true\ncount = \"business\"";
        let pause = "pause_on_wait = true";
        #[rustfmt::skip]
        let cases: [Case; 16] = [
            // The policy does not pause, or nobody waited.
            ("", "2025-03-20 10:00", None, &[WEEK], 0),
            (pause, "2025-03-20 10:00", None, &[], 0),
            // The nights from the 5th to the 12th, whatever the days are.
            (pause, "2025-03-20 10:00", None, &[WEEK], 7),
            (business, "2025-03-20 10:00", None, &[WEEK], 7),
            (business, "2025-03-20 10:00", None, &[("2025-03-07 18:00", "2025-03-10 09:00")], 3),
            // Within a day none.
            (pause, "2025-03-20 10:00", None, &[("2025-03-05 08:00", "2025-03-05 23:59")], 0),
            // From midnight, until midnight: the rule of what is due.
            (pause, "2025-03-20 10:00", None, &[("2025-03-05 00:00", "2025-03-06 00:00")], 0),
            (pause, "2025-03-20 10:00", None, &[("2025-03-05 00:00", "2025-03-06 00:01")], 1),
            // The day of the start was not counted anyway.
            (pause, "2025-03-20 10:00", None, &[("2025-02-20 10:00", "2025-03-04 09:00")], 0),
            (pause, "2025-03-20 10:00", None, &[("2025-02-20 10:00", "2025-03-05 09:00")], 1),
            // Waits that overlap, or stand twice, take a day once.
            (pause, "2025-03-20 10:00", None, &[WEEK, ("2025-03-08 10:00", "2025-03-14 10:00"), WEEK], 9),
            // Open at the end: the day of the end was not waited for.
            (pause, "2025-03-20 10:00", None, &[("2025-03-05 10:00", "")], 15),
            (pause, "2025-03-20 10:00", None, &[("2025-03-05 10:00", "2025-03-25 10:00")], 15),
            (pause, "2025-03-03 23:00", None, &[("2025-03-03 12:00", "")], 0),
            // A day of 23 hours, on the 30th.
            (pause, "2025-04-10 10:00", None, &[("2025-03-28 23:30", "2025-03-31 00:30")], 3),
            // What was due did not pause.
            (pause, "2025-03-30 10:00", Some("2025-03-10"), &[("2025-03-05 10:00", "2025-03-07 10:00"), ("2025-03-15 10:00", "2025-03-20 10:00")], 2),
        ];
        for (terms, end, last_day, waits, expected) in cases {
            let found = paused(terms, end, last_day, waits);
            assert_eq!(found, expected, "{terms} {end} {waits:?}");
        }
    }
}
