//! Whether the clock is believed (spec, section 5, rule 8).

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::{Refused, When};
use crate::case::PlanContext;
use crate::config::Config;
use crate::policy::Instant;
use crate::store::Guard;

/// The clock may go this far from one run to the next before nobody believes
/// it any more.
const CLOCK_JUMP: TimeDelta = TimeDelta::days(7);

/// Two runs that begin together, or a clock that was set right, may differ by
/// this much: the later time holds.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// A run's time, after it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// The time that the run is at.
    pub at: Instant,
    /// What is kept if the run enforces.
    pub guard: Guard,
    /// Whether runs before were at a later time, which nobody had confirmed:
    /// what they recorded was never true.
    pub goes_back: bool,
}

/// Refuses a time that cannot be enforced, and holds customers' notices where
/// the clock has jumped. A time that was named is believed. A run that goes on
/// for another node is at a time before the clock's: nothing has gone back.
pub fn guarded(guard: &Guard, when: When, zone: Tz) -> Result<Guarded, Refused> {
    let When {
        at,
        clock,
        is_named,
        ..
    } = when;
    let shown = |at: Instant| {
        at.with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string()
    };
    if at > clock {
        let (at, clock) = (shown(at), shown(clock));
        return Err(Refused(format!(
            "--at {at} is in the future: expected a time until now ({clock})"
        )));
    }
    let last_at = guard.last_at.unwrap_or(at);
    let (read, what, expected) = match is_named {
        true => (at, "--at", "expected a later time"),
        false => (clock, "the clock's", "set the clock"),
    };
    if read < last_at && (is_named || last_at - read > TOLERANCE) {
        let (read, last_at) = (shown(read), shown(last_at));
        return Err(Refused(format!(
            "{what} {read} is before {last_at}, up to when was enforced: {expected}"
        )));
    }
    let at = at.max(last_at);
    let goes_back = guard.doubted_at.is_some_and(|doubted_at| read < doubted_at);
    let is_doubted = !is_named && at - last_at > CLOCK_JUMP;
    let guard = match is_doubted {
        false => Guard {
            last_at: Some(at),
            feed_died_at: guard.feed_died_at,
            restored: guard.restored,
            ..Guard::default()
        },
        true => Guard {
            last_at: Some(last_at),
            doubted_at: Some(at),
            held_since: guard.held_since.or(Some(at)),
            held_reason: guard.held_reason.clone().or_else(|| {
                let (last_at, at) = (shown(last_at), shown(at));
                Some(format!(
                    "the clock went from {last_at} to {at} since the last run"
                ))
            }),
            feed_died_at: guard.feed_died_at,
            restored: guard.restored,
        },
    };
    Ok(Guarded {
        at,
        guard,
        goes_back,
    })
}

/// Whether no import was completed for too long (spec, section 5, rule 9). A
/// shop that never imported misses none, and a time that nobody believes says
/// nothing.
pub fn with_feed(
    mut guarded: Guarded,
    imported_at: Option<Instant>,
    max_age: Option<TimeDelta>,
) -> Guarded {
    let Guarded { at, guard, .. } = &mut guarded;
    if guard.held_since.is_none() {
        let good_until = imported_at.zip(max_age);
        let good_until = good_until.and_then(|(at, max_age)| at.checked_add_signed(max_age));
        let is_dead = good_until.is_some_and(|until| until < *at);
        guard.feed_died_at = is_dead.then(|| guard.feed_died_at.unwrap_or(*at));
    }
    guarded
}

/// What decides on notices in a run, beside the case itself.
pub fn plan_context(config: &Config, guarded: &Guarded) -> PlanContext {
    let Config {
        calendar, notices, ..
    } = config;
    PlanContext {
        now: guarded.at,
        stale_after: notices.stale_after,
        live_from: notices.live_from.map(|day| calendar.day_start(day)),
        customers_held: guarded.guard.held_since.is_some(),
        feed_is_dead: guarded.guard.feed_died_at.is_some(),
        is_restored: guarded.guard.restored.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Instant {
        format!("2026-{text}Z").parse().unwrap()
    }

    fn run(guard: &Guard, at: &str, is_named: bool) -> Result<Guarded, Refused> {
        let clock = if is_named { "12-31T00:00:00" } else { at };
        let when = When {
            is_named,
            ..When::new(Some(time(at)), time(clock))
        };
        guarded(guard, when, Tz::UTC)
    }

    #[test]
    fn the_first_run_and_those_of_the_next_days_are_believed() {
        let first = run(&Guard::default(), "01-01T09:00:00", false).unwrap();
        assert_eq!(first.guard.last_at, Some(time("01-01T09:00:00")));
        let next = run(&first.guard, "01-08T09:00:00", false).unwrap();
        assert_eq!((next.guard.held_since, next.goes_back), (None, false));
    }

    #[test]
    fn a_jump_is_doubted_until_a_time_is_named() {
        let guard = run(&Guard::default(), "01-01T09:00:00", false)
            .unwrap()
            .guard;
        let jumped = run(&guard, "01-08T09:00:01", false).unwrap();
        assert_eq!(jumped.guard.held_since, Some(time("01-08T09:00:01")));
        assert_eq!(
            jumped.guard.held_reason.as_deref(),
            Some(
                "the clock went from 2026-01-01 09:00:00 UTC to 2026-01-08 09:00:01 UTC since \
                 the last run"
            )
        );
        let later = run(&jumped.guard, "01-09T09:00:00", false).unwrap();
        assert_eq!(later.guard.held_since, jumped.guard.held_since);
        assert_eq!(later.guard.last_at, guard.last_at);
        let named = run(&later.guard, "01-09T09:05:00", true).unwrap();
        assert_eq!((named.guard.held_since, named.goes_back), (None, false));
        assert_eq!(named.guard.last_at, Some(time("01-09T09:05:00")));
    }

    #[test]
    fn a_clock_that_was_wrong_and_is_set_right_goes_back() {
        let guard = run(&Guard::default(), "01-01T09:00:00", false)
            .unwrap()
            .guard;
        let wrong = run(&guard, "06-01T09:00:00", false).unwrap();
        let right = run(&wrong.guard, "01-01T09:10:00", false).unwrap();
        assert!(right.goes_back);
        assert_eq!(
            (right.guard.held_since, right.guard.doubted_at),
            (None, None)
        );
        assert!(
            !run(&right.guard, "01-01T09:15:00", false)
                .unwrap()
                .goes_back
        );
    }

    #[test]
    fn a_feed_is_dead_from_the_first_run_that_misses_it_until_it_comes() {
        let max_age = Some(TimeDelta::days(1));
        let imported_at = Some(time("01-01T09:00:00"));
        let mut guard = Guard::default();
        for (at, imported_at, max_age, died_at) in [
            ("01-02T09:00:00", imported_at, max_age, None),
            ("01-02T09:00:01", imported_at, None, None),
            ("01-02T09:00:01", None, max_age, None),
            (
                "01-02T09:00:01",
                imported_at,
                max_age,
                Some("01-02T09:00:01"),
            ),
            (
                "01-03T09:00:00",
                imported_at,
                max_age,
                Some("01-02T09:00:01"),
            ),
            // Nobody believes this one.
            ("02-01T09:00:00", None, None, Some("01-02T09:00:01")),
        ] {
            let guarded = with_feed(run(&guard, at, false).unwrap(), imported_at, max_age);
            guard = guarded.guard;
            assert_eq!(guard.feed_died_at, died_at.map(time), "{at}");
        }
        let named = run(&guard, "02-01T09:00:01", true).unwrap();
        let came = Some(time("02-01T09:00:00"));
        assert_eq!(with_feed(named, came, max_age).guard.feed_died_at, None);
    }

    #[test]
    fn a_time_that_was_enforced_is_not_gone_behind() {
        let guard = run(&Guard::default(), "02-01T09:00:00", false)
            .unwrap()
            .guard;
        for (at, is_named, expected) in [
            (
                "02-01T08:59:59",
                true,
                "--at 2026-02-01 08:59:59 UTC is before",
            ),
            (
                "02-01T08:00:00",
                false,
                "the clock's 2026-02-01 08:00:00 UTC is before",
            ),
        ] {
            let error = run(&guard, at, is_named).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        // Two runs that began together.
        let beside = run(&guard, "02-01T08:59:59", false).unwrap();
        assert_eq!(beside.at, time("02-01T09:00:00"));
        // One that goes on for a node that died, after others have run.
        let clock = time("02-01T10:00:00");
        let goes_on = When {
            is_named: false,
            ..When::new(Some(time("02-01T08:00:00")), clock)
        };
        let went_on = guarded(&guard, goes_on, Tz::UTC).unwrap();
        assert_eq!(went_on.at, time("02-01T09:00:00"));
        let future = When::new(Some(time("02-01T10:00:01")), clock);
        let error = guarded(&guard, future, Tz::UTC).unwrap_err().to_string();
        assert!(error.contains("is in the future"), "{error}");
    }
}
