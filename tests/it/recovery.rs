//! What the world does to a daemon that nobody looks after: once it is over,
//! the daemon is well again by itself within a minute, and has written what an
//! undisturbed one writes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use chrono::TimeDelta;
use warrantyd::clock;

use crate::clocks::{show, start};
use crate::daemon::all_off_but;
use crate::deliver::mail;
use crate::nodes::{BLOCK, GOES_WITH_THE_TEST, Node, WAITING, address, until};
use crate::postfix::{Sink, free_port};
use crate::reconnect::{server, shop_on};
use crate::shop::{CLAIMS, CONFIG, Engine, FILE_MAIL, Shop, assert_same, many_units};

/// Repairs that are late: a technician, the lead, a manager and a director are
/// told of each.
const CLAIMED: usize = 300;
const NOTICES: usize = 4 * CLAIMED;

fn settings(mail: &str) -> String {
    let every_second = "schedule = \"* * * * * *\"\n";
    format!(
        "{mail}{}[jobs.enforce]\n{every_second}[jobs.deliver]\n{every_second}",
        all_off_but(&["enforce", "deliver"])
    )
}

async fn fill(shop: &Shop) {
    let [orders, units] = many_units(CLAIMED);
    let mut claims = CLAIMS.to_owned();
    for n in 0..CLAIMED {
        let times = "2025-02-01T09:00:00Z,tech@example.com,,2025-02-02T09:00:00Z";
        claims += &format!("C-{n},U-{n},repair,{times},,,,\n");
    }
    shop.import(&[orders, units, ("claims.csv", claims)]).await;
}

/// The daemon of a shop, which takes signals: what it is to do may be done
/// already.
async fn daemon(shop: &Shop) -> Node {
    let database = match shop.engine() {
        Engine::Sqlite => "sqlite://shop.db".to_owned(),
        Engine::Postgres => shop.database(),
    };
    let node = Node::start(shop, "daemon", database);
    until("a daemon's start", || node.lines(" started ") > 0).await;
    node
}

/// Waits until it is in the midst of its work.
async fn at_work(shop: &Shop) {
    shop.until("SELECT count(*) > 0 FROM deadlines", &["1"])
        .await;
}

/// Waits until all is done and told.
async fn well(shop: &Shop) {
    let told = "SELECT count(*) FROM notices WHERE disposition = 'sent'";
    shop.until(told, &[&NOTICES.to_string()]).await;
}

/// All that does not hang on when it was written.
async fn written(shop: &Shop) -> Vec<String> {
    let notices = "SELECT 'notice', subject, ref, \"window\", last_day, step, audience, fires_at, \
                          level, policy, clause, disposition FROM notices";
    let deadlines = "SELECT 'deadline', subject, ref, \"window\", started_at, due_at, last_day, \
                            ended_at, is_met, policy FROM deadlines";
    let mut all = shop.rows(notices).await;
    all.extend(shop.rows(deadlines).await);
    all.sort();
    all
}

/// The rows are those of a shop that nothing happened to, and everybody was
/// told of each notice once.
async fn as_if_nothing_was(shop: &Shop, what: &str) {
    let undisturbed = Shop::on(shop.engine(), FILE_MAIL);
    fill(&undisturbed).await;
    undisturbed.run_to(0, &["run", "enforce"]);
    undisturbed.run_to(0, &["run", "deliver"]);
    well(&undisturbed).await;
    assert_same(&written(shop).await, &written(&undisturbed).await, what);
    let carried = "SELECT count(*), count(DISTINCT notice_id) FROM message_notices";
    assert_eq!(
        shop.rows(carried).await,
        [format!("{NOTICES}|{NOTICES}")],
        "{what}"
    );
    let unsent = "SELECT state FROM messages WHERE state <> 'sent'";
    assert_eq!(shop.rows(unsent).await, [""; 0], "{what}");
}

#[tokio::test]
async fn killed_again_and_again() {
    let shop = Shop::new(&settings(FILE_MAIL));
    fill(&shop).await;
    for sent in [0, 1, NOTICES / 2] {
        let node = daemon(&shop).await;
        let there = format!(
            "SELECT count(*) >= {sent} AND (SELECT count(*) > 0 FROM deadlines) FROM notices \
              WHERE disposition = 'sent'"
        );
        shop.until(&there, &["1"]).await;
        node.killed();
        // A dead node's lease runs out in two minutes; nobody waits for that.
        shop.alone().await;
        shop.execute("UPDATE messages SET lease_until = 0; UPDATE job_runs SET lease_until = 0")
            .await;
    }
    let node = daemon(&shop).await;
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "killed").await;
}

#[tokio::test]
async fn told_to_stop_and_started_again() {
    let shop = Shop::new(&settings(FILE_MAIL));
    fill(&shop).await;
    let node = daemon(&shop).await;
    at_work(&shop).await;
    node.ended().await;
    let node = daemon(&shop).await;
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "stopped").await;
}

#[tokio::test]
async fn frozen_and_thawed() {
    let shop = Shop::new(&settings(FILE_MAIL));
    fill(&shop).await;
    let node = daemon(&shop).await;
    at_work(&shop).await;
    node.signal("-STOP");
    node.signal("-CONT");
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "frozen").await;
}

#[tokio::test]
async fn frozen_until_the_server_gave_it_up() {
    let shop = Shop::on(Engine::Postgres, &settings(FILE_MAIL));
    fill(&shop).await;
    let mut block = shop.connection().await;
    block.rows(BLOCK).await;
    let node = Node::start(&shop, "node", address(&shop, "node"));
    // It is in the middle of a page.
    shop.until(WAITING, &["1"]).await;
    node.signal("-STOP");
    block.rows("ROLLBACK").await;
    let lapsed = "SELECT count(*) FROM job_runs WHERE state = 'running' \
                   AND lease_until < extract(epoch FROM clock_timestamp()) * 1000000";
    shop.until(lapsed, &["1"]).await;
    let silent = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node' \
                   AND datname = current_database() AND state LIKE '%in transaction%'";
    shop.until(silent, &["0"]).await;
    node.signal("-CONT");
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "given up").await;
}

/// What a clock shows that is wrong by so many hours.
pub fn wrong_by(hours: i64) -> String {
    let shown = clock::now() + TimeDelta::hours(hours);
    shown.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[tokio::test]
async fn the_clock_is_set_back_and_set_right() {
    let shop = Shop::new(&settings(FILE_MAIL));
    fill(&shop).await;
    let node = start(&shop, "UTC", &wrong_by(0));
    at_work(&shop).await;
    show(&shop, &wrong_by(-1));
    let refused = || node.lines("up to when was enforced: set the clock") > 0;
    until("a failure that is told", refused).await;
    show(&shop, &wrong_by(0));
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the clock was behind").await;
}

#[tokio::test]
async fn the_clock_is_set_ahead_and_set_right() {
    let shop = Shop::new(&settings(FILE_MAIL));
    fill(&shop).await;
    let node = start(&shop, "UTC", &wrong_by(0));
    at_work(&shop).await;
    let ahead = (clock::now() + TimeDelta::hours(3)).timestamp_micros();
    show(&shop, &wrong_by(3));
    let enforced = format!(
        "SELECT count(*) > 0 FROM job_runs \
          WHERE job = 'enforce' AND state = 'done' AND started_at >= {ahead}"
    );
    shop.until(&enforced, &["1"]).await;
    show(&shop, &wrong_by(0));
    // What was enforced is not taken back: it waits until it is true.
    let refused = || node.lines("up to when was enforced: set the clock") > 0;
    until("a failure that is told", refused).await;
    show(&shop, &wrong_by(4));
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the clock was ahead").await;
}

#[tokio::test]
async fn the_databases_server_goes_and_comes_back() {
    let server = server().await;
    let shop = shop_on(&server, &settings(FILE_MAIL));
    fill(&shop).await;
    let node = daemon(&shop).await;
    at_work(&shop).await;
    server.stop();
    until("a failure that is told", || node.lines("ERROR") > 0).await;
    server.start();
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the server was away").await;
}

#[tokio::test]
async fn the_mail_server_goes_and_comes_back() {
    let port = free_port();
    let shop = Shop::new(&settings(&mail(port, "")));
    fill(&shop).await;
    let node = daemon(&shop).await;
    let paused = "SELECT count(*) FROM mail_pause";
    shop.until(paused, &["1"]).await;
    let tried = "SELECT max(tries) FROM messages";
    assert_eq!(shop.rows(tried).await, ["0"], "its faults use up no try");
    // As if the minute had passed after which it is tried again: however often
    // it was, the next comes no later.
    let again = "UPDATE mail_pause SET next_try_at = 1";
    for _ in 0..2 {
        shop.execute(again).await;
        shop.until(
            "SELECT count(*) FROM mail_pause WHERE next_try_at > 1",
            &["1"],
        )
        .await;
    }
    let next_try_at = shop.rows("SELECT next_try_at FROM mail_pause").await;
    let in_a_minute = (clock::now() + TimeDelta::minutes(1)).timestamp_micros();
    assert!(next_try_at[0].parse::<i64>().unwrap() <= in_a_minute);
    let sink = Sink::on(port, &[]);
    shop.execute(again).await;
    well(&shop).await;
    shop.until(paused, &["0"]).await;
    node.ended().await;
    let messages = shop.rows("SELECT count(*) FROM messages").await;
    assert_eq!(messages, [sink.taken().len().to_string()]);
    as_if_nothing_was(&shop, "the mail server was away").await;
}

/// A file system of its own, of a few megabytes.
struct Disk {
    dir: PathBuf,
    /// Goes with the test, killed or not.
    mounted: Child,
    said: BufReader<ChildStdout>,
}

impl Disk {
    /// Mounts it on a directory, until its standard input is closed.
    fn on(dir: &Path, megabytes: u32) -> Self {
        let script = "mount -t tmpfs -o size=$2m,mode=0777 tmpfs \"$1\" && echo there && \
                      while read -r how; do mount -o remount,$how \"$1\" && echo there; done; \
                      umount -l \"$1\"";
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let by: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
        let mut command: Vec<&str> = by.to_vec();
        command.extend(["bash", "-c", script, "disk"]);
        let mut mounted = Command::new(command[0])
            .args(&command[1..])
            .arg(dir)
            .arg(megabytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(mounted.stdout.take().unwrap());
        let dir = dir.to_owned();
        let mut disk = Self { dir, mounted, said };
        disk.is_there();
        disk
    }

    fn is_there(&mut self) {
        let mut said = String::new();
        self.said.read_line(&mut said).unwrap();
        assert_eq!(
            said, "there\n",
            "a tmpfs takes root, or sudo without a password"
        );
    }

    /// Mounts it anew: `ro`, so that nobody can write, or `rw`.
    fn remount(&mut self, how: &str) {
        let script = self.mounted.stdin.as_mut().unwrap();
        script.write_all(format!("{how}\n").as_bytes()).unwrap();
        self.is_there();
    }

    /// Writes a file until there is no room.
    fn filled(&self) -> PathBuf {
        let path = self.dir.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 16, 1] {
            let error = loop {
                if let Err(error) = file.write_all(&vec![0; size]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.mounted.stdin.take());
        let _gone = self.mounted.wait();
    }
}

/// A shop with a disk of its own.
fn on_a_disk() -> (Shop, Disk) {
    let shop = Shop::on(Engine::Sqlite, "");
    let disk = Disk::on(shop.dir(), 24);
    shop.write("warrantyd.toml", format!("{CONFIG}{}", settings(FILE_MAIL)));
    (shop, disk)
}

/// Its daemon, with a log on another disk.
fn daemon_logging(shop: &Shop, logs: &tempfile::TempDir) -> Node {
    let command = Node::command(shop, "sqlite://shop.db".to_owned());
    Node::logging(logs.path().join("log"), command)
}

#[tokio::test]
async fn the_disk_is_full_and_is_not_any_more() {
    let (shop, disk) = on_a_disk();
    let logs = tempfile::TempDir::new().unwrap();
    let node = daemon_logging(&shop, &logs);
    until("a run", || node.lines(" ran ") > 0).await;
    fill(&shop).await;
    at_work(&shop).await;
    let filler = disk.filled();
    until("a failure that is told", || node.lines("is full") > 0).await;
    fs::remove_file(filler).unwrap();
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the disk was full").await;
}

#[tokio::test]
async fn it_starts_on_a_disk_that_is_read_only_and_on_one_that_is_full() {
    let (shop, mut disk) = on_a_disk();
    let logs = tempfile::TempDir::new().unwrap();
    fill(&shop).await;
    disk.remount("ro");
    let node = daemon_logging(&shop, &logs);
    until("a failure that is told", || node.lines("cannot start") > 0).await;
    disk.remount("rw");
    at_work(&shop).await;
    node.ended().await;
    let filler = disk.filled();
    let node = daemon_logging(&shop, &logs);
    until("a failure that is told", || node.lines("ERROR") > 0).await;
    fs::remove_file(filler).unwrap();
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "it started on a disk of no use").await;
}

#[tokio::test]
async fn the_disk_has_errors_and_has_none_any_more() {
    let shop = Shop::on(Engine::Sqlite, &settings(FILE_MAIL));
    fill(&shop).await;
    let by = [&GOES_WITH_THE_TEST[..], &["env", "--ignore-signal=XFSZ"]].concat();
    let node = Node::started(&shop, "daemon", shop.command_by(&by, &["daemon"]));
    at_work(&shop).await;
    // Longer than the log and a message, shorter than what SQLite has written.
    node.may_write("65536");
    until("a failure that is told", || {
        node.lines("disk I/O error") > 0
    })
    .await;
    node.may_write("unlimited");
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the disk had errors").await;
}

#[tokio::test]
async fn another_process_keeps_the_file_to_itself_and_lets_it_go() {
    let shop = Shop::on(Engine::Sqlite, &settings(FILE_MAIL));
    fill(&shop).await;
    // SQLite's half a minute of waiting passes 60 times as fast.
    let node = start(&shop, "UTC", &format!("{} x60", wrong_by(0)));
    at_work(&shop).await;
    let mut other = shop.connection().await;
    other.rows("BEGIN IMMEDIATE").await;
    let told = "locked by another process";
    until("a failure that is told", || node.lines(told) > 0).await;
    other.rows("ROLLBACK").await;
    other.close().await;
    well(&shop).await;
    node.ended().await;
    as_if_nothing_was(&shop, "the file was locked").await;
}
