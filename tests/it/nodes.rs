//! Several daemons on one PostgreSQL: real processes, one of them killed, one
//! frozen. What a node is given up after is told to them in the address.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};
use warrantyd::clock::{self, Stopwatch};
use warrantyd::jobs;
use warrantyd::store::{self, RunState};

use crate::daemon::{YEARLY, all_off_but};
use crate::postgres::{Database, Server};
use crate::shop::{
    CLAIMS, Engine, FILE_MAIL, LOOK_AGAIN, PATIENCE, Shop, assert_same, at, many_units, named,
    stderr,
};

/// How long a node that is to be given up may be silent.
const SILENCE: &str = "5s";

/// Runs the program so that no failed test leaves it behind.
pub const GOES_WITH_THE_TEST: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// The address of a shop's database for a node of a name, which is soon given
/// up.
pub fn address(shop: &Shop, name: &str) -> String {
    let silence = format!("options[idle_in_transaction_session_timeout]={SILENCE}");
    format!("{}?application_name={name}&{silence}", shop.database())
}

/// A daemon.
pub struct Node {
    child: Child,
    log: std::path::PathBuf,
}

impl Node {
    pub fn start(shop: &Shop, name: &str, address: String) -> Self {
        Self::started(shop, name, Self::command(shop, address))
    }

    /// What starts a daemon on the database of an address.
    pub fn command(shop: &Shop, address: String) -> Command {
        let mut command = shop.command_by(&GOES_WITH_THE_TEST, &["daemon"]);
        command.env("WARRANTYD_DATABASE__URL", address);
        command
    }

    /// What a command starts.
    pub fn started(shop: &Shop, name: &str, command: Command) -> Self {
        Self::logging(shop.path(&format!("{name}.log")), command)
    }

    /// The same with a log of one's own.
    pub fn logging(log: std::path::PathBuf, mut command: Command) -> Self {
        let child = command
            .env("RUST_LOG", "warrantyd=info")
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether a row of `job_runs` names it.
    fn is(&self, node: &str) -> bool {
        node.ends_with(&format!(":{}", self.child.id()))
    }

    pub fn lines(&self, text: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(text)).count()
    }

    /// The first line that holds a text.
    pub fn line(&self, text: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap();
        let line = log.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("never said `{text}`: {log}"))
            .to_owned()
    }

    /// No file that it writes can be longer, from now on, than so many bytes
    /// or `unlimited`.
    pub fn may_write(&self, most: &str) {
        let pid = self.child.id().to_string();
        let most = format!("--fsize={most}:");
        let limited = Command::new("prlimit")
            .args(["--pid", &pid, &most])
            .status();
        assert!(limited.unwrap().success());
    }

    /// Kills it as nothing can be killed more.
    pub fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to stop, and waits for a good end.
    pub async fn ended(mut self) {
        self.signal("-TERM");
        let has_ended = || self.child.try_wait().unwrap().is_some();
        until("a daemon's end", has_ended).await;
        let log = fs::read_to_string(&self.log).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = Stopwatch::start();
    while !is_so() {
        assert!(waited.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Stops pages when they write.
pub const BLOCK: &str = "BEGIN; LOCK TABLE deadlines IN SHARE MODE";

/// How many nodes wait for a lock of the database.
pub const WAITING: &str = "SELECT count(DISTINCT application_name) FROM pg_stat_activity \
                        WHERE datname = current_database() AND application_name LIKE 'node%' \
                          AND wait_event_type = 'Lock'";

/// A shop on a server, whose daemons find one slot of `enforce`.
pub async fn one_slot(server: Arc<Server>, orders: usize) -> Shop {
    let settings = format!("[jobs.enforce]\n{YEARLY}{}", all_off_but(&["enforce"]));
    let shop = Shop::with(Some(Database::empty(server)), &settings);
    shop.import(&many_units(orders)).await;
    let day = NaiveDate::from_ymd_opt(clock::now().year(), 1, 1).unwrap();
    let slot = day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
    let planned = format!("('enforce', {slot}, 'planned')");
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state) VALUES {planned}"
    ))
    .await;
    shop
}

/// What two runs at the same time differ in.
const SURROGATE: [&str; 2] = ["notices.id", "job_runs"];

#[tokio::test]
async fn a_run_is_shared_though_one_node_dies_and_one_freezes() {
    let shop = one_slot(Server::shared(), 5_000).await;
    let undisturbed = shop.copy();
    let mut block = shop.connection().await;
    block.rows(BLOCK).await;
    let mut nodes =
        ["node-1", "node-2", "node-3"].map(|name| Node::start(&shop, name, address(&shop, name)));
    // Each is in the middle of a page.
    shop.until(WAITING, &["3"]).await;
    let owner = shop.rows("SELECT node, started_at FROM job_runs").await;
    let (owner, started_at) = owner[0].split_once('|').unwrap();
    let status = shop.run_to(0, &["status"]).stdout;
    let status = String::from_utf8(status).unwrap();
    assert!(status.contains(&format!("running on {owner}")), "{status}");
    nodes.sort_by_key(|node| !node.is(owner));
    let [frozen, mut killed, left] = nodes;
    frozen.signal("-STOP");
    killed.child.kill().unwrap();
    block.rows("ROLLBACK").await;
    shop.until("SELECT state FROM job_runs", &["done"]).await;
    let kept = "SELECT * FROM job_runs";
    let run = shop.rows(kept).await;
    let node = shop.rows("SELECT node, started_at FROM job_runs").await;
    let (node, still) = node[0].split_once('|').unwrap();
    assert!(left.is(node), "{run:?}");
    assert_eq!(still, started_at, "it went on at its own time");
    // It wakes up in a page that is no longer its own.
    frozen.signal("-CONT");
    until("its failure", || frozen.lines("failed") == 1).await;
    frozen.ended().await;
    left.ended().await;
    assert_eq!(shop.rows(kept).await, run);
    same_as_undisturbed(&shop, &undisturbed, started_at, "three nodes").await;
}

/// The rows that a slot left are those of one run at the time when it was
/// begun, in microseconds.
pub async fn same_as_undisturbed(shop: &Shop, undisturbed: &Shop, started_at: &str, what: &str) {
    let micros = started_at.parse().unwrap();
    let started_at = DateTime::from_timestamp_micros(micros).unwrap();
    let started_at = started_at.to_rfc3339();
    undisturbed.run_to(0, &["run", "enforce", "--at", &started_at]);
    let expected = undisturbed.dump(&SURROGATE).await;
    assert_same(&shop.dump(&SURROGATE).await, &expected, what);
}

#[tokio::test]
async fn each_slot_is_run_once_by_one_of_the_nodes() {
    let others = all_off_but(&["enforce", "report"]);
    let shop = Shop::on(
        Engine::Postgres,
        &format!(
            "[reports]\ndir = \"reports\"\n{others}[jobs.enforce]\nschedule = \"* * * * * *\"\n\
             [jobs.report]\nschedule = \"* * * * * *\"\n"
        ),
    );
    shop.import(&many_units(20)).await;
    let nodes =
        ["node-1", "node-2", "node-3"].map(|name| Node::start(&shop, name, shop.database()));
    let done = "SELECT count(*) > 5 FROM job_runs WHERE state = 'done'";
    shop.until(done, &["1"]).await;
    for node in &nodes {
        node.signal("-TERM");
    }
    let mut ran = 0;
    for mut node in nodes {
        node.child.wait().unwrap();
        ran += node.lines(" ran ");
        assert_eq!(node.lines("another node has taken"), 0);
    }
    let begun = "SELECT count(*), max(fence) FROM job_runs WHERE started_at IS NOT NULL";
    assert_eq!(shop.rows(begun).await, [format!("{ran}|1")]);
    let unfinished = "SELECT * FROM job_runs WHERE state NOT IN ('planned', 'done')";
    assert_eq!(shop.rows(unfinished).await, [""; 0]);
}

#[tokio::test]
async fn each_message_is_sent_once_by_one_of_the_nodes() {
    let others = all_off_but(&["enforce", "deliver"]);
    let settings = format!(
        "{FILE_MAIL}{others}[jobs.enforce]\nschedule = \"* * * * * *\"\n\
         [jobs.deliver]\nschedule = \"* * * * * *\"\n"
    );
    let shop = Shop::on(Engine::Postgres, &settings);
    // Repairs that are late: technicians, lead, manager and director are told.
    let [orders, units] = many_units(300);
    let mut claims = CLAIMS.to_owned();
    for n in 0..300 {
        let times = "2025-02-01T09:00:00Z,tech@example.com,,2025-02-02T09:00:00Z";
        let times = times.replace("tech", &format!("tech{n}"));
        claims += &format!("C-{n},U-{n},repair,{times},,,,\n");
    }
    shop.import(&[orders, units, ("claims.csv", claims)]).await;
    let nodes =
        ["node-1", "node-2", "node-3"].map(|name| Node::start(&shop, name, shop.database()));
    let sent = "SELECT count(*) FROM notices WHERE disposition = 'sent'";
    shop.until(sent, &["1200"]).await;
    for node in nodes {
        node.ended().await;
    }
    let carried = "SELECT count(*), count(DISTINCT notice_id) FROM message_notices";
    assert_eq!(shop.rows(carried).await, ["1200|1200"]);
    let messages = "SELECT state, max(tries), count(*) FROM messages GROUP BY state";
    let mails = fs::read_dir(shop.path("outbox")).unwrap().count();
    assert_eq!(shop.rows(messages).await, [format!("sent|1|{mails}")]);
}

#[tokio::test]
async fn a_run_is_not_done_while_another_node_has_a_page() {
    let shop = one_slot(Server::shared(), 50).await;
    let (mut page, mut block) = (shop.connection().await, shop.connection().await);
    // Another node has ten of the cases in hand, as of the same run.
    page.rows("BEGIN; SELECT 1 FROM agenda WHERE order_id <= 10 FOR UPDATE")
        .await;
    block.rows(BLOCK).await;
    let node = Node::start(&shop, "node", address(&shop, "node"));
    shop.until(WAITING, &["1"]).await;
    page.rows("SELECT 1 FROM enforcement FOR SHARE").await;
    block.rows("ROLLBACK").await;
    let left = "SELECT count(*) FROM agenda WHERE next_at = 0";
    shop.until(left, &["10"]).await;
    shop.until(WAITING, &["1"]).await;
    let state = "SELECT state FROM job_runs";
    assert_eq!(shop.rows(state).await, ["running"]);
    // As if that node had died over its page.
    page.rows("ROLLBACK").await;
    shop.until(state, &["done"]).await;
    assert_eq!(shop.rows(left).await, ["0"]);
    node.ended().await;
}

#[tokio::test]
async fn a_page_that_loses_a_deadlock_is_done_again() {
    let shop = Shop::on(Engine::Postgres, "");
    shop.import(&many_units(50)).await;
    let mut other = shop.connection().await;
    // The page, and not the other, looks for a deadlock.
    other
        .rows(&format!("SET deadlock_timeout = '1h'; {BLOCK}"))
        .await;
    let patient = format!("{}&options[deadlock_timeout]=3s", address(&shop, "node"));
    let mut run = shop
        .command_by(&GOES_WITH_THE_TEST, &["run", "enforce"])
        .env("WARRANTYD_DATABASE__URL", patient)
        .spawn()
        .unwrap();
    shop.until(WAITING, &["1"]).await;
    other
        .rows("SELECT 1 FROM agenda FOR UPDATE; ROLLBACK")
        .await;
    assert!(run.wait().unwrap().success());
    let counts = shop.rows("SELECT counts FROM job_runs").await;
    assert!(counts[0].contains(r#""found":50,"#), "{counts:?}");
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(waiting).await, ["0"]);
}

#[tokio::test]
async fn a_run_that_is_overtaken_writes_no_page() {
    let shop = Shop::new("");
    shop.import(&many_units(20)).await;
    // As if it had been frozen once it had begun, while another run began.
    shop.execute(match shop.engine() {
        Engine::Sqlite => {
            "CREATE TRIGGER later AFTER UPDATE ON enforcement BEGIN \
                 UPDATE enforcement SET last_at = last_at + 1; END"
        }
        Engine::Postgres => {
            "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 NEW.last_at = NEW.last_at + 1; RETURN NEW; END $$; \
             CREATE TRIGGER later BEFORE UPDATE ON enforcement \
                 FOR EACH ROW EXECUTE FUNCTION later()"
        }
    })
    .await;
    let done = shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    assert_eq!(done.outcome.counts, [("overtaken".into(), 1)].into());
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(waiting).await, ["20"]);
}

#[tokio::test]
async fn a_node_whose_slot_was_taken_writes_nothing_of_it() {
    let shop = Shop::new("");
    let slot = at("2025-06-05T09:00:00Z");
    let later = slot + TimeDelta::minutes(1);
    let goes_on = TimeDelta::minutes(5);
    let open = shop.open().await;
    let mut tx = open.store.write().await.unwrap();
    store::run_plan(&mut tx, "enforce", &[slot]).await.unwrap();
    let first = store::run_take(&mut tx, 1, "one", slot, goes_on);
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.started_at, slot);
    let again = store::run_take(&mut tx, 1, "two", later, goes_on);
    let is_held = again.await.unwrap().is_none();
    // On a file of SQLite nobody else can be at work.
    assert_eq!(is_held, shop.engine() == Engine::Postgres);
    assert_eq!(is_held, !first.lease.is_zero());
    tx.commit().await.unwrap();
    let owed = jobs::slots_owed(&open, later).await.unwrap();
    assert_eq!(owed[0].held_since, is_held.then_some(slot));

    shop.execute("UPDATE job_runs SET lease_until = 1").await;
    let mut tx = open.store.write().await.unwrap();
    let second = store::run_take(&mut tx, 1, "two", later, goes_on);
    let second = second.await.unwrap().unwrap();
    // It lay for long: it is a run of the present.
    assert_eq!(second.started_at, later);
    assert!(!store::run_renew(&mut tx, first.held).await.unwrap());
    let ended = store::run_finish(&mut tx, first.held, RunState::Failed, "{}", None, later);
    assert!(!ended.await.unwrap());
    assert!(store::run_renew(&mut tx, second.held).await.unwrap());
    let ended = store::run_finish(&mut tx, second.held, RunState::Done, "{}", None, later);
    assert!(ended.await.unwrap());
    let third = store::run_take(&mut tx, 1, "three", later, goes_on);
    assert_eq!(third.await.unwrap(), None);
    tx.commit().await.unwrap();
    let row = "SELECT state, node FROM job_runs";
    assert_eq!(shop.rows(row).await, ["done|two"]);
    open.store.close().await;
}

#[tokio::test]
async fn an_import_that_is_silent_for_too_long_is_given_up() {
    let shop = Shop::on(Engine::Postgres, "");
    let [(_, before), _] = many_units(3);
    let pipe = shop.path("orders.csv");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let frozen = shop
        .command_by(&GOES_WITH_THE_TEST, &["import", "orders.csv"])
        .env("WARRANTYD_DATABASE__URL", address(&shop, "frozen"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let locked = "SELECT count(*) FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid \
                   WHERE a.datname = current_database() AND l.locktype = 'advisory'";
    shop.until(locked, &["1"]).await;
    // Waits for the lock, and gets it.
    let after = before.replace(",Ada,", ",Eve,");
    shop.write("later-orders.csv", &after);
    let mut later = shop.command_by(&["timeout", "60"], &["import", "later-orders.csv"]);
    assert!(later.output().unwrap().status.success());
    fs::write(&pipe, before).unwrap();
    let frozen = frozen.wait_with_output().unwrap();
    assert_eq!(frozen.status.code(), Some(1));
    assert!(
        stderr(&frozen).contains("idle-session timeout"),
        "{frozen:?}"
    );
    let names = "SELECT DISTINCT customer_name FROM orders";
    assert_eq!(shop.rows(names).await, ["Eve"]);
}
