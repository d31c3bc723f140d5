//! Clauses 3, 5.1 and 5.2: what is paid back, and what is kept.

use warrantyd::case::{Case, Refund};

use super::build::Shop;

fn words(refund: &Refund) -> String {
    format!(
        "{} {}, kept {}",
        refund.money(),
        refund.currency,
        refund.deductions
    )
}

fn claim_refund(shop: &Shop, case: &Case, now: &str) -> String {
    let seen = shop.see(case, now);
    seen.claims[0].refund.as_ref().map_or("-".into(), words)
}

#[test]
fn clause_5_1_the_price_or_the_total_less_what_is_missing() {
    let shop = Shop::standard();
    for (order, unit, accessories, expected) in [
        ("total 10000", "", "complete", "100.00 EUR, kept 0"),
        (
            "total 10000",
            ", price 4000",
            "complete",
            "40.00 EUR, kept 0",
        ),
        // 10 % of the order, not of the price.
        ("total 10000", "", "missing", "90.00 EUR, kept 1000"),
        (
            "total 10000",
            ", price 4000",
            "missing",
            "30.00 EUR, kept 1000",
        ),
        // From 0 to the total.
        (
            "total 10000",
            ", price 600",
            "missing",
            "0.00 EUR, kept 600",
        ),
        ("total 10000", ", price 0", "complete", "0.00 EUR, kept 0"),
        (
            "total 10000",
            ", price 15000",
            "complete",
            "100.00 EUR, kept 0",
        ),
        (
            "total 10000",
            ", price 10500",
            "missing",
            "95.00 EUR, kept 500",
        ),
        (
            "total 10000",
            ", price 15000",
            "missing",
            "100.00 EUR, kept 0",
        ),
        ("total 0", "", "missing", "0.00 EUR, kept 0"),
        // Half away from zero, in the currency's own decimals.
        ("total 10004", "", "missing", "90.04 EUR, kept 1000"),
        ("total 10005", "", "missing", "90.04 EUR, kept 1001"),
        (
            "total 10014, currency JPY",
            "",
            "missing",
            "9013 JPY, kept 1001",
        ),
        (
            "total 10015, currency JPY",
            "",
            "missing",
            "9013 JPY, kept 1002",
        ),
        (
            "total 12344, currency KWD",
            "",
            "missing",
            "11.110 KWD, kept 1234",
        ),
        (
            "total 12345, currency KWD",
            "",
            "missing",
            "11.110 KWD, kept 1235",
        ),
    ] {
        let draft = shop
            .order(order)
            .unit("U-1", &format!("hardware received 2025-01-02{unit}"));
        let claim =
            format!("return opened 2025-01-03, confirmed 2025-01-03, accessories {accessories}");
        let case = draft.claim("K-1", &claim).case;
        let found = claim_refund(&shop, &case, "2025-01-04");
        assert_eq!(found, expected, "{order}{unit} {accessories}");
    }
}

#[test]
fn the_share_kept_is_the_policy_s() {
    let shop = Shop::standard().with(&[(
        "accessories_missing_percent = 10",
        "accessories_missing_percent = 25",
    )]);
    let claim = "return opened 2025-01-03, confirmed 2025-01-03, accessories missing";
    let case = shop.hardware("received 2025-01-02", claim);
    assert_eq!(
        claim_refund(&shop, &case, "2025-01-04"),
        "75.00 EUR, kept 2500"
    );
}

#[test]
fn a_refund_is_shown_where_it_is_owed_or_was_paid() {
    let shop = Shop::standard();
    let owed = "100.00 EUR, kept 0";
    let claim = "refund opened 2025-01-03, unrepairable 2025-01-05, returned 2025-01-07, \
                 refunded 2025-01-09, closed 2025-01-11";
    let case = shop.hardware("received 2025-01-02", claim);
    for (now, expected) in [
        ("2025-01-04", "-"),
        ("2025-01-05", owed),
        ("2025-01-07", owed),
        ("2025-01-09", owed),
        ("2025-01-11", owed),
    ] {
        assert_eq!(claim_refund(&shop, &case, now), expected, "{now}");
    }
    for claim in [
        "refund opened 2025-01-03, unrepairable 2025-01-05, rejected 2025-01-06",
        "refund opened 2025-01-03, confirmed 2025-01-04, repaired 2025-01-06",
        "exchange opened 2025-01-03, unrepairable 2025-01-05",
        "exchange opened 2025-01-03, unrepairable 2025-01-05, refunded 2025-01-06",
        "repair opened 2025-01-03, unrepairable 2025-01-05, refunded 2025-01-06",
    ] {
        let case = shop.hardware("received 2025-01-02", claim);
        assert_eq!(claim_refund(&shop, &case, "2025-01-20"), "-", "{claim}");
    }
}

#[test]
fn clause_5_2_a_cancellation_pays_back_all_until_shipped_then_less_shipping() {
    let shop = Shop::standard();
    for (order, expected) in [
        (
            "paid 2025-01-02, cancelled 2025-01-05",
            "100.00 EUR, kept 0",
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05, shipping_out 700, shipping_back 900",
            "100.00 EUR, kept 0",
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05, shipped 2025-01-05 00:01, shipping_out 700",
            "100.00 EUR, kept 0",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-05, cancelled 2025-01-05, shipping_out 700, shipping_back 900",
            "84.00 EUR, kept 1600",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05, shipping_out 700",
            "93.00 EUR, kept 700",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05",
            "100.00 EUR, kept 0",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05, shipping_out 9999",
            "0.01 EUR, kept 9999",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05, shipping_out 10000",
            "-",
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05, shipping_back 20000",
            "-",
        ),
        ("cancelled 2025-01-05", "-"),
        ("paid 2025-01-02, cancelled 2025-01-05, total 0", "-"),
        (
            "paid 2025-01-02, delivered 2025-01-05, cancelled 2025-01-05",
            "-",
        ),
        ("paid 2025-01-02", "-"),
    ] {
        let seen = shop.see(&shop.order(order).case, "2025-01-06");
        let found = seen.cancellation.as_ref().map_or("-".into(), words);
        assert_eq!(found, expected, "{order}");
    }
}
