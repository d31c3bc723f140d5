//! Spec, section 5, rules 1 to 4: what a run records that comes in time, late
//! or very late.

use warrantyd::case::Case;

use super::build::Shop;
use super::ledger::Ledger;

/// A repair that is due on 22 March 2025.
fn repair(shop: &Shop, more: &str) -> Case {
    let claim = format!("repair opened 2025-02-20, received 2025-03-01 10:00{more}");
    shop.hardware("received 2025-01-01", &claim)
}

/// What one single run records of the repair; the notices of other windows
/// are from January.
#[track_caller]
fn records(live_from: Option<&str>, held: bool, now: &str, expected: &[&str]) {
    let shop = Shop::standard();
    let mut ledger = Ledger::of(&shop);
    ledger.live_from = live_from.map(|from| shop.at(from));
    ledger.customers_held = held;
    assert_eq!(ledger.run(&repair(&shop, ""), now), expected, "{now}");
}

#[test]
fn of_steps_that_passed_only_the_latest_is_sent_to_each() {
    records(None, false, "2025-03-01 10:00", &["start customer queued"]);
    records(
        None,
        false,
        "2025-03-21",
        &[
            "start customer stale",
            "-5d assignee superseded",
            "-1d assignee queued",
            "-1d lead queued",
        ],
    );
    records(
        None,
        false,
        "2025-03-23",
        &[
            "start customer superseded",
            "-5d assignee superseded",
            "-1d assignee superseded",
            "-1d lead superseded",
            "due customer queued",
            "due assignee queued",
            "due lead queued",
            "+1d manager queued",
        ],
    );
}

#[test]
fn a_customer_is_told_nothing_that_is_more_than_three_days_old() {
    records(None, false, "2025-03-04 10:00", &["start customer queued"]);
    records(
        None,
        false,
        "2025-03-04 10:00:01",
        &["start customer stale"],
    );
    let due = |customer| {
        [
            "start customer superseded",
            "-5d assignee superseded",
            "-1d assignee superseded",
            "-1d lead superseded",
            customer,
            "due assignee queued",
            "due lead queued",
            "+1d manager queued",
            "+3d director queued",
        ]
    };
    records(None, false, "2025-03-25", &due("due customer queued"));
    records(
        None,
        false,
        "2025-03-25 00:00:01",
        &due("due customer stale"),
    );
    // The clocks go forward within the three days of elapsed time.
    let shop = Shop::standard();
    for (now, expected) in [
        ("2025-04-01 11:00", "start customer queued"),
        ("2025-04-01 11:01", "start customer stale"),
    ] {
        let claim = "repair opened 2025-02-20, received 2025-03-29 10:00";
        let case = shop.hardware("received 2025-01-01", claim);
        assert_eq!(Ledger::of(&shop).run(&case, now), [expected], "{now}");
    }
}

#[test]
fn nobody_is_told_what_should_have_fired_before_going_live() {
    // Also where a later step came.
    records(
        Some("2025-03-23"),
        false,
        "2025-03-23",
        &[
            "start customer stale",
            "-5d assignee stale",
            "-1d assignee stale",
            "-1d lead stale",
            "due customer stale",
            "due assignee stale",
            "due lead stale",
            "+1d manager queued",
        ],
    );
    records(
        Some("2025-03-21"),
        false,
        "2025-03-22",
        &[
            "start customer stale",
            "-5d assignee stale",
            "-1d assignee superseded",
            "-1d lead superseded",
            "due customer queued",
            "due assignee queued",
            "due lead queued",
        ],
    );
}

#[test]
fn outcomes_are_stale_only_from_before_going_live() {
    let shop = Shop::standard();
    let case = shop.hardware("received 2025-01-01", "repair opened 2025-08-03 10:00");
    for (live_from, expected) in [
        (None, ["declined customer queued", "declined lead queued"]),
        (
            Some("2025-08-03 10:00"),
            ["declined customer queued", "declined lead queued"],
        ),
        (
            Some("2025-08-03 10:01"),
            ["declined customer stale", "declined lead stale"],
        ),
    ] {
        let mut ledger = Ledger::of(&shop);
        ledger.live_from = live_from.map(|from| shop.at(from));
        // The last step of the warranty is told long before.
        let mut found = ledger.run(&case, "2026-01-01");
        found.retain(|line| line.starts_with("declined"));
        assert_eq!(found, expected, "{live_from:?}");
    }
}

#[test]
fn what_is_held_is_held_for_customers_only() {
    records(
        None,
        true,
        "2025-03-23",
        &[
            "start customer superseded",
            "-5d assignee superseded",
            "-1d assignee superseded",
            "-1d lead superseded",
            "due customer held",
            "due assignee queued",
            "due lead queued",
            "+1d manager queued",
        ],
    );
    records(None, true, "2025-03-05", &["start customer stale"]);
    let live = Some("2025-04-01");
    records(live, true, "2025-03-01 10:00", &["start customer stale"]);
}

#[test]
fn steps_of_one_instant_count_as_one_and_the_later_of_the_ladder_is_told() {
    // The zone skipped 30 December 2011: the day before is the day itself.
    let shop = Shop::in_zone("Pacific/Apia").with(&[("in hardware_repair", "days = 7")]);
    let order = shop
        .order("placed 2011-12-01")
        .unit("U-1", "hardware received 2011-12-02");
    let case = order
        .claim("K-1", "repair opened 2011-12-20, received 2011-12-22 10:00")
        .case;
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&case, "2011-12-29");
    let expected = [
        "-1d assignee superseded",
        "-1d lead superseded",
        "due customer queued",
        "due assignee queued",
        "due lead queued",
    ];
    assert_eq!(ledger.run(&case, "2011-12-31"), expected);
}

#[test]
fn a_notice_is_recorded_once_and_for_ever() {
    let shop = Shop::standard();
    let case = repair(&shop, "");
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&case, "2025-03-01 10:00");
    for now in ["2025-03-01 10:00", "2025-03-02", "2025-03-16 23:59"] {
        assert!(ledger.run(&case, now).is_empty(), "{now}");
    }
    assert_eq!(
        ledger.run_and_deliver(&case, "2025-03-17"),
        ["-5d assignee queued"]
    );
    assert!(ledger.run(&case, "2025-03-20").is_empty());
}

#[test]
fn a_later_step_takes_the_place_of_one_that_waits() {
    let shop = Shop::standard();
    let case = repair(&shop, "");
    let mut ledger = Ledger::of(&shop);
    ledger.customers_held = true;
    ledger.run(&case, "2025-03-01 10:00");
    ledger.run(&case, "2025-03-17");
    let expected = [
        "-1d assignee queued",
        "-1d lead queued",
        "-5d assignee superseded",
    ];
    assert_eq!(ledger.run(&case, "2025-03-21"), expected);
    let mut found = ledger.run(&case, "2025-03-22");
    found.sort();
    let expected = [
        "-1d assignee superseded",
        "-1d lead superseded",
        "due assignee queued",
        "due customer held",
        "due lead queued",
        "start customer superseded",
    ];
    assert_eq!(found, expected);
}

#[test]
fn of_a_lapsed_fix_that_nobody_saw_only_the_due_step_is_recorded() {
    let shop = Shop::standard();
    let case = shop.hardware("received 2025-01-01", "refund opened 2025-01-03");
    let expected = [
        "due assignee queued",
        "due lead queued",
        "due manager queued",
    ];
    assert_eq!(Ledger::of(&shop).run(&case, "2025-01-12"), expected);
}
