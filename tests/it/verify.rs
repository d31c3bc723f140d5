//! Published days again: as they were known, and why they differ since.

use std::fs;

use warrantyd::jobs::{self, ReportRequest};
use warrantyd::report::{By, Dialect, Format, ReportName};

use crate::shop::{CLAIMS, ORDERS, Shop, UNITS, at, named, one_unit};

const REPORTS: &str = "[reports]\ndir = \"reports\"\n";
const CLAIM: &str = "C-1,U-1,repair,2025-01-08,tech@example.com,,2025-01-10,,,,\n";
const LATER: &str = "2025-03-05T00:00:00Z";

/// A shop with a repair under way, and a published day.
async fn published() -> Shop {
    let shop = Shop::new(REPORTS);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let claims = ("claims.csv", format!("{CLAIMS}{CLAIM}"));
    shop.import(&[orders, units, claims]).await;
    publish(&shop, "2025-03-01T08:00:00Z").await;
    shop
}

async fn publish(shop: &Shop, time: &str) {
    let open = shop.open().await;
    jobs::daily_report(&open, named(time)).await.unwrap();
    open.store.close().await;
}

fn verify(shop: &Shop, day: &str, status: i32) -> String {
    let dir = format!("reports/{day}");
    let output = shop.run_to(status, &["report", "verify", &dir]);
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_day_of_which_nothing_changed_is_equal() {
    let shop = published().await;
    let found = verify(&shop, "2025-03-01", 0);
    assert!(!found.contains("recorded"), "{found}");
}

#[tokio::test]
async fn a_change_that_explains_a_difference_is_named_and_no_other() {
    let claim = |header: &str, cell: &str| {
        format!("claim_ref,unit_ref,type,opened_at,{header}\nC-1,U-1,repair,2025-01-08,{cell}\n")
    };
    let cases = [
        (
            "claims.csv",
            claim("repaired_at", "2025-01-12T00:00:00Z"),
            "claims C-1: repaired_at null → 2025-01-12T00:00:00Z",
        ),
        (
            "claims.csv",
            claim("assignee_email", "other@example.com"),
            "claims C-1: assignee_email tech@example.com → other@example.com",
        ),
        (
            "claims.csv",
            claim("received_at", "2025-01-11T00:00:00Z"),
            "claims C-1: received_at 2025-01-10T00:00:00Z → 2025-01-11T00:00:00Z",
        ),
        (
            "claims.csv",
            claim("withdrawn", "true"),
            "claims C-1: withdrawn null → true",
        ),
        (
            "units.csv",
            format!("{UNITS}U-1,O-1,Lamp,hardware,2025-01-06T00:00:00Z,\n"),
            "units U-1: received_at null → 2025-01-06T00:00:00Z",
        ),
        (
            "orders.csv",
            format!(
                "{ORDERS}O-2,K-2,Bo,bo@example.com,2025-01-02,,EUR,5.00\n\
                     O-1,K-9,Ada,ada@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n"
            ),
            "orders O-1: customer_ref K-1 → K-9",
        ),
        (
            "waits.csv",
            "claim_ref,from,until\nC-1,2025-01-11,2025-01-14\n".to_owned(),
            "waits C-1: entered",
        ),
    ];
    for (file, text, expected) in cases {
        let shop = published().await;
        // A change that moves no report of that day.
        let sku = "unit_ref,order_ref,product_name,kind,sku\nU-1,O-1,Lamp,hardware,L-1\n";
        shop.import_at("2025-03-04T00:00:00Z", &[("units.csv", sku)])
            .await;
        shop.import_at(LATER, &[(file, text)]).await;
        let found = verify(&shop, "2025-03-01", 3);
        assert!(found.contains(expected), "{expected}: {found}");
        assert!(found.contains("recorded 2025-03-05T00:00:00Z"), "{found}");
        assert!(!found.contains("sku"), "{found}");
        assert!(!found.contains("rules:"), "{found}");
    }
}

#[tokio::test]
async fn rules_that_differ_are_named() {
    for (from, to, expected) in [(
        "\"UTC\"",
        "\"Europe/Rome\"",
        "business.timezone: UTC → Europe/Rome",
    )] {
        let shop = published().await;
        let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
        shop.write("warrantyd.toml", config.replace(from, to));
        let found = verify(&shop, "2025-03-01", 3);
        assert!(found.contains(expected), "{found}");
        assert!(found.contains("other_rules"), "{found}");
        assert!(!found.contains("recorded_later"), "{found}");
    }
}

#[tokio::test]
async fn what_was_tampered_with_is_found() {
    let shop = published().await;
    publish(&shop, "2025-03-02T08:00:00Z").await;
    publish(&shop, "2025-03-03T08:00:00Z").await;
    let found = verify(&shop, "2025-03-03", 0);
    assert!(found.contains("days before it, unbroken: 2"), "{found}");
    let path = shop.path("reports/2025-03-01/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text} ")).unwrap();
    let found = verify(&shop, "2025-03-03", 1);
    assert!(
        found.contains("broken at 2025-03-01: its manifest was changed"),
        "{found}"
    );
    fs::remove_dir_all(shop.path("reports/2025-03-02")).unwrap();
    let found = verify(&shop, "2025-03-03", 1);
    assert!(
        found.contains("broken at 2025-03-02: its manifest is missing"),
        "{found}"
    );
    let csv = shop.path("reports/2025-03-01/claims.csv");
    fs::write(&csv, "claim_ref\n").unwrap();
    let found = verify(&shop, "2025-03-01", 1);
    let line = found.lines().find(|line| line.contains("claims.csv"));
    assert!(line.unwrap().contains("changed"), "{found}");
}

#[tokio::test]
async fn what_was_known_gives_the_bytes_of_then() {
    let shop = Shop::new("");
    let batches = [
        (
            "2025-01-06T00:00:00Z",
            "O-1",
            "2025-01-05T10:00:00Z",
            "2025-01-12",
        ),
        ("2025-01-13T00:00:00Z", "O-2", "", "2025-01-13"),
        (
            "2025-01-20T00:00:00Z",
            "O-1",
            "2025-01-04T10:00:00Z",
            "null",
        ),
    ];
    let mut then = Vec::new();
    for (recorded_at, order, delivered_at, repaired_at) in batches {
        let unit = order.replace('O', "U");
        let claim = order.replace('O', "C");
        let files = [
            (
                "orders.csv",
                format!(
                    "{ORDERS}{order},K,Ada,ada@example.com,2025-01-01,{delivered_at},EUR,100.00\n"
                ),
            ),
            (
                "units.csv",
                format!("{UNITS}{unit},{order},Lamp,hardware,,\n"),
            ),
            (
                "claims.csv",
                format!("{CLAIMS}{claim},{unit},repair,2025-01-08,,,2025-01-10,,,{repaired_at},\n"),
            ),
        ];
        shop.import_at(recorded_at, &files).await;
        then.push((recorded_at, reports(&shop, None).await));
    }
    assert_ne!(then[0].1, then[2].1);
    for (recorded_at, expected) in then {
        assert_eq!(
            reports(&shop, Some(recorded_at)).await,
            expected,
            "{recorded_at}"
        );
    }
}

async fn reports(shop: &Shop, known_at: Option<&str>) -> Vec<String> {
    let open = shop.open().await;
    let mut all = Vec::new();
    for name in [
        ReportName::Deadlines,
        ReportName::Claims,
        ReportName::Exceptions,
    ] {
        let request = ReportRequest {
            name,
            at: at("2025-02-20T00:00:00Z"),
            known_at: known_at.map(at),
            from: None,
            to: None,
            days: 7,
            by: By::Started,
            format: Format::Csv(Dialect::default()),
        };
        let (out, _) = jobs::one_report(&open, request, Vec::new()).await.unwrap();
        all.push(String::from_utf8(out).unwrap());
    }
    open.store.close().await;
    all
}
