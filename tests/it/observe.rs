//! What monitoring reads from the real daemon, by a parser that is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use warrantyd::clock::{self, Stopwatch};
use warrantyd::config::JobName;
use warrantyd::jobs;

use crate::columns::rows;
use crate::daemon::{Daemon, all_off_but};
use crate::shop::{CLAIMS, Engine, FILE_MAIL, LOOK_AGAIN, PATIENCE, Shop, one_unit, stderr};

/// A free port of this machine.
pub const LISTEN: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

/// Waits until the daemon answers, and says where.
pub fn address(daemon: &mut Daemon) -> String {
    let line = daemon.wait_for("metrics are served");
    let (_, address) = line.split_once("address=").unwrap();
    address.trim().to_owned()
}

/// The status and the body of an answer.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if path == "/metrics" {
        assert!(
            head.contains("application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
    }
    (status, body.to_owned())
}

#[derive(Debug, Deserialize)]
struct Family {
    r#type: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// What the daemon says of itself, read by others.
#[derive(Debug)]
pub struct Metrics(BTreeMap<String, Family>);

impl Metrics {
    pub fn of(address: &str) -> Self {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200, "{text}");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut python = Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/read_metrics.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is no Python: run `bash tests/run.sh`");
        let mut input = python.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        let read = python.wait_with_output().unwrap();
        assert!(read.status.success(), "{}\n{text}", stderr(&read));
        Self(serde_json::from_slice(&read.stdout).unwrap())
    }

    /// The value of a sample, whose labels hold these.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut samples = self.0.values().flat_map(|family| &family.samples);
        let is_it = |(found, of, _): &&(String, BTreeMap<String, String>, f64)| {
            let mut labels = labels.iter();
            found == name && labels.all(|(key, value)| of.get(*key).is_some_and(|of| of == value))
        };
        samples.find(is_it).map(|(_, _, value)| *value)
    }

    /// As the manual lists them: name, type, labels.
    fn listed(&self) -> BTreeSet<[String; 3]> {
        let listed = |(family, found): (&String, &Family)| {
            let suffix = match found.r#type.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let labels = found
                .samples
                .iter()
                .flat_map(|(_, labels, _)| labels.keys());
            let labels: BTreeSet<String> = labels
                .filter(|label| *label != "le")
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
            [format!("{family}{suffix}"), found.r#type.clone(), labels]
        };
        self.0.iter().map(listed).collect()
    }
}

/// Waits until a sample has a value.
fn until(
    address: &str,
    name: &str,
    labels: &[(&str, &str)],
    is_it: impl Fn(f64) -> bool,
) -> Metrics {
    let since = Stopwatch::start();
    loop {
        let metrics = Metrics::of(address);
        if metrics.get(name, labels).is_some_and(&is_it) {
            return metrics;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{name} {labels:?}: {metrics:#?}"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// `enforce` and `deliver` every second; a repair of which a lead is told.
async fn busy() -> Shop {
    let every_second = "schedule = \"* * * * * *\"\n";
    let others = all_off_but(&["enforce", "deliver"]);
    let jobs = format!("[jobs.enforce]\n{every_second}[jobs.deliver]\n{every_second}{others}");
    let shop = Shop::new(&format!("{LISTEN}{FILE_MAIL}{jobs}"));
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let claim = "C-1,U-1,repair,2025-06-01T09:00:00Z,,,2025-06-01T10:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{claim}"));
    shop.import(&[orders, units, claims]).await;
    shop
}

#[tokio::test]
async fn what_the_daemon_does_can_be_measured() {
    let shop = busy().await;
    let mut daemon = Daemon::start(&shop);
    let address = address(&mut daemon);
    daemon.wait_for(" ran ");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&address, path), (200, "ok\n".to_owned()), "{path}");
    }
    assert_eq!(get(&address, "/").0, 404);
    let sent = [("outcome", "delivered")];
    let metrics = until(&address, "warrantyd_mail_outcomes_total", &sent, |n| {
        n >= 1.0
    });
    let enforce = ("job", "enforce");
    let all = |name, labels: &[(&str, &str)]| metrics.get(name, labels).unwrap();
    assert_eq!(all("warrantyd_database_up", &[]), 1.0);
    assert!(all("warrantyd_runs_total", &[enforce, ("state", "done")]) >= 1.0);
    assert!(all("warrantyd_run_duration_seconds_count", &[enforce]) >= 1.0);
    assert!(all("warrantyd_run_lag_seconds_count", &[enforce]) >= 1.0);
    assert_eq!(
        all("warrantyd_items_total", &[enforce, ("kind", "found")]),
        1.0
    );
    assert_eq!(all("warrantyd_cases_due", &[]), 0.0);
    let newest = all("warrantyd_job_last_success_timestamp_seconds", &[enforce]);
    let enforced = all("warrantyd_enforced_until_timestamp_seconds", &[]);
    assert!(
        (0.0..60.0).contains(&(newest - enforced)),
        "{newest} {enforced}"
    );
    assert!(all("warrantyd_job_late_seconds", &[enforce]) < 60.0);
    // What is off is not late.
    let import = [("job", "import")];
    assert_eq!(metrics.get("warrantyd_job_late_seconds", &import), None);
    // The shop's history begins with the import's own time.
    assert_eq!(
        all("warrantyd_last_import_timestamp_seconds", &[]),
        1_735_689_600.0
    );
    assert_eq!(metrics.listed(), documented());
    daemon.terminate();
    daemon.ended();
}

#[tokio::test]
async fn a_run_lags_behind_its_start_and_not_its_slot() {
    let shop = Shop::new(FILE_MAIL);
    let open = shop.open().await;
    let starts_at = clock::now();
    let slot_at = starts_at - TimeDelta::hours(1);
    let enforce = JobName::Enforce;
    jobs::plan_slots(&open, enforce, &[slot_at]).await.unwrap();
    let owed = jobs::slots_owed(&open, starts_at).await.unwrap();
    assert!(jobs::run_slot(&open, owed[0], starts_at).await.unwrap());
    let mut registry = Registry::default();
    open.tally.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let sum = text
        .lines()
        .find(|line| line.starts_with("run_lag_seconds_sum"));
    let (_, lag) = sum.unwrap().split_once(' ').unwrap();
    assert!(lag.parse::<f64>().unwrap() < 600.0, "{lag}");
    open.store.close().await;
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_name(c));
    words
        .filter(|word| word.starts_with("warrantyd_"))
        .collect()
}

#[test]
fn alerts_are_on_metrics_that_there_are() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let manual = fs::read_to_string(manual).unwrap();
    let alerts = rows(&manual, "| condition | it means | do |");
    assert!(alerts.len() > 10);
    let known: BTreeSet<String> = documented().into_iter().map(|[name, ..]| name).collect();
    for name in alerts.iter().flat_map(|cells| named(&cells[0])) {
        assert!(known.contains(name.trim_end_matches("_bucket")), "{name}");
    }
}

/// The manual's table of metrics.
fn documented() -> BTreeSet<[String; 3]> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let manual = fs::read_to_string(manual).unwrap();
    let listed = |cells: Vec<String>| {
        let [name, kind, labels, meaning] = cells.try_into().unwrap();
        assert!(!meaning.is_empty(), "{name}");
        let labels = match labels.as_str() {
            "" => labels,
            // The cell's outer marks were taken off.
            _ => format!("`{labels}`"),
        };
        [name, kind, labels]
    };
    let rows = rows(&manual, "| metric | type | labels | meaning |");
    rows.into_iter().map(listed).collect()
}

#[tokio::test]
async fn what_waits_and_what_guards_is_measured() {
    let shop = busy().await;
    shop.write(
        "warrantyd.toml",
        format!(
            "{}{LISTEN}{FILE_MAIL}{}",
            crate::shop::CONFIG,
            all_off_but(&[])
        ),
    );
    shop.execute(
        "INSERT INTO messages (message_id, kind, audience, recipient, subject, state, composed_at, \
                               next_try_at) \
         VALUES ('a', 'ops', 'ops', 'a@example.com', 'A', 'ready', 0, 1000000), \
                ('b', 'ops', 'ops', 'a@example.com', 'A', 'uncertain', 0, NULL), \
                ('c', 'ops', 'ops', 'a@example.com', 'A', 'sent', 0, NULL)",
    )
    .await;
    for sql in [
        "INSERT INTO mail_pause (id, since, cause, faults, next_try_at) VALUES (1, 0, 'down', 1, 0)",
        "UPDATE enforcement SET held_since = 0, feed_died_at = 0, restored_at = 0, backup_at = 0",
        "INSERT INTO bounces (fingerprint, message_id, address, kind, diagnostic, recorded_at) \
         SELECT 'f', min(id), 'manager@example.com', 'hard', 'gone', 0 FROM messages",
        "INSERT INTO job_runs (job, state, started_at, finished_at, slot_at) \
         VALUES ('enforce', 'done', 1000000, 2000000, 0), ('enforce', 'failed', 5000000, 6000000, 1)",
    ] {
        shop.execute(sql).await;
    }
    let mut daemon = Daemon::start(&shop);
    let metrics = until(&address(&mut daemon), "warrantyd_database_up", &[], |up| {
        up == 1.0
    });
    for (name, labels, expected) in [
        ("warrantyd_cases_due", &[][..], 1.0),
        // A fact that changed has no time.
        ("warrantyd_cases_oldest_due_seconds", &[], 0.0),
        ("warrantyd_messages", &[("state", "ready")], 1.0),
        ("warrantyd_messages", &[("state", "uncertain")], 1.0),
        ("warrantyd_messages", &[("state", "failed")], 0.0),
        ("warrantyd_mail_paused", &[], 1.0),
        ("warrantyd_guard_on", &[("guard", "clock")], 1.0),
        ("warrantyd_guard_on", &[("guard", "feed")], 1.0),
        ("warrantyd_guard_on", &[("guard", "restored")], 1.0),
        ("warrantyd_notices_held", &[("cause", "surge")], 0.0),
        ("warrantyd_contacts_undeliverable", &[], 1.0),
        (
            "warrantyd_job_last_success_timestamp_seconds",
            &[("job", "enforce")],
            2.0,
        ),
    ] {
        assert_eq!(
            metrics.get(name, labels),
            Some(expected),
            "{name} {labels:?}"
        );
    }
    assert_eq!(
        metrics.get("warrantyd_messages", &[("state", "sent")]),
        None
    );
    let oldest = metrics.get("warrantyd_messages_oldest_due_seconds", &[]);
    assert!(oldest > Some(1e9), "{oldest:?}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_waited_for() {
    let shop = Shop::on(Engine::Postgres, &format!("{LISTEN}{}", all_off_but(&[])));
    let mut daemon = Daemon::start(&shop);
    let address = address(&mut daemon);
    let since = Stopwatch::start();
    while get(&address, "/readyz").0 != 200 {
        assert!(since.elapsed() < PATIENCE);
    }
    let mut holder = shop.connection().await;
    holder
        .rows("BEGIN; LOCK TABLE enforcement IN ACCESS EXCLUSIVE MODE")
        .await;
    let metrics = Metrics::of(&address);
    assert_eq!(metrics.get("warrantyd_database_up", &[]), Some(0.0));
    assert_eq!(metrics.get("warrantyd_cases_due", &[]), None);
    assert_eq!(metrics.get("warrantyd_build_info", &[]), Some(1.0));
    assert_eq!(get(&address, "/readyz").0, 503);
    // Nor does a connection wait on for those who asked.
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    shop.until(waiting, &["0"]).await;
    // It is not the daemon's fault.
    assert_eq!(get(&address, "/healthz").0, 200);
    holder.close().await;
    let is_back = until(&address, "warrantyd_database_up", &[], |up| up == 1.0);
    assert_eq!(is_back.get("warrantyd_cases_due", &[]), Some(0.0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let shop = Shop::on(
        Engine::Sqlite,
        &format!("[metrics]\nlisten = \"{listen}\"\n"),
    );
    let told = stderr(&shop.run_to(1, &["daemon"]));
    let expected = format!("error: metrics.listen: {listen}: cannot listen there");
    assert!(told.contains(&expected), "{told}");
}
