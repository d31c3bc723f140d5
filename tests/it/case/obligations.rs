//! Clauses 4.1, 4.2, 5.1 and 5.2: what the company has promised, and when it
//! was kept.

use super::build::Shop;

const RECEIVED: &str = "received 2025-01-01 10:00";

/// Shows a window at a time for each of these claims.
#[track_caller]
fn shows(is_software: bool, window: &str, rows: &[(&str, &str, &str)]) {
    let shop = Shop::standard();
    for (claim, now, expected) in rows {
        let case = match is_software {
            true => shop.software(RECEIVED, claim),
            false => shop.hardware(RECEIVED, claim),
        };
        assert_eq!(
            &shop.window(&case, window, now),
            expected,
            "{claim} at {now}"
        );
    }
}

#[test]
fn clause_4_1_hardware_is_repaired_within_20_days_of_its_arrival() {
    let claim = |more: &str| {
        format!("repair opened 2025-02-20, confirmed 2025-02-21, received 2025-03-01 10:00{more}")
    };
    let (none, met) = (claim(""), claim(", repaired 2025-03-21 23:59"));
    let (late, later) = (
        claim(", repaired 2025-03-22"),
        claim(", repaired 2025-03-24 09:00"),
    );
    shows(
        false,
        "hardware_repair",
        &[
            (&none, "2025-03-01 09:59", "-"),
            (&none, "2025-03-01 10:00", "open, due 2025-03-22"),
            (&none, "2025-03-21 23:59:59", "open, due 2025-03-22"),
            (
                &none,
                "2025-03-22",
                "overdue, due 2025-03-22, late 1, level 1",
            ),
            (
                &none,
                "2025-03-23",
                "overdue, due 2025-03-22, late 2, level 2",
            ),
            (
                &none,
                "2025-03-24 23:59",
                "overdue, due 2025-03-22, late 3, level 2",
            ),
            (
                &none,
                "2025-03-25",
                "overdue, due 2025-03-22, late 4, level 3",
            ),
            (
                &none,
                "2025-05-01",
                "overdue, due 2025-03-22, late 41, level 3",
            ),
            (&met, "2025-03-21", "open, due 2025-03-22"),
            (
                &met,
                "2025-05-01",
                "met, due 2025-03-22, ended 2025-03-21 23:59",
            ),
            (
                &late,
                "2025-05-01",
                "missed, due 2025-03-22, ended 2025-03-22, late 1, level 1",
            ),
            (
                &later,
                "2025-05-01",
                "missed, due 2025-03-22, ended 2025-03-24 09:00, late 3, level 2",
            ),
        ],
    );
}

#[test]
fn a_promise_is_kept_by_what_it_was_for_and_void_by_anything_else() {
    for (fact, state) in [
        ("repaired", "met"),
        ("unrepairable", "met"),
        ("refunded", "met"),
        ("exchanged", "met"),
        ("closed", "void"),
        ("rejected", "void"),
        ("findings seal_broken, inspected", "void"),
    ] {
        let claim = |at| format!("repair opened 2025-02-20, received 2025-03-01, {fact} {at}");
        let before = format!("{state}, due 2025-03-22, ended 2025-03-20 10:00");
        let after = "missed, due 2025-03-22, ended 2025-03-22, late 1, level 1";
        shows(
            false,
            "hardware_repair",
            &[
                (
                    &claim("2025-03-20 10:00"),
                    "2025-03-20 09:59",
                    "open, due 2025-03-22",
                ),
                (&claim("2025-03-20 10:00"), "2025-03-20 10:00", &before),
                (&claim("2025-03-20 10:00"), "2025-06-01", &before),
                (&claim("2025-03-22"), "2025-06-01", after),
            ],
        );
    }
}

#[test]
fn the_earliest_end_counts() {
    let claim = "repair opened 2025-02-20, received 2025-03-01,";
    shows(
        false,
        "hardware_repair",
        &[
            (
                &format!("{claim} repaired 2025-03-10, closed 2025-03-12"),
                "2025-04-01",
                "met, due 2025-03-22, ended 2025-03-10",
            ),
            (
                &format!("{claim} closed 2025-03-10, repaired 2025-03-12"),
                "2025-04-01",
                "void, due 2025-03-22, ended 2025-03-10",
            ),
            (
                &format!("{claim} closed 2025-03-10, repaired 2025-03-10"),
                "2025-04-01",
                "met, due 2025-03-22, ended 2025-03-10",
            ),
            (
                &format!("{claim} closed 2025-03-22, repaired 2025-03-21"),
                "2025-04-01",
                "met, due 2025-03-22, ended 2025-03-21",
            ),
        ],
    );
}

#[test]
fn what_starts_after_its_claim_ended_is_void() {
    for end in ["closed", "rejected", "findings disassembled, inspected"] {
        let claim = format!("repair opened 2025-02-20, {end} 2025-02-25, received 2025-03-01");
        let void = "void, due 2025-03-22, ended 2025-02-25";
        let repaired = format!("{claim}, repaired 2025-03-02");
        let rows = [
            (claim.as_str(), "2025-02-28", "-"),
            (&claim, "2025-03-01", void),
            (&claim, "2025-04-01", void),
            (&repaired, "2025-04-01", void),
        ];
        shows(false, "hardware_repair", &rows);
    }
    // All at once is not after.
    let claim =
        "repair opened 2025-02-20, received 2025-03-01, repaired 2025-03-01, closed 2025-03-01";
    let met = "met, due 2025-03-22, ended 2025-03-01";
    shows(false, "hardware_repair", &[(claim, "2025-04-01", met)]);
    // The package comes back for a claim that was closed, paid or not.
    let claim =
        "return opened 2025-01-03, confirmed 2025-01-04, returned 2025-01-08, closed 2025-01-06";
    let paid = format!("{claim}, refunded 2025-01-05");
    let rows = [
        (
            claim,
            "2025-02-01",
            "void, due 2025-01-12, ended 2025-01-06",
        ),
        (
            &paid,
            "2025-02-01",
            "void, due 2025-01-12, ended 2025-01-05",
        ),
    ];
    shows(false, "refund_payment", &rows);
}

/// A new unit in place of the money: the stage is `resolved`, nothing is owed.
#[test]
fn an_exchange_ends_the_payment_of_a_refund() {
    let hardware = |more: &str| {
        format!(
            "refund opened 2025-01-03, unrepairable 2025-01-04, returned 2025-01-08 10:00{more}"
        )
    };
    let (open, late) = (
        "open, due 2025-01-12",
        "overdue, due 2025-01-12, late 3, level 2",
    );
    let void = "void, due 2025-01-12, ended 2025-01-10";
    let missed = "missed, due 2025-01-12, ended 2025-01-13, late 2, level 2";
    let met = "met, due 2025-01-12, ended 2025-01-10";
    let rows = [
        (hardware(""), "2025-01-09", open),
        (hardware(""), "2025-01-14", late),
        (hardware(", exchanged 2025-01-10"), "2025-01-09", open),
        (hardware(", exchanged 2025-01-10"), "2025-02-01", void),
        (hardware(", exchanged 2025-01-13"), "2025-02-01", missed),
        // Paid first, paid later, and paid at once.
        (
            hardware(", refunded 2025-01-10, exchanged 2025-01-11"),
            "2025-02-01",
            met,
        ),
        (
            hardware(", refunded 2025-01-11, exchanged 2025-01-10"),
            "2025-02-01",
            void,
        ),
        (
            hardware(", refunded 2025-01-10, exchanged 2025-01-10"),
            "2025-02-01",
            met,
        ),
        // Before the package came back.
        (
            hardware(", exchanged 2025-01-07"),
            "2025-02-01",
            "void, due 2025-01-12, ended 2025-01-07",
        ),
        // Before there was an outcome.
        (hardware(", exchanged 2025-01-03"), "2025-02-01", "-"),
    ];
    let rows = rows
        .each_ref()
        .map(|(claim, now, found)| (claim.as_str(), *now, *found));
    shows(false, "refund_payment", &rows);
    let software = "refund opened 2025-01-03, unrepairable 2025-01-08, exchanged 2025-01-10";
    shows(true, "refund_payment", &[(software, "2025-02-01", void)]);
    // Nothing is told of the payment any more.
    let shop = Shop::standard();
    let claim = hardware(", exchanged 2025-01-10");
    let case = shop.hardware(RECEIVED, &claim);
    assert_eq!(shop.stage(&case, "2025-01-14"), "resolved 2025-01-10");
    let steps = shop.steps(&case, "2025-02-01");
    let of_payment = steps.iter().filter(|step| step.contains("refund_payment"));
    assert_eq!(of_payment.count(), 0, "{steps:?}");
}

#[test]
fn clause_4_2_software_is_repaired_within_7_days_of_its_confirmation() {
    let claim = "repair opened 2025-02-20, received 2025-02-21, confirmed 2025-03-01 10:00";
    let given_up = format!("{claim}, unrepairable 2025-03-08 23:59");
    shows(
        true,
        "software_repair",
        &[
            (claim, "2025-03-01 09:59", "-"),
            (claim, "2025-03-01 10:00", "open, due 2025-03-09"),
            (claim, "2025-03-08 23:59", "open, due 2025-03-09"),
            (
                claim,
                "2025-03-09",
                "overdue, due 2025-03-09, late 1, level 1",
            ),
            (
                claim,
                "2025-03-10",
                "overdue, due 2025-03-09, late 2, level 2",
            ),
            (
                claim,
                "2025-03-12",
                "overdue, due 2025-03-09, late 4, level 3",
            ),
            (
                &given_up,
                "2025-03-12",
                "met, due 2025-03-09, ended 2025-03-08 23:59",
            ),
        ],
    );
}

#[test]
fn clause_5_1_the_fix_windows_lapse() {
    for (is_software, window, last_day, due) in [
        (false, "hardware_fix", "2025-01-10", "2025-01-11"),
        (true, "software_fix", "2025-01-08", "2025-01-09"),
    ] {
        for wanted in ["refund", "exchange"] {
            let claim = |more: &str| format!("{wanted} opened 2025-01-03 10:00{more}");
            let (open, lapsed) = (
                format!("open, due {due}"),
                format!("missed, due {due}, ended {due}, level 1"),
            );
            let met = format!("met, due {due}, ended {last_day} 23:59");
            shows(
                is_software,
                window,
                &[
                    (&claim(""), "2025-01-03 09:59", "-"),
                    (&claim(""), "2025-01-03 10:00", &open),
                    (&claim(""), &format!("{last_day} 23:59"), &open),
                    (&claim(""), due, &lapsed),
                    (&claim(""), "2025-02-01", &lapsed),
                    (
                        &claim(&format!(", repaired {last_day} 23:59")),
                        "2025-02-01",
                        &met,
                    ),
                    (&claim(&format!(", repaired {due}")), "2025-02-01", &lapsed),
                    (&claim(", refunded 2025-01-20"), "2025-02-01", &lapsed),
                    (
                        &claim(", closed 2025-01-05"),
                        "2025-02-01",
                        &format!("void, due {due}, ended 2025-01-05"),
                    ),
                    (&claim(", closed 2025-01-20"), "2025-02-01", &lapsed),
                ],
            );
        }
    }
}

#[test]
fn clause_5_1_the_refund_is_paid_within_3_days() {
    // Hardware: from the later of the return and the outcome.
    let claim = "refund opened 2025-01-03, unrepairable 2025-01-05 10:00";
    let paid = format!("{claim}, returned 2025-01-07 12:00, refunded 2025-01-10 23:59");
    let late = format!("{claim}, returned 2025-01-07 12:00, refunded 2025-01-12");
    let early = format!("{claim}, returned 2025-01-04, refunded 2025-01-05 10:00");
    let early_return = format!("{claim}, returned 2025-01-04");
    shows(
        false,
        "refund_payment",
        &[
            (claim, "2025-02-01", "-"),
            (&paid, "2025-01-07 11:59", "-"),
            (&paid, "2025-01-07 12:00", "open, due 2025-01-11"),
            (
                &paid,
                "2025-02-01",
                "met, due 2025-01-11, ended 2025-01-10 23:59",
            ),
            (
                &late,
                "2025-01-11",
                "overdue, due 2025-01-11, late 1, level 1",
            ),
            (
                &late,
                "2025-02-01",
                "missed, due 2025-01-11, ended 2025-01-12, late 2, level 2",
            ),
            (&early_return, "2025-01-05 09:59", "-"),
            (&early_return, "2025-01-05 10:00", "open, due 2025-01-09"),
            (
                &early,
                "2025-02-01",
                "met, due 2025-01-09, ended 2025-01-05 10:00",
            ),
        ],
    );
    // Software: from the outcome.
    let claim = "refund opened 2025-01-03, confirmed 2025-01-04";
    let given_up = format!("{claim}, unrepairable 2025-01-05 10:00");
    shows(
        true,
        "refund_payment",
        &[
            (claim, "2025-01-08 23:59", "-"),
            (claim, "2025-01-09", "open, due 2025-01-13"),
            (
                claim,
                "2025-01-13",
                "overdue, due 2025-01-13, late 1, level 1",
            ),
            (&given_up, "2025-01-06", "open, due 2025-01-09"),
        ],
    );
}

#[test]
fn clause_5_2_a_cancelled_order_is_paid_back_within_3_days() {
    let shop = Shop::standard();
    let open = "open, due 2025-01-09";
    for (order, now, expected) in [
        (
            "paid 2025-01-02, cancelled 2025-01-05 10:00",
            "2025-01-05 09:59",
            "-",
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05 10:00",
            "2025-01-05 10:00",
            open,
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05 10:00",
            "2025-01-08 23:59",
            open,
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05 10:00",
            "2025-01-09",
            "overdue, due 2025-01-09, late 1, level 1",
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05, cancel_refunded 2025-01-08",
            "2025-02-01",
            "met, due 2025-01-09, ended 2025-01-08",
        ),
        (
            "paid 2025-01-02, cancelled 2025-01-05, cancel_refunded 2025-01-10",
            "2025-02-01",
            "missed, due 2025-01-09, ended 2025-01-10, late 2, level 2",
        ),
        // In transit, nothing left, unpaid, delivered.
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05",
            "2025-01-06",
            open,
        ),
        (
            "paid 2025-01-02, shipped 2025-01-04, cancelled 2025-01-05, shipping_out 4000, shipping_back 6000",
            "2025-01-06",
            "-",
        ),
        ("cancelled 2025-01-05", "2025-01-06", "-"),
        ("paid 2025-01-07, cancelled 2025-01-05", "2025-01-06", "-"),
        ("paid 2025-01-07, cancelled 2025-01-05", "2025-01-07", open),
        (
            "paid 2025-01-02, delivered 2025-01-05, cancelled 2025-01-05",
            "2025-01-06",
            "-",
        ),
        (
            "paid 2025-01-02, delivered 2025-01-04, cancelled 2025-01-05",
            "2025-01-06",
            "-",
        ),
        (
            "paid 2025-01-02, delivered 2025-01-05 00:01, cancelled 2025-01-05",
            "2025-01-06",
            open,
        ),
    ] {
        let case = shop.order(order).case;
        assert_eq!(
            shop.window(&case, "cancellation_refund", now),
            expected,
            "{order} at {now}"
        );
    }
}

#[test]
fn an_order_follows_standard_whatever_its_units_follow() {
    let gadgets = [
        ("name = \"standard\"", "name = \"gadgets\""),
        ("in cancellation_refund", "days = 30"),
    ];
    let shop = Shop::standard().with(&gadgets);
    let order = shop.order("paid 2025-01-02, cancelled 2025-01-05");
    let case = order.unit("U-1", "hardware policy gadgets").case;
    assert_eq!(
        shop.window(&case, "cancellation_refund", "2025-01-06"),
        "open, due 2025-01-09"
    );
}
