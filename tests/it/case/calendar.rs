//! Spec, section 2: which instants a window of N days starts and ends at.

use warrantyd::policy::Window;

use super::build::Shop;

/// Shows that the seven days of `fault_return` from `start` are due at `due`
/// (UTC).
#[track_caller]
fn due(shop: &Shop, start: &str, due: &str) {
    let placed = shop.order(&format!("placed {start}"));
    let case = placed
        .unit("U-1", &format!("hardware received {start}"))
        .case;
    let seen = shop.see(&case, start).deadlines;
    let found = seen
        .iter()
        .find(|found| found.window == Window::FaultReturn);
    let found = found.unwrap().due_at.unwrap();
    assert_eq!(found.to_rfc3339(), due, "from {start}");
}

#[test]
fn seven_days_over_a_change_of_the_clocks() {
    let rome = Shop::standard();
    // Forward on 30 March 2025, back on 26 October.
    due(&rome, "2025-03-21 10:00", "2025-03-28T23:00:00+00:00");
    due(&rome, "2025-03-22 10:00", "2025-03-29T23:00:00+00:00");
    due(&rome, "2025-03-23 10:00", "2025-03-30T22:00:00+00:00");
    due(&rome, "2025-10-17 23:59", "2025-10-24T22:00:00+00:00");
    due(&rome, "2025-10-18 00:00", "2025-10-25T22:00:00+00:00");
    due(&rome, "2025-10-19 00:00", "2025-10-26T23:00:00+00:00");
}

#[test]
fn midnight_that_does_not_exist_is_the_first_instant_after_it() {
    let santiago = Shop::in_zone("America/Santiago");
    due(&santiago, "2024-08-30 10:00", "2024-09-07T04:00:00+00:00");
    due(&santiago, "2024-08-31 10:00", "2024-09-08T04:00:00+00:00");
    due(&santiago, "2024-09-01 10:00", "2024-09-09T03:00:00+00:00");
    // The zone skipped 30 December 2011.
    let apia = Shop::in_zone("Pacific/Apia");
    due(&apia, "2011-12-21 10:00", "2011-12-29T10:00:00+00:00");
    due(&apia, "2011-12-22 10:00", "2011-12-30T10:00:00+00:00");
    due(&apia, "2011-12-23 10:00", "2011-12-30T10:00:00+00:00");
    due(&apia, "2011-12-24 10:00", "2011-12-31T10:00:00+00:00");
}

#[test]
fn midnight_that_occurs_twice_is_the_earlier_one() {
    let havana = Shop::in_zone("America/Havana");
    due(&havana, "2024-10-25 10:00", "2024-11-02T04:00:00+00:00");
    due(&havana, "2024-10-26 10:00", "2024-11-03T04:00:00+00:00");
    due(&havana, "2024-10-27 10:00", "2024-11-04T05:00:00+00:00");
    // At 24:00 the clocks go back to 23:00: that midnight is not yet the day.
    let santiago = Shop::in_zone("America/Santiago");
    due(&santiago, "2024-03-29 10:00", "2024-04-06T03:00:00+00:00");
    due(&santiago, "2024-03-30 10:00", "2024-04-07T04:00:00+00:00");
    due(&santiago, "2024-03-31 10:00", "2024-04-08T04:00:00+00:00");
}

/// A repair of five days under terms of one's own, with the claim's words.
#[track_caller]
fn repair(shop: &Shop, terms: &[&str], words: &str, now: &str, expected: &str) {
    let terms = [&["days = 5"], terms].concat();
    let edits: Vec<_> = terms
        .iter()
        .map(|term| ("in hardware_repair", *term))
        .collect();
    let shop = shop.clone().with(&edits);
    let case = shop.hardware("received 2025-01-01", &format!("repair {words}"));
    let found = shop.window(&case, "hardware_repair", now);
    assert_eq!(found, expected, "{words} at {now}");
}

#[test]
fn working_days_only() {
    // Good Friday to the day of liberation, 2025.
    let shop = Shop::standard().closed_on(&["2025-04-21", "2025-04-25"]);
    let business = ["count = \"business\""];
    let rolling = ["count = \"business\"", "roll_forward = true"];
    for (received, due) in [
        // Friday, Tuesday, Wednesday, Thursday, Monday.
        ("2025-04-17 10:00", "2025-04-29"),
        // Tuesday, Wednesday, Thursday, Monday, Tuesday.
        ("2025-04-18 10:00", "2025-04-30"),
        ("2025-04-19 10:00", "2025-04-30"),
        ("2025-04-21 10:00", "2025-04-30"),
        ("2025-04-22 10:00", "2025-05-01"),
    ] {
        let words = format!("opened 2025-04-10, received {received}");
        let open = format!("open, due {due}");
        repair(&shop, &business, &words, received, &open);
        repair(&shop, &rolling, &words, received, &open);
    }
}

#[test]
fn a_last_day_off_rolls_forward() {
    let shop = Shop::standard().closed_on(&["2025-04-21"]);
    for (received, as_counted, rolled) in [
        ("2025-04-13", "2025-04-19", "2025-04-19"),
        ("2025-04-14", "2025-04-20", "2025-04-23"),
        ("2025-04-15", "2025-04-21", "2025-04-23"),
        ("2025-04-16", "2025-04-22", "2025-04-23"),
        ("2025-04-17", "2025-04-23", "2025-04-23"),
        ("2025-04-18", "2025-04-24", "2025-04-24"),
    ] {
        let words = format!("opened 2025-04-10, received {received} 09:00");
        let now = format!("{received} 09:00");
        repair(&shop, &[], &words, &now, &format!("open, due {as_counted}"));
        let terms = ["roll_forward = true"];
        repair(&shop, &terms, &words, &now, &format!("open, due {rolled}"));
    }
}

#[test]
fn a_day_that_ends_in_a_wait_does_not_count() {
    let shop = Shop::standard();
    for (wait, now, expected) in [
        // Within a day.
        (
            "2025-03-05 10:00 until 2025-03-05 18:00",
            "2025-03-06",
            "open, due 2025-03-09",
        ),
        // Over one midnight.
        (
            "2025-03-05 23:00 until 2025-03-06 01:00",
            "2025-03-06 02:00",
            "open, due 2025-03-10",
        ),
        // Over three.
        (
            "2025-03-05 10:00 until 2025-03-08 09:00",
            "2025-03-08 09:00",
            "open, due 2025-03-12",
        ),
        // Ended as the day did: it waits no more.
        (
            "2025-03-05 10:00 until 2025-03-06",
            "2025-03-06",
            "open, due 2025-03-09",
        ),
        // Begun as the day ended.
        (
            "2025-03-06 until 2025-03-06 12:00",
            "2025-03-06 12:00",
            "open, due 2025-03-09",
        ),
        // The day of receipt is not counted anyway.
        (
            "2025-03-03 12:00 until 2025-03-04 12:00",
            "2025-03-05",
            "open, due 2025-03-09",
        ),
        // Not yet begun, begun, its end still to come, ended.
        (
            "2025-03-05 10:00 until 2025-03-08 09:00",
            "2025-03-05 09:59",
            "open, due 2025-03-09",
        ),
        (
            "2025-03-05 10:00 until 2025-03-08 09:00",
            "2025-03-05 10:00",
            "paused",
        ),
        (
            "2025-03-05 10:00 until 2025-03-08 09:00",
            "2025-03-08 08:59",
            "paused",
        ),
        ("2025-03-05 10:00", "2025-06-01", "paused"),
        // From the last minute on.
        ("2025-03-08 23:59", "2025-03-20", "paused"),
        (
            "2025-03-08 23:59 until 2025-03-20 12:00",
            "2025-03-20 12:00",
            "open, due 2025-03-21",
        ),
        // What is due does not pause.
        (
            "2025-03-09",
            "2025-03-09",
            "overdue, due 2025-03-09, late 1, level 1",
        ),
        (
            "2025-03-09",
            "2025-03-10",
            "overdue, due 2025-03-09, late 2, level 2",
        ),
        (
            "2025-03-09 until 2025-03-11",
            "2025-03-12",
            "overdue, due 2025-03-09, late 4, level 3",
        ),
        // The second wait begins before the due date that the first one moved.
        (
            "2025-03-05 10:00 until 2025-03-06 10:00, waits 2025-03-09 10:00",
            "2025-03-10",
            "paused",
        ),
    ] {
        let words = format!("opened 2025-03-01, received 2025-03-03 10:00, waits {wait}");
        repair(&shop, &["pause_on_wait = true"], &words, now, expected);
    }
}

#[test]
fn waits_count_for_nothing_where_the_terms_do_not_say_so() {
    let words = "opened 2025-03-01, received 2025-03-03 10:00, waits 2025-03-05 10:00";
    let shop = Shop::standard();
    repair(
        &shop,
        &[],
        words,
        "2025-03-08 23:59",
        "open, due 2025-03-09",
    );
    repair(
        &shop,
        &[],
        words,
        "2025-03-09",
        "overdue, due 2025-03-09, late 1, level 1",
    );
}

#[test]
fn what_ends_while_it_is_paused_was_not_late() {
    let shop = Shop::standard();
    let terms = ["pause_on_wait = true"];
    for (end, state) in [("repaired", "met"), ("closed", "void")] {
        let words = format!(
            "opened 2025-03-01, received 2025-03-03 10:00, waits 2025-03-05 10:00, {end} 2025-03-20 10:00"
        );
        repair(&shop, &terms, &words, "2025-03-20", "paused");
        repair(
            &shop,
            &terms,
            &words,
            "2025-04-01",
            &format!("{state}, ended 2025-03-20 10:00"),
        );
    }
    let words = "opened 2025-03-01, received 2025-03-03 10:00, \
                 repaired 2025-03-05 09:59, waits 2025-03-05 10:00";
    let met = "met, due 2025-03-09, ended 2025-03-05 09:59";
    repair(&shop, &terms, words, "2025-04-01", met);
}

#[test]
fn a_day_that_ends_in_a_wait_is_no_last_day_either() {
    // The fifth day is Saturday the 8th, which rolls to Monday.
    let terms = ["pause_on_wait = true", "roll_forward = true"];
    let shop = Shop::standard();
    let words = "opened 2025-03-01, received 2025-03-03 10:00";
    repair(&shop, &terms, words, "2025-03-04", "open, due 2025-03-11");
    let waits = format!("{words}, waits 2025-03-10 10:00 until 2025-03-12 10:00");
    repair(&shop, &terms, &waits, "2025-03-11", "paused");
    repair(
        &shop,
        &terms,
        &waits,
        "2025-03-12 10:00",
        "open, due 2025-03-13",
    );
}

#[test]
fn waits_and_working_days_together() {
    // Thursday and Friday wait; the weekend does not count; then three days.
    let terms = ["pause_on_wait = true", "count = \"business\""];
    let words = "opened 2025-03-01, received 2025-03-03 10:00, \
                 waits 2025-03-06 10:00 until 2025-03-10 09:00";
    repair(
        &Shop::standard(),
        &terms,
        words,
        "2025-03-10 09:00",
        "open, due 2025-03-13",
    );
}
