//! Spec, section 5, rules 7 and 9, and opt-outs: what keeps a notice from a
//! customer though it is true.

use warrantyd::case::{Case, Cause, Hold, HoldKind};

use super::build::Shop;
use super::ledger::Ledger;

/// A repair that is due on 22 March 2025, of a unit whose warranty's last
/// reminders fall on 23 and 29 June.
fn repair(shop: &Shop, more: &str) -> Case {
    let claim = format!("repair opened 2025-02-20, received 2025-03-01 10:00{more}");
    shop.hardware("received 2025-01-01", &claim)
}

fn held(shop: &Shop, case: &Case, kind: HoldKind, name: &str, until: Option<&str>) -> Case {
    let hold = Hold {
        kind,
        name: name.into(),
        reason: "in dispute".into(),
        held_at: shop.at("2025-01-02"),
        until: until.map(|until| shop.at(until)),
    };
    Case {
        holds: vec![hold],
        ..case.clone()
    }
}

fn opted_out(shop: &Shop, case: &Case) -> Case {
    Case {
        opted_out_at: Some(shop.at("2025-01-02")),
        ..case.clone()
    }
}

#[test]
fn a_hold_covers_what_hangs_on_it() {
    let shop = Shop::standard();
    let case = repair(&shop, "");
    for (kind, name, claim, warranty) in [
        (HoldKind::Customer, "C-1", "held", "held"),
        (HoldKind::Order, "O-1", "held", "held"),
        (HoldKind::Unit, "U-1", "held", "held"),
        (HoldKind::Unit, "U-2", "queued", "queued"),
        (HoldKind::Claim, "K-1", "held", "queued"),
        (HoldKind::Claim, "U-1", "queued", "queued"),
    ] {
        let held = held(&shop, &case, kind, name, None);
        let started = Ledger::of(&shop).run(&held, "2025-03-01 10:00");
        assert_eq!(
            started,
            [format!("start customer {claim}")],
            "{kind} {name}"
        );
        let ended = Ledger::of(&shop).run(&held, "2025-07-01");
        let expected = format!("due customer {warranty}");
        assert!(ended.contains(&expected), "{kind} {name}: {ended:?}");
    }
}

#[test]
fn inside_the_shop_everybody_is_told_of_what_is_held() {
    let shop = Shop::standard();
    let held = held(&shop, &repair(&shop, ""), HoldKind::Claim, "K-1", None);
    let mut ledger = Ledger::of(&shop);
    ledger.run(&held, "2025-03-21");
    let mut found = ledger.run(&held, "2025-03-22");
    found.sort();
    let expected = [
        "-1d assignee superseded",
        "-1d lead superseded",
        "due assignee queued",
        "due customer held",
        "due lead queued",
    ];
    assert_eq!(found, expected);
    let due = shop.window(&held, "hardware_repair", "2025-03-23");
    assert_eq!(due, "overdue, due 2025-03-22, late 2, level 2");
}

#[test]
fn what_waited_for_a_hold_is_not_stale() {
    let shop = Shop::standard();
    let free = repair(&shop, "");
    let held = held(&shop, &free, HoldKind::Claim, "K-1", None);
    let mut ledger = Ledger::of(&shop);
    assert_eq!(
        ledger.run(&held, "2025-03-01 10:00"),
        ["start customer held"]
    );
    assert!(ledger.run(&held, "2025-03-10").is_empty());
    assert_eq!(ledger.run(&free, "2025-03-16"), ["start customer queued"]);
    // Held again before it was sent.
    assert_eq!(ledger.run(&held, "2025-03-16"), ["start customer held"]);
    assert_eq!(ledger.run(&free, "2025-03-16"), ["start customer queued"]);
    ledger.deliver();
    assert!(ledger.run(&held, "2025-03-16").is_empty());
}

#[test]
fn what_is_no_longer_true_when_a_hold_is_lifted_is_moot() {
    let shop = Shop::standard();
    let open = repair(&shop, "");
    let closed = repair(&shop, ", closed 2025-03-05");
    let mut ledger = Ledger::of(&shop);
    ledger.run(
        &held(&shop, &open, HoldKind::Order, "O-1", None),
        "2025-03-01 10:00",
    );
    assert_eq!(ledger.run(&closed, "2025-03-06"), ["start customer moot"]);
}

#[test]
fn a_hold_ends_by_itself() {
    let shop = Shop::standard();
    let until = Some("2025-03-04 12:00");
    let held = held(&shop, &repair(&shop, ""), HoldKind::Customer, "C-1", until);
    let mut ledger = Ledger::of(&shop);
    ledger.run(&held, "2025-03-01 10:00");
    let seen = shop.see(&held, "2025-03-01 10:00");
    assert_eq!(seen.next_at, Some(shop.at("2025-03-04 12:00")));
    assert!(ledger.run(&held, "2025-03-04 11:59:59").is_empty());
    let found = ledger.run(&held, "2025-03-04 12:00");
    assert_eq!(found, ["start customer queued"]);
}

#[test]
fn a_hold_is_an_exception_while_it_is_in_force() {
    let shop = Shop::standard();
    let case = repair(&shop, "");
    let until = Some("2025-03-04 12:00");
    for (kind, name, expected) in [
        (
            HoldKind::Customer,
            "C-1",
            "order O-1 customer C-1: held since 2025-01-02 00:00 until 2025-03-04 12:00: in dispute",
        ),
        (
            HoldKind::Claim,
            "K-1",
            "claim K-1 held since 2025-01-02 00:00 until 2025-03-04 12:00: in dispute",
        ),
    ] {
        let held = held(&shop, &case, kind, name, until);
        let on_hold = |now| {
            let found = shop.see(&held, now).exceptions.into_iter();
            let found = found.filter(|found| found.code.to_string() == "on_hold");
            let words = |found: warrantyd::case::Exception| {
                format!("{} {} {}", found.subject, found.subject_ref, found.detail)
            };
            found.map(words).collect::<Vec<_>>()
        };
        assert_eq!(on_hold("2025-03-01"), [expected]);
        assert_eq!(on_hold("2025-03-04 12:00"), [""; 0]);
    }
}

#[test]
fn who_opted_out_is_told_of_promises_and_outcomes_and_not_reminded() {
    let shop = Shop::standard().with(&[(
        "{ at = \"-5d\", to = [\"assignee\"] }",
        "{ at = \"-5d\", to = [\"customer\", \"assignee\"] }",
    )]);
    let case = opted_out(&shop, &repair(&shop, ", unrepairable 2025-03-24"));
    let mut ledger = Ledger::of(&shop);
    let told = |found: Vec<String>| {
        let customers = found.into_iter().filter(|line| line.contains(" customer "));
        customers.collect::<Vec<_>>()
    };
    assert_eq!(
        told(ledger.run(&case, "2025-03-01 10:00")),
        ["start customer queued"]
    );
    // What is not sent takes no other's place.
    assert_eq!(told(ledger.run(&case, "2025-03-17")), ["-5d customer moot"]);
    let mut due = told(ledger.run(&case, "2025-03-22"));
    due.sort();
    assert_eq!(due, ["due customer queued", "start customer superseded"]);
    let outcome = told(ledger.run(&case, "2025-03-24"));
    assert!(
        outcome.contains(&"exchange_due customer queued".to_owned()),
        "{outcome:?}"
    );
    ledger.deliver();
    for (now, expected) in [
        ("2025-06-01", "-30d customer moot"),
        ("2025-06-24", "-7d customer moot"),
        ("2025-07-01", "due customer moot"),
    ] {
        let found = told(ledger.run_and_deliver(&case, now));
        assert!(found.contains(&expected.to_owned()), "{now}: {found:?}");
        assert!(
            found.iter().all(|line| line.ends_with("moot")),
            "{now}: {found:?}"
        );
    }
}

#[test]
fn who_opts_in_again_is_sent_nothing_old() {
    let shop = Shop::standard();
    let wanted = shop
        .order("")
        .unit("U-1", "hardware received 2025-01-01")
        .case;
    let unwanted = opted_out(&shop, &wanted);
    let mut ledger = Ledger::of(&shop);
    assert_eq!(ledger.run(&unwanted, "2025-06-01"), ["-30d customer moot"]);
    assert!(ledger.run(&unwanted, "2025-06-01 12:00").is_empty());
    for (now, expected) in [
        ("2025-06-03", "-30d customer queued"),
        ("2025-06-05", "-30d customer stale"),
    ] {
        let mut ledger = ledger.clone();
        assert_eq!(ledger.run(&wanted, now), [expected]);
    }
    ledger.run(&unwanted, "2025-06-24");
    let mut found = ledger.run(&wanted, "2025-06-25");
    found.sort();
    assert_eq!(found, ["-30d customer superseded", "-7d customer queued"]);
    // What waits when somebody opts out is not sent.
    assert_eq!(ledger.run(&unwanted, "2025-06-25"), ["-7d customer moot"]);
}

#[test]
fn a_dead_feed_holds_what_may_be_a_missing_entry() {
    let shop = Shop::standard();
    let case = repair(&shop, ", unrepairable 2025-03-24");
    let mut ledger = Ledger::of(&shop);
    ledger.feed_is_dead = true;
    assert_eq!(
        ledger.run(&case, "2025-03-01 10:00"),
        ["start customer queued"]
    );
    ledger.deliver();
    let customers = |found: Vec<String>| {
        let customers = found.into_iter().filter(|line| line.contains(" customer "));
        customers.collect::<Vec<_>>()
    };
    assert_eq!(
        customers(ledger.run(&case, "2025-03-22")),
        ["due customer held"]
    );
    let mut outcome = customers(ledger.run(&case, "2025-03-24"));
    outcome.sort();
    assert_eq!(outcome, ["due customer moot", "exchange_due customer held"]);
    let by_feed = |notice: &&warrantyd::case::RecordedNotice| notice.cause == Some(Cause::Feed);
    assert_eq!(ledger.recorded.notices.iter().filter(by_feed).count(), 1);
    // A right that runs out does so without anybody's entry.
    assert_eq!(ledger.run(&case, "2025-06-01"), ["-30d customer queued"]);
}

#[test]
fn one_cause_ends_and_another_still_holds() {
    let shop = Shop::standard();
    let free = repair(&shop, "");
    let held = held(&shop, &free, HoldKind::Unit, "U-1", None);
    let mut ledger = Ledger::of(&shop);
    ledger.feed_is_dead = true;
    ledger.run(&held, "2025-03-22");
    let causes = |ledger: &Ledger<'_>| {
        let causes = ledger
            .recorded
            .notices
            .iter()
            .filter_map(|notice| notice.cause);
        causes.collect::<Vec<_>>()
    };
    assert_eq!(causes(&ledger), [Cause::Hold]);
    ledger.run(&free, "2025-03-22");
    assert_eq!(causes(&ledger), [Cause::Feed]);
}
