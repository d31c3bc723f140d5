//! The same facts give the same bytes on either engine: rows, messages and
//! reports.

use std::collections::BTreeMap;
use std::fs;

use chrono::TimeDelta;
use strum::VariantArray;
use warrantyd::case::State;
use warrantyd::jobs::{self, ReportRequest, UPCOMING_DAYS};
use warrantyd::policy::Instant;
use warrantyd::report::{By, Format, ReportName};

use crate::sheets::{Sheet, facts, text, time};
use crate::shop::{CONFIG, Engine, FILE_MAIL, Shop, assert_same, at, named};

const CASES: usize = 250;

/// The days on which the jobs run.
const DAYS: [&str; 8] = [
    "2024-05-02",
    "2024-05-03",
    "2024-09-10",
    "2024-09-11",
    "2025-03-01",
    "2025-03-02",
    "2025-03-06",
    "2025-11-20",
];

/// On this one facts have changed.
const CHANGED: &str = "2025-03-01";

/// Every third claim was repaired at another time, and every seventh order was
/// a mistake.
fn changes(facts: &[Sheet; 4]) -> [Sheet; 2] {
    let [orders, _, claims, _] = facts;
    let columns = &["claim_ref", "unit_ref", "type", "opened_at", "repaired_at"];
    let mut repaired = Sheet::new("claims.csv", columns);
    for claim in claims.rows.iter().step_by(3) {
        let opened: Instant = claim[3].as_ref().unwrap().parse().unwrap();
        let mut row = claim[..4].to_vec();
        row.push(time(Some(opened + TimeDelta::days(4))));
        repaired.rows.push(row);
    }
    let columns = &[
        "order_ref",
        "withdrawn",
        "customer_ref",
        "customer_email",
        "placed_at",
        "currency",
        "total",
    ];
    let mut withdrawn = Sheet::new("orders.csv", columns);
    for order in orders.rows.iter().step_by(7) {
        let mut row = vec![order[0].clone(), text("true")];
        row.resize(columns.len(), None);
        withdrawn.rows.push(row);
    }
    [withdrawn, repaired]
}

/// What a shop made of the facts.
struct Made {
    rows: Vec<String>,
    /// Messages and daily reports, by their path.
    files: BTreeMap<String, Vec<u8>>,
    /// Reports as JSON, by their name.
    reports: BTreeMap<String, Vec<u8>>,
}

/// A policy that counts working days and pauses.
const EXTENDED: &str = include_str!("../../templates/demo/extended.toml");

fn config() -> String {
    let head = CONFIG.replace("UTC", "Europe/Rome");
    let policy = "[policy]\ndir = \"policy\"\n";
    let reports = "[reports]\ndir = \"reports\"\nrecipients = [\"boss@example.com\"]\n";
    format!("{head}{FILE_MAIL}{policy}{reports}")
}

async fn made_on(engine: Engine, facts: &[Sheet; 4]) -> (Shop, Made) {
    let shop = Shop::on(engine, "");
    shop.write("warrantyd.toml", config());
    fs::create_dir(shop.path("policy")).unwrap();
    shop.write(
        "policy/extended.toml",
        EXTENDED.replace("2026-03-09", "2000-01-01"),
    );
    for again in [false, true] {
        let imported = shop.import(&facts.each_ref().map(Sheet::text)).await;
        let new: u64 = imported.files.iter().map(|file| file.new).sum();
        let unchanged: u64 = imported.files.iter().map(|file| file.unchanged).sum();
        assert_eq!((new > 0, unchanged > 0), (!again, again), "{imported:?}");
    }
    for day in DAYS {
        if day == CHANGED {
            let changes = changes(facts).each_ref().map(Sheet::text);
            shop.import(&changes).await;
        }
        worked(&shop, day).await;
    }
    let made = Made {
        rows: shop.dump(&SURROGATES).await,
        files: files(&shop),
        reports: reports(&shop).await,
    };
    (shop, made)
}

/// What is not a fact: numbers that the database gives in an order that nobody
/// promises, the name of a message's file, and leases.
const SURROGATES: [&str; 19] = [
    "orders.id",
    "units.id",
    "units.order_id",
    "units.replaces_unit_id",
    "claims.id",
    "claims.unit_id",
    "waits.id",
    "waits.claim_id",
    "fact_changes.id",
    "fact_changes.row_id",
    "agenda.order_id",
    "deadlines.order_id",
    "notices.id",
    "notices.order_id",
    "messages.id",
    "messages.answer",
    "messages.lease_until",
    "message_notices.message_id",
    "message_notices.notice_id",
];

/// A day's work, up to the daily reports.
async fn worked(shop: &Shop, day: &str) {
    let when = named(&format!("{day}T15:00:00Z"));
    shop.enforce(when).await.unwrap();
    shop.deliver(when).await.unwrap();
    let open = shop.open().await;
    jobs::daily_report(&open, when).await.unwrap();
    open.store.close().await;
}

/// Each report as JSON, as of the last day.
async fn reports(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    let open = shop.open().await;
    let mut reports = BTreeMap::new();
    for name in ReportName::VARIANTS {
        let request = ReportRequest {
            name: *name,
            at: at("2025-11-20T20:00:00Z"),
            known_at: None,
            from: None,
            to: None,
            by: By::Started,
            days: UPCOMING_DAYS,
            format: Format::Json,
        };
        let written = jobs::one_report(&open, request, Vec::new()).await;
        reports.insert(name.to_string(), written.unwrap().0);
    }
    open.store.close().await;
    reports
}

/// What stands in the shop's directory, but the database.
fn files(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![shop.dir().to_owned()];
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(shop.dir()).unwrap().display().to_string();
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if !name.starts_with("shop.db") {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn assert_same_bytes(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_same(&names(found), &names(expected), "files");
    for (name, bytes) in expected {
        let lines = |bytes: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(bytes)
                .lines()
                .map(str::to_owned)
                .collect()
        };
        assert_same(&lines(&found[name]), &lines(bytes), name);
        assert!(found[name] == *bytes, "{name}");
    }
}

#[tokio::test]
async fn on_sqlite_and_on_postgresql() {
    let facts = facts(CASES);
    let (file, expected) = made_on(Engine::Sqlite, &facts).await;
    let mails = expected.files.keys().filter(|name| name.ends_with(".eml"));
    assert!(mails.count() > 50, "too little to compare");
    let seen = expected.files.iter();
    let seen = seen.filter(|(name, _)| name.ends_with("deadlines.csv"));
    let seen: Vec<_> = seen
        .map(|(_, bytes)| String::from_utf8_lossy(bytes))
        .collect();
    for state in State::VARIANTS {
        let cell = format!(",{state},");
        assert!(seen.iter().any(|text| text.contains(&cell)), "{state}");
    }
    let (server, found) = made_on(Engine::Postgres, &facts).await;
    assert_same(&found.rows, &expected.rows, "rows");
    assert_same_bytes(&found.files, &expected.files);
    assert_same_bytes(&found.reports, &expected.reports);

    let moved = Shop::on(Engine::Postgres, "");
    file.run_to(0, &["copy-to", &moved.database()]);
    let (copied, read) = (moved.dump(&[]).await, file.dump(&[]).await);
    assert_same(&copied, &read, "rows that were copied");
    drop(server);
}
