//! Spec, section 3: where a claim stands, and since when.

use super::build::Shop;

/// Shows the stage of a claim on a product that was received on 1 January.
#[track_caller]
fn shows(kind: &str, rows: &[(&str, &str, &str)]) {
    let shop = Shop::standard();
    for (claim, now, expected) in rows {
        let case = match kind {
            "software" => shop.software("received 2025-01-01", claim),
            _ => shop.hardware("received 2025-01-01", claim),
        };
        assert_eq!(&shop.stage(&case, now), expected, "{claim} at {now}");
    }
}

#[test]
fn a_repair_of_hardware() {
    let claim = "repair opened 2025-02-01 10:00, confirmed 2025-02-03, received 2025-02-07";
    let goods_first = "repair opened 2025-02-01, received 2025-02-03, confirmed 2025-02-07";
    let repaired = &format!("{claim}, repaired 2025-02-10, closed 2025-02-12");
    let given_up = &format!("{claim}, unrepairable 2025-02-10, exchanged 2025-02-14");
    let both = &format!("{claim}, unrepairable 2025-02-10, repaired 2025-02-11");
    let other = &format!("{claim}, repaired 2025-02-10, unrepairable 2025-02-11");
    let at_once = &format!("{claim}, repaired 2025-02-10, unrepairable 2025-02-10");
    shows(
        "hardware",
        &[
            (
                claim,
                "2025-02-02",
                "awaiting_confirmation 2025-02-01 10:00",
            ),
            (claim, "2025-02-03", "awaiting_goods 2025-02-03"),
            (claim, "2025-02-07", "in_repair 2025-02-07"),
            (claim, "2025-12-01", "in_repair 2025-02-07"),
            (goods_first, "2025-02-03", "in_repair 2025-02-03"),
            (goods_first, "2025-02-08", "in_repair 2025-02-03"),
            (repaired, "2025-02-11", "resolved 2025-02-10"),
            (repaired, "2025-02-12", "closed 2025-02-12"),
            (given_up, "2025-02-10", "exchange_due 2025-02-10"),
            (given_up, "2025-02-14", "resolved 2025-02-14"),
            // The earlier of both counts, at the same instant the repair.
            (both, "2025-02-12", "exchange_due 2025-02-10"),
            (other, "2025-02-12", "resolved 2025-02-10"),
            (at_once, "2025-02-12", "resolved 2025-02-10"),
        ],
    );
}

#[test]
fn a_repair_of_software() {
    let claim = "repair opened 2025-02-01, confirmed 2025-02-03";
    let given_up = &format!("{claim}, unrepairable 2025-02-05");
    shows(
        "software",
        &[
            (claim, "2025-02-02", "awaiting_confirmation 2025-02-01"),
            (claim, "2025-02-03", "in_repair 2025-02-03"),
            (claim, "2025-12-01", "in_repair 2025-02-03"),
            (
                &format!("{claim}, repaired 2025-02-05"),
                "2025-02-05",
                "resolved 2025-02-05",
            ),
            (given_up, "2025-02-05", "exchange_due 2025-02-05"),
        ],
    );
}

#[test]
fn a_refund_of_hardware() {
    let claim = "refund opened 2025-01-03, confirmed 2025-01-04";
    let given_up =
        &format!("{claim}, unrepairable 2025-01-06, returned 2025-01-08, refunded 2025-01-10");
    shows(
        "hardware",
        &[
            (
                "refund opened 2025-01-03",
                "2025-01-04",
                "awaiting_confirmation 2025-01-03",
            ),
            (claim, "2025-01-04", "in_repair 2025-01-04"),
            (
                "refund opened 2025-01-03, received 2025-01-05",
                "2025-01-05",
                "in_repair 2025-01-05",
            ),
            (given_up, "2025-01-06", "return_due 2025-01-06"),
            (given_up, "2025-01-08", "refund_due 2025-01-08"),
            (given_up, "2025-01-10", "resolved 2025-01-10"),
            // Lapsed at the end of the 10th.
            (claim, "2025-01-10 23:59", "in_repair 2025-01-04"),
            (claim, "2025-01-11", "return_due 2025-01-11"),
            (
                &format!("{claim}, repaired 2025-01-10 23:59"),
                "2025-01-12",
                "resolved 2025-01-10 23:59",
            ),
            (
                &format!("{claim}, repaired 2025-01-11"),
                "2025-01-12",
                "return_due 2025-01-11",
            ),
            (
                &format!("{claim}, repaired 2025-01-20"),
                "2025-01-21",
                "return_due 2025-01-11",
            ),
        ],
    );
}

#[test]
fn a_refund_of_software() {
    let claim = "refund opened 2025-01-03, confirmed 2025-01-04";
    shows(
        "software",
        &[
            (claim, "2025-01-08 23:59", "in_repair 2025-01-04"),
            (claim, "2025-01-09", "refund_due 2025-01-09"),
            (
                &format!("{claim}, unrepairable 2025-01-06"),
                "2025-01-07",
                "refund_due 2025-01-06",
            ),
            (
                &format!("{claim}, repaired 2025-01-06"),
                "2025-01-12",
                "resolved 2025-01-06",
            ),
            (
                &format!("{claim}, refunded 2025-01-12"),
                "2025-01-12",
                "resolved 2025-01-12",
            ),
        ],
    );
}

#[test]
fn an_exchange() {
    let claim = "exchange opened 2025-01-03, confirmed 2025-01-04";
    for (kind, last_day, due) in [
        ("hardware", "2025-01-10", "2025-01-11"),
        ("software", "2025-01-08", "2025-01-09"),
    ] {
        let exchange_due = format!("exchange_due {due}");
        shows(
            kind,
            &[
                (claim, last_day, "in_repair 2025-01-04"),
                (claim, due, &exchange_due),
                (
                    &format!("{claim}, unrepairable 2025-01-06"),
                    "2025-01-07",
                    "exchange_due 2025-01-06",
                ),
                (
                    &format!("{claim}, repaired 2025-01-06"),
                    "2025-01-12",
                    "resolved 2025-01-06",
                ),
                (
                    &format!("{claim}, exchanged 2025-01-12"),
                    "2025-01-12",
                    "resolved 2025-01-12",
                ),
            ],
        );
    }
}

#[test]
fn a_return() {
    let claim = "return opened 2025-01-03, confirmed 2025-01-05";
    let there =
        "return opened 2025-01-03, received 2025-01-04, confirmed 2025-01-05, returned 2025-01-04";
    shows(
        "hardware",
        &[
            (claim, "2025-01-04", "awaiting_confirmation 2025-01-03"),
            (claim, "2025-01-05", "return_due 2025-01-05"),
            (claim, "2025-03-05", "return_due 2025-01-05"),
            (
                &format!("{claim}, returned 2025-01-08"),
                "2025-01-09",
                "refund_due 2025-01-08",
            ),
            (there, "2025-01-04", "in_repair 2025-01-04"),
            (there, "2025-01-06", "refund_due 2025-01-05"),
            // Repaired before anybody confirmed: nothing to take back.
            (
                &format!("{claim}, repaired 2025-01-04"),
                "2025-01-06",
                "resolved 2025-01-04",
            ),
            (
                &format!("{claim}, repaired 2025-01-07"),
                "2025-01-08",
                "return_due 2025-01-05",
            ),
        ],
    );
}

#[test]
fn the_first_that_applies() {
    let all = "refund opened 2025-01-03, confirmed 2025-01-04, unrepairable 2025-01-05, \
               inspected 2025-01-06, findings seal_broken, refunded 2025-01-07, \
               closed 2025-01-08, rejected 2025-01-09";
    shows(
        "hardware",
        &[
            (all, "2025-01-03", "awaiting_confirmation 2025-01-03"),
            (all, "2025-01-04", "in_repair 2025-01-04"),
            (all, "2025-01-05", "return_due 2025-01-05"),
            (all, "2025-01-06", "declined 2025-01-06"),
            (all, "2025-01-07", "resolved 2025-01-07"),
            (all, "2025-01-08", "closed 2025-01-08"),
            (all, "2025-01-09", "rejected 2025-01-09"),
            // Both: a refund and an exchange.
            (
                "refund opened 2025-01-03, refunded 2025-01-07, exchanged 2025-01-06",
                "2025-01-10",
                "resolved 2025-01-06",
            ),
            (
                "repair opened 2025-01-03, refunded 2025-01-07",
                "2025-01-10",
                "resolved 2025-01-07",
            ),
        ],
    );
}
