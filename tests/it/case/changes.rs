//! Spec, section 5, rules 1 and 6: facts that are corrected between two runs.

use warrantyd::case::{Case, Disposition, overruled};

use super::build::Shop;
use super::ledger::Ledger;

fn repair(shop: &Shop, words: &str) -> Case {
    let claim = format!("repair opened 2025-02-20, {words}");
    shop.hardware("received 2025-01-01", &claim)
}

#[test]
fn a_notice_whose_reason_went_away_is_moot_and_queued_again_if_it_comes_back() {
    let shop = Shop::standard();
    let open = repair(&shop, "received 2025-03-01 10:00");
    let repaired = repair(&shop, "received 2025-03-01 10:00, repaired 2025-03-10");
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&open, "2025-03-01 10:00");
    assert_eq!(ledger.run(&open, "2025-03-17"), ["-5d assignee queued"]);
    assert_eq!(ledger.run(&repaired, "2025-03-18"), ["-5d assignee moot"]);
    assert!(ledger.run(&repaired, "2025-03-19").is_empty());
    assert_eq!(ledger.run(&open, "2025-03-20"), ["-5d assignee queued"]);
    ledger.deliver();
    // What was sent stays sent.
    assert!(ledger.run(&repaired, "2025-03-20").is_empty());
    // Back again, when a later step has come.
    ledger.run(&open, "2025-03-21");
    ledger.run(&repaired, "2025-03-21");
    let mut back = ledger.run(&open, "2025-03-22");
    back.sort();
    let expected = [
        "-1d assignee superseded",
        "-1d lead superseded",
        "due assignee queued",
        "due customer queued",
        "due lead queued",
    ];
    assert_eq!(back, expected);
}

#[test]
fn a_held_notice_whose_reason_went_away_is_moot() {
    let shop = Shop::standard();
    let mut ledger = Ledger::of(&shop);
    ledger.customers_held = true;
    let open = repair(&shop, "received 2025-03-01");
    assert_eq!(ledger.run(&open, "2025-03-01"), ["start customer held"]);
    let closed = repair(&shop, "received 2025-03-01, closed 2025-03-01 10:00");
    assert_eq!(ledger.run(&closed, "2025-03-02"), ["start customer moot"]);
    assert_eq!(ledger.run(&open, "2025-03-02"), ["start customer held"]);
    // True again, but too late to be of use.
    ledger.run(&closed, "2025-03-03");
    assert_eq!(ledger.run(&open, "2025-03-05"), ["start customer stale"]);
}

#[test]
fn a_last_day_that_moves_has_steps_of_its_own_but_one_start() {
    let shop = Shop::standard();
    let mut ledger = Ledger::of(&shop);
    let early = repair(&shop, "received 2025-03-01 10:00");
    let late = repair(&shop, "received 2025-03-03 10:00");
    ledger.run_and_deliver(&early, "2025-03-01 10:00");
    ledger.run_and_deliver(&early, "2025-03-17");
    // Corrected: due on the 24th, and the start was told.
    assert!(ledger.run(&late, "2025-03-18").is_empty());
    assert_eq!(
        ledger.run_and_deliver(&late, "2025-03-19"),
        ["-5d assignee queued"]
    );
    let expected = ["-1d assignee queued", "-1d lead queued"];
    assert_eq!(ledger.run(&late, "2025-03-23"), expected);
    // Back: the steps of the first last day, as far as they were not told.
    let mut back = ledger.run(&early, "2025-03-23 10:00");
    back.sort();
    let expected = [
        "+1d manager queued",
        "-1d assignee moot",
        "-1d assignee superseded",
        "-1d lead moot",
        "-1d lead superseded",
        "due assignee queued",
        "due customer queued",
        "due lead queued",
    ];
    assert_eq!(back, expected);
}

#[test]
fn deadlines_are_written_when_more_than_time_changed() {
    let shop = Shop::standard();
    let mut ledger = Ledger::of(&shop);
    let case = shop.hardware("received 2025-01-01", "refund opened 2025-01-03");
    let mut written = |case: &Case, now| {
        let plan = ledger.plan(case, shop.at(now));
        ledger.run(case, now);
        let windows = |all: &[warrantyd::case::RecordedDeadline]| {
            let mut all: Vec<_> = all.iter().map(|found| found.window.to_string()).collect();
            all.sort();
            all.join(" ")
        };
        (windows(&plan.deadlines), windows(&plan.gone))
    };
    let rights = "fault_return hardware_warranty refund_request";
    let none = String::new;
    assert_eq!(written(&case, "2025-01-01"), (rights.into(), none()));
    assert_eq!(
        written(&case, "2025-01-03"),
        ("hardware_fix".into(), none())
    );
    // Overdue, expired and lapsed by time alone.
    assert_eq!(written(&case, "2025-01-11"), (none(), none()));
    assert_eq!(written(&case, "2025-08-01"), (none(), none()));
    let moved = shop.hardware("received 2025-01-02", "refund opened 2025-01-03");
    assert_eq!(written(&moved, "2025-08-01"), (rights.into(), none()));
    let repaired = shop.hardware(
        "received 2025-01-02",
        "refund opened 2025-01-03, repaired 2025-01-05",
    );
    assert_eq!(
        written(&repaired, "2025-08-01"),
        ("hardware_fix".into(), none())
    );
    let mut withdrawn = repaired;
    withdrawn.units[0].claims.clear();
    assert_eq!(
        written(&withdrawn, "2025-08-01"),
        (none(), "hardware_fix".into())
    );
}

#[test]
fn an_outcome_that_was_sent_and_is_no_longer_true_is_told_to_the_lead_once() {
    let shop = Shop::standard();
    let claim = "refund opened 2025-01-03, confirmed 2025-01-04";
    let given_up = shop.hardware(
        "received 2025-01-01",
        &format!("{claim}, unrepairable 2025-01-05"),
    );
    let corrected = shop.hardware("received 2025-01-01", claim);
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&given_up, "2025-01-04");
    ledger.run_and_deliver(&given_up, "2025-01-05");
    let mut found = ledger.run(&corrected, "2025-01-06");
    assert_eq!(found, ["return_due_withdrawn lead queued"]);
    // True again before anybody was told, and then not.
    assert_eq!(
        ledger.run(&given_up, "2025-01-06"),
        ["return_due_withdrawn lead moot"]
    );
    assert_eq!(
        ledger.run(&corrected, "2025-01-06"),
        ["return_due_withdrawn lead queued"]
    );
    ledger.deliver();
    assert!(ledger.run(&corrected, "2025-01-07").is_empty());
    ledger.run(&given_up, "2025-01-07");
    assert!(ledger.run(&corrected, "2025-01-07").is_empty());
    // Withdrawn with its claim, or with its order.
    let mut gone = given_up.clone();
    gone.units[0].claims.clear();
    let mut withdrawn = given_up.clone();
    withdrawn.order.withdrawn = true;
    for case in [gone, withdrawn] {
        let mut ledger = Ledger::of(&shop);
        ledger.run_and_deliver(&given_up, "2025-01-05");
        found = ledger.run(&case, "2025-01-06");
        assert_eq!(found, ["return_due_withdrawn lead queued"]);
    }
}

#[test]
fn a_withdrawn_outcome_does_not_take_the_place_of_the_true_one() {
    let shop = Shop::standard();
    let claim = "refund opened 2025-01-03, unrepairable 2025-01-05";
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&shop.hardware("received 2025-01-01", claim), "2025-01-05");
    let claim = format!("{claim}, inspected 2025-01-04, findings seal_broken");
    let found = ledger.run(&shop.hardware("received 2025-01-01", &claim), "2025-01-06");
    let expected = [
        "declined customer queued",
        "declined lead queued",
        "return_due_withdrawn lead queued",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_outcome_that_came_true_and_was_overtaken_was_still_true() {
    let shop = Shop::standard();
    let claim = "refund opened 2025-01-03, unrepairable 2025-01-05";
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&shop.hardware("received 2025-01-01", claim), "2025-01-05");
    for later in [
        "repaired",
        "returned",
        "refunded",
        "closed",
        "rejected",
        "findings seal_broken, inspected",
    ] {
        let case = shop.hardware(
            "received 2025-01-01",
            &format!("{claim}, {later} 2025-01-06"),
        );
        let plan = ledger.plan(&case, shop.at("2025-01-07"));
        let withdrawn = plan
            .notices
            .iter()
            .any(|n| n.due.key.step.to_string().ends_with("_withdrawn"));
        assert!(!withdrawn, "{later}");
    }
}

#[test]
fn an_outcome_that_was_not_sent_yet_is_moot_and_nobody_hears_of_it() {
    let shop = Shop::standard();
    let claim = "refund opened 2025-01-03, confirmed 2025-01-04";
    let given_up = shop.hardware(
        "received 2025-01-01",
        &format!("{claim}, unrepairable 2025-01-05"),
    );
    let corrected = shop.hardware("received 2025-01-01", claim);
    let mut ledger = Ledger::of(&shop);
    ledger.run_and_deliver(&given_up, "2025-01-04");
    let found = ledger.run(&given_up, "2025-01-05");
    assert_eq!(
        found,
        ["return_due customer queued", "return_due lead queued"]
    );
    let mut found = ledger.run(&corrected, "2025-01-06");
    found.sort();
    assert_eq!(found, ["return_due customer moot", "return_due lead moot"]);
    // Months later it is true again: outcomes do not grow old.
    let found = ledger.run(&given_up, "2025-06-06");
    assert!(
        found.contains(&"return_due customer queued".to_owned()),
        "{found:?}"
    );
}

#[test]
fn before_it_is_sent_a_notice_is_looked_at_again() {
    let shop = Shop::standard();
    let open = repair(&shop, "received 2025-03-01");
    let mut ledger = Ledger::of(&shop);
    ledger.run(&open, "2025-03-01");
    ledger.run(&open, "2025-03-17");
    let check = |case: &Case, now| {
        let notices = &ledger.recorded.notices;
        let changed = overruled(&shop.see(case, now), notices, &ledger.context(shop.at(now)));
        let words = changed
            .into_iter()
            .map(|(id, fate)| format!("{} {}", notices[id as usize].key.step, fate.disposition));
        words.collect::<Vec<_>>()
    };
    assert!(check(&open, "2025-03-17 10:00").is_empty());
    assert_eq!(check(&open, "2025-03-21"), ["-5d superseded"]);
    assert_eq!(
        check(&open, "2025-03-22"),
        ["start superseded", "-5d superseded"]
    );
    let repaired = repair(&shop, "received 2025-03-01, repaired 2025-03-17 09:00");
    assert_eq!(
        check(&repaired, "2025-03-17 10:00"),
        ["start moot", "-5d moot"]
    );
    assert!(Disposition::Queued.is_waiting() && !Disposition::Moot.is_waiting());
}
