//! Clauses 2.1, 2.2 and 3: what is not covered, from when on, and which
//! reason is given.

use warrantyd::case::Case;

use super::build::Shop;

/// Reason, clause and time of the claim's decline at the end of January, and
/// its stage; `-` if it is not declined.
fn decline(shop: &Shop, case: &Case) -> String {
    let seen = shop.see(case, "2025-01-31");
    let claim = &seen.claims[0];
    match &claim.decline {
        Some(found) => format!("{} {} {}", found.reason, found.clause, shop.local(found.at)),
        None => "-".into(),
    }
}

const HARDWARE: [&str; 5] = [
    "seal_broken",
    "physical_damage",
    "disassembled",
    "serial_mismatch",
    "not_manufacturer_fault",
];
const SOFTWARE: [&str; 6] = [
    "third_party_conflict",
    "os_reinstalled",
    "drive_replaced",
    "firmware_upgraded",
    "extra_devices",
    "version_upgraded",
];
const RETURN: [&str; 4] = [
    "not_as_new",
    "box_damaged",
    "box_serial_mismatch",
    "warranty_card_missing",
];

#[test]
fn clauses_2_1_and_2_2_each_finding_declines_a_claim_of_its_kind() {
    let shop = Shop::standard();
    for wanted in ["repair", "return", "refund", "exchange"] {
        for finding in HARDWARE {
            let claim =
                format!("{wanted} opened 2025-01-03, inspected 2025-01-05, findings {finding}");
            let case = shop.hardware("received 2025-01-01", &claim);
            assert_eq!(
                decline(&shop, &case),
                format!("{finding} 2.1 2025-01-05"),
                "{wanted}"
            );
            assert_eq!(
                shop.stage(&case, "2025-01-04"),
                "awaiting_confirmation 2025-01-03"
            );
            assert_eq!(shop.stage(&case, "2025-01-05"), "declined 2025-01-05");
        }
        for finding in SOFTWARE {
            let claim =
                format!("{wanted} opened 2025-01-03, inspected 2025-01-05, findings {finding}");
            let case = shop.software("received 2025-01-01", &claim);
            assert_eq!(
                decline(&shop, &case),
                format!("{finding} 2.2 2025-01-05"),
                "{wanted}"
            );
        }
    }
}

#[test]
fn clause_3_conditions_of_a_return_count_only_for_what_is_taken_back() {
    let shop = Shop::standard();
    for finding in RETURN {
        for (wanted, opened, counts) in [
            ("repair", "2025-01-03", false),
            ("return", "2025-01-03", true),
            ("return", "2025-01-10", true),
            ("refund", "2025-01-03", true),
            ("exchange", "2025-01-03", true),
            // Too late for a refund: a repair.
            ("refund", "2025-01-16", false),
        ] {
            let claim =
                format!("{wanted} opened {opened}, inspected 2025-01-20, findings {finding}");
            let case = shop.hardware("received 2025-01-01", &claim);
            let expected = match counts {
                true => format!("{finding} 3 2025-01-20"),
                false => "-".into(),
            };
            assert_eq!(decline(&shop, &case), expected, "{wanted} {opened}");
        }
    }
}

#[test]
fn clause_2_1_a_serial_mismatch_declines_hardware_from_the_opening_on() {
    let shop = Shop::standard();
    for (known, reported, declined) in [
        ("serial AB-1", "serial AB-2", true),
        ("serial AB-1", "serial  ab-1 ", false),
        ("serial AB-1", "accessories complete", false),
        ("price 5000", "serial AB-2", false),
        ("serial AB-1", "serial  ", false),
    ] {
        let claim = format!("repair opened 2025-01-03, {reported}");
        let case = shop.hardware(&format!("received 2025-01-01, {known}"), &claim);
        let expected = if declined {
            "serial_mismatch 2.1 2025-01-03"
        } else {
            "-"
        };
        assert_eq!(decline(&shop, &case), expected, "{known} {reported}");
        let case = shop.software(&format!("received 2025-01-01, {known}"), &claim);
        assert_eq!(decline(&shop, &case), "-", "software");
    }
}

#[test]
fn the_earliest_reason_counts_and_at_the_same_instant_the_first_in_rank() {
    let shop = Shop::standard();
    let unit = "received 2025-01-01, serial AB-1";
    for (claim, expected) in [
        // The order of the findings, but a serial mismatch first.
        (
            "repair opened 2025-01-03, inspected 2025-01-05, findings disassembled seal_broken",
            "disassembled 2.1 2025-01-05",
        ),
        (
            "repair opened 2025-01-03, inspected 2025-01-05, findings seal_broken serial_mismatch",
            "serial_mismatch 2.1 2025-01-05",
        ),
        (
            "repair opened 2025-01-03, inspected 2025-01-05, findings not_as_new seal_broken",
            "seal_broken 2.1 2025-01-05",
        ),
        (
            "refund opened 2025-01-03, inspected 2025-01-05, findings not_as_new seal_broken",
            "not_as_new 3 2025-01-05",
        ),
        // A mismatch that the customer named stands from the opening on.
        (
            "repair opened 2025-01-03, serial AB-2, inspected 2025-01-05, findings seal_broken",
            "serial_mismatch 2.1 2025-01-03",
        ),
        (
            "repair opened 2025-01-03, serial AB-2, inspected 2025-01-03, findings seal_broken",
            "serial_mismatch 2.1 2025-01-03",
        ),
    ] {
        let case = shop.hardware(unit, claim);
        assert_eq!(decline(&shop, &case), expected, "{claim}");
    }
    let old = "received 2024-01-01, serial AB-1";
    for (claim, expected) in [
        ("repair opened 2025-01-03", "out_of_warranty 1.1 2025-01-03"),
        (
            "repair opened 2025-01-03, inspected 2025-01-05, findings seal_broken",
            "out_of_warranty 1.1 2025-01-03",
        ),
        (
            "repair opened 2025-01-03, inspected 2025-01-03, findings seal_broken",
            "seal_broken 2.1 2025-01-03",
        ),
        (
            "repair opened 2025-01-03, serial AB-2",
            "serial_mismatch 2.1 2025-01-03",
        ),
        // Declined, not taken back: the conditions of a return do not count.
        (
            "refund opened 2025-01-03, inspected 2025-01-03, findings not_as_new",
            "out_of_warranty 1.1 2025-01-03",
        ),
    ] {
        let draft = shop
            .order("placed 2023-12-20")
            .unit("U-1", &format!("hardware {old}"));
        let case = draft.claim("K-1", claim).case;
        assert_eq!(decline(&shop, &case), expected, "{claim}");
    }
}

#[test]
fn out_of_warranty_names_the_clause_of_the_warranty() {
    let shop = Shop::standard();
    let unit = "software company_confirmed 2023-01-01, customer_confirmed 2023-01-01";
    let draft = shop.order("placed 2022-12-20").unit("U-1", unit);
    let case = draft.claim("K-1", "repair opened 2025-01-03").case;
    assert_eq!(decline(&shop, &case), "out_of_warranty 1.2 2025-01-03");
}

#[test]
fn findings_after_the_repair_decline_nothing() {
    let shop = Shop::standard();
    for (inspected, expected) in [
        ("2025-01-09 23:59", "seal_broken 2.1 2025-01-09 23:59"),
        ("2025-01-10", "seal_broken 2.1 2025-01-10"),
        ("2025-01-10 00:01", "-"),
    ] {
        let claim = format!(
            "repair opened 2025-01-03, received 2025-01-04, repaired 2025-01-10, \
             inspected {inspected}, findings seal_broken"
        );
        let case = shop.hardware("received 2025-01-01", &claim);
        assert_eq!(decline(&shop, &case), expected, "{inspected}");
    }
}

#[test]
fn a_decline_ends_the_claim_s_windows() {
    let shop = Shop::standard();
    let claim = "return opened 2025-01-03, confirmed 2025-01-04, returned 2025-01-06, \
                 inspected 2025-01-08 10:00, findings box_damaged";
    let case = shop.hardware("received 2025-01-01", claim);
    let rows = [
        ("2025-01-08", "open, due 2025-01-10"),
        ("2025-01-09", "void, due 2025-01-10, ended 2025-01-08 10:00"),
    ];
    for (now, expected) in rows {
        assert_eq!(shop.window(&case, "refund_payment", now), expected);
    }
}
