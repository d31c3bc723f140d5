//! When slots begin, and which no longer do.

use super::*;

#[test]
fn what_is_too_old_is_given_up() {
    use CatchUp::{All, Latest};
    let given_up = |slot_at, slots| {
        Some(GivenUp {
            slot_at: at(slot_at),
            slots,
        })
    };
    let last = "2025-06-01T06:00:00Z";
    for (catch_up, jitter, now, slots, expected) in [
        // 3 days to the second, and one more.
        (All, 0, "2025-06-05T06:00:00Z", 4, None),
        (
            All,
            0,
            "2025-06-05T06:00:01Z",
            3,
            given_up("2025-06-02T06:00:00Z", 1),
        ),
        // A start that is spread is not late for that.
        (All, 1, "2025-06-05T06:01:00Z", 4, None),
        (
            All,
            1,
            "2025-06-05T06:01:01Z",
            3,
            given_up("2025-06-02T06:00:00Z", 1),
        ),
        // The newest stands for the others.
        (Latest, 0, "2025-06-09T07:00:00Z", 1, None),
    ] {
        let schedule = Schedule {
            catch_up_within: Some(TimeDelta::days(3)),
            jitter: TimeDelta::minutes(jitter),
            ..schedule("0 6 * * *", "UTC", catch_up)
        };
        let missed = schedule.missed(Some(at(last)), at(now));
        let found = (missed.slots.len(), missed.given_up);
        assert_eq!(found, (slots, expected), "{catch_up} {now}");
    }
    // Unless it is too old itself.
    let schedule = Schedule {
        catch_up_within: Some(TimeDelta::hours(2)),
        ..schedule("0 6 * * *", "UTC", Latest)
    };
    let missed = schedule.missed(Some(at(last)), at("2025-06-04T08:00:01Z"));
    assert!(missed.slots.is_empty());
    assert_eq!(missed.given_up, given_up("2025-06-04T06:00:00Z", 3));
}

#[test]
fn starts_are_spread_by_business_and_slot_and_the_same_everywhere() {
    let spread = |seed: &str| Schedule {
        jitter: TimeDelta::hours(1),
        seed: seed.to_owned(),
        ..schedule("0 6 * * *", "UTC", CatchUp::All)
    };
    let slots = schedule("0 6 * * *", "UTC", CatchUp::All).slots(
        at("2025-01-01T00:00:00Z"),
        at("2025-12-31T00:00:00Z"),
        100,
    );
    let delays = |seed| {
        let schedule = spread(seed);
        let delay = move |slot: &Instant| schedule.starts_at(*slot) - *slot;
        slots.iter().map(delay).collect::<Vec<_>>()
    };
    let one = delays("one");
    assert_eq!(one, delays("one"));
    let hour = TimeDelta::zero()..TimeDelta::hours(1);
    assert!(one.iter().all(|delay| hour.contains(delay)), "{one:?}");
    // Over all of the hour.
    assert!(one.iter().any(|delay| delay.num_minutes() < 10));
    assert!(one.iter().any(|delay| delay.num_minutes() >= 50));
    let same = one.iter().zip(delays("two"));
    assert!(same.into_iter().all(|(one, two)| *one != two));
}

#[test]
fn the_next_start_may_be_of_a_slot_that_has_come() {
    let schedule = Schedule {
        jitter: TimeDelta::hours(1),
        ..schedule("0 6 * * *", "UTC", CatchUp::All)
    };
    let (slot, next) = (at("2025-06-01T06:00:00Z"), at("2025-06-02T06:00:00Z"));
    let start = schedule.starts_at(slot);
    let moment = TimeDelta::microseconds(1);
    for (now, expected) in [
        (slot - TimeDelta::hours(2), start),
        (slot, start),
        (start - moment, start),
        (start, schedule.starts_at(next)),
    ] {
        assert_eq!(schedule.next_start(now), Some(expected), "{now}");
    }
    let may_wait = TimeDelta::minutes(5);
    let yesterday = slot - TimeDelta::days(1);
    assert_eq!(schedule.late_since(yesterday, start + may_wait), None);
    let late = schedule.late_since(yesterday, start + may_wait + moment);
    assert_eq!(late, Some(start));
}
