//! The surge guard: a run that would send too many messages to customers sends
//! none of them.

use std::fs;

use warrantyd::jobs;

use crate::crash::with_notices;
use crate::outbox::NO_SERVER;
use crate::shop::{CLAIMS, Engine, FILE_MAIL, ORDERS, Shop, UNITS, assert_same, named, stderr};

const LIMIT: &str = "surge_limit = 3\n";

/// A shop in which a reminder is ready for each of so many customers.
async fn reminders(customers: usize) -> Shop {
    with_notices(Shop::new(&format!("{FILE_MAIL}{LIMIT}")), customers).await
}

async fn deliver(shop: &Shop, time: &str) -> warrantyd::jobs::Outcome {
    shop.deliver(named(&format!("2025-06-05T{time}Z")))
        .await
        .unwrap()
}

const NOTICES: &str =
    "SELECT disposition, cause, count(*) FROM notices GROUP BY 1, 2 ORDER BY 1, 2";

const MESSAGES: &str = "SELECT audience, state, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1, 2";

#[tokio::test]
async fn as_many_as_are_allowed_are_sent() {
    let shop = reminders(3).await;
    deliver(&shop, "10:00:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["sent|-|3"]);
}

#[tokio::test]
async fn one_more_and_all_of_them_are_held_until_they_are_let_go() {
    let shop = reminders(4).await;
    // Inside the shop people are told all the same.
    let claim = "C-1,U-1,repair,2025-06-05T08:00:00Z,,,,2025-06-05T09:00:00Z,seal_broken,,\n";
    shop.import(&[("claims.csv", format!("{CLAIMS}{claim}"))])
        .await;
    shop.enforce(named("2025-06-05T09:30:00Z")).await.unwrap();
    let done = deliver(&shop, "10:00:00").await;
    assert_eq!((done.get("held"), done.get("sent")), (4, 2));
    // The customer's outcome is not ready yet.
    let held = ["held|surge|4", "queued|-|1", "sent|-|1"];
    assert_eq!(shop.rows(NOTICES).await, held);
    let told = ["lead|sent|1", "ops|sent|1"];
    assert_eq!(shop.rows(MESSAGES).await, told);
    for time in ["10:00:00", "10:01:00"] {
        deliver(&shop, time).await;
        assert_eq!(shop.rows(NOTICES).await, held, "{time}");
        assert_eq!(shop.rows(MESSAGES).await, told, "{time}");
    }
    let released = shop.run_to(0, &["mail", "release"]);
    let said = String::from_utf8(released.stdout).unwrap();
    assert_eq!(
        said,
        "4 notices are let go: the next `deliver` sends them\n"
    );
    shop.run_to(0, &["mail", "release"]);
    deliver(&shop, "10:02:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["queued|-|1", "sent|-|5"]);
}

#[tokio::test]
async fn messages_that_wait_count_too() {
    let shop = with_notices(Shop::new(&format!("{NO_SERVER}{LIMIT}")), 2).await;
    let done = deliver(&shop, "10:00:00").await;
    assert!(done.problem.is_some());
    assert_eq!(shop.rows(MESSAGES).await, ["customer|ready|2"]);
    let (mut orders, mut units) = (ORDERS.to_owned(), UNITS.to_owned());
    for n in [7, 8] {
        let cells = format!("K-{n},Bob,bob{n}@example.com,2025-01-01,2025-01-05T10:00:00Z");
        orders += &format!("O-{n},{cells},EUR,100.00\n");
        units += &format!("U-{n},O-{n},Lamp,hardware,,\n");
    }
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    shop.enforce(named("2025-06-05T10:30:00Z")).await.unwrap();
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(NO_SERVER, FILE_MAIL));
    deliver(&shop, "11:00:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["held|surge|4"]);
    // Ops are told of the surge, and next time of the server that was away.
    let expected = ["customer|dropped|2", "ops|ready|1", "ops|sent|1"];
    assert_eq!(shop.rows(MESSAGES).await, expected);
    shop.run_to(0, &["mail", "release"]);
    deliver(&shop, "11:01:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["sent|-|4"]);
}

#[tokio::test]
async fn what_was_let_go_is_not_held_again_while_it_waits_for_the_server() {
    let shop = reminders(4).await;
    deliver(&shop, "10:00:00").await;
    shop.run_to(0, &["mail", "release"]);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(FILE_MAIL, NO_SERVER));
    assert!(deliver(&shop, "10:01:00").await.problem.is_some());
    shop.write("warrantyd.toml", config);
    deliver(&shop, "10:02:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["sent|-|4"]);
    // Those that waited, and no more is said to ops.
    assert_eq!(shop.rows(MESSAGES).await, ["customer|sent|4", "ops|sent|1"]);
}

#[tokio::test]
async fn some_are_let_go_and_the_rest_is_given_up() {
    let shop = reminders(4).await;
    deliver(&shop, "10:00:00").await;
    let listed = || {
        let args = ["mail", "list", "--held", "--format", "json"];
        let rows = shop.run_to(0, &args).stdout;
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&rows).unwrap();
        let line = |row: &serde_json::Value| format!("{} {}", row["recipient"], row["state"]);
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.sort();
        lines
    };
    let held = [0, 1, 2, 3].map(|n| format!(r#""K-{n}" "held""#));
    assert_eq!(listed(), held);
    shop.run_to(0, &["mail", "release", "--ref", "K-1"]);
    shop.run_to(0, &["mail", "release", "--ref", "U-2"]);
    shop.run_to(0, &["mail", "discard"]);
    let said = stderr(&shop.run_to(2, &["mail", "discard", "--ref", "X"]));
    assert!(
        said.contains("--ref: there is no order, unit, claim or customer `X`"),
        "{said}"
    );
    deliver(&shop, "10:01:00").await;
    let expected = ["failed|discarded|2", "sent|-|2"];
    assert_eq!(shop.rows(NOTICES).await, expected);
    assert_eq!(listed(), [0, 3].map(|n| format!(r#""K-{n}" "failed""#)));
    // Who said so, and when, is kept and told.
    let by = "SELECT source, count(*) FROM change_sets AS c \
                JOIN notices AS n ON n.cleared_in = c.id GROUP BY source ORDER BY source";
    let sources = [
        "mail discard",
        "mail release --ref K-1",
        "mail release --ref U-2",
    ];
    let counts = [2, 1, 1];
    let each = sources.iter().zip(counts);
    let each: Vec<String> = each.map(|(source, n)| format!("{source}|{n}")).collect();
    assert_eq!(shop.rows(by).await, each);
    let told = |name: &str| String::from_utf8(shop.run_to(0, &["explain", name]).stdout).unwrap();
    for (name, expected) in [
        (
            "U-0",
            "notice to customer: failed (discarded), `mail discard` ",
        ),
        ("U-1", "notice to customer: sent, `mail release --ref K-1` "),
    ] {
        assert!(told(name).contains(expected), "{}", told(name));
    }
    let of_customers = "SELECT id FROM messages WHERE audience = 'customer' ORDER BY id LIMIT 1";
    let id = shop.rows(of_customers).await.remove(0);
    let shown = shop.run_to(0, &["mail", "show", &id]);
    let said = stderr(&shown);
    assert!(said.starts_with("`mail release --ref K-1` at 20"), "{said}");
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("surge"));
    // For ever, even if it were said again.
    shop.execute("UPDATE agenda SET next_at = 0").await;
    shop.enforce(named("2025-06-05T10:02:00Z")).await.unwrap();
    deliver(&shop, "10:03:00").await;
    assert_eq!(shop.rows(NOTICES).await, expected);
    // No address is to blame.
    let report = shop.run_to(0, &["report", "exceptions", "--at", "2025-06-05T10:03:00Z"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(!report.contains("undeliverable_address"), "{report}");
}

#[tokio::test]
async fn two_nodes_at_once_hold_all_and_tell_ops_once() {
    for round in 0..4 {
        let shop = reminders(4).await;
        let (a, b) = (shop.open().await, shop.open().await);
        let (one, other) = tokio::join!(
            jobs::deliver(&a, named("2025-06-05T10:00:00Z")),
            jobs::deliver(&b, named("2025-06-05T10:00:01Z"))
        );
        a.store.close().await;
        b.store.close().await;
        let (one, other) = (one.unwrap(), other.unwrap());
        // On SQLite the second leaves all to the first.
        assert_eq!(one.get("held") + other.get("held"), 4, "round {round}");
        assert_eq!(shop.rows(NOTICES).await, ["held|surge|4"], "round {round}");
        let told = "SELECT audience, count(*) FROM messages GROUP BY audience";
        assert_eq!(shop.rows(told).await, ["ops|1"], "round {round}");
    }
}

#[tokio::test]
async fn what_comes_while_a_run_is_at_work_is_counted_too() {
    let config = format!("{FILE_MAIL}{LIMIT}");
    let shop = with_notices(Shop::on(Engine::Sqlite, &config), 4).await;
    shop.execute("UPDATE notices SET disposition = 'held', cause = 'feed' WHERE id > 2")
        .await;
    shop.execute(
        "CREATE TRIGGER comes AFTER INSERT ON messages BEGIN \
             UPDATE notices SET disposition = 'queued', cause = NULL WHERE cause = 'feed'; END",
    )
    .await;
    let done = deliver(&shop, "10:00:00").await;
    assert_eq!((done.get("sent"), done.get("at_limit")), (2, 1));
    assert_eq!(shop.rows(NOTICES).await, ["queued|-|2", "sent|-|2"]);
    shop.execute("DROP TRIGGER comes").await;
    deliver(&shop, "10:01:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["sent|-|4"]);
}

#[tokio::test]
async fn what_comes_while_two_nodes_are_at_work_is_counted_once() {
    // On SQLite one run delivers at a time.
    let config = format!("{FILE_MAIL}{LIMIT}");
    let shop = with_notices(Shop::on(Engine::Postgres, &config), 4).await;
    let claim = "C-1,U-1,repair,2025-06-05T08:00:00Z,,,,2025-06-05T09:00:00Z,seal_broken,,\n";
    shop.import(&[("claims.csv", format!("{CLAIMS}{claim}"))])
        .await;
    shop.enforce(named("2025-06-05T09:30:00Z")).await.unwrap();
    shop.execute(
        "UPDATE notices SET disposition = 'held', cause = 'feed' WHERE audience = 'customer'",
    )
    .await;
    deliver(&shop, "09:40:00").await;
    // The first node has a message to the lead to send, and finds two customers.
    // It waits there until the second is done, for which two more come.
    shop.execute(
        "UPDATE messages SET state = 'ready', next_try_at = 0; \
         UPDATE notices SET disposition = 'queued', cause = NULL WHERE id <= 2 OR audience = 'lead'; \
         CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.state = 'sent' AND NEW.audience = 'lead' THEN \
                 PERFORM pg_advisory_xact_lock(4711); END IF; RETURN NEW; END $$; \
         CREATE TRIGGER waits BEFORE UPDATE ON messages \
             FOR EACH ROW EXECUTE FUNCTION waits(); \
         CREATE FUNCTION come() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE notices SET disposition = 'queued', cause = NULL WHERE id IN (3, 4) \
                AND cause = 'feed'; RETURN NULL; END $$; \
         CREATE TRIGGER come AFTER INSERT ON messages EXECUTE FUNCTION come()",
    )
    .await;
    let mut other = shop.connection().await;
    other.rows("SELECT pg_advisory_lock(4711)").await;
    let open = shop.open().await;
    let first = tokio::spawn(async move {
        let done = jobs::deliver(&open, named("2025-06-05T10:00:00Z")).await;
        open.store.close().await;
        done.unwrap()
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    shop.until(waiting, &["1"]).await;
    let second = deliver(&shop, "10:00:00").await;
    assert_eq!((second.get("sent"), second.get("at_limit")), (2, 1));
    other.rows("SELECT pg_advisory_unlock(4711)").await;
    let first = first.await.unwrap();
    assert_eq!((first.get("sent"), first.get("at_limit")), (1, 1));
    let customers = "SELECT count(*) FROM messages WHERE audience = 'customer'";
    assert_eq!(shop.rows(customers).await, ["2"]);
}

#[tokio::test]
async fn a_run_that_dies_while_it_holds_leaves_all_to_the_next() {
    let base = reminders(4).await;
    let undisturbed = base.copy();
    deliver(&undisturbed, "10:00:00").await;
    let shop = base.copy();
    shop.breaks("INSERT", "messages", "NEW.kind = 'ops'").await;
    let died = shop.deliver(named("2025-06-05T10:00:00Z")).await;
    assert!(died.is_err());
    assert_eq!(shop.rows(NOTICES).await, ["queued|-|4"]);
    assert_eq!(shop.rows(MESSAGES).await, [""; 0]);
    shop.mends().await;
    deliver(&shop, "10:00:00").await;
    let without = [
        "messages.id",
        "messages.answer",
        "message_bodies.message_id",
    ];
    let expected = undisturbed.dump(&without).await;
    assert_same(&shop.dump(&without).await, &expected, "died and run again");
}

#[tokio::test]
async fn outside_the_sending_hours_nothing_would_be_sent() {
    let shop = reminders(4).await;
    shop.deliver(named("2025-06-05T21:00:00Z")).await.unwrap();
    assert_eq!(shop.rows(NOTICES).await, ["queued|-|4"]);
    shop.deliver(named("2025-06-06T08:00:00Z")).await.unwrap();
    assert_eq!(shop.rows(NOTICES).await, ["held|surge|4"]);
}

#[tokio::test]
async fn a_limit_of_nothing_asks_for_every_message() {
    let shop = with_notices(Shop::new(&format!("{FILE_MAIL}surge_limit = 0\n")), 1).await;
    deliver(&shop, "10:00:00").await;
    assert_eq!(shop.rows(NOTICES).await, ["held|surge|1"]);
    // With nothing ready nobody is told.
    deliver(&shop, "10:01:00").await;
    assert_eq!(shop.rows(MESSAGES).await, ["ops|sent|1"]);
}
