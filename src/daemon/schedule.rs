//! Which slots a schedule has, and which of them are owed: values in, values
//! out, `now` among them.
//!
//! A schedule is read off the clock on the wall of its zone. A wall time that
//! the clock skips is met at the first instant after it, one that it shows
//! twice at the earlier (spec, section 2). Only a schedule of every hour goes
//! by elapsed time: it goes on through a repeated hour, and owes nothing to a
//! skipped one.

#[cfg(test)]
mod tests;

use std::iter::successors;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use crate::config::{CatchUp, Expression};
use crate::policy::Instant;

/// Slots that `CatchUp::All` makes up for at most: a month of daily reports.
const MOST_OWED: usize = 31;

/// Dropped slots are counted up to this number.
const MOST_COUNTED: usize = 10_000;

/// How long a slot may wait for its turn before it is late.
const MAY_WAIT: TimeDelta = TimeDelta::minutes(5);

/// When a job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The times on the wall.
    pub expression: Expression,
    /// The zone of the wall.
    pub zone: Tz,
    /// What is made up for of missed slots.
    pub catch_up: CatchUp,
}

/// What is owed of the slots that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The slots to run now, in the order of time.
    pub slots: Vec<Instant>,
    /// Older slots that [`CatchUp::All`] gives up, counted up to 10,000.
    pub dropped: usize,
}

impl Schedule {
    /// What is owed at `now` if `last_planned` was the last slot that was
    /// planned. Nothing is owed for the time before the first start, nor while
    /// a clock that was set back shows a time that was planned before.
    pub fn missed(&self, last_planned: Option<Instant>, now: Instant) -> Missed {
        let newest = last_planned.and_then(|_| self.latest(now));
        let before = |slot: &Instant| {
            let at = slot.checked_sub_signed(TimeDelta::microseconds(1))?;
            self.latest(at)
        };
        let mut owed = successors(newest, before).take_while(|slot| Some(*slot) > last_planned);
        let most = match self.catch_up {
            CatchUp::Latest => 1,
            CatchUp::All => MOST_OWED,
        };
        let mut slots: Vec<_> = owed.by_ref().take(most).collect();
        slots.reverse();
        let dropped = match self.catch_up {
            CatchUp::Latest => 0,
            CatchUp::All => owed.take(MOST_COUNTED).count(),
        };
        Missed { slots, dropped }
    }

    /// The first slot after `now`; none if the calendar ends before it.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let cron = self.expression.cron();
        if self.expression.is_hourly() {
            let slot = cron.find_next_occurrence(&now.with_timezone(&self.zone), false);
            return slot.ok().map(|slot| slot.to_utc());
        }
        let following = |wall: &DateTime<Utc>| cron.find_next_occurrence(wall, false).ok();
        successors(following(&self.wall(now)), following)
            .map(|wall| self.first_at(wall.naive_utc()))
            .find(|slot| *slot > now)
    }

    /// The first slot after the last run, if that has waited for more than 5
    /// minutes.
    pub fn late_since(&self, last_run: Instant, now: Instant) -> Option<Instant> {
        let slot = self.next(last_run)?;
        (now - slot > MAY_WAIT).then_some(slot)
    }

    /// The last slot at or before `now`.
    fn latest(&self, now: Instant) -> Option<Instant> {
        let cron = self.expression.cron();
        if self.expression.is_hourly() {
            let slot = cron.find_previous_occurrence(&now.with_timezone(&self.zone), true);
            return slot.ok().map(|slot| slot.to_utc());
        }
        let wall = self.wall(now);
        // In a repeated hour the wall has shown later times than now.
        let ahead = match self.zone.from_local_datetime(&wall.naive_utc()) {
            LocalResult::Ambiguous(first, second) => second - first,
            _ => TimeDelta::zero(),
        };
        let start = wall.checked_add_signed(ahead)?;
        let newest = cron.find_previous_occurrence(&start, true).ok();
        successors(newest, |wall| {
            cron.find_previous_occurrence(wall, false).ok()
        })
        .map(|wall| self.first_at(wall.naive_utc()))
        .find(|slot| *slot <= now)
    }

    /// What the clock on the wall shows, as if the wall were in UTC: there no
    /// time is skipped or repeated.
    fn wall(&self, at: Instant) -> DateTime<Utc> {
        at.with_timezone(&self.zone).naive_local().and_utc()
    }

    /// The first instant at which the wall shows a time, or a later one.
    fn first_at(&self, wall: NaiveDateTime) -> Instant {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
            LocalResult::None => GapInfo::new(&wall, &self.zone)
                .and_then(|gap| gap.end)
                .map_or_else(|| wall.and_utc(), |end| end.to_utc()),
        }
    }
}
