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

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use crate::config::{CatchUp, Expression};
use crate::jobs::GivenUp;
use crate::policy::{Instant, sha256_hex};

/// Slots that `CatchUp::All` makes up for at most: a month of daily reports.
const MOST_OWED: usize = 31;

/// Slots that are given up are counted up to this number.
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
    /// How old a slot may be that is still run, its jitter not counted; `None`:
    /// any age.
    pub catch_up_within: Option<TimeDelta>,
    /// Runs begin within this span after their slot.
    pub jitter: TimeDelta,
    /// Who spreads its runs: others have them at other times.
    pub seed: String,
}

/// What is owed of the slots that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The slots to run now, in the order of time.
    pub slots: Vec<Instant>,
    /// The slots before them that nobody runs any more, counted up to 10,000:
    /// too old, or too many.
    pub given_up: Option<GivenUp>,
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
        let young = slots.partition_point(|slot| !self.is_too_old(*slot, now));
        let mut lost = slots.split_off(young);
        slots.reverse();
        // The newest stands for those before it.
        if self.catch_up == CatchUp::All || slots.is_empty() {
            lost.extend(owed.take(MOST_COUNTED - lost.len()));
        }
        let given_up = lost.first().map(|slot_at| GivenUp {
            slot_at: *slot_at,
            slots: lost.len() as u64,
        });
        Missed { slots, given_up }
    }

    /// Whether a slot that was not begun is not run any more.
    pub fn is_too_old(&self, slot: Instant, now: Instant) -> bool {
        let most = self.catch_up_within.map(|within| within + self.jitter);
        most.is_some_and(|most| now - slot > most)
    }

    /// When the run of a slot is to begin: the same on all nodes.
    pub fn starts_at(&self, slot: Instant) -> Instant {
        let span = self.jitter.num_microseconds().unwrap_or(i64::MAX);
        if span <= 0 {
            return slot;
        }
        let hash = sha256_hex(format!("{}\n{}", self.seed, slot.timestamp_micros()).as_bytes());
        let hash = hash
            .get(..15)
            .and_then(|hex| i64::from_str_radix(hex, 16).ok());
        slot + TimeDelta::microseconds(hash.unwrap_or(0) % span)
    }

    /// The first start after `now`: of a slot to come, or of one that has come
    /// and waits for its start.
    pub fn next_start(&self, now: Instant) -> Option<Instant> {
        let since = now - self.jitter;
        let last = self.next(now)?;
        successors(self.next(since), |slot| self.next(*slot))
            .take_while(|slot| *slot <= last)
            .map(|slot| self.starts_at(slot))
            .filter(|start| *start > now)
            .min()
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

    /// When the first slot after the last run is to begin.
    pub fn start_after(&self, last_run: Instant) -> Option<Instant> {
        Some(self.starts_at(self.next(last_run)?))
    }

    /// The same, if that is more than 5 minutes ago.
    pub fn late_since(&self, last_run: Instant, now: Instant) -> Option<Instant> {
        let start = self.start_after(last_run)?;
        (now - start > MAY_WAIT).then_some(start)
    }

    /// The last slot at or before `now`.
    fn latest(&self, now: Instant) -> Option<Instant> {
        let cron = self.expression.cron();
        if self.expression.is_hourly() {
            return self.latest_by_the_hour(now);
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

    /// The same of a schedule of every hour. Looking back through a repeated
    /// hour, croner loses slots: so it looks at a wall whose offset does not
    /// change, and again at one before the change.
    fn latest_by_the_hour(&self, now: Instant) -> Option<Instant> {
        let offset = |at: Instant| at.with_timezone(&self.zone).offset().fix();
        let cron = self.expression.cron();
        let mut now = now;
        loop {
            let wall = now.with_timezone(&offset(now));
            let slot = cron.find_previous_occurrence(&wall, true).ok()?.to_utc();
            if offset(slot) == offset(now) {
                return Some(slot);
            }
            // The change lies after `old` and at or before `new`.
            let (mut old, mut new) = (slot, now);
            while new - old > TimeDelta::microseconds(1) {
                let middle = old + (new - old) / 2;
                match offset(middle) == offset(now) {
                    true => new = middle,
                    false => old = middle,
                }
            }
            now = old;
        }
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
