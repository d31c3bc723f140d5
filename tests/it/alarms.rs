//! What ops are told of by mail, and a monitor outside.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mail_parser::MessageParser;
use warrantyd::jobs;

use crate::clocks::start_with;
use crate::daemon::{Daemon, all_off_but, every_second};
use crate::nodes::until;
use crate::observe::{LISTEN, get};
use crate::reconnect::{server, shop_on};
use crate::recovery::wrong_by;
use crate::shop::{CLAIMS, FILE_MAIL, ORDERS, PATIENCE, Shop, UNITS, at, named, one_unit, stderr};

/// The lasting alarms, by name.
async fn look(shop: &Shop, now: &str) -> Vec<String> {
    let open = shop.open().await;
    let late = |_: &jobs::Job, _| None;
    let lasting = jobs::alarms(&open, at(now), late).await.unwrap();
    open.store.close().await;
    lasting.into_iter().map(|alarm| alarm.name).collect()
}

const TOLD: &str = "SELECT recipient, subject FROM messages WHERE kind = 'ops' ORDER BY id";

fn with_reports(mail: &str) -> String {
    format!("[reports]\ndir = \"reports\"\n{mail}")
}

async fn failed_run(shop: &Shop, job: &str, finished_at: &str) {
    let at = at(finished_at).timestamp_micros();
    shop.execute(&format!(
        "INSERT INTO job_runs (job, state, started_at, finished_at, error) \
         VALUES ('{job}', 'failed', {at}, {at}, 'no room')"
    ))
    .await;
}

async fn good_run(shop: &Shop, job: &str, counts: &str) {
    shop.execute(&format!(
        "INSERT INTO job_runs (job, state, started_at, finished_at, counts) \
         VALUES ('{job}', 'done', 1, 1, '{counts}')"
    ))
    .await;
}

#[tokio::test]
async fn a_job_that_fails_is_told_once_and_that_it_is_well_again() {
    let shop = Shop::new(&with_reports(FILE_MAIL));
    shop.open().await.store.close().await;
    failed_run(&shop, "enforce", "2025-06-05T09:00:00Z").await;
    assert_eq!(look(&shop, "2025-06-05T09:09:00Z").await, [""; 0]);
    failed_run(&shop, "enforce", "2025-06-05T09:05:00Z").await;
    for minute in [10, 11, 12] {
        let now = format!("2025-06-05T09:{minute}:00Z");
        assert_eq!(look(&shop, &now).await, ["enforce fails"]);
    }
    let told = ["ops@example.com|Alarm: enforce fails"];
    assert_eq!(shop.rows(TOLD).await, told);
    let status = String::from_utf8(shop.run_to(0, &["status"]).stdout).unwrap();
    assert!(
        status.contains("enforce fails, noticed at 2025-06-05 09:10"),
        "{status}"
    );

    shop.deliver(named("2025-06-05T09:12:00Z")).await.unwrap();
    good_run(&shop, "enforce", "{}").await;
    for now in ["2025-06-05T10:00:00Z", "2025-06-05T10:14:00Z"] {
        assert_eq!(look(&shop, now).await, [""; 0]);
        assert_eq!(shop.rows(TOLD).await, told);
    }
    look(&shop, "2025-06-05T10:15:00Z").await;
    assert_eq!(
        shop.rows(TOLD).await,
        [told[0], "ops@example.com|Over: enforce fails"]
    );
    look(&shop, "2025-06-05T10:45:00Z").await;
    assert_eq!(shop.rows("SELECT name FROM alarms").await, [""; 0]);

    // As ops read it.
    let mails = std::fs::read_dir(shop.path("outbox")).unwrap();
    let text = |path| {
        let raw = std::fs::read(path).unwrap();
        let mail = MessageParser::default().parse(&raw).unwrap();
        let text = mail.body_text(0).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mails: Vec<String> = mails.map(|mail| text(mail.unwrap().path())).collect();
    let alarm = mails.iter().find(|mail| mail.contains("enforce fails"));
    let alarm = alarm.unwrap();
    let told = "noticed at 2025-06-05 09:10. Its runs have failed since 2025-06-05 09:00: no room.";
    assert!(alarm.contains(told), "{alarm}");
}

#[tokio::test]
async fn an_address_of_the_shop_that_mail_comes_back_from_is_told() {
    let shop = Shop::new(&with_reports(FILE_MAIL));
    shop.open().await.store.close().await;
    shop.execute(
        "INSERT INTO messages (message_id, kind, audience, recipient, subject, state, composed_at) \
         VALUES ('<1@example.com>', 'notices', 'manager', 'manager@example.com', 'x', 'failed', 1)",
    )
    .await;
    let bounce = |name: &str, address: &str| {
        format!(
            "INSERT INTO bounces (fingerprint, message_id, address, kind, diagnostic, recorded_at) \
             VALUES ('{name}', 1, '{address}', 'hard', 'gone', 1)"
        )
    };
    shop.execute(&bounce("customer", "ada@example.com")).await;
    assert_eq!(look(&shop, "2025-06-05T09:00:00Z").await, [""; 0]);
    shop.execute(&bounce("manager", "manager@example.com"))
        .await;
    assert_eq!(
        look(&shop, "2025-06-05T09:01:00Z").await,
        ["mail to manager@example.com comes back"]
    );
}

#[tokio::test]
async fn mail_inside_the_shop_that_waits_is_told_and_customers_is_not() {
    let shop = Shop::new(&with_reports(FILE_MAIL));
    shop.open().await.store.close().await;
    let composed = at("2025-06-05T09:00:00Z").timestamp_micros();
    let message = |nth: u8, audience: &str| {
        format!(
            "INSERT INTO messages \
               (message_id, kind, audience, recipient, subject, state, composed_at) \
             VALUES ('<{nth}@example.com>', 'notices', '{audience}', 'a@example.com', 'x', \
                     'ready', {composed})"
        )
    };
    shop.execute(&message(1, "customer")).await;
    assert_eq!(look(&shop, "2025-06-05T11:00:00Z").await, [""; 0]);
    shop.execute(&message(2, "lead")).await;
    assert_eq!(look(&shop, "2025-06-05T10:00:00Z").await, [""; 0]);
    assert_eq!(
        look(&shop, "2025-06-05T10:00:01Z").await,
        ["mail inside the shop waits"]
    );
}

#[tokio::test]
async fn windows_without_a_start_are_counted_by_the_report_and_told_when_they_are_more() {
    let shop = Shop::new(&with_reports(FILE_MAIL));
    let orders = "O-1,K-1,Ada,ada@example.com,2025-01-01,,EUR,100.00\n";
    let units = "U-1,O-1,Lamp,hardware,,\n";
    let claims = "C-1,U-1,repair,2025-06-01T09:00:00Z,,,2025-06-01T10:00:00Z,,,,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{orders}")),
        ("units.csv", format!("{UNITS}{units}")),
        ("claims.csv", format!("{CLAIMS}{claims}")),
    ])
    .await;
    let report = ["run", "report", "--at", "2025-06-05T06:00:00Z"];
    shop.run_to(0, &report);
    let exceptions = shop.run_to(0, &["report", "exceptions", "--at", "2025-06-05T06:00:00Z"]);
    let exceptions = String::from_utf8(exceptions.stdout).unwrap();
    assert!(exceptions.contains("missing_receipt"), "{exceptions}");
    let told = ["windows have no start"];
    assert_eq!(look(&shop, "2025-06-05T09:00:00Z").await, told);
    // As many as the day before.
    shop.run_to(0, &report);
    assert_eq!(look(&shop, "2025-06-05T09:10:00Z").await, [""; 0]);
}

/// A monitor that answers everybody, and what it was asked for.
fn monitor() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, asks) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            // Up to the empty line.
            lines.find(String::is_empty);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _gone = (&stream).write_all(answer);
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            if asked.send(path).is_err() {
                return;
            }
        }
    });
    (address, asks)
}

fn next(asks: &Receiver<String>) -> String {
    asks.recv_timeout(PATIENCE).unwrap()
}

#[tokio::test]
async fn the_monitor_is_called_after_each_run_and_a_dead_one_disturbs_none() {
    let (address, asks) = monitor();
    let urls = format!(
        "[alarms]\nping_url = \"{address}/ping/{{job}}\"\nfail_url = \"{address}/fail/{{job}}\"\n"
    );
    let shop = Shop::new(&format!("{urls}{}", with_reports("")));
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop.run_to(0, &["run", "enforce"]);
    assert_eq!(next(&asks), "/ping/enforce");
    // There is no way out for mail.
    shop.run_to(2, &["run", "deliver"]);
    assert_eq!(next(&asks), "/fail/deliver");
    drop(asks);

    let nobody = "[alarms]\nping_url = \"http://127.0.0.1:1/secret/{job}\"\n";
    let shop = Shop::new(nobody);
    let ran = shop.run_to(0, &["run", "enforce"]);
    let said = stderr(&ran);
    assert!(said.contains("the monitor was not told"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn jobs_that_share_an_address_are_well_together() {
    let (address, asks) = monitor();
    let urls = format!("[alarms]\nping_url = \"{address}/ping\"\nfail_url = \"{address}/fail\"\n");
    let shop = Shop::new(&format!("{urls}{}", with_reports(FILE_MAIL)));
    shop.open().await.store.close().await;
    failed_run(&shop, "report", "2025-06-05T09:00:00Z").await;
    assert_eq!(look(&shop, "2025-06-05T10:00:00Z").await, ["report fails"]);
    shop.run_to(0, &["run", "enforce"]);
    good_run(&shop, "report", "{}").await;
    look(&shop, "2025-06-05T10:01:00Z").await;
    shop.run_to(0, &["run", "deliver"]);
    assert_eq!(next(&asks), "/ping");
    assert!(asks.try_recv().is_err(), "told while an alarm lasted");
}

#[tokio::test]
async fn the_daemon_calls_the_monitor() {
    let (address, asks) = monitor();
    let url = format!("[alarms]\nping_url = \"{address}/{{job}}\"\n");
    let shop = Shop::new(&format!("{url}{}", every_second()));
    let mut daemon = Daemon::start(&shop);
    assert_eq!(next(&asks), "/enforce");
    daemon.wait_for(" ran ");
    daemon.terminate();
    daemon.ended();
}

#[tokio::test]
async fn a_database_that_is_away_is_told_to_the_monitor_and_to_whoever_asks() {
    let (monitor, asks) = monitor();
    let urls = format!(
        "[alarms]\nping_url = \"{monitor}/ping/{{job}}\"\nfail_url = \"{monitor}/fail/{{job}}\"\n"
    );
    let server = server().await;
    let shop = shop_on(&server, &format!("{LISTEN}{urls}{}", all_off_but(&[])));
    // The minute after which it looks again has two seconds.
    let daemon = start_with(&shop, "UTC", &format!("{} x30", wrong_by(0)), &[]);
    // To a clock this fast, a slow start may be a failure and an answer late:
    // its two seconds are a moment.
    while next(&asks) != "/ping/alarms" {}
    let line = daemon.line("metrics are served");
    let address = line.split_once("address=").unwrap().1.trim();
    let is_ready = || get(address, "/readyz").0 == 200;
    until("its readiness", is_ready).await;
    server.stop();
    while next(&asks) != "/fail/alarms" {}
    assert_eq!(get(address, "/readyz").0, 503);
    let said = stderr(&shop.run_to(1, &["status"]));
    assert!(said.contains("cannot open the database"), "{said}");
    server.start();
    while next(&asks) != "/ping/alarms" {}
    until("its readiness", is_ready).await;
    daemon.ended().await;
}
