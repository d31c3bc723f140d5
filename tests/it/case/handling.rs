//! Spec, section 3: how a claim is handled, by what is asked for, what the
//! product is and when the claim is opened.

use warrantyd::case::Case;

use super::build::Shop;

/// The handling of the last claim, with the reason of a decline.
fn handled(shop: &Shop, case: &Case) -> String {
    let seen = shop.see(case, "2026-06-01");
    let claim = seen.claims.last().unwrap();
    let reason = claim
        .decline
        .iter()
        .map(|decline| format!(" {}", decline.reason));
    format!("{}{}", claim.handling, reason.collect::<String>())
}

/// Shows how each type of claim is handled on a unit when it is opened at
/// some time.
#[track_caller]
fn shows(unit: &str, rows: &[(&str, [&str; 4])]) {
    let shop = Shop::standard();
    for (opened, expected) in rows {
        let types = ["repair", "return", "refund", "exchange"];
        for (wanted, expected) in types.into_iter().zip(expected) {
            let draft = shop.order("placed 2024-12-20").unit("U-1", unit);
            let case = draft
                .claim("K-1", &format!("{wanted} opened {opened}"))
                .case;
            assert_eq!(
                &handled(&shop, &case),
                expected,
                "{unit}: {wanted} {opened}"
            );
        }
    }
}

const OUT: &str = "declined out_of_warranty";
const ENDED: &str = "declined unit_ended";

#[test]
fn hardware() {
    shows(
        "hardware received 2025-01-01 10:00",
        &[
            (
                "2025-01-01 10:00",
                ["repair", "return", "refund", "exchange"],
            ),
            (
                "2025-01-08 23:59",
                ["repair", "return", "refund", "exchange"],
            ),
            ("2025-01-09", ["repair", "refund", "refund", "exchange"]),
            (
                "2025-01-15 23:59",
                ["repair", "refund", "refund", "exchange"],
            ),
            ("2025-01-16", ["repair"; 4]),
            ("2025-06-30 23:59", ["repair"; 4]),
            ("2025-07-01", [OUT; 4]),
            ("2025-07-02", [OUT; 4]),
            // Before the receipt no window has started.
            ("2024-12-30", ["repair", "return", "refund", "exchange"]),
        ],
    );
}

#[test]
fn software() {
    shows(
        "software company_confirmed 2025-01-01, customer_confirmed 2025-01-01 10:00",
        &[
            ("2025-01-02", ["repair", "refund", "refund", "exchange"]),
            (
                "2025-01-15 23:59",
                ["repair", "refund", "refund", "exchange"],
            ),
            ("2025-01-16", ["repair"; 4]),
            ("2026-01-01 23:59", ["repair"; 4]),
            ("2026-01-02", [OUT; 4]),
        ],
    );
}

#[test]
fn missing_data_never_costs_a_customer_a_right() {
    let years_later = "2026-05-01";
    shows(
        "hardware",
        &[(years_later, ["repair", "return", "refund", "exchange"])],
    );
    shows(
        "software",
        &[(years_later, ["repair", "refund", "refund", "exchange"])],
    );
    // Received, but only one side has confirmed.
    let half = "software received 2025-01-01, company_confirmed 2025-01-01";
    shows(half, &[(years_later, ["repair"; 4])]);
}

#[test]
fn a_replacement_is_in_no_window_but_the_warranty_of_the_first() {
    let shop = Shop::standard();
    for (root, opened, expected) in [
        ("received 2025-01-01 10:00", "2025-05-02", "repair"),
        ("received 2025-01-01 10:00", "2025-06-30 23:59", "repair"),
        ("received 2025-01-01 10:00", "2025-07-01", OUT),
        ("", "2025-07-01", "repair"),
    ] {
        for wanted in ["repair", "return", "refund", "exchange"] {
            let draft = shop.order("placed 2025-05-01");
            let draft = draft
                .unit("U-2", "hardware received 2025-05-01 10:00")
                .replaces(root);
            let case = draft
                .claim("K-1", &format!("{wanted} opened {opened}"))
                .case;
            assert_eq!(handled(&shop, &case), expected, "{root}: {wanted} {opened}");
        }
    }
}

#[test]
fn a_unit_that_has_ended_is_covered_by_nothing() {
    let shop = Shop::standard();
    for (order, first, opened, expected) in [
        (
            "",
            "repair opened 2025-01-02, refunded 2025-01-05",
            "2025-01-04",
            "repair",
        ),
        (
            "",
            "repair opened 2025-01-02, refunded 2025-01-05",
            "2025-01-05",
            ENDED,
        ),
        (
            "",
            "repair opened 2025-01-02, exchanged 2025-01-05",
            "2025-01-06",
            ENDED,
        ),
        (
            "",
            "repair opened 2025-01-02, exchanged 2025-01-05",
            "2025-08-06",
            ENDED,
        ),
        (
            "",
            "repair opened 2025-01-02, closed 2025-01-05",
            "2025-01-06",
            "repair",
        ),
        (
            "cancelled 2024-12-21",
            "repair opened 2025-01-02",
            "2025-01-06",
            ENDED,
        ),
        (
            "cancelled 2025-01-05",
            "repair opened 2025-01-02",
            "2025-01-05",
            ENDED,
        ),
        (
            "cancelled 2025-01-05 00:01",
            "repair opened 2025-01-02",
            "2025-01-05",
            "repair",
        ),
        // No cancellation.
        (
            "cancelled 2025-01-01, delivered 2025-01-01",
            "repair opened 2025-01-02",
            "2025-01-06",
            "repair",
        ),
    ] {
        for wanted in ["repair", "return", "refund", "exchange"] {
            let draft = shop.order(&format!("placed 2024-12-20, {order}"));
            let draft = draft
                .unit("U-1", "hardware received 2025-01-01")
                .claim("K-1", first);
            let case = draft
                .claim("K-2", &format!("{wanted} opened {opened}"))
                .case;
            let expected = if expected == "repair" {
                wanted
            } else {
                expected
            };
            // All windows of the unit are open until 9 January.
            assert_eq!(
                handled(&shop, &case),
                expected,
                "{order}, {first}: {wanted} {opened}"
            );
        }
    }
}

#[test]
fn a_claim_s_own_end_is_not_held_against_it() {
    let shop = Shop::standard();
    let case = shop.hardware(
        "received 2025-01-01",
        "refund opened 2025-01-05, refunded 2025-01-05",
    );
    assert_eq!(handled(&shop, &case), "refund");
}
