//! Spec, section 5: which steps fire, when exactly, and for whom.

use warrantyd::case::Case;

use super::build::Shop;

/// Shows the steps that have come by a time, beside those of other windows.
#[track_caller]
fn shows(shop: &Shop, case: &Case, window: &str, now: &str, expected: &[&str]) {
    let steps = shop.steps(case, now).into_iter();
    let found = steps.filter_map(|line| {
        let line = line.strip_prefix(window)?.strip_prefix(' ')?;
        Some(line.to_owned())
    });
    assert_eq!(found.collect::<Vec<_>>(), expected, "{window} at {now}");
}

#[test]
fn the_ladders_of_the_warranties() {
    let shop = Shop::standard();
    let hardware = shop
        .order("")
        .unit("U-1", "hardware received 2025-01-01 10:00")
        .case;
    let ladder = [
        "-30d 2025-06-01: customer",
        "-7d 2025-06-24: customer",
        "-1d 2025-06-30: customer",
        "due 2025-07-01: customer",
    ];
    for (now, passed) in [
        ("2025-05-31 23:59:59", 0),
        ("2025-06-01", 1),
        ("2025-06-24", 2),
        ("2025-06-29 23:59:59", 2),
        ("2025-06-30", 3),
        ("2025-07-01", 4),
        ("2026-01-01", 4),
    ] {
        shows(
            &shop,
            &hardware,
            "hardware_warranty",
            now,
            &ladder[..passed],
        );
        shows(&shop, &hardware, "fault_return", now, &[]);
        shows(&shop, &hardware, "refund_request", now, &[]);
    }
    // Due on 30 March 2026, the day after the clocks went forward.
    let software = "software company_confirmed 2025-03-01, customer_confirmed 2025-03-29 10:00";
    let software = shop.order("").unit("U-1", software).case;
    let ladder = [
        "-30d 2026-02-28: customer",
        "-7d 2026-03-23: customer",
        "-1d 2026-03-29: customer",
        "due 2026-03-30: customer",
    ];
    shows(&shop, &software, "software_warranty", "2026-04-01", &ladder);
}

#[test]
fn the_ladders_of_the_repairs() {
    let shop = Shop::standard();
    let case = shop.hardware(
        "received 2025-01-01",
        "repair opened 2025-02-20, received 2025-03-15 10:00",
    );
    let ladder = [
        "start 2025-03-15 10:00: customer",
        "-5d 2025-03-31: assignee",
        "-1d 2025-04-04: assignee lead",
        "due 2025-04-05: customer assignee lead",
        "+1d 2025-04-06: manager",
        "+3d 2025-04-08: director",
    ];
    for (now, passed) in [
        ("2025-03-15 09:59", 0),
        ("2025-03-15 10:00", 1),
        ("2025-03-30 23:59", 1),
        ("2025-03-31", 2),
        ("2025-04-04", 3),
        ("2025-04-05", 4),
        ("2025-04-05 23:59:59", 4),
        ("2025-04-06", 5),
        ("2025-04-08", 6),
    ] {
        shows(&shop, &case, "hardware_repair", now, &ladder[..passed]);
    }
    let case = shop.software(
        "received 2025-01-01",
        "repair opened 2025-02-20, confirmed 2025-03-01",
    );
    let ladder = [
        "start 2025-03-01: customer",
        "-2d 2025-03-07: assignee",
        "-1d 2025-03-08: assignee lead",
        "due 2025-03-09: customer assignee lead",
        "+1d 2025-03-10: manager",
        "+3d 2025-03-12: director",
    ];
    shows(&shop, &case, "software_repair", "2025-03-12", &ladder);
}

#[test]
fn the_ladders_of_the_fixes() {
    let shop = Shop::standard();
    let hardware = shop.hardware("received 2025-01-01", "refund opened 2025-01-03");
    let ladder = [
        "start 2025-01-03: customer",
        "-2d 2025-01-09: assignee",
        "-1d 2025-01-10: assignee lead",
    ];
    shows(
        &shop,
        &hardware,
        "hardware_fix",
        "2025-01-10 23:59",
        &ladder,
    );
    // Lapsed: only the due step still fires.
    let due = ["due 2025-01-11: assignee lead manager"];
    shows(&shop, &hardware, "hardware_fix", "2025-01-11", &due);
    shows(&shop, &hardware, "hardware_fix", "2025-03-11", &due);
    let software = shop.software("received 2025-01-01", "exchange opened 2025-01-03");
    let ladder = [
        "start 2025-01-03: customer",
        "-2d 2025-01-07: assignee",
        "-1d 2025-01-08: assignee lead",
    ];
    shows(
        &shop,
        &software,
        "software_fix",
        "2025-01-08 23:59",
        &ladder,
    );
    shows(
        &shop,
        &software,
        "software_fix",
        "2025-01-09",
        &["due 2025-01-09: assignee lead manager"],
    );
}

#[test]
fn a_lapsed_fix_is_quiet_once_the_claim_is_done() {
    let shop = Shop::standard();
    let due = &["due 2025-01-11: assignee lead manager"][..];
    for (end, expected) in [
        ("confirmed 2025-01-12", due),
        ("confirmed 2025-01-12, returned 2025-01-13", due),
        ("unrepairable 2025-01-12", due),
        ("repaired 2025-01-12", &[]),
        ("refunded 2025-01-12", &[]),
        ("closed 2025-01-12", &[]),
        ("rejected 2025-01-12", &[]),
        ("findings seal_broken, inspected 2025-01-12", &[]),
    ] {
        let case = shop.hardware(
            "received 2025-01-01",
            &format!("refund opened 2025-01-03, {end}"),
        );
        shows(&shop, &case, "hardware_fix", "2025-01-11", due);
        shows(&shop, &case, "hardware_fix", "2025-01-14", expected);
    }
}

#[test]
fn the_ladders_of_the_payments() {
    let ladder = [
        "start 2025-01-05 10:00: customer finance",
        "-1d 2025-01-08: finance",
        "due 2025-01-09: customer finance lead",
        "+1d 2025-01-10: manager",
        "+3d 2025-01-12: director",
    ];
    let shop = Shop::standard();
    let claim = "return opened 2025-01-03, confirmed 2025-01-04, returned 2025-01-05 10:00";
    let case = shop.hardware("received 2025-01-01", claim);
    shows(&shop, &case, "refund_payment", "2025-02-01", &ladder);
    let case = shop
        .order("paid 2025-01-01, cancelled 2025-01-05 10:00")
        .case;
    shows(&shop, &case, "cancellation_refund", "2025-02-01", &ladder);
    shows(
        &shop,
        &case,
        "cancellation_refund",
        "2025-01-11",
        &ladder[..4],
    );
}

#[test]
fn steps_fire_at_the_first_instant_of_their_day() {
    // No midnight on 8 September 2024.
    let santiago = Shop::in_zone("America/Santiago");
    let draft = |received: &str| {
        let order = santiago
            .order("placed 2024-06-01")
            .unit("U-1", "hardware received 2024-07-01");
        let claim = format!("repair opened 2024-08-01, received {received}");
        order.claim("K-1", &claim).case
    };
    for (received, step) in [
        ("2024-08-18", "due 2024-09-08 01:00: customer assignee lead"),
        ("2024-08-19", "-1d 2024-09-08 01:00: assignee lead"),
        ("2024-08-23", "-5d 2024-09-08 01:00: assignee"),
        ("2024-08-17", "+1d 2024-09-08 01:00: manager"),
        ("2024-08-15", "+3d 2024-09-08 01:00: director"),
    ] {
        let found = santiago.steps(&draft(received), "2024-09-08 01:00");
        let line = format!("hardware_repair {step}");
        assert!(found.contains(&line), "{received}: {found:?}");
        assert!(
            !santiago
                .steps(&draft(received), "2024-09-07 23:59:59")
                .contains(&line)
        );
    }
}

#[test]
fn a_step_that_would_not_come_after_the_start_does_not_exist() {
    let shop = Shop::standard().with(&[("in hardware_repair", "days = 4")]);
    let start = "start 2025-03-01 10:00: customer";
    for (received, now, expected) in [
        // Due on the 6th: five days before is the 1st at midnight.
        (
            "2025-03-01 10:00",
            "2025-03-05",
            &[start, "-1d 2025-03-05: assignee lead"][..],
        ),
        ("2025-03-01", "2025-03-04", &["start 2025-03-01: customer"]),
        (
            "2025-02-28 23:59",
            "2025-03-01",
            &["start 2025-02-28 23:59: customer"],
        ),
    ] {
        let claim = format!("repair opened 2025-02-20, received {received}");
        let case = shop.hardware("received 2025-01-01", &claim);
        shows(&shop, &case, "hardware_repair", now, expected);
    }
    let shop = shop.with(&[("in hardware_repair", "days = 5")]);
    let claim = "repair opened 2025-02-20, received 2025-03-01 10:00";
    let case = shop.hardware("received 2025-01-01", claim);
    let ladder = [start, "-5d 2025-03-02: assignee"];
    shows(&shop, &case, "hardware_repair", "2025-03-03", &ladder);
}

#[test]
fn a_replacement_has_no_step_from_before_its_order() {
    let shop = Shop::standard().with(&[(
        "{ at = \"due\", to = [\"customer\"] }",
        "{ at = \"due\", to = [\"customer\"], level = 1 }",
    )]);
    // The first one's warranty ends with 30 June.
    for (placed, expected) in [
        (
            "2025-06-01",
            &[
                "-30d 2025-06-01: customer",
                "-7d 2025-06-24: customer",
                "-1d 2025-06-30: customer",
                "due 2025-07-01: customer",
            ][..],
        ),
        (
            "2025-06-01 00:01",
            &[
                "-7d 2025-06-24: customer",
                "-1d 2025-06-30: customer",
                "due 2025-07-01: customer",
            ],
        ),
        ("2025-06-30 12:00", &["due 2025-07-01: customer"]),
        ("2025-07-02", &[]),
    ] {
        let draft = shop
            .order(&format!("placed {placed}"))
            .unit("U-2", "hardware");
        let case = draft.replaces("received 2025-01-01 10:00").case;
        shows(&shop, &case, "hardware_warranty", "2025-08-01", expected);
        let level = if expected.is_empty() { "" } else { ", level 1" };
        let state = format!("expired, due 2025-07-01{level}");
        assert_eq!(shop.window(&case, "hardware_warranty", "2025-08-01"), state);
    }
}

#[test]
fn the_lead_stands_in_for_a_missing_assignee_and_is_told_once() {
    let shop = Shop::standard();
    let claim = "repair opened 2025-02-20, received 2025-03-01 10:00, nobody's";
    let case = shop.hardware("received 2025-01-01", claim);
    let ladder = [
        "start 2025-03-01 10:00: customer",
        "-5d 2025-03-17: lead",
        "-1d 2025-03-21: lead",
        "due 2025-03-22: customer lead",
    ];
    shows(&shop, &case, "hardware_repair", "2025-03-22", &ladder);
}

#[test]
fn no_step_fires_once_a_window_has_ended_or_while_it_is_paused() {
    let shop = Shop::standard().with(&[("in hardware_repair", "pause_on_wait = true")]);
    for (end, quiet) in [
        ("repaired 2025-03-20", true),
        ("closed 2025-03-20", true),
        ("waits 2025-03-20", true),
        ("repaired 2025-03-26", true),
        ("returned 2025-03-20", false),
    ] {
        let claim = format!("repair opened 2025-02-20, received 2025-03-01, {end}");
        let case = shop.hardware("received 2025-01-01", &claim);
        let steps = shop.steps(&case, "2025-03-26");
        let found = steps.iter().any(|line| line.starts_with("hardware_repair"));
        assert_eq!(found, !quiet, "{end}: {steps:?}");
    }
}

#[test]
fn an_outcome_is_told_while_the_claim_is_in_its_stage() {
    let shop = Shop::standard();
    for (claim, now, expected) in [
        (
            "refund opened 2025-01-03, unrepairable 2025-01-05",
            "2025-01-04",
            &[][..],
        ),
        (
            "refund opened 2025-01-03, unrepairable 2025-01-05",
            "2025-01-05",
            &["return_due 2025-01-05: customer lead"],
        ),
        (
            "refund opened 2025-01-03, unrepairable 2025-01-05",
            "2025-09-05",
            &["return_due 2025-01-05: customer lead"],
        ),
        // The start of the payment says that hardware is refunded.
        (
            "refund opened 2025-01-03, unrepairable 2025-01-05, returned 2025-01-07",
            "2025-01-07",
            &[],
        ),
        (
            "refund opened 2025-01-03, unrepairable 2025-01-05, closed 2025-01-07",
            "2025-01-07",
            &[],
        ),
        (
            "repair opened 2025-01-03, unrepairable 2025-01-05",
            "2025-01-05",
            &["exchange_due 2025-01-05: customer lead"],
        ),
        (
            "repair opened 2025-01-03, unrepairable 2025-01-05, exchanged 2025-01-07",
            "2025-01-07",
            &[],
        ),
        (
            "repair opened 2025-08-03",
            "2025-08-03",
            &["declined 2025-08-03: customer lead"],
        ),
        (
            "repair opened 2025-08-03, closed 2025-08-04",
            "2025-08-04",
            &[],
        ),
    ] {
        let case = shop.hardware("received 2025-01-01", claim);
        shows(&shop, &case, "outcome", now, expected);
    }
    let case = shop.software(
        "received 2025-01-01",
        "refund opened 2025-01-03, unrepairable 2025-01-05",
    );
    shows(
        &shop,
        &case,
        "outcome",
        "2025-01-06",
        &["refund_due 2025-01-05: customer finance"],
    );
}

#[test]
fn every_step_carries_its_clause_policy_and_last_day() {
    let shop = Shop::standard();
    let claim = "return opened 2025-01-03, confirmed 2025-01-04, returned 2025-01-05, \
                 inspected 2025-01-14, findings box_damaged";
    let case = shop.hardware("received 2025-01-01", claim);
    let words = |now| {
        let due = shop.see(&case, now).due_steps.into_iter();
        let words = due.map(|due| {
            let day = due.key.last_day.map_or("-".into(), |day| day.to_string());
            format!(
                "{} {} {} {} {}",
                due.key.step, due.clause, due.policy, day, due.level
            )
        });
        let mut words: Vec<_> = words.collect();
        words.dedup();
        words
    };
    assert_eq!(
        words("2025-01-10"),
        [
            "start 5.1 standard@2000-01-01 - 0",
            "-1d 5.1 standard@2000-01-01 2025-01-08 0",
            "due 5.1 standard@2000-01-01 2025-01-08 1",
            "+1d 5.1 standard@2000-01-01 2025-01-08 2",
        ]
    );
    assert_eq!(words("2025-01-14"), ["declined 3 standard@2000-01-01 - 0"]);
}
