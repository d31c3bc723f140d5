//! A customer who is forgotten, and messages whose text is no longer kept.

use std::fs;

use super::outbox::NO_SERVER;
use super::shop::{CLAIMS, Engine, FILE_MAIL, ORDERS, Shop, UNITS, named};
use crate::bounce;
use crate::bounce::command::pipe_into;
use warrantyd::config::JobName;
use warrantyd::jobs;

const ADA: [&str; 3] = ["ada@example.com", "ada.new@example.com", "Ada Sample"];

/// Two customers with the same claim; one of them has moved to another address
/// since the first mail, and a mail to them waits.
async fn shop() -> Shop {
    let shop = Shop::new(FILE_MAIL);
    let order = |n: u8, customer: &str, name: &str, email: &str| {
        format!("O-{n},{customer},{name},{email},2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n")
    };
    let bea = order(2, "K-2", "Bea Sample", "bea@example.com");
    let orders = order(1, "K-1", ADA[2], ADA[0]) + &bea;
    let units = "U-1,O-1,Lamp,hardware,,\nU-2,O-2,Lamp,hardware,,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{orders}")),
        ("units.csv", format!("{UNITS}{units}")),
    ])
    .await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T09:00:00Z")).await.unwrap();
    let moved = order(1, "K-1", ADA[2], ADA[1]);
    let claims = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n\
                  C-2,U-2,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{moved}")),
        ("claims.csv", format!("{CLAIMS}{claims}")),
    ])
    .await;
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(FILE_MAIL, NO_SERVER));
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    shop.write("warrantyd.toml", config);
    shop
}

/// All that is stored, as text: SQLite's file with what is left in it of rows
/// that are gone, PostgreSQL's rows.
async fn stored(shop: &Shop) -> String {
    match shop.engine() {
        Engine::Sqlite => {
            let mut bytes = fs::read(shop.path("shop.db")).unwrap();
            bytes.extend(fs::read(shop.path("shop.db-wal")).unwrap_or_default());
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Engine::Postgres => {
            let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
            let mut all = String::new();
            for table in shop.rows(tables).await {
                let rows = format!("SELECT t::text FROM \"{table}\" AS t");
                all += &shop.rows(&rows).await.join("\n");
            }
            all
        }
    }
}

const PROOF: [&str; 2] = [
    "SELECT order_id, subject, ref, \"window\", started_at, due_at, is_met FROM deadlines \
      ORDER BY 1, 2, 3, 4",
    "SELECT ref, \"window\", step, audience, fires_at FROM notices ORDER BY 1, 2, 3, 4",
];

#[tokio::test]
async fn a_forgotten_customer_is_nowhere_and_their_deadlines_stay() {
    let shop = shop().await;
    let first = "SELECT min(id) FROM messages WHERE recipient = 'ada@example.com'";
    let id = shop.rows(first).await.remove(0).parse().unwrap();
    let report = bounce::about(&shop, "postfix-delayed", id).await;
    let piped = pipe_into(shop.command(&["bounce"]), report.as_bytes());
    assert!(piped.status.success(), "{piped:?}");
    let bounces = "SELECT count(*) FROM bounces";
    assert_eq!(shop.rows(bounces).await, ["1"]);
    let before = stored(&shop).await;
    for personal in ADA {
        assert!(before.contains(personal), "{personal}");
    }
    let mut proof = Vec::new();
    for sql in PROOF {
        proof.push(shop.rows(sql).await);
    }
    let mut forget = shop.command(&["forget", "K-1"]);
    forget.env("WARRANTYD_IMPORT__DIR", "spool");
    let output = forget.env("SUDO_USER", "ann").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("erased from 1 order and 2 messages"),
        "{said}"
    );
    // What lies in files may be anybody's by now: somebody has to look.
    let left = said.split_once("yours to clean:\n").unwrap().1;
    for place in [
        "written into outbox",
        "spool/done",
        "spool/rejected",
        "backups",
    ] {
        assert!(left.contains(place), "{place}: {left}");
    }
    // Who did it stays, and of what it was no more than that it is gone.
    let history = "SELECT s.source, f.field, f.old, f.\"new\" FROM fact_changes AS f \
         JOIN change_sets AS s ON s.id = f.change_set WHERE s.source LIKE 'forget%'";
    let kept = ["forget K-1 by ann|customer_email|-|"];
    assert_eq!(shop.rows(history).await, kept);
    assert_eq!(shop.rows(bounces).await, ["0"]);
    let after = stored(&shop).await;
    for personal in ADA {
        assert!(!after.contains(personal), "{personal}");
    }
    assert!(after.contains("bea@example.com") && after.contains("Bea Sample"));
    for (sql, proof) in PROOF.iter().zip(proof) {
        assert_eq!(shop.rows(sql).await, proof);
    }
    let messages =
        "SELECT state, recipient FROM messages WHERE audience = 'customer' ORDER BY 1, 2";
    let expected = [
        "dropped|",
        "ready|bea@example.com",
        "sent|",
        "sent|bea@example.com",
    ];
    assert_eq!(shop.rows(messages).await, expected);
    // A second time there is nothing left to erase.
    let output = shop.run_to(0, &["forget", "K-1"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("erased from 0 orders and 0 messages"),
        "{said}"
    );
    // What would still be told is not, and says so; the other customer is.
    shop.enforce(named("2025-06-21T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-21T10:00:00Z")).await.unwrap();
    let told = "SELECT DISTINCT n.ref, n.disposition FROM notices AS n \
         WHERE n.audience = 'customer' AND n.step = 'start' ORDER BY 1";
    assert_eq!(shop.rows(told).await, ["C-1|failed", "C-2|sent"]);
    assert_eq!(shop.rows(history).await, kept);
    let output = shop.run_to(2, &["forget", "K-3"]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("there is no customer `K-3`"), "{why}");
}

#[tokio::test]
async fn the_text_of_old_messages_is_erased_and_that_they_were_sent_stays() {
    let shop = shop().await;
    // One that would be sent again byte for byte.
    let failed = "UPDATE messages SET state = 'failed', kind = 'ops' WHERE id = \
         (SELECT min(id) FROM messages WHERE state = 'sent' AND recipient = 'bea@example.com')";
    shop.execute(failed).await;
    let open = shop.open().await;
    for (at, left) in [("2026-06-05T08:59:59Z", 4), ("2026-06-05T09:00:01Z", 3)] {
        let job = JobName::Housekeeping;
        jobs::run_recorded(&open, job, named(at)).await.unwrap();
        let bodies = shop.rows("SELECT count(*) FROM message_bodies").await;
        assert_eq!(bodies, [left.to_string()], "{at}");
    }
    open.store.close().await;
    assert_eq!(shop.rows("SELECT count(*) FROM messages").await, ["4"]);
    let sent = shop
        .rows("SELECT min(id) FROM messages WHERE state = 'sent'")
        .await;
    let output = shop.run_to(2, &["mail", "show", &sent[0]]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        why.contains("was erased, by `forget` or after mail.keep_days"),
        "{why}"
    );
}

#[tokio::test]
async fn what_waits_for_a_forgotten_customer_is_taken_back_wherever_it_is() {
    for state in ["sending", "uncertain", "held"] {
        let shop = shop().await;
        let waits = format!("UPDATE messages SET state = '{state}' WHERE state = 'ready'");
        shop.execute(&waits).await;
        if state == "uncertain" {
            let held = "UPDATE notices SET disposition = 'held', cause = 'uncertain' \
                         WHERE disposition = 'queued' AND audience = 'customer'";
            shop.execute(held).await;
        }
        shop.run_to(0, &["forget", "K-1"]);
        let left = "SELECT state FROM messages WHERE recipient = '' ORDER BY 1";
        assert_eq!(shop.rows(left).await, ["dropped", "sent"], "{state}");
        shop.enforce(named("2025-06-21T10:00:00Z")).await.unwrap();
        shop.deliver(named("2025-06-21T10:00:00Z")).await.unwrap();
        let told = "SELECT disposition FROM notices WHERE ref = 'C-1' AND step = 'start'";
        assert_eq!(shop.rows(told).await, ["failed"], "{state}");
    }
}
