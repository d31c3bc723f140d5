//! Spec, section 3: when an outcome is reached, and what keeps it from being.

use super::build::Shop;

/// The outcomes that the first claim has reached by the end of January.
#[track_caller]
fn shows(kind: &str, rows: &[(&str, &str)]) {
    let shop = Shop::standard();
    for (claim, expected) in rows {
        let case = match kind {
            "software" => shop.software("received 2025-01-01", claim),
            _ => shop.hardware("received 2025-01-01", claim),
        };
        let seen = shop.see(&case, "2025-01-31");
        let outcomes = seen.claims[0].outcomes.iter();
        let found = outcomes.map(|(outcome, at)| format!("{outcome} {}", shop.local(*at)));
        assert_eq!(
            found.collect::<Vec<_>>().join(", "),
            *expected,
            "{kind}: {claim}"
        );
    }
}

#[test]
fn a_lapse_takes_a_person() {
    // Lapsed at the end of the 10th, software at the end of the 8th.
    shows(
        "hardware",
        &[
            ("refund opened 2025-01-03", ""),
            (
                "refund opened 2025-01-03, confirmed 2025-01-04",
                "return_due 2025-01-11",
            ),
            (
                "refund opened 2025-01-03, confirmed 2025-01-14",
                "return_due 2025-01-14",
            ),
            (
                "refund opened 2025-01-03, received 2025-01-15, confirmed 2025-01-16",
                "return_due 2025-01-15",
            ),
            (
                "refund opened 2025-01-03, unrepairable 2025-01-15",
                "return_due 2025-01-15",
            ),
            (
                "refund opened 2025-01-03, confirmed 2025-01-04, unrepairable 2025-01-15",
                "return_due 2025-01-11",
            ),
            ("exchange opened 2025-01-03", ""),
            (
                "exchange opened 2025-01-03, confirmed 2025-01-14",
                "exchange_due 2025-01-14",
            ),
            // A repair has no window that lapses.
            ("repair opened 2025-01-03, received 2025-01-04", ""),
            ("return opened 2025-01-03", ""),
            (
                "return opened 2025-01-03, confirmed 2025-01-14",
                "return_due 2025-01-14",
            ),
        ],
    );
    shows(
        "software",
        &[
            ("refund opened 2025-01-03", ""),
            (
                "refund opened 2025-01-03, confirmed 2025-01-04",
                "refund_due 2025-01-09",
            ),
            (
                "refund opened 2025-01-03, confirmed 2025-01-14",
                "refund_due 2025-01-14",
            ),
            (
                "exchange opened 2025-01-03, confirmed 2025-01-04",
                "exchange_due 2025-01-09",
            ),
            (
                "repair opened 2025-01-03, unrepairable 2025-01-05",
                "exchange_due 2025-01-05",
            ),
        ],
    );
}

#[test]
fn an_outcome_is_not_reached_once_the_claim_has_ended() {
    let lapsing = "refund opened 2025-01-03, confirmed 2025-01-04";
    let declined = ", findings seal_broken, inspected";
    shows(
        "hardware",
        &[
            (&format!("{lapsing}, closed 2025-01-10"), ""),
            (&format!("{lapsing}, closed 2025-01-11"), ""),
            (
                &format!("{lapsing}, closed 2025-01-11 00:01"),
                "return_due 2025-01-11",
            ),
            (&format!("{lapsing}, rejected 2025-01-11"), ""),
            (
                &format!("{lapsing}, rejected 2025-01-12"),
                "return_due 2025-01-11",
            ),
            (
                &format!("{lapsing}{declined} 2025-01-11"),
                "declined 2025-01-11",
            ),
            (
                &format!("{lapsing}{declined} 2025-01-12"),
                "return_due 2025-01-11, declined 2025-01-12",
            ),
        ],
    );
}

#[test]
fn an_outcome_is_not_reached_after_a_repair_refund_or_exchange() {
    let lapsing = "refund opened 2025-01-03, confirmed 2025-01-14";
    for settled in ["repaired", "refunded", "exchanged"] {
        shows(
            "hardware",
            &[
                (&format!("{lapsing}, {settled} 2025-01-12"), ""),
                (
                    &format!("{lapsing}, {settled} 2025-01-14"),
                    "return_due 2025-01-14",
                ),
                (
                    &format!("{lapsing}, {settled} 2025-01-15"),
                    "return_due 2025-01-14",
                ),
            ],
        );
    }
    let given_up = "repair opened 2025-01-03, received 2025-01-04, unrepairable 2025-01-10";
    shows(
        "hardware",
        &[
            (&format!("{given_up}, repaired 2025-01-09"), ""),
            (&format!("{given_up}, repaired 2025-01-10"), ""),
            (
                &format!("{given_up}, repaired 2025-01-11"),
                "exchange_due 2025-01-10",
            ),
            (&format!("{given_up}, refunded 2025-01-09"), ""),
        ],
    );
}
