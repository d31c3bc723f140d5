//! `doctor`: each thing that is broken has its line, and nothing else has one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output};

use serde_json::Value;
use warrantyd::jobs::JOBS;
use warrantyd::policy::STANDARD;

use crate::shop::{CONFIG, Engine, FILE_MAIL, Shop, named, one_unit};

const REPORTS: &str = "[reports]\ndir = \"reports\"\n";

/// A shop in which all is well.
async fn sound(engine: Engine) -> Shop {
    let shop = Shop::on(engine, &format!("{FILE_MAIL}{REPORTS}"));
    shop.open().await.store.close().await;
    shop
}

fn doctor(shop: &Shop) -> Command {
    shop.command(&["doctor", "--format", "json"])
}

/// What is looked at, how well it stands, and what was found.
type Line = [String; 3];

fn lines(output: &Output) -> Vec<Line> {
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let cell = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let line = |line: &Value| ["what", "health", "found"].map(|name| cell(line, name));
    lines.iter().map(line).collect()
}

/// All that is not well is one line for each that is expected; the exit status
/// fits.
fn assert_finds(output: &Output, expected: &[[&str; 3]]) {
    let found = lines(output);
    let wrong = found.iter().filter(|[_, health, _]| health != "ok");
    let wrong: Vec<&Line> = wrong.collect();
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}, {expected:?}");
    for ([what, health, text], line) in expected.iter().zip(wrong) {
        assert_eq!([what, health], [&line[0], &line[1]], "{line:?}");
        assert!(line[2].contains(text), "{line:?}: {text}");
    }
    let fails = expected.iter().any(|[_, health, _]| *health == "fail");
    assert_eq!(output.status.code(), Some(fails.into()), "{output:?}");
}

#[tokio::test]
async fn all_is_looked_at_where_all_is_well() {
    let shop = sound(Engine::of_this_run()).await;
    let output = doctor(&shop).output().unwrap();
    assert_finds(&output, &[]);
    let found = lines(&output);
    let mut looked_at: Vec<&str> = found.iter().map(|[what, ..]| what.as_str()).collect();
    looked_at.dedup();
    let of_engine = match shop.engine() {
        Engine::Sqlite => &["integrity", "disk"][..],
        Engine::Postgres => &["clock"],
    };
    let before = ["config", "database", "migrations"];
    let after = [
        "directories",
        "time zone",
        "policies",
        "clock",
        "guards",
        "templates",
        "mail",
        "contacts",
        "schedule",
    ];
    assert_eq!(looked_at, [&before[..], of_engine, &after].concat());
    // Five runs of each job that is on.
    let runs = found.iter().filter(|[what, ..]| what == "schedule");
    for (job, [_, _, runs]) in JOBS.iter().zip(runs) {
        let (name, runs) = runs.split_once(": ").unwrap();
        assert_eq!(name, job.name.to_string());
        assert_eq!(runs.split(", ").count(), 5, "{runs}");
    }
    let new_year = [
        ("WARRANTYD_JOBS__IMPORT__ENABLED", "false"),
        ("WARRANTYD_JOBS__ENFORCE__SCHEDULE", "30 23 31 12 *"),
        ("WARRANTYD_JOBS__ENFORCE__TIMEZONE", "Asia/Tokyo"),
    ];
    let found = lines(&doctor(&shop).envs(new_year).output().unwrap());
    let is_off = ["schedule", "ok", "import: off: the daemon does not run it"];
    assert!(found.contains(&is_off.map(str::to_owned)), "{found:?}");
    let enforce = found
        .iter()
        .find(|[_, _, text]| text.starts_with("enforce: "));
    let enforce = &enforce.unwrap()[2];
    assert_eq!(enforce.matches("-12-31 23:30").count(), 5, "{enforce}");
    // When they begin, and not their slots.
    let spread = [("WARRANTYD_JOBS__ENFORCE__JITTER", "10 hours")];
    let spread = doctor(&shop).envs(new_year).envs(spread).output().unwrap();
    let spread = lines(&spread);
    let enforce = spread
        .iter()
        .find(|[.., text]| text.starts_with("enforce: "));
    let enforce = &enforce.unwrap()[2];
    assert_eq!(enforce.split(", ").count(), 5, "{enforce}");
    assert!(enforce.matches("-12-31 23:30").count() < 5, "{enforce}");
}

/// Settings that break something, by what they break.
const SETTINGS: [(&str, &str, [&str; 3]); 6] = [
    (
        "WARRANTYD_CONTACTS__OPS",
        "[]",
        ["contacts", "warn", "no address for: ops"],
    ),
    (
        "WARRANTYD_REPORTS__DIR",
        "/proc/none",
        ["directories", "fail", "reports.dir: /proc: "],
    ),
    (
        "WARRANTYD_IMPORT__DIR",
        "nowhere",
        ["directories", "fail", "nowhere: No such file"],
    ),
    (
        "WARRANTYD_MAIL__DIR",
        "warrantyd.toml",
        ["mail", "fail", "warrantyd.toml: File exists"],
    ),
    (
        "WARRANTYD_POLICY__DIR",
        "nowhere",
        ["policies", "fail", "expected a directory with policy files"],
    ),
    // Its data of UTC is that of Tokyo.
    ("TZDIR", "zones", ["time zone", "warn", "UTC, by data 20"]),
];

#[tokio::test]
async fn each_setting_that_breaks_something_has_its_line() {
    let shop = sound(Engine::of_this_run()).await;
    fs::create_dir(shop.path("zones")).unwrap();
    fs::copy("/usr/share/zoneinfo/Asia/Tokyo", shop.path("zones/UTC")).unwrap();
    for (name, value, expected) in SETTINGS {
        let value = match name {
            "TZDIR" => shop.path(value).display().to_string(),
            _ => value.to_owned(),
        };
        let output = doctor(&shop).env(name, value).output().unwrap();
        assert_finds(&output, &[expected]);
    }
    shop.write("warrantyd.toml", format!("{CONFIG}{FILE_MAIL}"));
    let refuse = "report, compliance_weekly, compliance_monthly refuse to run";
    let output = doctor(&shop).output().unwrap();
    assert_finds(&output, &[["directories", "warn", refuse]]);
}

/// What stands in the database, by what it means.
const ROWS: [(&[&str], [&str; 3]); 9] = [
    (
        &["UPDATE enforcement SET last_at = 4102444800000000"],
        [
            "clock",
            "fail",
            "is before 2100-01-01 00:00:00 UTC, up to when was enforced: set the clock",
        ],
    ),
    (
        &["UPDATE enforcement SET last_at = 1"],
        [
            "clock",
            "warn",
            "`run enforce --at now` says that the clock is right",
        ],
    ),
    (
        &["UPDATE enforcement SET held_since = 0, held_reason = 'the clock went wrong'"],
        [
            "guards",
            "warn",
            "since 1970-01-01 00:00 UTC: the clock went wrong",
        ],
    ),
    (
        &["UPDATE enforcement SET feed_died_at = 0"],
        [
            "guards",
            "warn",
            "no import was completed for import.max_age",
        ],
    ),
    (
        &["UPDATE enforcement SET restored_at = 0, backup_at = 0"],
        [
            "guards",
            "warn",
            "restored at 1970-01-01 00:00 UTC from a backup of 1970-01-01 00:00 UTC",
        ],
    ),
    (
        &["UPDATE notices SET disposition = 'held', cause = 'surge'"],
        ["guards", "warn", "held (1): `mail list --held` shows them"],
    ),
    (
        &[
            "INSERT INTO messages (message_id, kind, audience, recipient, subject, state, composed_at) \
             VALUES ('a', 'ops', 'ops', 'a@example.com', 'A', 'sent', 0)",
            "INSERT INTO bounces (fingerprint, message_id, address, kind, diagnostic, recorded_at) \
             SELECT 'f', min(id), 'manager@example.com', 'hard', 'gone', 0 FROM messages",
        ],
        ["contacts", "warn", "mail to manager@example.com came back"],
    ),
    (
        &["DELETE FROM _sqlx_migrations WHERE version > 3"],
        ["migrations", "warn", "schema 3 is older"],
    ),
    (
        &["UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4"],
        [
            "migrations",
            "fail",
            "schema 9999 is from a newer version of warrantyd",
        ],
    ),
];

#[tokio::test]
async fn each_state_of_the_database_has_its_line() {
    let shop = sound(Engine::of_this_run()).await;
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.execute("UPDATE enforcement SET last_at = NULL").await;
    for (rows, expected) in ROWS {
        let shop = shop.copy();
        for sql in rows {
            shop.execute(sql).await;
        }
        let before = shop.dump(&[]).await;
        assert_finds(&doctor(&shop).output().unwrap(), &[expected]);
        assert_eq!(shop.dump(&[]).await, before, "{rows:?}");
    }
    // A version that was used is not what is in its file.
    fs::create_dir(shop.path("policy")).unwrap();
    shop.write("policy/own.toml", format!("{STANDARD}\n"));
    let output = doctor(&shop)
        .env("WARRANTYD_POLICY__DIR", "policy")
        .output();
    let edited = "standard@2000-01-01 was used and its file was edited since";
    assert_finds(&output.unwrap(), &[["policies", "fail", edited]]);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_keeps_nothing_else_from_being_looked_at() {
    let shop = sound(Engine::Sqlite).await;
    let bytes = fs::read(shop.path("shop.db")).unwrap();
    let last_page = bytes.len() - 4096;
    let broken = [&bytes[..last_page], &[0xaa; 4096][..]].concat();
    shop.write("shop.db", broken);
    let found = lines(&doctor(&shop).output().unwrap());
    let integrity = found.iter().find(|[what, ..]| what == "integrity").unwrap();
    assert_eq!(integrity[1], "fail", "{integrity:?}");
    assert!(integrity[2].contains("restore a backup"), "{integrity:?}");
    shop.write("shop.db", "These are words, and no database.".repeat(100));
    let output = doctor(&shop).output().unwrap();
    assert_finds(&output, &[["database", "fail", "file is not a database"]]);
    fs::remove_file(shop.path("shop.db")).unwrap();
    let output = doctor(&shop).output().unwrap();
    assert_finds(
        &output,
        &[["database", "warn", "shop.db: there is no such file"]],
    );
    assert!(!shop.path("shop.db").exists());
    let away = "postgres://shop:secret@127.0.0.1:1/shop";
    let output = doctor(&shop).env("WARRANTYD_DATABASE__URL", away).output();
    let refused = "postgres://shop@127.0.0.1:1/shop: cannot open the database: Connection refused";
    assert_finds(&output.unwrap(), &[["database", "fail", refused]]);
    // A config that cannot be read is no config to look at.
    let output = doctor(&shop)
        .env("WARRANTYD_BUSINESS__TIMEZONE", "Mars")
        .output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn what_others_may_read_or_change_is_said() {
    let shop = sound(Engine::Sqlite).await;
    let mode = |name: &str, mode| {
        fs::set_permissions(shop.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("warrantyd.toml", 0o666);
    let output = doctor(&shop).output().unwrap();
    assert_finds(&output, &[["config", "warn", "everybody can change it"]]);
    mode("warrantyd.toml", 0o644);
    let away = "postgres://shop:secret@127.0.0.1:1/shop";
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace("sqlite://shop.db", away));
    let refused = ["database", "fail", "Connection refused"];
    let readable = [
        "config",
        "warn",
        "everybody can read the password in database.url",
    ];
    assert_finds(&doctor(&shop).output().unwrap(), &[readable, refused]);
    mode("warrantyd.toml", 0o640);
    assert_finds(&doctor(&shop).output().unwrap(), &[refused]);
    let login = FILE_MAIL
        .replace("\"file\"\ndir", "\"smtp\"\nusername = \"shop\"\nurl")
        .replace(
            "\"outbox\"",
            "\"smtp://127.0.0.1:1\"\npassword_file = \"secret\"",
        );
    shop.write("warrantyd.toml", format!("{CONFIG}{login}{REPORTS}"));
    shop.write("secret", "secret\n");
    let refused = ["mail", "fail", "Connection refused"];
    mode("secret", 0o644);
    let readable = ["secrets", "warn", "secret: everybody can read it"];
    assert_finds(&doctor(&shop).output().unwrap(), &[readable, refused]);
    mode("secret", 0o640);
    assert_finds(&doctor(&shop).output().unwrap(), &[refused]);
}

#[tokio::test]
async fn root_is_told_to_be_somebody_else() {
    let shop = sound(Engine::Sqlite).await;
    let file = shop.path("shop.db");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let as_root = |args: &[&str]| {
        let words = [&["sudo", "-n"][..], args].concat();
        let words = if is_root { &words[2..] } else { &words };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(shop.dir());
        command
    };
    let given = as_root(&["chown", "65534", file.to_str().unwrap()]).status();
    assert!(given.unwrap().success());
    let program = env!("CARGO_BIN_EXE_warrantyd");
    let output = as_root(&[program, "doctor", "--format", "json"]).output();
    let user = ["user", "warn", "the database belongs to user 65534"];
    assert_finds(&output.unwrap(), &[user]);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told() {
    let shop = sound(Engine::Sqlite).await;
    let read_only = r#"mount --bind shop.db shop.db && mount -o remount,ro,bind shop.db &&
        exec "$@""#;
    let by = ["unshare", "-rm", "bash", "-c", read_only, "bash"];
    let output = shop
        .command_by(&by, &["doctor", "--format", "json"])
        .output();
    let told = "this user may not write the file";
    assert_finds(&output.unwrap(), &[["database", "fail", told]]);
}

#[tokio::test]
async fn a_disk_without_room_is_told() {
    let shop = sound(Engine::Sqlite).await;
    let small = r#"mkdir small && mount -t tmpfs -o size=8m none small &&
        cp shop.db warrantyd.toml small && cd small && exec "$@""#;
    let by = ["unshare", "-rm", "bash", "-c", small, "bash"];
    let output = shop
        .command_by(&by, &["doctor", "--format", "json"])
        .output();
    let full = ["disk", "fail", "MiB free beside a database of"];
    assert_finds(&output.unwrap(), &[full]);
}
