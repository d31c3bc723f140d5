//! What stands in each report.

use serde_json::{Value, json};
use strum::VariantArray;

use super::{at, case, cases, repair, rules, scope, time, unit};
use crate::case::evaluate;
use crate::policy::{Book, Policy, STANDARD, Wait};
use crate::report::{Dialect, Format, Report, ReportName, Scope};

/// A report as JSON.
fn report(name: ReportName, change: impl Fn(&mut Scope<'_>)) -> Vec<Value> {
    let rules = rules();
    let mut scope = scope(&rules);
    change(&mut scope);
    let mut report = Report::new(name, Format::Json, scope, Vec::new()).unwrap();
    for case in cases() {
        let evaluation = evaluate(&case, &rules, at()).unwrap();
        report.add(&case, &evaluation).unwrap();
    }
    let finished = report.finish().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&finished.out).unwrap();
    assert_eq!(finished.rows, found.len() as u64);
    found
}

/// One column of a report.
fn column(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter()
        .map(|row| row[name].as_str().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn reports_are_sorted_by_columns_that_they_have() {
    for name in ReportName::VARIANTS {
        for key in name.sorted_by() {
            assert!(name.columns().contains(key), "{name} {key}");
        }
    }
}

#[test]
fn deadlines_are_in_order_and_complete() {
    let rows = report(ReportName::Deadlines, |_| {});
    let keys: Vec<_> = rows
        .iter()
        .map(|row| ["order_ref", "subject", "ref", "window"].map(|key| row[key].as_str().unwrap()))
        .collect();
    assert!(keys.is_sorted(), "{keys:?}");
    // Five repairs, a cancellation, a fix window, a payment, and of each of
    // three units the warranty, the return of faults and the refund request.
    assert_eq!(rows.len(), 5 + 1 + 1 + 1 + 3 * 3);
    let overdue = rows.iter().find(|row| row["ref"] == "R<overdue>").unwrap();
    assert_eq!(
        *overdue,
        json!({
            "order_ref": "A", "subject": "claim", "ref": "R<overdue>",
            "window": "hardware_repair", "clause": "4.1", "policy": "standard@2000-01-01",
            "started_at": "2025-03-01T11:00:00+01:00", "due_at": "2025-03-22T00:00:00+01:00",
            "last_day": "2025-03-21", "state": "overdue", "ended_at": null, "late_days": 10,
            "level": 3, "customer_ref": "K-A", "assignee": "tech@shop.example",
            "gross_days": null, "net_days": null,
        })
    );
    let warranty = rows.iter().find(|row| row["ref"] == "U-2").unwrap();
    assert_eq!(warranty["late_days"], Value::Null);
    assert_eq!(warranty["assignee"], Value::Null);
}

/// Two repairs of nine days under a policy that pauses, one of which waited
/// for three.
#[test]
fn days_are_told_with_and_without_waits() {
    let mut rules = rules();
    let head = "[windows.hardware_repair]\n";
    let text = STANDARD.replace(head, &format!("{head}pause_on_wait = true\n"));
    rules.policies = Book::default();
    rules
        .policies
        .add(Policy::parse("standard.toml", &text).unwrap());
    let mut waited = repair("R-1", "2025-02-03", Some("2025-02-12"));
    waited.waits = vec![Wait {
        from: time("2025-02-05"),
        until: Some(time("2025-02-08")),
    }];
    let claims = vec![waited, repair("R-2", "2025-02-03", Some("2025-02-12"))];
    let sold = case("A", "2025-01-01", vec![unit("U", "2025-01-05", claims)]);
    let evaluation = evaluate(&sold, &rules, at()).unwrap();
    let rows = |name| -> Vec<Value> {
        let mut report = Report::new(name, Format::Json, scope(&rules), Vec::new()).unwrap();
        report.add(&sold, &evaluation).unwrap();
        serde_json::from_slice(&report.finish().unwrap().out).unwrap()
    };
    let deadlines = rows(ReportName::Deadlines);
    let days = |row: &Value| (row["gross_days"].clone(), row["net_days"].clone());
    assert_eq!(days(&deadlines[0]), (json!(9), json!(6)));
    assert_eq!(days(&deadlines[1]), (json!(9), json!(9)));
    // A right takes no days.
    assert_eq!(days(&deadlines[2]), (Value::Null, Value::Null));
    let repairs = &rows(ReportName::Compliance)[2];
    let ranks = |prefix: &str| {
        ["p50", "p90", "max"].map(|rank| repairs[format!("{prefix}{rank}_days")].clone())
    };
    assert_eq!(ranks(""), [9, 9, 9].map(Value::from));
    assert_eq!(ranks("net_"), [6, 9, 9].map(Value::from));
}

#[test]
fn overdue_and_upcoming_are_sorted_by_due_date() {
    let rows = report(ReportName::Overdue, |_| {});
    assert_eq!(column(&rows, "ref"), ["R<overdue>", "B"]);
    // Due on 7 and on 8 April: 7 and 8 days after 31 March.
    for (days, expected) in [
        (6, vec![]),
        (7, vec!["R-open"]),
        (8, vec!["R-open", "R-open-late"]),
    ] {
        let rows = report(ReportName::Upcoming, |scope| scope.days = days);
        assert_eq!(column(&rows, "ref"), expected, "{days}");
    }
}

#[test]
fn compliance_counts_the_promises_of_the_period() {
    let rows = report(ReportName::Compliance, |_| {});
    assert_eq!(
        column(&rows, "window"),
        [
            "cancellation_refund",
            "hardware_fix",
            "hardware_repair",
            "refund_payment",
            "software_fix",
            "software_repair"
        ]
    );
    assert_eq!(
        rows[2],
        json!({
            "window": "hardware_repair", "clause": "4.1", "started": 5, "met": 1, "missed": 1,
            "open": 2, "overdue": 1, "paused": 0, "void": 0, "on_time_pct": 33.33,
            "p50_days": 7, "p90_days": 30, "max_days": 30,
            "net_p50_days": 7, "net_p90_days": 30, "net_max_days": 30,
        })
    );
    assert_eq!(
        rows[5],
        json!({
            "window": "software_repair", "clause": "4.2", "started": 0, "met": 0, "missed": 0,
            "open": 0, "overdue": 0, "paused": 0, "void": 0, "on_time_pct": null,
            "p50_days": null, "p90_days": null, "max_days": null,
            "net_p50_days": null, "net_p90_days": null, "net_max_days": null,
        })
    );
    // Both ends of the period belong to it.
    for (from, to, started) in [
        ("2025-02-03", "2025-02-03", 2),
        ("2025-02-04", "2025-03-01", 1),
        ("2025-03-02", "2025-03-17", 1),
    ] {
        let rows = report(ReportName::Compliance, |scope| {
            scope.from = Some(from.parse().unwrap());
            scope.to = Some(to.parse().unwrap());
        });
        assert_eq!(rows[2]["started"], started, "{from}");
    }
}

#[test]
fn refunds_say_what_is_owed_until_when() {
    let rows = report(ReportName::Refunds, |_| {});
    let row = |reference, kind, customer, amount, kept, due, state, paid| {
        let due: Option<&str> = due;
        let state: Option<&str> = state;
        let paid: Option<&str> = paid;
        json!({
            "ref": reference, "kind": kind, "customer_ref": customer, "amount": amount,
            "deductions": kept, "currency": "EUR", "due_at": due, "state": state,
            "refunded_at": paid,
        })
    };
    let (due, paid) = ("2025-03-18T00:00:00+01:00", "2025-03-16T11:00:00+01:00");
    let late = "2025-03-30T00:00:00+01:00";
    #[rustfmt::skip]
    let expected = [
        row("F-paid", "claim", "K-D", "80.00", "0.00", Some(due), Some("met"), Some(paid)),
        row("B", "cancellation", "K-B", "89.50", "10.50", Some(late), Some("overdue"), None),
        row("F-waiting", "claim", "K-C", "70.00", "10.00", None, None, None),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn claims_say_where_they_stand() {
    let rows = report(ReportName::Claims, |_| {});
    assert!(column(&rows, "claim_ref").is_sorted());
    assert_eq!(
        rows[1],
        json!({
            "claim_ref": "F-waiting", "unit_ref": "U-2", "order_ref": "C", "customer_ref": "K-C",
            "type": "refund", "handled_as": "refund", "stage": "return_due",
            "stage_since": "2025-03-10T11:00:00+01:00", "reason": null,
            "opened_at": "2025-03-05T11:00:00+01:00", "refund_amount": "70.00", "currency": "EUR",
        })
    );
    assert_eq!(rows[2]["refund_amount"], Value::Null);
    assert_eq!(rows[2]["currency"], Value::Null);
}

/// What an error says begins with what somebody may have typed.
#[test]
fn a_failed_order_s_detail_is_no_formula() {
    for text in ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"] {
        let rules = rules();
        let format = Format::Csv(Dialect::default());
        let name = ReportName::Exceptions;
        let mut report = Report::new(name, format, scope(&rules), Vec::new()).unwrap();
        report.add_failed(text, &text).unwrap();
        let written = report.finish().unwrap().out;
        let mut reader = csv::Reader::from_reader(written.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        let guarded = format!("'{text}");
        let expected = ["evaluation_failed", "order", &guarded, &guarded];
        assert_eq!(row.iter().collect::<Vec<_>>(), expected);
    }
}
