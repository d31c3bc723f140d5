//! Published days again: as they were known, and why they differ since.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use warrantyd::case::{Entity, FactType, Field};
use warrantyd::jobs::{self, ReportRequest};
use warrantyd::policy::STANDARD;
use warrantyd::report::{By, Dialect, Format, ReportName};

use crate::shop::{CLAIMS, FILE_MAIL, Shop, at, named, one_unit};

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
        found.contains("claims.csv: 1 rows changed, 0 added, 0 missing"),
        "{found}"
    );
}

/// A value that a fact did not have, and that it may have.
fn another(field: &Field) -> &'static str {
    match (field.name, field.fact_type) {
        ("placed_at", _) => "2024-12-30T00:00:00Z",
        ("opened_at", _) => "2025-01-07T00:00:00Z",
        ("until", _) => "2025-02-05T00:00:00Z",
        ("unrepairable_at", _) => "2025-01-13T00:00:00Z",
        ("paid_at", _) => "null",
        ("replaces_unit_ref", _) => "U-0",
        (_, FactType::Time) => "2025-01-12T00:00:00Z",
        (_, FactType::Ref) => "other",
        (_, FactType::Text) => "vi",
        (_, FactType::Email) => "other@example.com",
        (_, FactType::Money) => "55.00",
        (_, FactType::Currency) => "USD",
        (_, FactType::Flag) => "true",
        (_, FactType::Kind) => "software",
        (_, FactType::ClaimType) => "repair",
        (_, FactType::Findings) => "seal_broken",
    }
}

/// A shop with a unit that is to be refunded, one that it could have replaced,
/// and an order that was cancelled in transit, with a published day.
async fn published_with_much() -> Shop {
    let shop = with_much(Shop::new(REPORTS)).await;
    publish(&shop, "2025-03-01T08:00:00Z").await;
    shop
}

/// The same, unpublished.
async fn with_much(shop: Shop) -> Shop {
    let orders = "order_ref,customer_ref,customer_email,placed_at,paid_at,shipped_at,delivered_at,\
         cancelled_at,currency,total,shipping_out,shipping_back\n\
         O-0,K-1,ada@example.com,2024-12-20,2024-12-20,,2024-12-24,,EUR,90.00,,\n\
         O-1,K-1,ada@example.com,2025-01-01,2025-01-01,,2025-01-05,,EUR,100.00,,\n\
         O-2,K-2,bob@example.com,2025-01-01,2025-01-01,2025-01-02,,2025-01-04,EUR,80.00,5.00,6.00\n";
    let units = "unit_ref,order_ref,product_name,kind,serial\n\
         U-0,O-0,Lamp,hardware,S-0\nU-1,O-1,Lamp,hardware,S-1\nU-2,O-2,Lamp,hardware,S-2\n";
    let claims = "claim_ref,unit_ref,type,opened_at,assignee_email,reported_serial,unrepairable_at,\
         inspected_at,returned_at\n\
         C-1,U-1,refund,2025-01-08,tech@example.com,S-1,2025-01-12,2025-01-11,2025-01-14\n\
         C-0,U-0,repair,2025-02-01,tech@example.com,,,,\n";
    let waits = "claim_ref,from,until\nC-0,2025-02-02,2025-02-27\n";
    let facts = [
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
        ("waits.csv", waits),
    ];
    let imported = shop.import(&facts).await;
    assert!(imported.files.iter().all(|file| file.rejected == 0));
    shop
}

/// Changes each fact of a row, in a shop of its own: that change and no other
/// is named. Those that are `still` move nothing, and the day is the same.
async fn each_fact_is_named(entity: Entity, row: &[&str], never: &[&str], still: &[&str]) {
    let base = published_with_much().await;
    let published = base.path("reports/2025-03-01");
    let published = published.to_str().unwrap();
    let fields = entity.fields().iter();
    for field in fields.filter(|field| !never.contains(&field.name)) {
        let shop = base.copy();
        let fact = format!("{}={}", field.name, another(field));
        shop.run_to(0, &[&["record"], row, &[&fact]].concat());
        let is_still = still.contains(&field.name);
        let output = shop.run(&["report", "verify", published]);
        let found = String::from_utf8(output.stdout).unwrap();
        let expected = if is_still { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{fact}: {found}");
        let named = named_changes(&found);
        assert_eq!(named.len(), usize::from(!is_still), "{fact}: {found}");
        let expected = format!("{entity} {}: {} ", row[1], field.name);
        let is_named = named.iter().all(|line| line.starts_with(&expected));
        assert!(is_named, "{fact}: {found}");
    }
}

#[tokio::test]
async fn each_fact_of_an_order_is_named() {
    let row = ["order", "O-2"];
    let told_to_nobody = [
        "customer_name",
        "customer_email",
        "customer_locale",
        "placed_at",
    ];
    each_fact_is_named(Entity::Orders, &row, &["order_ref"], &told_to_nobody).await;
}

#[tokio::test]
async fn each_fact_of_a_unit_is_named() {
    // What it hangs on and its kind cannot change, nor is there another policy.
    let never = ["unit_ref", "order_ref", "kind", "policy"];
    let of_software = ["company_confirmed_at", "customer_confirmed_at"];
    let still = [&["sku", "product_name"], &of_software[..]].concat();
    each_fact_is_named(Entity::Units, &["unit", "U-1"], &never, &still).await;
}

#[tokio::test]
async fn each_fact_of_a_claim_is_named() {
    let never = ["claim_ref", "unit_ref"];
    // The outcome was reached without the one; the other found nothing.
    let still = ["confirmed_at", "inspected_at"];
    each_fact_is_named(Entity::Claims, &["claim", "C-1"], &never, &still).await;
}

#[tokio::test]
async fn each_fact_of_a_wait_is_named() {
    let row = ["wait", "C-0", "from=2025-02-02"];
    each_fact_is_named(Entity::Waits, &row, &["claim_ref", "from"], &[]).await;
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

fn config() -> ProptestConfig {
    let is_full = std::env::var_os("WARRANTYD_FULL").is_some();
    ProptestConfig {
        cases: if is_full { 64 } else { 8 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A change of a fact: the kind of row, which of its facts, and whether it is
/// erased.
type Change = (usize, usize, bool);

/// The file of a change; what is required stays as it is.
fn file_of((kind, fact, is_erased): Change) -> Option<(&'static str, String)> {
    let (entity, file, row) = [
        (Entity::Orders, "orders.csv", &["O-1"][..]),
        (Entity::Units, "units.csv", &["U-1"]),
        (Entity::Claims, "claims.csv", &["C-1"]),
        (Entity::Waits, "waits.csv", &["C-0", "2025-02-02"]),
    ][kind];
    let field = entity.fields().get(fact)?;
    if field.required {
        return None;
    }
    let required = entity.fields().iter().filter(|field| field.required);
    let head: Vec<&str> = required.map(|field| field.name).collect();
    let mut cells = vec![""; head.len()];
    cells[..row.len()].copy_from_slice(row);
    let value = if is_erased { "null" } else { another(field) };
    let (head, cells) = (head.join(","), cells.join(","));
    Some((file, format!("{head},{}\n{cells},{value}\n", field.name)))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_known_gives_the_bytes_of_then(
        batches in vec(vec((0..4usize, 0..19usize, any::<bool>()), 1..4), 1..6),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let shop = with_much(Shop::new("")).await;
            let mut then = Vec::new();
            for (n, batch) in batches.into_iter().enumerate() {
                let recorded_at = format!("2025-03-0{}T00:00:00Z", n + 1);
                // Files of one kind in a batch would be one.
                for (file, text) in batch.into_iter().filter_map(file_of) {
                    shop.import_at(&recorded_at, &[(file, text)]).await;
                }
                then.push((recorded_at, reports(&shop, None).await));
            }
            for (recorded_at, expected) in then {
                let found = reports(&shop, Some(&recorded_at)).await;
                assert_eq!(found, expected, "{recorded_at}");
            }
        });
    }
}

async fn reports(shop: &Shop, known_at: Option<&str>) -> Vec<String> {
    let open = shop.open().await;
    let mut all = Vec::new();
    for name in [
        ReportName::Deadlines,
        ReportName::Claims,
        ReportName::Refunds,
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
