mod starts;

use super::*;
use crate::config::ExpressionError;

/// What only the tests ask of a schedule.
impl Schedule {
    /// A schedule of a cron expression of five fields, or six with the seconds.
    fn parse(expression: &str, zone: Tz, catch_up: CatchUp) -> Result<Self, ExpressionError> {
        Ok(Self {
            expression: expression.parse()?,
            zone,
            catch_up,
            catch_up_within: None,
            jitter: TimeDelta::zero(),
            seed: "Corner shop".to_owned(),
        })
    }

    /// The first `at_most` slots after `after`, up to and with `until`.
    fn slots(&self, after: Instant, until: Instant, at_most: usize) -> Vec<Instant> {
        successors(self.next(after), |slot| self.next(*slot))
            .take_while(|slot| *slot <= until)
            .take(at_most)
            .collect()
    }
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn schedule(expression: &str, zone: &str, catch_up: CatchUp) -> Schedule {
    Schedule::parse(expression, zone.parse().unwrap(), catch_up).unwrap()
}

/// Slots as their own zone shows them, from UTC midnight to UTC midnight.
fn shown(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let midnight = |date: &str| at(&format!("{date}T00:00:00Z"));
    schedule
        .slots(midnight(from), midnight(to), 100)
        .iter()
        .map(|slot| slot.with_timezone(&schedule.zone))
        .map(|slot| slot.format("%d %H:%M:%S%:z").to_string())
        .collect()
}

#[test]
fn slots_follow_the_wall_of_the_zone() {
    for (expression, zone, from, to, expected) in [
        // Across both changes the wall time stays.
        (
            "0 5 * * *",
            "Europe/Berlin",
            "2025-03-29",
            "2025-03-31",
            &["29 05:00:00+01:00", "30 05:00:00+02:00"][..],
        ),
        (
            "0 5 * * *",
            "Europe/Berlin",
            "2025-10-25",
            "2025-10-27",
            &["25 05:00:00+02:00", "26 05:00:00+01:00"],
        ),
        // In the gap: once, at its end.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2025-03-29",
            "2025-04-01",
            &[
                "29 02:30:00+01:00",
                "30 03:00:00+02:00",
                "31 02:30:00+02:00",
            ],
        ),
        // In the overlap: once, at the first.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2025-10-25",
            "2025-10-28",
            &[
                "25 02:30:00+02:00",
                "26 02:30:00+02:00",
                "27 02:30:00+01:00",
            ],
        ),
        // Hours by name follow the same rule, and meet in the gap's end.
        (
            "15,45 2,3 * * *",
            "Europe/Berlin",
            "2025-03-30",
            "2025-03-31",
            &[
                "30 03:00:00+02:00",
                "30 03:15:00+02:00",
                "30 03:45:00+02:00",
            ],
        ),
        (
            "30 2,14 * * *",
            "Europe/Berlin",
            "2025-10-26",
            "2025-10-27",
            &["26 02:30:00+02:00", "26 14:30:00+01:00"],
        ),
        // London's midnight on the day of the change: once.
        (
            "0 0 * * *",
            "Europe/London",
            "2025-03-29",
            "2025-04-01",
            &[
                "30 00:00:00+00:00",
                "31 00:00:00+01:00",
                "01 00:00:00+01:00",
            ][..],
        ),
        // Midnight that does not exist, and midnight that comes twice.
        (
            "0 0 * * *",
            "America/Santiago",
            "2024-09-08",
            "2024-09-10",
            &["08 01:00:00-03:00", "09 00:00:00-03:00"],
        ),
        (
            "0 0 * * *",
            "America/Havana",
            "2024-11-03",
            "2024-11-05",
            &["03 00:00:00-04:00", "04 00:00:00-05:00"],
        ),
        // A day that the zone skipped, 30 December.
        (
            "0 0 * * *",
            "Pacific/Apia",
            "2011-12-29",
            "2012-01-01",
            &[
                "29 00:00:00-10:00",
                "31 00:00:00+14:00",
                "01 00:00:00+14:00",
            ],
        ),
        (
            "30 2 * * *",
            "Pacific/Apia",
            "2011-12-30",
            "2012-01-01",
            &[
                "31 00:00:00+14:00",
                "31 02:30:00+14:00",
                "01 02:30:00+14:00",
            ],
        ),
        // Six fields: seconds first.
        (
            "15 0 5 * * *",
            "UTC",
            "2025-03-29",
            "2025-03-30",
            &["29 05:00:15+00:00"],
        ),
    ] {
        let schedule = schedule(expression, zone, CatchUp::Latest);
        assert_eq!(shown(&schedule, from, to), expected, "{expression} {zone}");
    }
}

#[test]
fn a_schedule_of_every_hour_goes_by_elapsed_time() {
    for (after, until, expected) in [
        // Through the repeated hour.
        (
            "2025-10-25T23:45:00Z",
            "2025-10-26T02:00:00Z",
            &["2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"][..],
        ),
        // Past the skipped one: its wall times are not made up for.
        (
            "2025-03-30T00:00:00Z",
            "2025-03-30T02:00:00Z",
            &["2025-03-30T00:30:00Z", "2025-03-30T01:30:00Z"],
        ),
    ] {
        let berlin = schedule("30 * * * *", "Europe/Berlin", CatchUp::Latest);
        let expected: Vec<_> = expected.iter().map(|slot| at(slot)).collect();
        assert_eq!(berlin.slots(at(after), at(until), 100), expected, "{after}");
    }
}

#[test]
fn slots_lie_after_the_start_and_end_with_the_end() {
    let hourly = schedule("0 * * * *", "UTC", CatchUp::Latest);
    let slots = |after, until, most| hourly.slots(at(after), at(until), most);
    let one = [at("2025-06-01T11:00:00Z")];
    assert_eq!(
        slots("2025-06-01T10:00:00Z", "2025-06-01T11:00:00Z", 9),
        one
    );
    assert_eq!(
        slots("2025-06-01T10:00:00.5Z", "2025-06-01T11:00:00.5Z", 9),
        one
    );
    assert_eq!(
        slots("2025-06-01T10:00:00Z", "2025-06-01T15:00:00Z", 1),
        one
    );
    assert_eq!(
        slots("2025-06-01T11:00:00Z", "2025-06-01T11:00:00Z", 9),
        one[..0]
    );
    assert_eq!(
        slots("2025-06-01T11:00:00Z", "2025-06-01T09:00:00Z", 9),
        one[..0]
    );
    assert_eq!(hourly.next(at("2025-06-01T10:00:00Z")), Some(one[0]));
}

#[test]
fn a_slot_of_the_first_of_two_hours_is_past_in_the_second() {
    let daily = schedule("30 2 * * *", "Europe/Berlin", CatchUp::Latest);
    // Shown as 02:05 for the second time.
    let next = daily.next(at("2025-10-26T01:05:00Z"));
    assert_eq!(next, Some(at("2025-10-27T01:30:00Z")));
}

#[test]
fn what_is_owed_follows_the_catch_up_rule() {
    use CatchUp::{All, Latest};
    let daily = "0 6 * * *";
    for (expression, catch_up, last, now, expected) in [
        (daily, All, None, "2025-06-05T12:00:00Z", &[][..]),
        (daily, Latest, None, "2025-06-05T12:00:00Z", &[]),
        (
            daily,
            All,
            Some("2025-06-02T06:00:00Z"),
            "2025-06-05T06:00:00Z",
            &[
                "2025-06-03T06:00:00Z",
                "2025-06-04T06:00:00Z",
                "2025-06-05T06:00:00Z",
            ],
        ),
        (
            daily,
            Latest,
            Some("2025-06-02T06:00:00Z"),
            "2025-06-05T06:00:00Z",
            &["2025-06-05T06:00:00Z"],
        ),
        (
            daily,
            All,
            Some("2025-06-05T06:00:00Z"),
            "2025-06-05T23:00:00Z",
            &[],
        ),
        // The clock was set back.
        (
            daily,
            All,
            Some("2025-06-05T06:00:00Z"),
            "2025-06-01T07:00:00Z",
            &[],
        ),
        (
            daily,
            Latest,
            Some("2025-06-05T06:00:00Z"),
            "2025-06-05T05:59:00Z",
            &[],
        ),
        // A year of downtime, by the minute.
        (
            "* * * * *",
            Latest,
            Some("2024-06-05T06:00:00Z"),
            "2025-06-05T06:00:30Z",
            &["2025-06-05T06:00:00Z"],
        ),
    ] {
        let missed = schedule(expression, "UTC", catch_up).missed(last.map(at), at(now));
        let slots: Vec<_> = expected.iter().map(|slot| at(slot)).collect();
        assert_eq!(missed.slots, slots, "{expression} {catch_up} {now}");
        assert_eq!(missed.given_up, None, "{expression} {catch_up} {now}");
    }
}

#[test]
fn a_long_downtime_is_bounded_and_says_so() {
    let (last, now) = (at("2024-06-05T06:00:00Z"), at("2025-06-05T06:00:00Z"));
    let daily = schedule("0 6 * * *", "UTC", CatchUp::All).missed(Some(last), now);
    let given_up = |slot_at, slots| {
        Some(GivenUp {
            slot_at: at(slot_at),
            slots,
        })
    };
    assert_eq!(daily.slots.len(), 31);
    assert_eq!(daily.given_up, given_up("2025-05-05T06:00:00Z", 365 - 31));
    assert_eq!(daily.slots.first(), Some(&at("2025-05-06T06:00:00Z")));
    assert_eq!(daily.slots.last(), Some(&now));
    let often = schedule("* * * * *", "UTC", CatchUp::All).missed(Some(last), now);
    assert_eq!(often.slots.len(), 31);
    assert_eq!(often.given_up, given_up("2025-06-05T05:29:00Z", 10_000));
}

#[test]
fn the_instant_at_which_an_hour_begins_to_repeat_is_met() {
    let berlin = schedule("0 * * * *", "Europe/Berlin", CatchUp::All);
    let expected: Vec<_> = (0..=3)
        .map(|hour| at(&format!("2025-10-26T0{hour}:00:00Z")))
        .collect();
    let (from, until) = ("2025-10-25T23:30:00Z", "2025-10-26T03:30:00Z");
    assert_eq!(berlin.slots(at(from), at(until), 100), expected);
    assert_eq!(berlin.missed(Some(at(from)), at(until)).slots, expected);
}

/// Looking back finds what looking ahead found, from any point between.
#[test]
fn back_and_ahead_meet_the_same_slots() {
    for (zone, from, to) in [
        (
            "Europe/Berlin",
            "2025-03-29T20:07:11.5Z",
            "2025-03-30T06:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2025-10-25T20:07:11.5Z",
            "2025-10-26T06:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2025-04-05T10:00:00Z",
            "2025-04-05T20:00:00Z",
        ),
        (
            "America/Havana",
            "2024-11-03T01:00:00Z",
            "2024-11-03T10:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T05:00:00Z",
            "2011-12-30T20:00:00Z",
        ),
    ] {
        for expression in [
            "30 2 * * *",
            "0 0 * * *",
            "*/20 0-4 * * *",
            "10,50 */2 * * *",
            "*/7 * * * *",
            "20 * * * *",
            "0 * * * *",
        ] {
            let all = schedule(expression, zone, CatchUp::All);
            let (from, to) = (at(from), at(to));
            let ahead = all.slots(from, to, 1_000);
            assert!(ahead.is_sorted_by(|a, b| a < b), "{expression} {zone}");
            let mut now = from;
            while now <= to {
                let seen = ahead.iter().filter(|slot| **slot <= now);
                let mut newest: Vec<_> = seen.copied().rev().take(31).collect();
                newest.reverse();
                assert_eq!(
                    all.missed(Some(from), now).slots,
                    newest,
                    "{expression} {zone} {now}"
                );
                now += TimeDelta::minutes(10);
            }
        }
    }
}

#[test]
fn a_slot_that_waits_for_more_than_5_minutes_is_late() {
    let daily = ("0 6 * * *", "Europe/Berlin");
    let often = ("*/5 * * * *", "UTC");
    for ((expression, zone), last_run, now, expected) in [
        // The clocks go forward in the night between.
        (daily, "2025-03-29T05:00:00Z", "2025-03-30T04:05:00Z", None),
        (
            daily,
            "2025-03-29T05:00:00Z",
            "2025-03-30T04:05:01Z",
            Some("2025-03-30T04:00:00Z"),
        ),
        // Days later it is late since the first that was missed.
        (
            daily,
            "2025-03-29T05:00:03Z",
            "2025-04-07T12:00:00Z",
            Some("2025-03-30T04:00:00Z"),
        ),
        // A run by hand just before its slot is not the slot's.
        (
            daily,
            "2025-03-30T03:59:59Z",
            "2025-03-30T05:00:00Z",
            Some("2025-03-30T04:00:00Z"),
        ),
        (often, "2025-01-01T10:00:01Z", "2025-01-01T10:10:00Z", None),
        (
            often,
            "2025-01-01T10:00:01Z",
            "2025-01-01T10:10:01Z",
            Some("2025-01-01T10:05:00Z"),
        ),
        // A clock that was set back.
        (often, "2025-01-01T10:00:01Z", "2024-01-01T10:00:00Z", None),
    ] {
        let schedule = schedule(expression, zone, CatchUp::Latest);
        let found = schedule.late_since(at(last_run), at(now));
        assert_eq!(found, expected.map(at), "{expression} {last_run} {now}");
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    for (text, reason) in [
        ("", "CronPattern cannot be an empty string"),
        ("* * * * * * 2026", "years are disallowed"),
        ("61 * * * *", "out of bounds"),
        ("0 0 31 4 *", "it never comes"),
    ] {
        let error = Schedule::parse(text, Tz::UTC, CatchUp::Latest).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("found {text:?}, expected a cron")),
            "{error}"
        );
        assert!(error.contains(reason), "{error}");
    }
}
