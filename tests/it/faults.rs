//! What a try leaves in the database, as the manual of the mail room says it;
//! and the pause of a server that cannot be used.

use tokio::task::JoinHandle;
use warrantyd::config::JobName;
use warrantyd::jobs::{self, Outcome, When};
use warrantyd::store::{self, MailPause};

use crate::crash::{ANSWERS, heard};
use crate::deliver::{Server, configure, customers, customers_of, mail, recipients, taken};
use crate::postfix::free_port;
use crate::shop::{Engine, Shop, at, by_clock, named};

const TABLE: &str = include_str!("../../src/mail/faults.md");

/// The rows of the second table, by the names of its columns.
fn outcomes() -> Vec<Vec<(&'static str, &'static str)>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim);
    let mut lines = TABLE
        .lines()
        .skip_while(|line| !line.starts_with("| outcome"));
    let names: Vec<&str> = cells(lines.next().unwrap()).collect();
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| names.iter().copied().zip(cells(row)).collect())
        .collect()
}

/// A sender whom the server refuses.
const REFUSED: &str = "from = \"refused-shop@example.com\"\n";

/// A server that is not there.
const NOBODY: &str = "url = \"smtp://127.0.0.1:1?tls=off\"\n";

/// The settings with another sender or server.
fn with(mail: &str, settings: &str) -> String {
    let key = settings.split(' ').next().filter(|key| !key.is_empty());
    let others = mail.lines().filter(|line| {
        let has_key = |key| line.starts_with(key) && *line != settings.trim_end();
        !key.is_some_and(has_key)
    });
    others.map(|line| format!("{line}\n")).collect()
}

/// The recipient and the settings by which the server comes to an outcome.
fn met_by(outcome: &str) -> (&'static str, &'static str) {
    match outcome {
        "delivered" => ("ada", ""),
        "for good" => ("never-ada", ""),
        "for now" => ("later-ada", ""),
        "not sent" => ("gone-ada", ""),
        "uncertain" => ("broken-ada", ""),
        "uncertain, `on_uncertain = \"hold\"`" => ("broken-ada", "on_uncertain = \"hold\"\n"),
        "transport" => ("ada", NOBODY),
        "us" => ("ada", REFUSED),
        other => panic!("nobody knows how to come to {other}"),
    }
}

/// What is to be seen of a message, as the table says it.
async fn left(shop: &Shop, now: &str) -> Vec<(&'static str, String)> {
    let sql = "SELECT state, tries, coalesce(next_try_at, 0), n.disposition, \
                      (SELECT coalesce(max(faults), -1) FROM mail_pause) \
                 FROM messages AS m JOIN message_notices AS c ON c.message_id = m.id \
                 JOIN notices AS n ON n.id = c.notice_id";
    let rows = shop.rows(sql).await;
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let cells: Vec<&str> = row.split('|').collect();
    let minutes = match cells[2] {
        "0" => None,
        at_micros => {
            let waits = at_micros.parse::<i64>().unwrap() - at(now).timestamp_micros();
            Some(waits as f64 / 60e6)
        }
    };
    let next_try = match minutes {
        None => "never",
        Some(minutes) if (5.0..=6.0).contains(&minutes) => "in 5 minutes",
        Some(minutes) if minutes <= 0.0 => "at once",
        Some(minutes) => panic!("{minutes}"),
    };
    let transport = match cells[4] {
        "-1" => "goes on",
        "0" => "pauses: tried every minute",
        _ => "pauses: tried after 1, 2, 4, 8, 15 minutes",
    };
    vec![
        ("state", cells[0].to_owned()),
        ("tries", cells[1].to_owned()),
        ("next try", next_try.to_owned()),
        ("notice", cells[3].to_owned()),
        ("transport", transport.to_owned()),
    ]
}

#[tokio::test]
async fn each_outcome_leaves_what_the_table_says() {
    let rows = outcomes();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let outcome = row[0].1;
        let (name, settings) = met_by(outcome);
        let shop = customers(&[name]).await;
        let server = Server::start(&shop, &[]);
        configure(&shop, &with(&mail(server.port, settings), settings));
        let now = "2025-06-05T10:00:00Z";
        shop.deliver(named(now)).await.unwrap();
        for cell in left(&shop, now).await {
            let (column, found) = cell;
            let (_, expected) = row.iter().find(|(name, _)| *name == column).unwrap();
            assert_eq!(found, *expected, "{outcome}: {column}");
        }
        // Whatever is to be sent again is sent to a server that is well.
        configure(&shop, &mail(server.port, ""));
        shop.deliver(named("2025-06-05T10:06:01Z")).await.unwrap();
        let (_, again) = row.iter().find(|(name, _)| *name == "sent again").unwrap();
        let state = "SELECT state FROM messages";
        let expected = match *again {
            "never" => ["sent"],
            again if again.starts_with("if somebody says so") => [row[1].1],
            _ => ["sent"],
        };
        assert_eq!(shop.rows(state).await, expected, "{outcome}");
        assert_eq!(
            shop.rows("SELECT count(*) FROM mail_pause").await,
            ["0"],
            "{outcome}"
        );
        server.stop();
    }
}

/// A run that the daemon began.
fn daemons(time: &str) -> When {
    let now = at(time);
    When::of_slot(jobs::job(JobName::Deliver), now, now, now)
}

/// A pause as it is kept: since when, how many faults, the next try.
const PAUSE: &str = "SELECT since, faults, next_try_at FROM mail_pause";

#[tokio::test]
async fn the_daemon_leaves_a_server_that_refuses_it_alone_for_longer_and_longer() {
    let shop = customers(&["ada", "bob"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &with(&mail(server.port, REFUSED), REFUSED));
    let micros = |time: &str| at(&format!("2025-06-05T{time}Z")).timestamp_micros();
    for (time, is_tried, faults, next) in [
        ("10:00:00", true, 1, "10:01:00"),
        ("10:00:30", false, 1, "10:01:00"),
        ("10:01:00", true, 2, "10:03:00"),
        ("10:02:00", false, 2, "10:03:00"),
        // A slot does not begin on the second.
        ("10:02:58", true, 3, "10:06:58"),
        ("10:06:58", true, 4, "10:14:58"),
        ("10:14:58", true, 5, "10:29:58"),
        ("10:29:58", true, 6, "10:44:58"),
        ("10:40:00", false, 6, "10:44:58"),
    ] {
        let when = daemons(&format!("2025-06-05T{time}Z"));
        let done = shop.deliver(when).await.unwrap();
        assert_eq!(done.problem.is_some(), is_tried, "{time}");
        assert_eq!(done.get("paused"), u64::from(!is_tried), "{time}");
        let expected = format!("{}|{faults}|{}", micros("10:00:00"), micros(next));
        assert_eq!(shop.rows(PAUSE).await, [expected], "{time}");
    }
    let told = String::from_utf8(shop.run_to(0, &["status"]).stdout).unwrap();
    let line = told.lines().find(|line| line.starts_with("mail ")).unwrap();
    for part in [
        "paused since 2025-06-05 10:00:00: ",
        "the sender is refused: ",
        "; tried again at 2025-06-05 10:44:58",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let json = shop.run_to(0, &["status", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["mail_paused_since"], "2025-06-05T10:00:00+00:00");
    // A person is not made to wait; neither is cron.
    configure(&shop, &mail(server.port, ""));
    shop.deliver(by_clock("2025-06-05T10:41:00Z"))
        .await
        .unwrap();
    assert_eq!(recipients(&shop), ["ada@example.com", "bob@example.com"]);
    assert_eq!(shop.rows(PAUSE).await, [""; 0]);
    // Ops are told how long it was, once.
    for minute in ["42", "43"] {
        let when = daemons(&format!("2025-06-05T10:{minute}:00Z"));
        shop.deliver(when).await.unwrap();
    }
    server.stop();
    assert_eq!(recipients(&shop)[2..], ["ops@example.com"]);
}

#[tokio::test]
async fn nodes_add_to_one_pause() {
    // On SQLite one run delivers at a time.
    let shop = Shop::on(Engine::Postgres, "");
    let shop = customers_of(shop, &["ada", "bob", "cyd", "dan", "eve"]).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    configure(&shop, &mail(port, ""));
    let slow = shop.open().await;
    let running = tokio::spawn(async move {
        let done = jobs::deliver(&slow, named("2025-06-05T10:01:00Z")).await;
        slow.store.close().await;
        done.unwrap()
    });
    // It has begun when nothing was known against the server.
    let (connection, _) = silent.accept().await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    configure(&shop, &mail(closed.local_addr().unwrap().port(), ""));
    drop(closed);
    let done = shop.deliver(named("2025-06-05T10:02:00Z")).await.unwrap();
    assert!(done.problem.is_some());
    drop((connection, silent));
    assert!(running.await.unwrap().problem.is_some());
    let micros = |time: &str| at(&format!("2025-06-05T{time}Z")).timestamp_micros();
    let expected = format!("{}|0|{}", micros("10:02:00"), micros("10:02:00"));
    assert_eq!(shop.rows(PAUSE).await, [expected]);
}

/// A run of a node with a server of its own.
async fn node(shop: &Shop, port: u16, time: &'static str) -> JoinHandle<Outcome> {
    configure(shop, &mail(port, ""));
    let open = shop.open().await;
    tokio::spawn(async move {
        let done = jobs::deliver(&open, named(time)).await;
        open.store.close().await;
        done.unwrap()
    })
}

#[tokio::test]
async fn a_node_ends_a_pause_while_another_finds_a_fault() {
    let micros = |time: &str| at(&format!("2025-06-05T{time}Z")).timestamp_micros();
    let (since, next) = (micros("09:00:00"), micros("10:00:00"));
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let anew = format!("{}|0|{}", micros("10:02:00"), micros("10:03:00"));
    for (ends_first, left) in [(true, vec![anew]), (false, Vec::new())] {
        // On SQLite one run delivers at a time.
        let shop = customers_of(Shop::on(Engine::Postgres, ""), &["ada", "bob"]).await;
        let server = Server::start(&shop, &[]);
        let closed = free_port();
        shop.execute(&format!(
            "INSERT INTO mail_pause VALUES (1, {since}, 'down', 3, {next}); \
             UPDATE notices SET disposition = 'held', cause = 'feed' WHERE ref = 'U-bob'"
        ))
        .await;
        let (well, faulty) = (
            (server.port, "2025-06-05T10:01:00Z"),
            (closed, "2025-06-05T10:02:00Z"),
        );
        let (one, other) = match ends_first {
            true => (well, faulty),
            false => (faulty, well),
        };
        let mut block = shop.connection().await;
        block
            .rows("BEGIN; LOCK TABLE mail_pause IN EXCLUSIVE MODE")
            .await;
        let one = node(&shop, one.0, one.1).await;
        shop.until(waiting, &["1"]).await;
        shop.execute(
            "UPDATE notices SET disposition = 'queued', cause = NULL WHERE cause = 'feed'",
        )
        .await;
        let other = node(&shop, other.0, other.1).await;
        shop.until(waiting, &["2"]).await;
        block.rows("ROLLBACK").await;
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!(one.problem.is_some(), !ends_first);
        assert_eq!(other.problem.is_some(), ends_first);
        // What the later one found holds; ops are told of the one that ended.
        assert_eq!(shop.rows(PAUSE).await, left, "{ends_first}");
        let told = "SELECT count(*) FROM messages WHERE kind = 'ops'";
        assert_eq!(shop.rows(told).await, ["1"], "{ends_first}");
        server.stop();
    }
}

#[tokio::test]
async fn a_node_at_work_adds_to_the_fault_of_another_or_ends_its_pause() {
    let micros = |time: &str| at(&format!("2025-06-05T{time}Z")).timestamp_micros();
    let added = format!("{}|0|{}", micros("10:02:00"), micros("10:02:00"));
    for (is_well, left) in [(true, Vec::new()), (false, vec![added])] {
        let shop = customers(&["ada"]).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let running = node(&shop, port, "2025-06-05T10:01:00Z").await;
        let at_hand = "SELECT count(*) FROM messages WHERE state = 'sending'";
        shop.until(at_hand, &["1"]).await;
        // It has begun when nothing was known against the server.
        let other = shop.open().await;
        let mut tx = other.store.write().await.unwrap();
        let pause = MailPause {
            since: at("2025-06-05T10:02:00Z"),
            cause: "down".to_owned(),
            refusals: 1,
            next_try_at: at("2025-06-05T10:03:00Z"),
        };
        store::mail_pause_write(&mut tx, &pause).await.unwrap();
        tx.commit().await.unwrap();
        other.store.close().await;
        let silent_at = if is_well { ANSWERS.len() } else { 0 };
        let serving = tokio::task::spawn_blocking(move || drop(heard(&listener, silent_at)));
        serving.await.unwrap();
        let done = running.await.unwrap();
        assert_eq!(done.problem.is_none(), is_well);
        assert_eq!(shop.rows(PAUSE).await, left, "{is_well}");
    }
}

#[tokio::test]
async fn a_short_pause_is_not_told_and_a_new_one_begins_anew() {
    let shop = customers(&["last-ada", "mia", "zoe"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    // It goes down after the first message.
    let done = shop.deliver(daemons("2025-06-05T10:00:00Z")).await.unwrap();
    assert!(done.problem.is_some());
    assert_eq!(taken(&shop).len(), 1);
    server.stop();
    let paused = shop.rows("SELECT faults, cause FROM mail_pause").await;
    assert!(
        paused[0].starts_with("0|421 4.3.2 going down"),
        "{paused:?}"
    );
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    for minute in ["01", "02"] {
        let when = daemons(&format!("2025-06-05T10:{minute}:00Z"));
        shop.deliver(when).await.unwrap();
    }
    server.stop();
    assert_eq!(taken(&shop).len(), 3);
    assert_eq!(shop.rows(PAUSE).await, [""; 0]);
    let tries = "SELECT DISTINCT state, tries FROM messages";
    assert_eq!(shop.rows(tries).await, ["sent|1"]);
}
