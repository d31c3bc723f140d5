//! Local days of the business as instants: the zone, weekends and holidays.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc, Weekday,
};
use chrono_tz::{GapInfo, Tz};

/// A point in time, in UTC.
pub type Instant = DateTime<Utc>;

/// The days of a business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The zone that dates are in.
    pub zone: Tz,
    weekend: Vec<Weekday>,
    holidays: BTreeSet<NaiveDate>,
}

/// A calendar that no deadline could be counted on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("every day of the week is in the weekend: expected at least one working day")]
pub struct CalendarError;

impl Calendar {
    /// A calendar; refused if no day of the week is a working day.
    pub fn new(
        zone: Tz,
        weekend: Vec<Weekday>,
        holidays: BTreeSet<NaiveDate>,
    ) -> Result<Self, CalendarError> {
        let mut day = Weekday::Mon;
        for _ in 0..7 {
            if !weekend.contains(&day) {
                return Ok(Self {
                    zone,
                    weekend,
                    holidays,
                });
            }
            day = day.succ();
        }
        Err(CalendarError)
    }

    /// The local date on which an instant falls.
    pub fn date_of(&self, at: Instant) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The first instant of a local day. Where local midnight does not exist
    /// (a gap, a day that the zone skipped) it is the first local instant
    /// after it that does; where it occurs twice, the earlier one.
    pub fn day_start(&self, date: NaiveDate) -> Instant {
        self.instant_of(date.and_time(NaiveTime::MIN))
    }

    /// The same local time of day, so many local days before; where that does
    /// not exist or occurs twice, as [`Calendar::day_start`].
    pub fn days_before(&self, at: Instant, days: u64) -> Instant {
        let local = at.with_timezone(&self.zone).naive_local();
        let before = local.checked_sub_days(Days::new(days));
        before.map_or(Instant::MIN_UTC, |before| self.instant_of(before))
    }

    fn instant_of(&self, local: NaiveDateTime) -> Instant {
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.with_timezone(&Utc),
            LocalResult::None => GapInfo::new(&local, &self.zone)
                .and_then(|gap| gap.end)
                .map_or_else(|| local.and_utc(), |end| end.with_timezone(&Utc)),
        }
    }

    /// Whether the shop works on a local date.
    pub fn is_working_day(&self, date: NaiveDate) -> bool {
        use chrono::Datelike;
        !self.weekend.contains(&date.weekday()) && !self.holidays.contains(&date)
    }

    /// The first instant after a local date.
    pub fn day_end(&self, date: NaiveDate) -> Instant {
        self.day_start(plus_days(date, 1))
    }

    /// Weekend days, in the order of the configuration.
    pub fn weekend(&self) -> &[Weekday] {
        &self.weekend
    }

    /// Holidays in the order of time.
    pub fn holidays(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.holidays.iter().copied()
    }
}

/// `date` plus so many days; the last date there is, rather than none.
pub(super) fn plus_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days))
        .unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str) -> Calendar {
        Calendar::new(
            zone.parse().unwrap(),
            vec![Weekday::Sat, Weekday::Sun],
            BTreeSet::new(),
        )
        .unwrap()
    }

    #[test]
    fn a_day_starts_at_its_first_instant_that_exists() {
        for (zone, date, expected) in [
            ("Europe/Rome", "2012-01-01", "2011-12-31T23:00:00Z"),
            ("Europe/Rome", "2012-03-26", "2012-03-25T22:00:00Z"),
            // Midnight does not exist: the clocks go from 00:00 to 01:00.
            ("America/Santiago", "2024-09-08", "2024-09-08T04:00:00Z"),
            ("Asia/Beirut", "2021-03-28", "2021-03-27T22:00:00Z"),
            // Midnight occurs twice: the earlier one.
            ("America/Havana", "2024-11-03", "2024-11-03T04:00:00Z"),
            // The whole day was skipped.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ] {
            let expected: Instant = expected.parse().unwrap();
            assert_eq!(
                calendar(zone).day_start(date.parse().unwrap()),
                expected,
                "{zone} {date}"
            );
        }
    }

    #[test]
    fn days_before_keep_the_local_time_of_day() {
        for (zone, at, days, expected) in [
            (
                "Europe/Rome",
                "2012-06-01T06:30:00Z",
                7,
                "2012-05-25T06:30:00Z",
            ),
            // The clocks changed in between, to summer and to winter.
            (
                "Europe/Rome",
                "2012-03-28T06:30:00Z",
                7,
                "2012-03-21T07:30:00Z",
            ),
            (
                "Europe/Rome",
                "2012-10-29T07:30:00Z",
                1,
                "2012-10-28T07:30:00Z",
            ),
            (
                "Europe/Rome",
                "2012-10-29T07:30:00Z",
                7,
                "2012-10-22T06:30:00Z",
            ),
            // 02:30 does not exist the day before.
            (
                "Europe/Rome",
                "2012-03-26T00:30:00Z",
                1,
                "2012-03-25T01:00:00Z",
            ),
            // 02:30 occurs twice the day before: the earlier one.
            (
                "Europe/Rome",
                "2012-10-29T01:30:00Z",
                1,
                "2012-10-28T00:30:00Z",
            ),
        ] {
            let (at, expected): (Instant, Instant) =
                (at.parse().unwrap(), expected.parse().unwrap());
            assert_eq!(
                calendar(zone).days_before(at, days),
                expected,
                "{zone} {at}"
            );
        }
    }

    #[test]
    fn a_week_without_a_working_day_is_refused() {
        let mut days = vec![Weekday::Mon];
        while days.len() < 7 {
            days.push(days[days.len() - 1].succ());
        }
        assert_eq!(
            Calendar::new(Tz::UTC, days, BTreeSet::new()),
            Err(CalendarError)
        );
    }
}
