//! The job `import`: a real spool, with the program at work on it.

mod check;
mod dialects;
mod hostile;
mod property;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use warrantyd::clock;

use crate::bad_disk::{as_nobody, program_for_nobody};
use crate::crash::{WHEN_RECORDED, killed_at_a_line};
use crate::shop::{CLAIMS, Engine, ORDERS, Shop, UNITS, assert_same, many_units, stderr};

/// A spool whose files are taken at once.
const SPOOL: &str = "[import]\ndir = \"spool\"\nsettle = \"0 s\"\n";

const RUN: [&str; 2] = ["run", "import"];

/// A shop with an empty spool, and more settings of it.
fn spool(engine: Engine, more: &str) -> Shop {
    let shop = Shop::on(engine, &format!("{SPOOL}{more}"));
    fs::create_dir(shop.path("spool")).unwrap();
    shop
}

/// What lies in a directory, by name, without what a run is still writing and
/// without the time that it put before the names.
fn lies(shop: &Shop, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(shop.path(dir)).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let names = names.filter(|name| !name.starts_with('.'));
    let is_stamp = |stamp: &str| stamp.ends_with("Z-") && stamp.as_bytes()[8] == b'T';
    let mut names: Vec<String> = names
        .map(|name| match name.split_at_checked(24) {
            Some((stamp, name)) if is_stamp(stamp) => name.to_owned(),
            _ => name,
        })
        .collect();
    names.sort();
    names
}

/// The text of the one file of such a name.
fn text_of(shop: &Shop, dir: &str, name: &str) -> String {
    let mut entries = fs::read_dir(shop.path(dir)).unwrap();
    let is_it = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(name);
    let path = entries.find_map(|entry| Some(entry.unwrap().path()).filter(is_it));
    let path = path.unwrap_or_else(|| panic!("no {name} in {dir}"));
    String::from_utf8(fs::read(path).unwrap()).unwrap()
}

/// A batch of each kind; the claim's file has a row that is refused.
fn put_all_kinds(shop: &Shop) {
    let [(_, orders), (_, units)] = many_units(3);
    let claims =
        format!("{CLAIMS}C-1,U-1,repair,2025-02-01,,,,,,,\nC-2,U-9,repair,2025-02-01,,,,,,,\n");
    for (name, text) in [
        (
            "waits.csv",
            "claim_ref,from,until\nC-1,2025-02-02,\n".to_owned(),
        ),
        ("claims.csv", claims),
        ("2025-units.csv", units),
        ("orders.csv", orders),
    ] {
        shop.write(&format!("spool/{name}"), text);
    }
}

const ALL_KINDS: [&str; 4] = ["2025-units.csv", "claims.csv", "orders.csv", "waits.csv"];

const KEPT: &str = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM units), \
     (SELECT count(*) FROM claims), (SELECT count(*) FROM waits), \
     (SELECT count(*) FROM change_sets)";

#[tokio::test]
async fn the_files_of_one_look_are_one_batch_and_are_put_away() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    let output = shop.run_to(3, &RUN);
    assert!(
        stderr(&output).ends_with("import: 4 files, 9 found, 8 new, 1 rejected\n"),
        "{output:?}"
    );
    assert_eq!(shop.rows(KEPT).await, ["3|3|1|1|1"]);
    assert_eq!(lies(&shop, "spool"), ["done", "rejected"]);
    assert_eq!(lies(&shop, "spool/done"), ALL_KINDS);
    assert_eq!(lies(&shop, "spool/rejected"), ["claims.csv.rejects.csv"]);
    let rejects = text_of(&shop, "spool/rejected", "claims.csv.rejects.csv");
    assert!(
        rejects.contains(",3,\"unit_ref: there is no unit `U-9`"),
        "{rejects}"
    );
    // Nothing is there: nothing is said.
    let fed = shop.rows("SELECT * FROM feed").await;
    assert_eq!(fed.len(), 1);
    assert_eq!(stderr(&shop.run_to(0, &RUN)), "");
    assert_eq!(shop.rows("SELECT * FROM feed").await, fed);
    // The same again does no harm, and nothing is overwritten.
    put_all_kinds(&shop);
    shop.run_to(3, &RUN);
    assert_eq!(shop.rows(KEPT).await, ["3|3|1|1|1"]);
    assert_eq!(lies(&shop, "spool/done").len(), 8);
    assert_eq!(lies(&shop, "spool/rejected").len(), 2);
}

#[tokio::test]
async fn a_file_that_changes_waits() {
    let shop = Shop::new("[import]\ndir = \"spool\"\n");
    fs::create_dir(shop.path("spool")).unwrap();
    put_all_kinds(&shop);
    shop.run_to(0, &RUN);
    assert_eq!(shop.rows(KEPT).await, ["0|0|0|0|0"]);
    let counts = "SELECT counts FROM job_runs";
    assert_eq!(shop.rows(counts).await, ["{\"waiting\":4}"]);
    // A minute later by the file system's clock, of which there is but one.
    shop.write(
        "warrantyd.toml",
        fs::read_to_string(shop.path("warrantyd.toml")).unwrap() + "settle = \"0s\"\n",
    );
    shop.run_to(3, &RUN);
    assert_eq!(shop.rows(KEPT).await, ["3|3|1|1|1"]);
}

/// A batch, and so many files to be refused that the log of putting them away
/// does not fit into a pipe: whoever is killed when the log was read to a line
/// has not put all away.
fn put_many(shop: &Shop) {
    put_all_kinds(shop);
    let name = "x".repeat(170);
    for n in 0..350 {
        shop.write(&format!("spool/{n}{name}-orders.csv.gz"), "");
    }
}

#[tokio::test]
async fn a_run_that_is_killed_is_repeated_to_the_same_end() {
    let undisturbed = spool(Engine::of_this_run(), "");
    undisturbed.open().await.store.close().await;
    let base = undisturbed.copy();
    put_many(&undisturbed);
    undisturbed.run_to(3, &RUN);
    let expected = undisturbed.dump(&WHEN_RECORDED).await;
    for (text, lines) in [("applied", 1), ("moved", 1), ("moved", 40)] {
        let shop = base.copy();
        fs::create_dir(shop.path("spool")).unwrap();
        put_many(&shop);
        let what = format!("killed at {text} {lines}");
        assert!(killed_at_a_line(&shop, &RUN, text, lines).await, "{what}");
        assert_same(&shop.dump(&WHEN_RECORDED).await, &expected, &what);
        assert!(lies(&shop, "spool").len() > 2, "{what}");
        shop.run_to(3, &RUN);
        assert_same(&shop.dump(&WHEN_RECORDED).await, &expected, &what);
        assert_eq!(lies(&shop, "spool"), ["done", "rejected"], "{what}");
        for dir in ["spool/done", "spool/rejected"] {
            assert_same(&lies(&shop, dir), &lies(&undisturbed, dir), &what);
        }
    }
}

#[tokio::test]
async fn files_that_were_applied_and_not_put_away_are_applied_again() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    shop.run_to(3, &RUN);
    let expected = shop.dump(&WHEN_RECORDED).await;
    for entry in fs::read_dir(shop.path("spool/done")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let back = shop.path("spool").join(&name[24..]);
        fs::rename(entry.path(), back).unwrap();
    }
    shop.run_to(3, &RUN);
    assert_same(&shop.dump(&WHEN_RECORDED).await, &expected, "again");
    assert_eq!(lies(&shop, "spool/done"), ALL_KINDS);
}

#[tokio::test]
async fn two_runs_at_once_lose_nothing_and_neither_fails() {
    let shop = spool(Engine::of_this_run(), "");
    shop.open().await.store.close().await;
    let [(_, orders), (_, units)] = many_units(200);
    for n in 0..5 {
        shop.write(&format!("spool/{n}-orders.csv"), &orders);
        shop.write(&format!("spool/{n}-units.csv"), &units);
    }
    let start = || shop.command(&RUN).stderr(Stdio::piped()).spawn().unwrap();
    let runs: Vec<_> = (0..3).map(|_| start()).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(shop.rows(KEPT).await, ["200|200|0|0|1"]);
    assert_eq!(lies(&shop, "spool/done").len(), 10);
    assert_eq!(lies(&shop, "spool"), ["done", "rejected"]);
}

#[tokio::test]
async fn a_long_import_by_hand_holds_up_no_job() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    let open = shop.open().await;
    let by_hand = open.store.session().await.unwrap();
    shop.run_to(0, &RUN);
    let counts = "SELECT counts FROM job_runs";
    assert_eq!(shop.rows(counts).await, ["{\"waiting\":4}"]);
    assert_eq!(shop.rows(KEPT).await, ["0|0|0|0|0"]);
    drop(by_hand);
    open.store.close().await;
    shop.run_to(3, &RUN);
    assert_eq!(shop.rows(KEPT).await, ["3|3|1|1|1"]);
}

#[tokio::test]
async fn nothing_is_written_where_a_link_leads() {
    let shop = spool(Engine::Sqlite, "");
    fs::create_dir(shop.path("elsewhere")).unwrap();
    symlink(shop.path("elsewhere"), shop.path("spool/rejected")).unwrap();
    shop.write("spool/orders.csv", "no,orders\n");
    let said = stderr(&shop.run_to(1, &RUN));
    assert!(
        said.contains("rejected: files cannot be moved there"),
        "{said}"
    );
    assert_eq!(lies(&shop, "elsewhere"), [""; 0]);
}

#[tokio::test]
async fn more_files_than_a_batch_holds_are_further_ones() {
    let shop = spool(Engine::of_this_run(), "");
    let [(_, orders), (_, units)] = many_units(450);
    for (kind, text) in [("orders", orders), ("units", units)] {
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        for (n, line) in lines.enumerate() {
            shop.write(
                &format!("spool/{n}-{kind}.csv"),
                format!("{header}\n{line}\n"),
            );
        }
    }
    shop.run_to(0, &RUN);
    assert_eq!(shop.rows(KEPT).await, ["450|450|0|0|5"]);
    assert_eq!(lies(&shop, "spool/done").len(), 900);
}

#[tokio::test]
async fn a_spool_that_cannot_be_used_is_a_failure_that_says_so() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    fs::write(shop.path("spool/done"), "").unwrap();
    let output = shop.run_to(1, &RUN);
    assert!(
        stderr(&output).contains("spool/done: files cannot be moved there"),
        "{output:?}"
    );
    assert_eq!(shop.rows(KEPT).await, ["0|0|0|0|0"]);
    fs::remove_dir_all(shop.path("spool")).unwrap();
    let output = shop.run_to(2, &RUN);
    assert!(
        stderr(&output).contains("spool: no such directory: create it"),
        "{output:?}"
    );
    let failed = "SELECT state FROM job_runs";
    assert_eq!(shop.rows(failed).await, ["failed", "failed"]);
}

#[tokio::test]
async fn permissions_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let shop = spool(Engine::Sqlite, "");
    let chmod = |name: &str, mode| {
        fs::set_permissions(shop.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = program_for_nobody(&shop);
    let row = "O-1,K-1,Ada,ada@example.com,2025-01-01,,EUR,1.00\n";
    shop.write("spool/orders.csv", format!("{ORDERS}{row}"));
    shop.write(
        "spool/units.csv",
        format!("{UNITS}U-1,O-1,Lamp,hardware,,\n"),
    );
    chmod("spool/units.csv", 0o000);
    chmod("spool", 0o555);
    chmod(".", 0o777);
    let output = as_nobody(&program, &shop, &RUN);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("a directory that this user can write to"),
        "{output:?}"
    );
    chmod("spool", 0o777);
    let output = as_nobody(&program, &shop, &RUN);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(lies(&shop, "spool/done"), ["orders.csv"]);
    assert_eq!(
        lies(&shop, "spool/rejected"),
        ["units.csv", "units.csv.error.txt"]
    );
    let why = text_of(&shop, "spool/rejected", "units.csv.error.txt");
    assert!(
        why.starts_with("units.csv: cannot be read: Permission denied"),
        "{why}"
    );
}

#[tokio::test]
async fn housekeeping_removes_what_was_done_long_ago() {
    let days = |days: i64| {
        let at = clock::now() - chrono::TimeDelta::days(days);
        format!("spool/done/{}-orders.csv", at.format("%Y%m%dT%H%M%S%.6fZ"))
    };
    for (more, left) in [
        ("", 1),
        ("keep_done_days = 0\n", 2),
        ("keep_done_days = 10\n", 0),
    ] {
        let shop = spool(Engine::of_this_run(), more);
        shop.run_to(0, &["run", "housekeeping"]);
        fs::create_dir(shop.path("spool/done")).unwrap();
        let rejected = days(100).replace("done", "rejected");
        fs::create_dir(shop.path("spool/rejected")).unwrap();
        for name in [&days(89), &days(91), "spool/done/notes.txt", &rejected] {
            shop.write(name, "");
        }
        shop.run_to(0, &["run", "housekeeping"]);
        let mut expected = vec!["notes.txt"; 1];
        expected.extend(vec!["orders.csv"; left]);
        assert_eq!(lies(&shop, "spool/done"), expected, "{more}");
        assert_eq!(lies(&shop, "spool/rejected"), ["orders.csv"]);
    }
}
