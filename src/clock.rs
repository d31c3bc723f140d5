//! The clock: the only caller of the system's. Everything else is handed `now`.

use std::time::Duration;

use chrono::{SubsecRound, Utc};

use crate::policy::Instant;

/// The present, in whole microseconds: as exact as the database keeps it.
#[expect(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Utc::now().trunc_subsecs(6)
}

/// Measures how long something takes. The system's clock being set does not
/// disturb it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;

    use super::*;

    #[test]
    fn the_present_has_whole_microseconds() {
        assert_eq!(now().nanosecond() % 1_000, 0);
    }
}
