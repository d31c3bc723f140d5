//! Every statement of the store is prepared and run, on the engine of this
//! run of the tests: a life of a shop in which each is met.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use chrono::TimeDelta;
use strum::VariantArray;
use tracing::Dispatch;
use tracing::subscriber::{NoSubscriber, set_default};
use warrantyd::case::Entity;
use warrantyd::config::JobName;
use warrantyd::jobs::import::{Recording, record_fact};
use warrantyd::jobs::{self, GivenUp, Holding, When};
use warrantyd::policy::STANDARD;
use warrantyd::report::{By, Dialect, Format, ReportName};
use warrantyd::store::{self, Cut, SerialsReplaced};

use crate::bounce;
use crate::outbox::NO_SERVER;
use crate::shop::{
    CLAIMS, CONFIG, Engine, FILE_MAIL, ORDERS, Shop, UNITS, at, by_clock, named, one_unit,
};

/// Where the store writes a statement: `FILE:LINE`.
fn written() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![Path::new("src/store").to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
        for (number, line) in code.enumerate() {
            if is_statement(line) {
                found.insert(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    found
}

/// Whether a line calls `select` or `write`, and is no comment.
fn is_statement(line: &str) -> bool {
    let code = line.split("//").next().unwrap();
    ["select(", "write("].iter().any(|call| {
        let before = code.split(call).next().unwrap();
        before.len() < code.len()
            && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
            && !before.ends_with("fn ")
    })
}

/// Where the statements are written that a log tells of.
fn run(log: &Path) -> BTreeSet<String> {
    let log = fs::read_to_string(log).unwrap();
    let place = |line: &str| {
        let (_, place) = line.split_once("statement place=")?;
        Some(place.rsplit_once(':')?.0.to_owned())
    };
    log.lines().filter_map(place).collect()
}

#[tokio::test]
async fn each_is_run() {
    let shop = Shop::new(&config(FILE_MAIL));
    let log = shop.path("log");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("warrantyd::store=trace")
        .with_ansi(false)
        .with_writer(Mutex::new(File::create(&log).unwrap()))
        .finish();
    // Were there but one, tracing would ask it for the other threads, too, and
    // keep their answer.
    let nobody = Dispatch::new(NoSubscriber::new());
    let logged = set_default(subscriber);
    facts(&shop).await;
    reports(&shop).await;
    tried_again(&shop).await;
    held(&shop).await;
    no_longer_true(&shop).await;
    wrong_clock(&shop).await;
    other_rules(&shop).await;
    limits(&shop).await;
    slots(&shop).await;
    alarms(&shop).await;
    came_back(&shop).await;
    moved().await;
    restored(&shop).await;
    drop((logged, nobody));
    let never: Vec<_> = written().difference(&run(&log)).cloned().collect();
    assert_eq!(never, [""; 0], "never run");
}

fn config(mail: &str) -> String {
    format!("{mail}[reports]\ndir = \"reports\"\nrecipients = [\"boss@example.com\"]\n")
}

fn configure(shop: &Shop, more: &str) {
    shop.write("warrantyd.toml", format!("{CONFIG}{more}"));
}

/// Somebody watches, so that what there is to do is counted.
async fn run_at(shop: &Shop, when: When) {
    let open = shop.open().await;
    open.watch.begin();
    jobs::enforce(&open, when, false).await.unwrap();
    jobs::deliver(&open, when).await.unwrap();
    open.store.close().await;
}

async fn facts(shop: &Shop) {
    let orders = "O-1,K-1,Ada,ada@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n\
                  O-2,K-2,Bob,bob@example.invalid,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    let more = "O-3,K-1,Ada,ada@example.com,2025-01-02,,EUR,100.00\n";
    // Two that replace each other are refused.
    let units = "U-1,O-1,Lamp,hardware,,\nU-2,O-2,Lamp,hardware,,U-1\nU-3,O-1,Lamp,hardware,,\n\
                 V-1,O-1,Lamp,hardware,,V-2\nV-2,O-1,Lamp,hardware,,V-1\n";
    let claims = "C-1,U-1,repair,2025-06-01T09:00:00Z,tech@example.com,,2025-06-01T10:00:00Z,,,,\n";
    let waits = "claim_ref,from,until\nC-1,2025-06-02,2025-06-03\n";
    let imported = shop
        .import(&[
            ("orders.csv", format!("{ORDERS}{orders}")),
            ("units.csv", format!("{UNITS}{units}")),
            ("claims.csv", format!("{CLAIMS}{claims}")),
            ("waits.csv", waits.to_owned()),
            ("more-orders.csv", format!("{ORDERS}{more}")),
        ])
        .await;
    assert_eq!(imported.files[2].rejected, 2);
    too_many(shop).await;
    run_at(shop, named("2025-06-05T09:00:00Z")).await;
}

/// More than the surge guard lets pass, until somebody does.
async fn too_many(shop: &Shop) {
    configure(shop, &config(&format!("{FILE_MAIL}surge_limit = 0\n")));
    run_at(shop, named("2025-06-05T08:30:00Z")).await;
    let open = shop.open().await;
    assert_ne!(jobs::kept_back(&open, 10).await.unwrap(), []);
    let now = at("2025-06-05T08:40:00Z");
    for name in [Some("O-1"), None] {
        assert_ne!(jobs::release(&open, name, now).await.unwrap().notices, 0);
    }
    jobs::commands_on(&open, 1).await.unwrap();
    open.store.close().await;
    configure(shop, &config(FILE_MAIL));
}

/// A fact of the claim, recorded as from the command line.
async fn record(shop: &Shop, fact: &str, now: &str) {
    let open = shop.open().await;
    let recording = Recording {
        entity: Entity::Claims,
        name: "C-1",
        facts: &[fact.to_owned()],
        at: at(now),
        person: None,
    };
    record_fact(&open, recording, at(now)).await.unwrap();
    open.store.close().await;
}

async fn reports(shop: &Shop) {
    let open = shop.open().await;
    let when = named("2025-06-05T09:00:00Z");
    for name in ReportName::VARIANTS {
        let request = jobs::ReportRequest {
            name: *name,
            at: when.at,
            known_at: None,
            from: None,
            to: None,
            by: By::Started,
            days: jobs::UPCOMING_DAYS,
            format: Format::Csv(Dialect::default()),
        };
        let written = jobs::one_report(&open, request, Vec::new()).await;
        written.unwrap();
    }
    jobs::daily_report(&open, when).await.unwrap();
    let request = jobs::ReportRequest {
        name: ReportName::Exceptions,
        at: when.at,
        known_at: Some(at("2200-01-01T00:00:00Z")),
        from: None,
        to: None,
        by: By::Started,
        days: jobs::UPCOMING_DAYS,
        format: Format::Csv(Dialect::default()),
    };
    jobs::one_report(&open, request, Vec::new()).await.unwrap();
    let mut tx = open.store.read().await.unwrap();
    let order_id = store::order_of(&mut tx, "C-1").await.unwrap().unwrap();
    let (past, long_ago) = (Cut::after(1), 0);
    let recorded_at = store::change_set_recorded_at(&mut tx, 1).await;
    assert!(recorded_at.unwrap().is_some());
    let changes = store::changes_after(&mut tx, order_id, long_ago);
    assert_ne!(changes.await.unwrap(), []);
    let replaced = SerialsReplaced::after(&mut tx, past).await.unwrap();
    let kin = replaced.kin(&mut tx, "U-1").await.unwrap();
    let changes = store::unit_changes_after(&mut tx, &kin, long_ago);
    assert_ne!(changes.await.unwrap(), []);
    drop(tx);
    jobs::worklists_planned(&open, when.at).await.unwrap();
    for known_at in [None, Some(when.at)] {
        let explained = jobs::explain(&open, "C-1", when.at, known_at).await;
        assert!(explained.unwrap().is_some());
    }
    jobs::status(&open, when.at).await.unwrap();
    jobs::measure(&open, when.at).await.unwrap();
    assert_ne!(jobs::messages(&open, None, 10).await.unwrap(), []);
    open.store.close().await;
}

/// One message that failed, and one of which nobody knows.
async fn tried_again(shop: &Shop) {
    shop.execute("UPDATE messages SET state = 'uncertain', maybe_taken = TRUE WHERE id = 1")
        .await;
    let ids = "SELECT id FROM messages WHERE state IN ('failed', 'uncertain') ORDER BY id";
    let ids = shop.rows(ids).await;
    assert_eq!(ids.len(), 2);
    let open = shop.open().await;
    let now = at("2025-06-05T10:00:00Z");
    for id in ids {
        let id = id.parse().unwrap();
        assert!(jobs::message_retry(&open, id, now).await.unwrap());
        assert!(jobs::message(&open, id).await.unwrap().is_some());
    }
    open.store.close().await;
    run_at(shop, named("2025-06-05T10:05:00Z")).await;
}

/// Held twice, lifted, opted out by a message, and in again.
async fn held(shop: &Shop) {
    let open = shop.open().await;
    let now = at("2025-06-05T10:06:00Z");
    let holding = Holding {
        name: "C-1",
        kind: None,
    };
    for reason in ["in dispute", "asked for quiet"] {
        let held = jobs::hold(&open, holding, reason, None, now).await.unwrap();
        assert!(held.is_some());
    }
    let lifted = jobs::unhold(&open, holding, now).await.unwrap();
    assert!(lifted.is_some());
    let sent = "SELECT message_id FROM messages WHERE state = 'sent' AND audience = 'customer'";
    let header = shop.rows(sent).await.remove(0);
    let customer = jobs::customer_of_message(&open, &header).await.unwrap();
    assert!(jobs::opt_out(&open, &customer, now).await.unwrap());
    assert!(jobs::opt_in(&open, &customer, now).await.unwrap());
    open.store.close().await;
}

/// What waits while the server is away loses its reason, and has it again;
/// in the end there never was a claim.
async fn no_longer_true(shop: &Shop) {
    configure(shop, &config(NO_SERVER));
    run_at(shop, named("2025-06-17T09:00:00Z")).await;
    configure(shop, &config(FILE_MAIL));
    let now = "2025-06-17T10:00:00Z";
    record(shop, "repaired=2025-06-15", now).await;
    run_at(shop, named(now)).await;
    record(shop, "repaired=null", now).await;
    shop.enforce(named(now)).await.unwrap();
    record(shop, "repaired=2025-06-15", now).await;
    shop.deliver(named(now)).await.unwrap();
    record(shop, "repaired=null", now).await;
    run_at(shop, named(now)).await;
    record(shop, "withdrawn=true", now).await;
    run_at(shop, named(now)).await;
}

async fn wrong_clock(shop: &Shop) {
    for time in ["2025-06-17T10:00:00Z", "2026-01-05T10:00:00Z"] {
        run_at(shop, by_clock(time)).await;
    }
    run_at(shop, by_clock("2025-06-17T10:10:00Z")).await;
}

/// Another zone, and a version of the policy that is not in force yet.
async fn other_rules(shop: &Shop) {
    fs::create_dir(shop.path("policy")).unwrap();
    let later = STANDARD.replace("2000-01-01", "2030-01-01");
    shop.write("policy/later.toml", later);
    let head = CONFIG.replace("UTC", "Asia/Tokyo");
    let more = config(FILE_MAIL);
    shop.write(
        "warrantyd.toml",
        format!("{head}[policy]\ndir = \"policy\"\n{more}"),
    );
    run_at(shop, named("2025-06-17T10:20:00Z")).await;
}

/// A server that is away and comes back; somebody to whom nothing is sent, and
/// who gets one message in a day.
async fn limits(shop: &Shop) {
    let order = "O-9,K-9,Eve,eve@example.org,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    let unit = "U-9,O-9,Lamp,hardware,2024-12-25,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}{unit}")),
    ])
    .await;
    let time = |hour| named(&format!("2025-06-18T{hour}:00:00Z"));
    let only = format!("{FILE_MAIL}allow_domains = [\"example.net\"]\n");
    configure(shop, &config(&only));
    run_at(shop, time("08")).await;
    configure(shop, &config(NO_SERVER));
    run_at(shop, time("09")).await;
    configure(shop, &config(&format!("{FILE_MAIL}max_per_day = 1\n")));
    run_at(shop, time("10")).await;
    shop.execute(
        "UPDATE messages SET state = 'ready', next_try_at = 0, counted_on = NULL, \
                maybe_taken = TRUE, recipient = 'eve@example.org' WHERE state = 'sent'",
    )
    .await;
    run_at(shop, time("11")).await;
    shop.execute("UPDATE messages SET recipient = 'ada@example.com' WHERE audience = 'customer'")
        .await;
}

async fn slots(shop: &Shop) {
    let open = shop.open().await;
    let slot = at("2025-06-17T10:30:00Z");
    let job = JobName::Housekeeping;
    jobs::plan_slots(&open, job, &[slot]).await.unwrap();
    let latest = jobs::slot_latest(&open, job, slot).await.unwrap();
    assert_eq!(latest, Some(slot));
    let given_up = GivenUp {
        slot_at: slot - TimeDelta::hours(1),
        slots: 2,
    };
    assert!(jobs::give_up(&open, job, given_up).await.unwrap());
    let owed = jobs::slots_owed(&open, slot).await.unwrap();
    assert!(
        jobs::run_slot(&open, owed[0], owed[0].slot_at)
            .await
            .unwrap()
    );
    let when = When::new(Some(slot), slot);
    jobs::run_recorded(&open, job, when).await.unwrap();
    let mut tx = open.store.write().await.unwrap();
    let held = store::run_start(&mut tx, "import", "node", slot).await;
    let held = held.unwrap();
    assert!(store::run_renew(&mut tx, held).await.unwrap());
    let counted = store::run_counted(&mut tx, held.id, "{}", false);
    counted.await.unwrap();
    store::run_give_back(&mut tx, held).await.unwrap();
    store::agenda_lock(&mut tx, &[1]).await.unwrap();
    store::messages_renew(&mut tx, [(1, 1)]).await.unwrap();
    tx.commit().await.unwrap();
    open.store.close().await;
}

/// A job that fails, and one that is late.
async fn alarms(shop: &Shop) {
    shop.execute(
        "INSERT INTO job_runs (job, state, started_at, finished_at, error) \
         VALUES ('import', 'failed', 1, 1, 'gone')",
    )
    .await;
    let open = shop.open().await;
    let now = at("2025-06-17T10:40:00Z");
    let lasting = jobs::alarms(&open, now, |_, last| Some(last)).await;
    assert_ne!(lasting.unwrap(), []);
    open.store.close().await;
}

/// An address that is gone, then works again, and a customer who is forgotten.
async fn came_back(shop: &Shop) {
    let sent = "SELECT min(id) FROM messages WHERE state = 'sent' AND audience = 'customer'";
    let id = shop.rows(sent).await.remove(0).parse().unwrap();
    let reports = [
        bounce::about(shop, "postfix-unknown", id).await,
        bounce::sample("no-original"),
    ];
    let open = shop.open().await;
    for report in reports {
        let taken = jobs::bounce(&open, report.as_bytes(), at("2025-06-08T10:00:00Z"));
        assert!(matches!(taken.await.unwrap(), jobs::Taken::Recorded(_)));
    }
    open.store.close().await;
    run_at(shop, named("2025-06-28T09:00:00Z")).await;
    let open = shop.open().await;
    let now = at("2025-06-28T09:00:00Z");
    assert!(jobs::message_retry(&open, id, now).await.unwrap());
    let forgotten = jobs::forget(&open, "K-1", now).await.unwrap();
    assert!(forgotten.orders > 0 && forgotten.messages > 0);
    open.store.close().await;
}

/// From a file of SQLite to PostgreSQL.
async fn moved() {
    let (from, to) = (Shop::on(Engine::Sqlite, ""), Shop::on(Engine::Postgres, ""));
    from.import(&one_unit("2025-01-05T10:00:00Z")).await;
    let open = from.open().await;
    let (holding, now) = (
        Holding {
            name: "U-1",
            kind: None,
        },
        at("2025-06-05T09:00:00Z"),
    );
    let held = jobs::hold(&open, holding, "in dispute", None, now).await;
    assert!(held.unwrap().is_some());
    assert!(jobs::opt_out(&open, "K-1", now).await.unwrap());
    let copied = jobs::copy_to(&open, &to.database(), &mut |_| {}).await;
    let copied = copied.unwrap();
    for name in ["orders", "holds", "opt_outs", "feed"] {
        let table = copied.iter().find(|table| table.table == name);
        assert_eq!(table.map(|table| table.rows), Some(1), "{name}");
    }
    open.store.close().await;
}

/// A backup, and the shop that is made of it.
async fn restored(shop: &Shop) {
    let open = shop.open().await;
    let now = at("2025-06-28T10:00:00Z");
    let (file, _) = jobs::backup(&open, shop.dir(), now, &mut |_| {})
        .await
        .unwrap();
    open.store.close().await;
    let copy = Shop::new(FILE_MAIL);
    let open = copy.open().await;
    open.store.close().await;
    let config = (*open.config).clone();
    let mut nobody = |_| {};
    let restored = jobs::restore(config.clone(), None, &file, now, &mut nobody);
    restored.await.unwrap();
    let open = jobs::Shop::open(config).await.unwrap();
    for name in [Some("O-2"), None] {
        jobs::release(&open, name, now).await.unwrap();
    }
    open.store.close().await;
}
