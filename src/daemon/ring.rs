//! What the clock did between two rings of the bell.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::{self, Stopwatch};
use crate::policy::Instant;

/// The clock may go this far from the time that elapsed.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// A ring of the bell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    /// What the clock showed.
    pub at: Instant,
    since: Stopwatch,
}

impl Ring {
    /// The ring at the present.
    pub fn now() -> Self {
        Self {
            at: clock::now(),
            since: Stopwatch::start(),
        }
    }

    /// The ring after this. Says so if the clock has gone another way than
    /// time since.
    pub fn next(self) -> Self {
        let next = Self::now();
        let by = jump(self.at, self.since.elapsed(), next.at);
        let (from, to) = (self.at, next.at);
        if by > TimeDelta::zero() {
            let what = "the clock went ahead of time: it was set, or the machine slept; missed \
                        slots follow the rules of their jobs";
            tracing::warn!(%from, %to, "{what}");
        } else if by < TimeDelta::zero() {
            let what = "the clock was set back: slots that were planned before are not run \
                        again, and nothing is enforced or delivered before the time up to when \
                        was enforced";
            tracing::warn!(%from, %to, "{what}");
        }
        next
    }
}

/// How far the clock went from the time that elapsed; zero: not worth a word.
fn jump(before: Instant, elapsed: Duration, now: Instant) -> TimeDelta {
    let elapsed = TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX);
    let by = (now - before) - elapsed;
    match by.abs() > TOLERANCE {
        true => by,
        false => TimeDelta::zero(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_leaves_time_jumps() {
        let before = Instant::UNIX_EPOCH;
        let minutes = TimeDelta::minutes;
        for (elapsed, shown, expected) in [
            (0, 0, 0),
            (0, 1, 0),
            (0, -1, 0),
            // A run of two hours is none.
            (120, 120, 0),
            (0, 180, 180),
            (5, 185, 180),
            (5, -1_440, -1_445),
        ] {
            let by = jump(
                before,
                Duration::from_secs(60 * elapsed),
                before + minutes(shown),
            );
            assert_eq!(by, minutes(expected), "{elapsed} {shown}");
        }
    }
}
