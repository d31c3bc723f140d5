//! Spec, section 7: what somebody should look at, and what is in order.

use warrantyd::case::{Case, ExceptionCode};

use super::build::Shop;

/// The subjects and details of a code's exceptions at a time.
fn found(shop: &Shop, case: &Case, code: &str, now: &str) -> Vec<String> {
    let code: ExceptionCode = code.parse().unwrap();
    let all = shop.see(case, now).exceptions.into_iter();
    let of_code = all.filter(|exception| exception.code == code);
    of_code
        .map(|e| format!("{} {}: {}", e.subject, e.subject_ref, e.detail))
        .collect()
}

/// Shows for claims on a unit whether they are an exception by March.
#[track_caller]
fn claims(kind: &str, code: &str, rows: &[(&str, &str)]) {
    let shop = Shop::standard();
    for (claim, expected) in rows {
        let case = match kind {
            "software" => shop.software("received 2025-01-01", claim),
            _ => shop.hardware("received 2025-01-01", claim),
        };
        let expected: Vec<String> = match *expected {
            "" => Vec::new(),
            detail => vec![format!("claim K-1: {detail}")],
        };
        assert_eq!(found(&shop, &case, code, "2025-03-01"), expected, "{claim}");
    }
}

#[test]
fn missing_receipt() {
    let shop = Shop::standard();
    let claim = "repair opened 2025-01-03";
    for (order, unit, expected) in [
        (
            "",
            "hardware",
            "unit U-1: received_at of U-1 is missing: claims are taken as in warranty",
        ),
        ("", "hardware received 2025-01-01", ""),
        ("delivered 2025-01-02", "hardware", ""),
        (
            "",
            "software company_confirmed 2025-01-01",
            "unit U-1: the confirmations of U-1 are missing: claims are taken as in warranty",
        ),
        (
            "",
            "software company_confirmed 2025-01-01, customer_confirmed 2025-01-02",
            "",
        ),
        (
            "",
            "software company_confirmed 2025-01-01, customer_confirmed 2025-01-02, received 2025-06-01",
            "unit U-1: received_at is missing: claims are taken as in time",
        ),
    ] {
        let case = shop.order(order).unit("U-1", unit).claim("K-1", claim).case;
        let expected: Vec<&str> = [expected].into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(
            found(&shop, &case, "missing_receipt", "2025-02-01"),
            expected,
            "{unit}"
        );
        assert!(
            found(&shop, &case, "missing_receipt", "2025-01-02").is_empty(),
            "no claim yet"
        );
    }
    let draft = shop
        .order("")
        .unit("U-2", "hardware received 2025-01-01")
        .replaces("");
    let case = draft.claim("K-1", claim).case;
    let expected = ["unit U-2: received_at of U-0 is missing: claims are taken as in warranty"];
    assert_eq!(
        found(&shop, &case, "missing_receipt", "2025-02-01"),
        expected
    );
}

#[test]
fn half_confirmed() {
    let shop = Shop::standard();
    for (unit, missing) in [
        ("software company_confirmed 2025-01-01", Some("customer")),
        ("software customer_confirmed 2025-01-01", Some("company")),
        (
            "software customer_confirmed 2025-01-01, company_confirmed 2025-02-02",
            Some("company"),
        ),
        (
            "software customer_confirmed 2025-01-01, company_confirmed 2025-02-01",
            None,
        ),
        ("software", None),
        ("hardware company_confirmed 2025-01-01", None),
    ] {
        let case = shop.order("").unit("U-1", unit).case;
        let missing = missing.map(|side| {
            format!("unit U-1: {side}_confirmed_at is missing: the warranty has not started")
        });
        let expected: Vec<String> = missing.into_iter().collect();
        assert_eq!(
            found(&shop, &case, "half_confirmed", "2025-02-01"),
            expected,
            "{unit}"
        );
    }
    let draft = shop
        .order("")
        .unit("U-2", "software company_confirmed 2025-01-01");
    let case = draft.replaces("").case;
    assert!(found(&shop, &case, "half_confirmed", "2025-02-01").is_empty());
}

#[test]
fn goods_before_confirmation() {
    let detail = "at the warehouse 2025-01-05 00:00, not confirmed";
    let rows = [
        ("repair opened 2025-01-03, received 2025-01-05", detail),
        (
            "repair opened 2025-01-03, received 2025-01-05, confirmed 2025-01-06",
            detail,
        ),
        (
            "repair opened 2025-01-03, received 2025-01-05, confirmed 2025-01-05",
            "",
        ),
        ("repair opened 2025-01-03, confirmed 2025-01-05", ""),
    ];
    claims("hardware", "goods_before_confirmation", &rows);
    claims("software", "goods_before_confirmation", &[(rows[0].0, "")]);
}

#[test]
fn opened_before_receipt() {
    let detail = "opened 2024-12-31 10:00, received 2025-01-01 00:00";
    let rows = [
        ("repair opened 2024-12-31 10:00", detail),
        ("repair opened 2025-01-01", ""),
    ];
    claims("hardware", "opened_before_receipt", &rows);
    claims("software", "opened_before_receipt", &rows);
}

#[test]
fn repaired_before_arrival() {
    let detail = "repaired 2025-01-06 00:00, not at the warehouse";
    let rows = [
        ("repair opened 2025-01-03, repaired 2025-01-06", detail),
        (
            "repair opened 2025-01-03, repaired 2025-01-06, received 2025-01-07",
            detail,
        ),
        (
            "repair opened 2025-01-03, repaired 2025-01-06, received 2025-01-06",
            "",
        ),
        // A fix may be made at the customer's.
        ("refund opened 2025-01-03, repaired 2025-01-06", ""),
    ];
    claims("hardware", "repaired_before_arrival", &rows);
    claims("software", "repaired_before_arrival", &[(rows[0].0, "")]);
}

#[test]
fn refund_before_return() {
    let detail = "refunded 2025-01-06 00:00, not returned";
    let rows = [
        ("refund opened 2025-01-03, refunded 2025-01-06", detail),
        (
            "return opened 2025-01-03, refunded 2025-01-06, returned 2025-01-07",
            detail,
        ),
        (
            "refund opened 2025-01-03, refunded 2025-01-06, returned 2025-01-06",
            "",
        ),
        ("repair opened 2025-01-03, refunded 2025-01-06", ""),
    ];
    claims("hardware", "refund_before_return", &rows);
    claims("software", "refund_before_return", &[(rows[0].0, "")]);
}

#[test]
fn cancellations() {
    let shop = Shop::standard();
    let after =
        "order O-1: cancelled 2025-01-05 00:00, delivered 2025-01-04 00:00: not a cancellation";
    let costs = |which| format!("order O-1: {which} not known, taken as 0");
    let transit = "paid 2025-01-01, shipped 2025-01-02, cancelled 2025-01-05";
    for (order, code, expected) in [
        (
            "cancelled 2025-01-05, delivered 2025-01-04".into(),
            "cancelled_after_delivery",
            after.into(),
        ),
        (
            "cancelled 2025-01-05, delivered 2025-01-06".into(),
            "cancelled_after_delivery",
            String::new(),
        ),
        (
            transit.into(),
            "missing_shipping_costs",
            costs("shipping_out and shipping_back"),
        ),
        (
            format!("{transit}, shipping_out 500"),
            "missing_shipping_costs",
            costs("shipping_back"),
        ),
        (
            format!("{transit}, shipping_back 500"),
            "missing_shipping_costs",
            costs("shipping_out"),
        ),
        (
            format!("{transit}, shipping_out 0, shipping_back 0"),
            "missing_shipping_costs",
            String::new(),
        ),
        (
            "paid 2025-01-01, cancelled 2025-01-05".into(),
            "missing_shipping_costs",
            String::new(),
        ),
        (
            "shipped 2025-01-02, cancelled 2025-01-05".into(),
            "missing_shipping_costs",
            String::new(),
        ),
        (
            format!("{transit}, delivered 2025-01-05"),
            "missing_shipping_costs",
            String::new(),
        ),
    ] {
        let case = shop.order(&order).case;
        let expected: Vec<String> = [expected].into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(found(&shop, &case, code, "2025-02-01"), expected, "{order}");
    }
}

#[test]
fn refunds_exceed_order() {
    let shop = Shop::standard();
    let claim = "return opened 2025-01-03, confirmed 2025-01-04";
    for (first, second, order, expected) in [
        (", price 6000", ", price 4000", "", None),
        (", price 6000", ", price 4001", "", Some("100.01")),
        ("", "", "", Some("200.00")),
        (
            ", price 6000",
            ", price 0",
            "paid 2025-01-01, cancelled 2025-01-05",
            Some("160.00"),
        ),
    ] {
        let draft = shop
            .order(order)
            .unit("U-1", &format!("hardware received 2025-01-02{first}"));
        let draft = draft
            .claim("K-1", claim)
            .unit("U-2", &format!("hardware received 2025-01-02{second}"));
        let case = draft.claim("K-2", claim).case;
        let expected = expected
            .map(|sum| format!("order O-1: refunds of {sum} EUR, the order's total is 100.00"));
        let expected: Vec<String> = expected.into_iter().collect();
        assert_eq!(
            found(&shop, &case, "refunds_exceed_order", "2025-02-01"),
            expected,
            "{first}{second}"
        );
    }
}

#[test]
fn lapsed_unconfirmed() {
    let detail = "the fix window lapsed: confirm the fault, or reject the claim";
    let claim = "refund opened 2025-01-03";
    let shop = Shop::standard();
    let case = shop.hardware("received 2025-01-01", claim);
    assert!(found(&shop, &case, "lapsed_unconfirmed", "2025-01-10 23:59").is_empty());
    assert_eq!(
        found(&shop, &case, "lapsed_unconfirmed", "2025-01-11").len(),
        1
    );
    claims("hardware", "lapsed_unconfirmed", &[(claim, detail)]);
    for end in [
        "confirmed",
        "received",
        "unrepairable",
        "repaired",
        "refunded",
        "exchanged",
        "closed",
        "rejected",
    ] {
        let claim = format!("{claim}, {end} 2025-01-20");
        claims("hardware", "lapsed_unconfirmed", &[(&claim, "")]);
    }
    claims(
        "software",
        "lapsed_unconfirmed",
        &[("exchange opened 2025-01-03", detail)],
    );
}

#[test]
fn findings_after_repair() {
    let claim = "repair opened 2025-01-03, received 2025-01-04, findings seal_broken disassembled";
    let rows = [
        (
            format!("{claim}, repaired 2025-01-06, inspected 2025-01-07"),
            "seal_broken;disassembled on 2025-01-07 00:00, repaired before",
        ),
        (
            format!("{claim}, repaired 2025-01-07, inspected 2025-01-07"),
            "",
        ),
        (format!("{claim}, inspected 2025-01-07"), ""),
        (
            "repair opened 2025-01-03, repaired 2025-01-06, inspected 2025-01-07".into(),
            "",
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(claim, expected)| (claim.as_str(), *expected))
        .collect();
    claims("hardware", "findings_after_repair", &rows);
}

#[test]
fn stage_stuck() {
    let shop = Shop::standard();
    for (claim, now, expected) in [
        ("repair opened 2025-01-03", "2025-01-16 23:59", ""),
        (
            "repair opened 2025-01-03",
            "2025-01-17",
            "awaiting_confirmation since 2025-01-03 00:00",
        ),
        (
            "repair opened 2025-01-03, received 2025-01-10",
            "2025-01-23",
            "",
        ),
        (
            "repair opened 2025-01-03, received 2025-01-10",
            "2025-01-24",
            "in_repair since 2025-01-10 00:00",
        ),
        (
            "return opened 2025-01-03, confirmed 2025-01-03, returned 2025-01-05",
            "2025-01-19",
            "refund_due since 2025-01-05 00:00",
        ),
        (
            "exchange opened 2025-01-03, unrepairable 2025-01-05",
            "2025-01-19",
            "exchange_due since 2025-01-05 00:00",
        ),
        // The customer has to act, or nobody.
        (
            "repair opened 2025-01-03, confirmed 2025-01-04",
            "2025-03-01",
            "",
        ),
        (
            "return opened 2025-01-03, confirmed 2025-01-04",
            "2025-03-01",
            "",
        ),
        (
            "repair opened 2025-01-03, closed 2025-01-04",
            "2025-03-01",
            "",
        ),
        (
            "repair opened 2025-01-03, waits 2025-01-10",
            "2025-03-01",
            "",
        ),
        (
            "repair opened 2025-01-03, waits 2025-01-10 until 2025-01-20",
            "2025-02-02 23:59",
            "",
        ),
        (
            "repair opened 2025-01-03, waits 2025-01-10 until 2025-01-20",
            "2025-02-03",
            "awaiting_confirmation since 2025-01-20 00:00",
        ),
    ] {
        let case = shop.hardware("received 2025-01-01", claim);
        let expected: Vec<String> = [expected]
            .into_iter()
            .filter(|e| !e.is_empty())
            .map(|detail| format!("claim K-1: {detail}"))
            .collect();
        assert_eq!(
            found(&shop, &case, "stage_stuck", now),
            expected,
            "{claim} at {now}"
        );
    }
}

#[test]
fn fact_in_future() {
    let shop = Shop::standard();
    let claim =
        "repair opened 2025-01-03, repaired 2025-04-01 10:00, waits 2025-02-01 until 2025-05-01";
    let draft = shop.order("placed 2025-01-01, paid 2025-03-02, changed 2025-01-02");
    let case = draft
        .unit("U-1", "hardware received 2025-03-01")
        .claim("K-1", claim)
        .case;
    let ahead = |now| found(&shop, &case, "fact_in_future", now);
    let later = [
        "order O-1: paid_at is 2025-03-02 00:00",
        "claim K-1: repaired_at is 2025-04-01 10:00",
        "claim K-1: wait until is 2025-05-01 00:00",
    ];
    assert_eq!(ahead("2025-03-01"), later);
    assert_eq!(ahead("2025-03-02"), later[1..]);
    assert!(ahead("2025-05-01").is_empty());
    // Nobody knew yet.
    assert!(ahead("2025-01-01").is_empty());
    // An order that is still to be placed.
    let case = shop.order("placed 2025-06-01, changed 2025-01-02").case;
    let expected = ["order O-1: placed_at is 2025-06-01 00:00"];
    assert_eq!(
        found(&shop, &case, "fact_in_future", "2025-05-01"),
        expected
    );
}

#[test]
fn a_case_in_order_has_none_and_a_withdrawn_one_says_nothing() {
    let shop = Shop::standard();
    let claim = "return opened 2025-01-03, confirmed 2025-01-04, returned 2025-01-05, \
                 received 2025-01-06, inspected 2025-01-06, refunded 2025-01-07, closed 2025-01-08";
    let mut case = shop.hardware("received 2025-01-01", claim);
    assert_eq!(shop.see(&case, "2025-06-01").exceptions, []);
    case.order.withdrawn = true;
    let seen = shop.see(&case, "2025-01-06");
    assert!(seen.deadlines.is_empty() && seen.claims.is_empty() && seen.due_steps.is_empty());
    assert!(!seen.is_open && seen.next_at.is_none());
}
