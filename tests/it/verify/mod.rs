//! Published sets again: as they were known, and why they differ since.

mod facts;
mod known;
mod order;
mod periods;
mod serials;

use std::fs;

use warrantyd::jobs;
use warrantyd::policy::STANDARD;

use crate::shop::{CLAIMS, FILE_MAIL, ORDERS, Shop, named, one_unit};

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

/// What is said of a published set; the command must end with a status.
fn verify(shop: &Shop, name: &str, status: i32) -> String {
    let dir = format!("reports/{name}");
    let output = shop.run_to(status, &["report", "verify", &dir]);
    String::from_utf8(output.stdout).unwrap()
}

/// One change is named, and it is this one.
fn assert_names(found: &str, expected: &str) {
    let named = named_changes(found);
    assert_eq!(named.len(), 1, "{expected}: {found}");
    assert!(named[0].starts_with(expected), "{expected}: {found}");
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
    let repaired = "claim_ref,unit_ref,type,opened_at,repaired_at\n\
         C-1,U-1,repair,2025-01-08,2025-01-12T00:00:00Z\n";
    let expected = "claims C-1: repaired_at null → 2025-01-12T00:00:00Z";
    let mut cases = vec![("claims.csv", repaired.to_owned(), expected.to_owned())];
    let waits = "claim_ref,from,until\nC-1,2025-01-11,2025-01-14\n".to_owned();
    cases.push(("waits.csv", waits, "waits C-1: entered".to_owned()));
    let dated_back = format!("{CLAIMS}C-2,U-1,repair,2025-02-01,,,,,,,\n");
    cases.push(("claims.csv", dated_back, "claims C-2: entered".to_owned()));
    for (file, text, expected) in cases {
        let shop = published().await;
        // A change that moves no report of that day.
        let sku = "unit_ref,order_ref,product_name,kind,sku\nU-1,O-1,Lamp,hardware,L-1\n";
        shop.import_at("2025-03-04T00:00:00Z", &[("units.csv", sku)])
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
    let shop = published().await;
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
        found.contains("claims.csv: 1 row changed, 0 added, 0 missing"),
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

#[tokio::test]
async fn a_hold_that_somebody_begins_or_lifts_is_named() {
    let shop = published().await;
    let hold = ["hold", "K-1", "--reason", "a question"];
    shop.run_to(0, &hold);
    let found = verify(&shop, "2025-03-01", 3);
    let named = named_changes(&found);
    assert_eq!(named.len(), 1, "{found}");
    assert!(
        named[0].starts_with("hold customer K-1: begun, "),
        "{found}"
    );

    let held = published().await;
    held.run_to(0, &hold);
    publish(&held, "2025-03-02T08:00:00Z").await;
    assert_eq!(
        named_changes(&verify(&held, "2025-03-02", 0)),
        Vec::<&str>::new()
    );
    held.run_to(0, &["unhold", "K-1"]);
    let found = verify(&held, "2025-03-02", 3);
    let named = named_changes(&found);
    assert_eq!(named.len(), 1, "{found}");
    assert!(
        named[0].starts_with("hold customer K-1: lifted, "),
        "{found}"
    );
    assert!(named[0].ends_with("by unhold customer K-1"), "{found}");
}

/// The line of a file.
fn verdict<'f>(found: &'f str, file: &str) -> &'f str {
    let line = found
        .lines()
        .find(|line| line.trim_start().starts_with(file));
    line.unwrap_or_else(|| panic!("{found}")).trim_end()
}

#[tokio::test]
async fn another_version_of_the_program_is_said_where_nothing_else_explains() {
    let shop = published().await;
    let path = "reports/2025-03-01/manifest.json";
    let text = fs::read_to_string(shop.path(path)).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let other = text.replace(&format!("\"{version}\""), "\"0.0.1\"");
    assert_ne!(other, text);
    shop.write(path, &other);
    let later = shop.copy();
    // It gives the same files.
    let found = verify(&shop, "2025-03-01", 0);
    assert!(!found.contains("0.0.1"), "{found}");
    // What was recorded later explains them.
    later.run_to(
        0,
        &["record", "claim", "C-1", "repaired_at=2025-01-12T00:00:00Z"],
    );
    let published = shop.path("reports/2025-03-01");
    let published = published.to_str().unwrap();
    let output = later.run_to(3, &["report", "verify", published]);
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(!found.contains("0.0.1"), "{found}");
    // Nothing does.
    let claims = shop.path("reports/2025-03-01/claims.csv");
    let rows = fs::read_to_string(&claims).unwrap();
    fs::write(&claims, rows.replace("in_repair", "in_hands")).unwrap();
    let sha256 = |path: &std::path::Path| warrantyd::report::file_sha256(path).unwrap();
    let before = warrantyd::policy::sha256_hex(rows.as_bytes());
    shop.write(path, other.replace(&before, &sha256(&claims)));
    let found = verify(&shop, "2025-03-01", 1);
    let expected = format!("written by version 0.0.1 of the program, this is {version}: ");
    assert!(found.contains(&expected), "{found}");
    assert!(
        verdict(&found, "claims.csv").ends_with("not_explained"),
        "{found}"
    );
    assert_eq!(named_changes(&found), [""; 0], "{found}");

    // Nor does another version of the time zone data, but it may be why.
    assert!(!found.contains("time zone data"), "{found}");
    let text = fs::read_to_string(shop.path(path)).unwrap();
    let data = warrantyd::report::TIME_ZONE_DATA;
    let other = text.replace(&format!("\"{data}\""), "\"1999a\"");
    assert_ne!(other, text);
    shop.write(path, other);
    let found = verify(&shop, "2025-03-01", 1);
    let expected = format!("version 1999a of the time zone data, this program has {data}: ");
    assert!(found.contains(&expected), "{found}");
}

#[tokio::test]
async fn a_change_that_makes_an_order_fail_or_succeed_again_is_named() {
    // Nothing else is an exception.
    let shop = Shop::new(REPORTS);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    publish(&shop, "2025-01-20T08:00:00Z").await;
    let placed = |date: &str| {
        let text = format!("{ORDERS}O-1,K-1,Ada,ada@example.com,{date},2025-01-05T10:00:00Z,");
        [("orders.csv", format!("{text}EUR,100.00\n"))]
    };
    let moves_exceptions = |found: &str| {
        assert_names(found, "orders O-1: placed_at ");
        assert!(
            named_changes(found)[0].contains("exceptions.csv"),
            "{found}"
        );
    };
    // Before the first policy.
    shop.import_at("2025-02-01T00:00:00Z", &placed("1999-01-01"))
        .await;
    let found = verify(&shop, "2025-01-20", 3);
    assert!(found.contains("exceptions.csv: evaluation_failed order O-1"));
    moves_exceptions(&found);

    publish(&shop, "2025-02-02T08:00:00Z").await;
    shop.import_at(LATER, &placed("2025-01-01")).await;
    moves_exceptions(&verify(&shop, "2025-02-02", 3));
}
