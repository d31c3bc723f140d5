//! Logs: a line an event for people, JSON or the journal for machines.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Output;

use serde_json::Value;

use crate::shop::{Engine, Shop, one_unit, stderr};

async fn shop() -> Shop {
    let shop = Shop::on(Engine::Sqlite, "");
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop
}

const ENFORCE: [&str; 4] = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];

fn logged(shop: &Shop, options: &[&str], filter: Option<&str>) -> Output {
    let args = [&ENFORCE[..], options].concat();
    let mut command = shop.command(&args);
    command.env_remove("RUST_LOG");
    if let Some(filter) = filter {
        command.env("RUST_LOG", filter);
    }
    command.output().unwrap()
}

#[tokio::test]
async fn a_line_of_json_is_an_event() {
    let shop = shop().await;
    let output = logged(&shop, &["--log", "json", "-v"], None);
    let events: Vec<Value> = stderr(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let ran = events.iter().find(|event| event["message"] == "ran");
    let ran = ran.unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(
        (&ran["job"], &ran["state"]),
        (&"enforce".into(), &"done".into())
    );
    assert_eq!(
        (&ran["level"], &ran["target"]),
        (&"INFO".into(), &"warrantyd::jobs::run".into())
    );
    assert!(ran["timestamp"].is_string());
    // The last word is an event, too.
    let output = shop.run_to(2, &["--log", "json", "run", "enforce", "--at", "soon"]);
    let last: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(last["level"], "ERROR");
    let told = last["error"].as_str().unwrap();
    assert!(told.starts_with("--at: found `soon`"), "{told}");
}

#[tokio::test]
async fn more_is_logged_where_it_is_wished() {
    let shop = shop().await;
    for (options, filter, logs) in [
        (&[][..], None, [false, false, false]),
        (&["-v"], None, [true, true, false]),
        (&["-vv"], None, [true, true, true]),
        // What the environment says holds.
        (&["-v"], Some("warrantyd=info"), [true, false, false]),
        (&[], Some("warrantyd=trace"), [true, true, true]),
    ] {
        let log = stderr(&logged(&shop, options, filter));
        let found = [" INFO ", "DEBUG ", "TRACE "].map(|level| log.contains(level));
        assert_eq!(found, logs, "{options:?} {filter:?}: {log}");
        // Enforced anew each time.
        shop.execute("UPDATE agenda SET next_at = 0").await;
        shop.execute("DELETE FROM deadlines").await;
    }
}

/// A machine of its own, as far as the journal's socket is concerned: the
/// directory named first is where others find it.
const ELSEWHERE: &str = r#"mount -t tmpfs none /run && mkdir -p /run/systemd/journal &&
    touch /run/systemd/journal/socket && mount --bind "$0/journal" /run/systemd/journal/socket &&
    exec "$@""#;

/// The same, where stderr is a file that systemd names as the journal's.
const UNDER_SYSTEMD: &str = r#"exec 2>log; export JOURNAL_STREAM="$(stat -L -c %d:%i log)"
    exec "$@""#;

/// The fields of the entries that a journal took. A value on several lines has
/// its length in front of it, in 8 bytes.
fn entries(journal: &UnixDatagram) -> Vec<BTreeMap<String, String>> {
    let mut entries = Vec::new();
    let mut packet = vec![0; 1 << 16];
    while let Ok(length) = journal.recv(&mut packet) {
        let mut left = &packet[..length];
        let mut entry = BTreeMap::new();
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (String::from_utf8_lossy(&left[..end]), &left[end + 1..]);
            let (name, value, rest) = match line.split_once('=') {
                Some((name, value)) => (name, value.to_owned(), rest),
                None => {
                    let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                    let value = String::from_utf8_lossy(&rest[8..8 + length]);
                    (&*line, value.into_owned(), &rest[9 + length..])
                }
            };
            entry.insert(name.to_owned(), value);
            left = rest;
        }
        if !entry.is_empty() {
            entries.push(entry);
        }
    }
    entries
}

#[tokio::test]
async fn the_journal_gets_fields_and_priorities() {
    let shop = shop().await;
    let journal = UnixDatagram::bind(shop.path("journal")).unwrap();
    journal.set_nonblocking(true).unwrap();
    let dir = shop.dir().to_str().unwrap();
    let by = ["unshare", "-rm", "bash", "-c", ELSEWHERE, dir];
    let enforce = [&ENFORCE[..], &["--log", "journald", "-v"]].concat();
    let output = shop.command_by(&by, &enforce).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(&output), "");
    let taken = entries(&journal);
    let ran = taken.iter().find(|entry| entry["MESSAGE"] == "ran");
    let ran = ran.unwrap_or_else(|| panic!("{taken:?}"));
    let field = |name: &str| ran.get(name).map(String::as_str);
    assert_eq!(field("PRIORITY"), Some("6"));
    assert_eq!(field("SYSLOG_IDENTIFIER"), Some("warrantyd"));
    assert_eq!(field("WARRANTYD_JOB"), Some("enforce"));
    assert_eq!(field("WARRANTYD_STATE"), Some("done"));
    // systemd says that stderr is the journal: what is wrong is an error there.
    let by = [&by[..], &["bash", "-c", UNDER_SYSTEMD, "bash"]].concat();
    let wrong = ["run", "enforce", "--at", "soon"];
    let output = shop.command_by(&by, &wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(std::fs::read_to_string(shop.path("log")).unwrap(), "");
    let taken = entries(&journal);
    assert_eq!(
        (taken.len(), taken[0]["PRIORITY"].as_str()),
        (1, "3"),
        "{taken:?}"
    );
}

#[tokio::test]
async fn without_a_journal_logs_go_to_stderr() {
    let shop = shop().await;
    let no_journal = "mount -t tmpfs none /run && exec \"$@\"";
    let by = ["unshare", "-rm", "bash", "-c", no_journal, "bash"];
    let enforce = [&ENFORCE[..], &["--log", "journald"]].concat();
    let output = shop.command_by(&by, &enforce).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stderr(&output).contains("the journal cannot be reached"),
        "{output:?}"
    );
}
