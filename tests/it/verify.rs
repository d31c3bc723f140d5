//! Published days again: as they were known, and why they differ since.

use std::fs;

use warrantyd::jobs::{self, ReportRequest};
use warrantyd::policy::STANDARD;
use warrantyd::report::{By, Dialect, Format, ReportName};

use crate::shop::{CLAIMS, FILE_MAIL, ORDERS, Shop, UNITS, at, named, one_unit};

const REPORTS: &str = "[reports]\ndir = \"reports\"\n";
const CLAIM: &str = "C-1,U-1,repair,2025-01-08,tech@example.com,,2025-01-10,,,,\n";
const LATER: &str = "2025-03-05T00:00:00Z";

/// A shop with a repair under way, and a published day.
async fn published() -> Shop {
    filled(Shop::new(REPORTS)).await
}

/// The same, under a policy of its own.
async fn published_under(policy: &str) -> Shop {
    let shop = Shop::new(&format!("{REPORTS}[policy]\ndir = \"terms\"\n"));
    fs::create_dir(shop.path("terms")).unwrap();
    shop.write("terms/standard.toml", policy);
    filled(shop).await
}

async fn filled(shop: Shop) -> Shop {
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

/// The lines that name what was recorded later.
fn named_changes(found: &str) -> Vec<&str> {
    let named = found.lines().filter(|line| line.contains(", recorded "));
    named.collect()
}

#[tokio::test]
async fn the_one_change_that_explains_a_row_is_named() {
    let claim = |header: &str, cell: &str| {
        format!("claim_ref,unit_ref,type,opened_at,{header}\nC-1,U-1,repair,2025-01-08,{cell}\n")
    };
    let unit = |header: &str, cell: &str| {
        format!("unit_ref,order_ref,product_name,kind,{header}\nU-1,O-1,Lamp,hardware,{cell}\n")
    };
    let order = |header: &str, cell: &str| {
        format!(
            "order_ref,customer_ref,customer_email,placed_at,currency,total,{header}\n\
             O-1,K-1,ada@example.com,2025-01-01,EUR,100.00,{cell}\n"
        )
    };
    let time = "2025-01-12T00:00:00Z";
    let mut cases = Vec::new();
    for field in [
        "repaired_at",
        "unrepairable_at",
        "refunded_at",
        "exchanged_at",
        "closed_at",
        "rejected_at",
    ] {
        let expected = format!("claims C-1: {field} null → {time}");
        cases.push(("claims.csv", claim(field, time), expected));
    }
    for (header, cell, expected) in [
        (
            "assignee_email",
            "other@example.com",
            "assignee_email tech@example.com → other@example.com",
        ),
        (
            "received_at",
            "2025-01-11T00:00:00Z",
            "received_at 2025-01-10T00:00:00Z → 2025-01-11T00:00:00Z",
        ),
        ("withdrawn", "true", "withdrawn null → true"),
    ] {
        cases.push((
            "claims.csv",
            claim(header, cell),
            format!("claims C-1: {expected}"),
        ));
    }
    for (header, cell, expected) in [
        (
            "received_at",
            "2025-01-06T00:00:00Z",
            "received_at null → 2025-01-06T00:00:00Z",
        ),
        ("withdrawn", "true", "withdrawn null → true"),
    ] {
        cases.push((
            "units.csv",
            unit(header, cell),
            format!("units U-1: {expected}"),
        ));
    }
    for (header, cell, expected) in [
        (
            "delivered_at",
            "2025-01-06T00:00:00Z",
            "delivered_at 2025-01-05T10:00:00Z → 2025-01-06T00:00:00Z",
        ),
        (
            "cancelled_at",
            "2025-01-04T00:00:00Z",
            "cancelled_at null → 2025-01-04T00:00:00Z",
        ),
        ("withdrawn", "true", "withdrawn null → true"),
    ] {
        cases.push((
            "orders.csv",
            order(header, cell),
            format!("orders O-1: {expected}"),
        ));
    }
    let waits = "claim_ref,from,until\nC-1,2025-01-11,2025-01-14\n".to_owned();
    cases.push(("waits.csv", waits, "waits C-1: entered".to_owned()));
    let dated_back = format!("{CLAIMS}C-2,U-1,repair,2025-02-01,,,,,,,\n");
    cases.push(("claims.csv", dated_back, "claims C-2: entered".to_owned()));
    for (file, text, expected) in cases {
        let shop = published().await;
        // A change that moves no report of that day.
        shop.import_at("2025-03-04T00:00:00Z", &[("units.csv", unit("sku", "L-1"))])
            .await;
        shop.import_at(LATER, &[(file, text)]).await;
        let found = verify(&shop, "2025-03-01", 3);
        let named = named_changes(&found);
        assert!(!found.contains("rules:"), "{found}");
        let expected = format!("{expected}, recorded 2025-03-05T00:00:00Z by ");
        assert_eq!(named.len(), 1, "{expected}: {found}");
        assert!(named[0].starts_with(&expected), "{expected}: {found}");
    }
}

#[tokio::test]
async fn of_two_changes_of_one_import_the_one_that_matters_is_named() {
    let shop = Shop::new(REPORTS);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    // Each change of a claim moves when it counts as stuck.
    let zone = "timezone = \"UTC\"";
    let never = format!("{zone}\nstuck_after = \"300 days\"");
    shop.write("warrantyd.toml", config.replace(zone, &never));
    let shop = filled(shop).await;
    let text = "claim_ref,unit_ref,type,opened_at,reported_serial,repaired_at\n\
                C-1,U-1,repair,2025-01-08,S-9,2025-01-12T00:00:00Z\n";
    shop.import_at(LATER, &[("claims.csv", text)]).await;
    let found = verify(&shop, "2025-03-01", 3);
    let named = named_changes(&found);
    assert_eq!(named.len(), 1, "{found}");
    assert!(named[0].starts_with("claims C-1: repaired_at"), "{found}");
    let row = "claims.csv: C-1: stage in_repair → resolved, \
               stage_since 2025-01-10T00:00:00+00:00 → 2025-01-12T00:00:00+00:00";
    assert!(found.contains(row), "{found}");
    assert!(
        found.contains("claims.csv: 1 rows changed, 0 added, 0 missing"),
        "{found}"
    );
}

/// A standard policy whose repairs count working days.
fn counting_business_days() -> String {
    let (before, after) = STANDARD.split_once("clause = \"4.1\"\n").unwrap();
    format!("{before}clause = \"4.1\"\ncount = \"business\"\n{after}")
}

#[tokio::test]
async fn rules_that_move_a_row_are_named_and_no_others() {
    let zone = "timezone = \"UTC\"";
    for (from, to, expected) in [
        (
            zone,
            "timezone = \"Europe/Rome\"",
            "business.timezone: UTC → Europe/Rome",
        ),
        (
            zone,
            "timezone = \"UTC\"\nweekend = [\"sat\"]",
            "business.weekend: Sat, Sun → Sat",
        ),
        (
            zone,
            "timezone = \"UTC\"\nholidays = [\"2025-01-15\"]",
            "business.holidays: 2025-01-15 is one now",
        ),
        (
            zone,
            "timezone = \"UTC\"\nstuck_after = \"300 days\"",
            "business.stuck_after: 14 → 300 days",
        ),
        // No promise counts the days of that time.
        (zone, "timezone = \"UTC\"\nholidays = [\"2031-01-15\"]", ""),
    ] {
        let shop = published_under(&counting_business_days()).await;
        let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
        assert!(config.contains(from));
        shop.write("warrantyd.toml", config.replace(from, to));
        let status = if expected.is_empty() { 0 } else { 3 };
        let found = verify(&shop, "2025-03-01", status);
        let expected = Some(expected).filter(|line| !line.is_empty());
        let expected = expected.map(|line| format!("rules: {line}"));
        assert_eq!(rule_lines(&found), Vec::from_iter(expected), "{found}");
        assert_eq!(named_changes(&found), Vec::<&str>::new(), "{found}");
    }
}

fn rule_lines(found: &str) -> Vec<&str> {
    let lines = found.lines();
    lines.filter(|line| line.starts_with("rules:")).collect()
}

#[tokio::test]
async fn a_policy_that_moves_a_row_is_named_and_one_that_is_gone_is_said() {
    let text = counting_business_days();
    let shop = published_under(&text).await;
    let later = text.replace("2000-01-01", "2025-01-01");
    shop.write("terms/later.toml", later.replace("days = 20", "days = 19"));
    let found = verify(&shop, "2025-03-01", 3);
    let rules = rule_lines(&found);
    assert_eq!(rules.len(), 1, "{found}");
    assert!(rules[0].starts_with("rules: policy standard@2025-01-01: none → "));

    fs::remove_file(shop.path("terms/later.toml")).unwrap();
    shop.write(
        "terms/standard.toml",
        text.replace("days = 20", "days = 19"),
    );
    let found = verify(&shop, "2025-03-01", 1);
    let rules = rule_lines(&found);
    assert_eq!(rules.len(), 1, "{found}");
    assert!(
        rules[0].ends_with("its text is not there any more"),
        "{found}"
    );
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
    assert!(found.contains("claims.csv: C-1: added"), "{found}");
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

#[tokio::test]
async fn the_set_of_a_week_is_refused() {
    let shop = published().await;
    let path = shop.path("reports/2025-03-01/manifest.json");
    let text = fs::read_to_string(path).unwrap();
    fs::create_dir(shop.path("reports/2025-W09")).unwrap();
    shop.write(
        "reports/2025-W09/manifest.json",
        text.replace("deadlines.csv", "missed.csv"),
    );
    let output = shop.run_to(2, &["report", "verify", "reports/2025-W09"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("is not a day's"), "{error}");
}

#[tokio::test]
async fn verify_writes_nothing_to_the_database() {
    let shop = published().await;
    let text = "claim_ref,unit_ref,type,opened_at,repaired_at\n\
                C-1,U-1,repair,2025-01-08,2025-01-12T00:00:00Z\n";
    shop.import_at(LATER, &[("claims.csv", text)]).await;
    let before = shop.dump(&[]).await;
    verify(&shop, "2025-03-01", 3);
    assert_eq!(shop.dump(&[]).await, before);
}

#[tokio::test]
async fn a_delivery_explains_what_it_moves_and_no_more() {
    let shop = Shop::new(&format!("{REPORTS}{FILE_MAIL}"));
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let claims = ("claims.csv", format!("{CLAIMS}{CLAIM}"));
    shop.import(&[orders, units, claims]).await;
    shop.enforce(named("2025-02-01T08:00:00Z")).await.unwrap();
    publish(&shop, "2025-03-01T08:00:00Z").await;
    verify(&shop, "2025-03-01", 0);

    shop.deliver(named("2025-03-01T12:00:00Z")).await.unwrap();
    let found = verify(&shop, "2025-03-01", 3);
    assert!(
        verdict(&found, "notices.csv").ends_with("deliveries"),
        "{found}"
    );
    assert!(found.contains("disposition queued → sent"), "{found}");
    assert!(
        verdict(&found, "deadlines.csv").ends_with("equal"),
        "{found}"
    );
    assert!(
        verdict(&found, "summary.html").ends_with("equal"),
        "{found}"
    );

    // A notice whose time is another was not delivered.
    shop.execute("UPDATE notices SET fires_at = fires_at + 1000000 WHERE audience = 'lead'")
        .await;
    let found = verify(&shop, "2025-03-01", 1);
    let told = verdict(&found, "notices.csv");
    assert!(told.ends_with("not_explained"), "{found}");
}

/// The line of a file.
fn verdict<'f>(found: &'f str, file: &str) -> &'f str {
    let line = found
        .lines()
        .find(|line| line.trim_start().starts_with(file));
    line.unwrap_or_else(|| panic!("{found}")).trim_end()
}
