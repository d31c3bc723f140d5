//! A claim's life, day by day: what each morning's run records.

use super::build::Shop;
use super::ledger::Ledger;

/// A run on each of these mornings, each with its facts.
#[track_caller]
fn lives(shop: &Shop, unit: &str, days: &[(&str, &str, &str, &[&str])]) {
    let mut ledger = Ledger::of(shop);
    let mut words = String::new();
    for (day, facts, stage, expected) in days {
        words = format!("{words}{facts}");
        let case = shop.hardware(unit, &words);
        let now = format!("{day} 08:00");
        let mut found = ledger.run_and_deliver(&case, &now);
        found.sort();
        assert_eq!(found, *expected, "{now}");
        let seen = shop.see(&case, &now);
        let found = seen
            .claims
            .first()
            .map_or("-".into(), |claim| claim.stage.to_string());
        assert_eq!(&found, stage, "{now}");
        assert!(ledger.run(&case, &now).is_empty(), "{now}: a second run");
    }
}

#[test]
fn a_repair_that_is_late_and_missed_a_day_of_runs() {
    lives(
        &Shop::standard(),
        "received 2025-01-01",
        &[
            (
                "2025-02-03",
                "repair opened 2025-02-03 07:00",
                "awaiting_confirmation",
                &[],
            ),
            (
                "2025-02-04",
                ", confirmed 2025-02-03 16:00",
                "awaiting_goods",
                &[],
            ),
            (
                "2025-02-06",
                ", received 2025-02-05 11:00",
                "in_repair",
                &["start customer queued"],
            ),
            ("2025-02-07", "", "in_repair", &[]),
            ("2025-02-20", "", "in_repair", &[]),
            ("2025-02-21", "", "in_repair", &["-5d assignee queued"]),
            ("2025-02-24", "", "in_repair", &[]),
            // No run on the 25th: due on the 26th, nobody hears of the day before.
            (
                "2025-02-26",
                "",
                "in_repair",
                &[
                    "-1d assignee superseded",
                    "-1d lead superseded",
                    "due assignee queued",
                    "due customer queued",
                    "due lead queued",
                ],
            ),
            ("2025-02-27", "", "in_repair", &["+1d manager queued"]),
            ("2025-02-28", "", "in_repair", &[]),
            (
                "2025-03-01",
                ", unrepairable 2025-02-28 17:00",
                "exchange_due",
                &["exchange_due customer queued", "exchange_due lead queued"],
            ),
            ("2025-03-02", "", "exchange_due", &[]),
            (
                "2025-03-05",
                ", exchanged 2025-03-04 10:00",
                "resolved",
                &[],
            ),
            // The unit has ended, and with it its warranty's reminders.
            ("2025-06-01", ", closed 2025-03-06", "closed", &[]),
            ("2025-07-01", "", "closed", &[]),
        ],
    );
}

#[test]
fn a_refund_from_the_request_to_the_payment() {
    lives(
        &Shop::standard(),
        "received 2025-01-01",
        &[
            (
                "2025-01-03",
                "refund opened 2025-01-03 07:00",
                "awaiting_confirmation",
                &["start customer queued"],
            ),
            (
                "2025-01-04",
                ", confirmed 2025-01-03 12:00",
                "in_repair",
                &[],
            ),
            ("2025-01-09", "", "in_repair", &["-2d assignee queued"]),
            (
                "2025-01-10",
                "",
                "in_repair",
                &["-1d assignee queued", "-1d lead queued"],
            ),
            (
                "2025-01-11",
                "",
                "return_due",
                &[
                    "due assignee queued",
                    "due lead queued",
                    "due manager queued",
                    "return_due customer queued",
                    "return_due lead queued",
                ],
            ),
            ("2025-01-12", "", "return_due", &[]),
            (
                "2025-01-15",
                ", returned 2025-01-14 15:00",
                "refund_due",
                &["start customer queued", "start finance queued"],
            ),
            ("2025-01-16", "", "refund_due", &[]),
            ("2025-01-17", "", "refund_due", &["-1d finance queued"]),
            ("2025-01-18", ", refunded 2025-01-17 18:00", "resolved", &[]),
            ("2025-06-01", "", "resolved", &[]),
        ],
    );
}

#[test]
fn a_return_that_is_not_as_sold() {
    lives(
        &Shop::standard(),
        "received 2025-01-01",
        &[
            (
                "2025-01-04",
                "return opened 2025-01-03 09:00",
                "awaiting_confirmation",
                &[],
            ),
            (
                "2025-01-05",
                ", confirmed 2025-01-04 12:00",
                "return_due",
                &["return_due customer queued", "return_due lead queued"],
            ),
            (
                "2025-01-08",
                ", returned 2025-01-07 12:00",
                "refund_due",
                &["start customer queued", "start finance queued"],
            ),
            (
                "2025-01-09",
                ", inspected 2025-01-08 10:00, findings box_serial_mismatch",
                "declined",
                &["declined customer queued", "declined lead queued"],
            ),
            ("2025-01-12", "", "declined", &[]),
            // The unit stays the customer's, and so does the warranty.
            ("2025-06-01", "", "declined", &["-30d customer queued"]),
            ("2025-06-24", "", "declined", &["-7d customer queued"]),
            ("2025-06-30", "", "declined", &["-1d customer queued"]),
            ("2025-07-01", "", "declined", &["due customer queued"]),
        ],
    );
}
