//! When a case must be looked at again, whether anything is left of it, and
//! what keeps it from being evaluated.

use warrantyd::case::evaluate;

use super::build::Shop;

#[test]
fn a_case_wakes_for_steps_due_dates_and_facts_ahead() {
    let shop = Shop::standard();
    let claim = "repair opened 2025-02-20, received 2025-03-01 10:00, repaired 2025-03-23 12:00, \
                 waits 2025-03-12 08:00 until 2025-03-14 09:00";
    let case = shop.hardware("received 2025-01-01 10:00", claim);
    let wakes = [
        "2024-12-20",
        "2025-01-01 10:00",
        // The two short rights run out.
        "2025-01-09",
        "2025-01-16",
        "2025-02-20",
        "2025-03-01 10:00",
        "2025-03-12 08:00",
        "2025-03-14 09:00",
        // The repair: five days and one before, due, and one after.
        "2025-03-17",
        "2025-03-21",
        "2025-03-22",
        "2025-03-23",
        "2025-03-23 12:00",
        // The warranty.
        "2025-06-01",
        "2025-06-24",
        "2025-06-30",
        "2025-07-01",
    ];
    let mut now = shop.at("2024-12-01");
    let mut found = Vec::new();
    while let Some(next) = evaluate(&case, &shop.rules, now).unwrap().next_at {
        found.push(shop.local(next));
        now = next;
    }
    assert_eq!(found, wakes);
}

#[test]
fn a_right_that_expired_still_wakes_for_its_later_steps() {
    let due = "{ at = \"due\", to = [\"customer\"] }";
    let longer = format!("{due},\n  {{ at = \"+5d\", to = [\"customer\"] }}");
    let shop = Shop::standard().with(&[(due, &longer)]);
    let case = shop
        .order("")
        .unit("U-1", "hardware received 2025-01-01 10:00")
        .case;
    let seen = shop.see(&case, "2025-07-01");
    assert_eq!(seen.next_at, Some(shop.at("2025-07-06")));
    assert!(seen.is_open);
    let seen = shop.see(&case, "2025-07-06");
    assert_eq!(seen.due_steps.last().unwrap().key.step.to_string(), "+5d");
    assert!(!seen.is_open && seen.next_at.is_none());
}

#[test]
fn a_replacement_wakes_for_what_becomes_known_of_the_first() {
    let shop = Shop::standard();
    let draft = shop.order("").unit("U-2", "hardware received 2025-01-01");
    let case = draft.replaces("delivered 2025-02-01").case;
    let seen = shop.see(&case, "2025-01-02");
    assert_eq!(seen.next_at, Some(shop.at("2025-02-01")));
}

#[test]
fn a_case_is_open_while_something_can_happen_or_is_to_be_done() {
    let shop = Shop::standard();
    for (unit, claim, is_open) in [
        // The warranty is long over.
        ("", "repair opened 2025-01-03, received 2025-01-04", true),
        (
            "",
            "repair opened 2025-01-03, received 2025-01-04, repaired 2025-01-05",
            false,
        ),
        ("", "repair opened 2025-01-03", true),
        ("", "repair opened 2025-01-03, closed 2025-01-05", false),
        ("", "refund opened 2025-01-03", true),
        ("", "repair opened 2025-12-03", false),
    ] {
        let case = shop.hardware(&format!("received 2025-01-01{unit}"), claim);
        assert_eq!(shop.see(&case, "2026-01-01").is_open, is_open, "{claim}");
    }
    // Nothing was received: nothing runs.
    let case = shop.order("").unit("U-1", "hardware").case;
    assert!(!shop.see(&case, "2026-01-01").is_open);
}

#[test]
fn an_order_to_come_says_only_when() {
    let shop = Shop::standard();
    let order = shop.order("placed 2025-06-01, paid 2025-06-01");
    let case = order
        .unit("U-1", "hardware")
        .claim("K-1", "repair opened 2025-06-03")
        .case;
    let seen = shop.see(&case, "2025-05-31 23:59:59");
    assert!(seen.deadlines.is_empty() && seen.claims.is_empty() && seen.due_steps.is_empty());
    assert_eq!(seen.next_at, Some(shop.at("2025-06-01")));
    assert!(seen.is_open);
    let seen = shop.see(&case, "2025-06-02 23:59");
    assert!(seen.claims.is_empty());
    assert_eq!(seen.next_at, Some(shop.at("2025-06-03")));
    assert_eq!(
        shop.see(&case, "2025-06-03").claim("K-1").unwrap().unit_ref,
        "U-1"
    );
}

#[test]
fn without_terms_a_case_is_not_evaluated() {
    let shop = Shop::standard();
    for (order, unit, problem) in [
        (
            "",
            "hardware policy gadgets",
            "there is no policy `gadgets`: expected one of standard",
        ),
        (
            "placed 1999-12-31",
            "hardware",
            "policy `standard` has no version in force on 1999-12-31: its first starts on 2000-01-01",
        ),
    ] {
        let case = shop.order(order).unit("U-1", unit).case;
        let error = evaluate(&case, &shop.rules, shop.at("2025-02-01")).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn the_far_future_is_counted_like_any_other() {
    let shop = Shop::standard();
    let case = shop
        .order("placed 9999-01-01")
        .unit("U-1", "hardware received 9999-12-31")
        .case;
    let seen = shop.see(&case, "9999-12-31 12:00");
    let due = seen
        .deadlines
        .iter()
        .map(|found| shop.local(found.due_at.unwrap()));
    let expected = ["+10000-06-29", "+10000-01-08", "+10000-01-15"];
    assert_eq!(due.collect::<Vec<_>>(), expected);
}
