//! What the managers' page counts.

use std::collections::BTreeSet;

use chrono::{NaiveDate, Weekday};

use super::{at, case, claim, repair, rules, scope, time, trend, unit};
use crate::case::{Case, Claim, ClaimType, Rules, evaluate};
use crate::policy::{Book, Calendar, Instant, Money, Policy, STANDARD, Wait, Window};
use crate::report::{Daily, DailySet, Dialect, History, Owed, Scope, Summary};

fn summary(cases: &[Case], rules: &Rules, at: Instant) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    let scope = Scope { at, ..scope(rules) };
    let mut set = DailySet::create(dir.path(), scope, Dialect::default()).unwrap();
    for case in cases {
        set.add(case, &evaluate(case, rules, at).unwrap()).unwrap();
    }
    let Daily { summary, .. } = set.finish(History::default()).unwrap();
    summary
}

/// One claim of a unit that was received long before.
fn one(claim: Claim) -> Case {
    case(
        "A",
        "2024-12-01",
        vec![unit("U", "2024-12-05", vec![claim])],
    )
}

/// Overdue, missed in the last 30 days, and how many of those days were kept
/// or not, as of 31 March 2025 at noon, a day and a week before. A repair is
/// promised within 20 days.
#[test]
fn a_figure_is_told_with_what_it_was() {
    let rules = rules();
    for (received, repaired, overdue, missed, decided) in [
        // Late since the 12th, the 25th, yesterday, today, and not yet.
        ("2025-02-19", None, [1, 1, 1], [0; 3], [1, 1, 1]),
        ("2025-03-04", None, [1, 1, 0], [0; 3], [1, 1, 0]),
        ("2025-03-09", None, [1, 1, 0], [0; 3], [1, 1, 0]),
        ("2025-03-10", None, [1, 0, 0], [0; 3], [1, 0, 0]),
        ("2025-03-11", None, [0; 3], [0; 3], [0; 3]),
        // Repaired too late: four days ago, and this morning.
        (
            "2025-02-19",
            Some("2025-03-27"),
            [0, 0, 1],
            [1, 1, 0],
            [1; 3],
        ),
        (
            "2025-02-19",
            Some("2025-03-31"),
            [0, 1, 1],
            [1, 0, 0],
            [1; 3],
        ),
        // In time, but not at once.
        ("2025-03-20", Some("2025-03-26"), [0; 3], [0; 3], [0; 3]),
        ("2025-03-05", Some("2025-03-20"), [0; 3], [0; 3], [1, 1, 0]),
        // The last day was the 1st of March: the 31st day back, the 30th
        // yesterday.
        (
            "2025-02-09",
            Some("2025-03-05"),
            [0; 3],
            [0, 1, 1],
            [0, 1, 1],
        ),
        (
            "2025-02-10",
            Some("2025-03-05"),
            [0; 3],
            [1, 1, 1],
            [1, 1, 1],
        ),
    ] {
        let found = summary(&[one(repair("R", received, repaired))], &rules, at()).figures;
        let what = format!("{received} {repaired:?}");
        let [now, yesterday, last_week] = overdue;
        assert_eq!(found.overdue, trend(now, yesterday, last_week), "{what}");
        let [now, yesterday, last_week] = missed;
        assert_eq!(found.missed, trend(now, yesterday, last_week), "{what}");
        let [now, yesterday, last_week] = decided;
        let kept = found.on_time.iter();
        let kept = kept.filter(|kept| kept.window == Window::HardwareRepair);
        let kept: Vec<_> = kept.map(|kept| kept.decided).collect();
        assert_eq!(kept, [trend(now, yesterday, last_week)], "{what}");
    }
}

#[test]
fn a_refund_that_was_paid_in_the_week_is_owed_no_more() {
    let rules = rules();
    let waiting = |refunded_at: Option<&str>| Claim {
        unrepairable_at: Some(time("2025-03-10")),
        returned_at: Some(time("2025-03-12")),
        refunded_at: refunded_at.map(time),
        ..claim("F", ClaimType::Refund, "2025-03-05")
    };
    let unit = |claim| unit("U", "2025-03-02", vec![claim]);
    for (refunded_at, refunds, sums) in [
        (None, [1, 1, 1], [8_000; 3]),
        (Some("2025-03-28"), [0, 0, 1], [0, 0, 8_000]),
        (Some("2025-03-20"), [0, 0, 0], [0; 3]),
    ] {
        let case = case("A", "2025-03-01", vec![unit(waiting(refunded_at))]);
        let found = summary(&[case], &rules, at()).figures.refunds_owed;
        let [now, yesterday, last_week] = refunds;
        let refunds = trend(now, yesterday, last_week);
        let [now, yesterday, last_week] = sums;
        let sum = trend(now, yesterday, last_week).map(|minor| Money {
            minor: *minor,
            currency: "EUR".parse().unwrap(),
        });
        let expected = match refunds == trend(0, 0, 0) {
            true => vec![],
            false => vec![Owed { refunds, sum }],
        };
        assert_eq!(found, expected, "{refunded_at:?}");
    }
}

#[test]
fn fourteen_days_are_looked_ahead_from_today_on() {
    let mut rules = rules();
    let holiday: NaiveDate = "2025-04-02".parse().unwrap();
    let zone = rules.calendar.zone;
    let weekend = vec![Weekday::Sat, Weekday::Sun];
    rules.calendar = Calendar::new(zone, weekend, BTreeSet::from([holiday])).unwrap();
    let cases: Vec<_> = [
        "2025-03-10", // overdue
        "2025-03-11", // today is the last day
        "2025-03-13", // the holiday
        "2025-03-13",
        "2025-03-24", // the 14th day
        "2025-03-25", // the 15th
    ]
    .map(|received| one(repair("R", received, None)))
    .to_vec();
    let due = summary(&cases, &rules, at()).due;
    let days: Vec<_> = due.iter().map(|day| day.date.to_string()).collect();
    assert_eq!(
        (days.len(), &*days[0], &*days[13]),
        (14, "2025-03-31", "2025-04-13")
    );
    let counts: Vec<_> = due.iter().map(|day| day.total()).collect();
    assert_eq!(counts, [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let off = due.iter().filter(|day| !day.is_working_day);
    let off: Vec<_> = off.map(|day| day.date.to_string()).collect();
    assert_eq!(
        off,
        [
            "2025-04-02",
            "2025-04-05",
            "2025-04-06",
            "2025-04-12",
            "2025-04-13"
        ]
    );
}

/// The weeks of 26, by the Monday of the last day's week, over the year's turn
/// and the night on which the clocks went forward.
#[test]
fn promises_belong_to_the_week_of_their_last_day() {
    let rules = rules();
    let found = |received: &str, repaired| {
        let claim = repair("R", received, repaired);
        let weeks = summary(&[one(claim)], &rules, time("2025-04-03")).weeks;
        let mondays: Vec<_> = weeks.mondays().map(|monday| monday.to_string()).collect();
        assert_eq!(
            (mondays.len(), &*mondays[0], &*mondays[25]),
            (26, "2024-10-07", "2025-03-31")
        );
        let weeks = weeks.windows.get(&Window::HardwareRepair).cloned();
        let weeks = weeks.unwrap_or_default();
        let weeks = weeks
            .iter()
            .zip(mondays)
            .filter(|(week, _)| week.total() > 0);
        let weeks: Vec<_> = weeks
            .map(|(week, monday)| (monday, week.met, week.late))
            .collect();
        weeks
    };
    for (received, repaired, monday, met, late) in [
        ("2024-12-09", Some("2024-12-28"), "2024-12-23", 1, 0), // last day Sunday 29
        ("2024-12-10", Some("2024-12-28"), "2024-12-30", 1, 0), // Monday 30
        ("2024-12-16", Some("2025-01-20"), "2024-12-30", 0, 1), // Sunday 5 January
        ("2025-03-10", None, "2025-03-24", 0, 1),               // Sunday 30 March, overdue
        ("2025-03-11", Some("2025-03-12"), "2025-03-31", 1, 0), // Monday 31
        ("2025-03-14", Some("2025-03-15"), "2025-03-31", 1, 0), // today
    ] {
        assert_eq!(
            found(received, repaired),
            [(monday.to_owned(), met, late)],
            "{received}"
        );
    }
    // Open, or long ago.
    assert_eq!(found("2025-03-20", None), []);
    assert_eq!(found("2024-09-16", Some("2024-09-20")), []);
}

#[test]
fn repairs_are_told_by_the_days_that_they_took() {
    let paused = STANDARD.replace(
        "clause = \"4.1\"\ndays = 20\n",
        "clause = \"4.1\"\ndays = 20\npause_on_wait = true\n",
    );
    let mut rules = rules();
    rules.policies = Book::default();
    rules
        .policies
        .add(Policy::parse("standard.toml", &paused).unwrap());
    let waited = Claim {
        waits: vec![Wait {
            from: time("2025-03-02"),
            until: Some(time("2025-03-05")),
        }],
        ..repair("R-3", "2025-03-01", Some("2025-03-08"))
    };
    let cases = [
        repair("R-1", "2025-02-01", Some("2025-02-01")),
        repair("R-2", "2025-02-01", Some("2025-02-25")),
        waited,
        // Before the first week, and not ended.
        repair("R-4", "2024-09-01", Some("2024-09-02")),
        repair("R-5", "2025-03-20", None),
        // A fix window that ran out.
        claim("F-1", ClaimType::Exchange, "2024-12-06"),
    ];
    let cases: Vec<_> = cases.into_iter().map(one).collect();
    let repairs = summary(&cases, &rules, at()).repairs.windows;
    let taken = &repairs[&Window::HardwareRepair];
    let days: Vec<_> = taken
        .days
        .iter()
        .map(|(days, one)| (*days, one.met, one.late))
        .collect();
    assert_eq!(days, [(0, 1, 0), (7, 1, 0), (24, 0, 1)]);
    assert_eq!((taken.paused, taken.lapsed), (1, 0));
    let half = (taken.gross.nearest_rank(50), taken.net.nearest_rank(50));
    assert_eq!(half, (Some(7), Some(4)));
    assert_eq!(taken.promised, BTreeSet::from([(20, false)]));
    let fixes = &repairs[&Window::HardwareFix];
    assert_eq!((fixes.lapsed, fixes.days.len()), (1, 0));
}

#[test]
fn what_is_overdue_is_told_by_its_age() {
    let rules = rules();
    // Days late: 1, 2, 3, 7, 8, 14, 15, 30, 31, 90, 91.
    let received = [10, 9, 8, 4, 3].map(|day| format!("2025-03-{day:02}"));
    let older = [
        "2025-02-25",
        "2025-02-24",
        "2025-02-09",
        "2025-02-08",
        "2024-12-11",
        "2024-12-10",
    ];
    let received = received.iter().map(String::as_str).chain(older);
    let cases: Vec<_> = received.map(|day| one(repair("R", day, None))).collect();
    let found = summary(&cases, &rules, at());
    let ages = found.ageing.totals();
    assert_eq!(ages, [2, 2, 2, 2, 2, 1]);
    let late: Vec<_> = found.worst().iter().map(|late| late.late_days).collect();
    assert_eq!(late, [91, 90, 31, 30, 15, 14, 8, 7, 3, 2, 1]);
}

#[test]
fn everybody_has_what_is_on_their_list() {
    let rules = rules();
    let nobodys = Claim {
        assignee_email: None,
        ..repair("R-2", "2025-03-02", None)
    };
    let mut cancelled = case("B", "2025-03-01", vec![]);
    cancelled.order.cancelled_at = Some(time("2025-03-20"));
    let unpaid = Claim {
        unrepairable_at: Some(time("2025-03-06")),
        returned_at: Some(time("2025-03-12")),
        ..claim("F", ClaimType::Refund, "2025-03-05")
    };
    let refund = case(
        "C",
        "2025-03-01",
        vec![unit("U-2", "2025-03-02", vec![unpaid])],
    );
    let cases = [one(repair("R-1", "2025-03-01", None)), cancelled, refund];
    let mut cases = cases.to_vec();
    cases[0].units[0].claims.push(nobodys);
    let found = summary(&cases, &rules, at());
    let mut who: Vec<_> = found
        .worst()
        .iter()
        .map(|late| (&*late.subject_ref, &*late.who))
        .collect();
    who.sort_unstable();
    assert_eq!(
        who,
        [
            ("B", "finance"),
            ("F", "finance"),
            ("R-1", "tech@shop.example"),
            ("R-2", "lead")
        ]
    );
}
