//! Clauses 1.1, 1.2 and 3: what a customer has a right to, and until when.

use super::build::Shop;

#[track_caller]
fn shows(shop: &Shop, case: &warrantyd::case::Case, window: &str, rows: &[(&str, &str)]) {
    for (now, expected) in rows {
        assert_eq!(
            &shop.window(case, window, now),
            expected,
            "{window} at {now}"
        );
    }
}

#[test]
fn clause_1_1_hardware_is_warranted_for_180_days() {
    let shop = Shop::standard();
    let case = shop
        .order("")
        .unit("U-1", "hardware received 2025-01-01 10:00")
        .case;
    let open = "open, due 2025-07-01";
    let rows = [
        ("2025-01-01 09:59", "-"),
        ("2025-01-01 10:00", open),
        ("2025-06-29", open),
        ("2025-06-30 23:59:59", open),
        ("2025-07-01", "expired, due 2025-07-01"),
        ("2025-07-02", "expired, due 2025-07-01"),
    ];
    shows(&shop, &case, "hardware_warranty", &rows);
    shows(&shop, &case, "software_warranty", &[("2025-02-01", "-")]);
}

#[test]
fn clause_1_1_faults_are_returned_within_7_days() {
    let shop = Shop::standard();
    let draft = shop
        .order("")
        .unit("U-1", "hardware received 2025-01-01 23:59");
    let rows = [
        ("2025-01-08 23:59:59", "open, due 2025-01-09"),
        ("2025-01-09", "expired, due 2025-01-09"),
        ("2025-01-10", "expired, due 2025-01-09"),
    ];
    shows(&shop, &draft.case, "fault_return", &rows);
    let software = "software company_confirmed 2025-01-01, customer_confirmed 2025-01-01";
    let case = shop.order("").unit("U-1", software).case;
    shows(&shop, &case, "fault_return", &[("2025-01-02", "-")]);
}

#[test]
fn clause_1_2_software_is_warranted_for_365_days_from_both_confirmations() {
    let shop = Shop::standard();
    for (company, customer) in [
        ("2025-01-01 10:00", "2025-01-03 09:00"),
        ("2025-01-03 09:00", "2025-01-01 10:00"),
    ] {
        let unit = format!("software company_confirmed {company}, customer_confirmed {customer}");
        let case = shop.order("").unit("U-1", &unit).case;
        let rows = [
            ("2025-01-02", "-"),
            ("2025-01-03 08:59", "-"),
            ("2025-01-03 09:00", "open, due 2026-01-04"),
            ("2026-01-03 23:59:59", "open, due 2026-01-04"),
            ("2026-01-04", "expired, due 2026-01-04"),
        ];
        shows(&shop, &case, "software_warranty", &rows);
        shows(&shop, &case, "hardware_warranty", &[("2025-02-01", "-")]);
    }
    let half = shop
        .order("")
        .unit("U-1", "software company_confirmed 2025-01-01")
        .case;
    shows(&shop, &half, "software_warranty", &[("2025-02-01", "-")]);
}

#[test]
fn clause_3_refunds_are_requested_within_14_days_of_receipt() {
    let shop = Shop::standard();
    let rows = [
        ("2025-01-01 09:59", "-"),
        ("2025-01-15 23:59:59", "open, due 2025-01-16"),
        ("2025-01-16", "expired, due 2025-01-16"),
        ("2025-01-17", "expired, due 2025-01-16"),
    ];
    for unit in [
        "hardware received 2025-01-01 10:00",
        "software received 2025-01-01 10:00",
        "software company_confirmed 2025-01-01, customer_confirmed 2025-01-01 10:00",
        // What was entered counts, not the confirmations.
        "software received 2025-01-01 10:00, company_confirmed 2025-01-05, \
         customer_confirmed 2025-01-06",
    ] {
        let case = shop.order("").unit("U-1", unit).case;
        shows(&shop, &case, "refund_request", &rows);
    }
}

#[test]
fn hardware_is_received_when_its_order_is_delivered_unless_entered() {
    let shop = Shop::standard();
    for (unit, now, expected) in [
        ("hardware", "2025-01-09", "-"),
        ("hardware", "2025-01-10", "open, due 2025-01-18"),
        ("hardware received 2025-01-12", "2025-01-11", "-"),
        (
            "hardware received 2025-01-12",
            "2025-01-12",
            "open, due 2025-01-20",
        ),
        (
            "hardware received 2025-01-08",
            "2025-01-09",
            "open, due 2025-01-16",
        ),
    ] {
        let case = shop.order("delivered 2025-01-10").unit("U-1", unit).case;
        shows(&shop, &case, "fault_return", &[(now, expected)]);
    }
}

#[test]
fn clause_1_2_and_5_1_a_replacement_keeps_the_warranty_of_the_first() {
    let shop = Shop::standard();
    let order = || shop.order("placed 2025-05-01");
    let hardware = order().unit("U-2", "hardware received 2025-05-06");
    let hardware = hardware.replaces("received 2025-01-05 10:00").case;
    let rows = [
        ("2025-04-30", "-"),
        ("2025-05-01", "open, due 2025-07-05"),
        ("2025-07-04 23:59", "open, due 2025-07-05"),
        ("2025-07-05", "expired, due 2025-07-05"),
    ];
    shows(&shop, &hardware, "hardware_warranty", &rows);
    for window in ["fault_return", "refund_request"] {
        shows(&shop, &hardware, window, &[("2025-05-07", "-")]);
    }
    let delivered = order()
        .unit("U-2", "hardware")
        .replaces("delivered 2025-01-05 10:00")
        .case;
    shows(&shop, &delivered, "hardware_warranty", &rows);
    let software = order().unit(
        "U-2",
        "software company_confirmed 2025-05-02, customer_confirmed 2025-05-02",
    );
    let software = software
        .replaces("company_confirmed 2025-01-05, customer_confirmed 2025-01-06")
        .case;
    let rows = [
        ("2025-05-01", "open, due 2026-01-07"),
        ("2026-01-06 23:59", "open, due 2026-01-07"),
        ("2026-01-07", "expired, due 2026-01-07"),
    ];
    shows(&shop, &software, "software_warranty", &rows);
    // Of the first one nothing is known, or nothing yet.
    for root in ["", "received 2025-06-01"] {
        let case = order()
            .unit("U-2", "hardware received 2025-05-06")
            .replaces(root)
            .case;
        shows(&shop, &case, "hardware_warranty", &[("2025-05-31", "-")]);
    }
}

#[test]
fn a_unit_follows_the_version_in_force_when_its_order_was_placed() {
    let longer = [
        ("effective_from = 2000-01-01", "effective_from = 2025-03-01"),
        ("days = 180", "days = 200"),
    ];
    let gadgets = [
        ("name = \"standard\"", "name = \"gadgets\""),
        ("days = 180", "days = 30"),
    ];
    let shop = Shop::standard().with(&longer).with(&gadgets);
    for (placed, unit, expected) in [
        ("2025-02-28 23:59", "hardware", "open, due 2025-09-29"),
        ("2025-03-01 00:00", "hardware", "open, due 2025-10-19"),
        (
            "2025-03-01 00:00",
            "hardware policy gadgets",
            "open, due 2025-05-02",
        ),
    ] {
        let order = shop.order(&format!("placed {placed}, delivered 2025-04-01"));
        let case = order.unit("U-1", unit).case;
        shows(
            &shop,
            &case,
            "hardware_warranty",
            &[("2025-04-02", expected)],
        );
    }
    // A replacement keeps the terms of the first unit.
    let draft = shop
        .order("placed 2025-06-01")
        .unit("U-2", "hardware policy gadgets");
    let case = draft
        .replaces("placed 2025-02-01, received 2025-04-01")
        .case;
    let kept = [("2025-06-01", "open, due 2025-09-29")];
    shows(&shop, &case, "hardware_warranty", &kept);
}

#[test]
fn a_right_is_void_when_its_unit_has_ended_before() {
    let shop = Shop::standard();
    let unit = "hardware received 2025-01-01 10:00";
    for (claim, expected) in [
        (
            "repair opened 2025-01-02, refunded 2025-03-01",
            "void, due 2025-07-01, ended 2025-03-01",
        ),
        (
            "repair opened 2025-01-02, exchanged 2025-03-01",
            "void, due 2025-07-01, ended 2025-03-01",
        ),
        (
            "repair opened 2025-01-02, closed 2025-03-01",
            "expired, due 2025-07-01",
        ),
        (
            "repair opened 2025-01-02, exchanged 2025-07-01",
            "expired, due 2025-07-01",
        ),
        (
            "repair opened 2025-01-02, exchanged 2025-06-30 23:59",
            "void, due 2025-07-01, ended 2025-06-30 23:59",
        ),
    ] {
        let case = shop.order("").unit("U-1", unit).claim("K-1", claim).case;
        shows(
            &shop,
            &case,
            "hardware_warranty",
            &[("2025-08-01", expected)],
        );
    }
    let order = "shipped 2025-01-02, cancelled 2025-01-03, delivered";
    for (delivered, expected) in [
        // Delivered all the same.
        ("2025-01-04", "void, due 2025-07-04, ended 2025-01-03"),
        // No cancellation.
        ("2025-01-03", "open, due 2025-07-03"),
    ] {
        let case = shop
            .order(&format!("{order} {delivered}"))
            .unit("U-1", "hardware")
            .case;
        shows(
            &shop,
            &case,
            "hardware_warranty",
            &[("2025-01-05", expected)],
        );
    }
}
