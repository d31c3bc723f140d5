//! Long work on a terminal, and long work that is told to end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::crash::{DELIVER, WHEN_RECORDED};
use crate::deliver::{STATES, Server, configure, customers, mail, taken};
use crate::nodes::{BLOCK, until};
use crate::shop::{Engine, Shop, assert_same, many_units, stderr};

const ENFORCE: [&str; 4] = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];

/// Runs a program on a terminal of its own, for a minute at most.
const ON_A_TERMINAL: [&str; 7] = [
    "timeout",
    "-k",
    "5",
    "60",
    "bash",
    "-c",
    r#"exec script -qec "exec $(printf '%q ' "$0" "$@")" /dev/null"#,
];

/// A program on a terminal.
struct Terminal {
    child: Child,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    fn start(shop: &Shop, args: &[&str]) -> Self {
        let mut child = shop.command_by(&ON_A_TERMINAL, args);
        let child = child.env("TERM", "xterm").env("SHELL", "/bin/sh");
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        Self {
            screen: child.stdout.take().unwrap(),
            child,
            shown: String::new(),
        }
    }

    /// Reads the screen up to a text.
    fn wait_for(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.shown.contains(text) {
            let read = self.screen.read(&mut bytes).unwrap();
            assert!(read > 0, "never shown: `{text}`: {:?}", self.shown);
            self.shown += &String::from_utf8_lossy(&bytes[..read]);
        }
    }

    /// Presses keys.
    fn press(&mut self, keys: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// Waits for the end, which has a status.
    fn ended(mut self, status: i32) {
        self.screen.read_to_string(&mut self.shown).unwrap();
        let ended = self.child.wait().unwrap();
        assert_eq!(ended.code(), Some(status), "{:?}", self.shown);
    }
}

/// Three messages, of which two may be handed over in a minute.
async fn slow() -> (Shop, Server) {
    let shop = customers(&["ada", "bob", "cyd"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, "max_per_minute = 2\n"));
    (shop, server)
}

const WAITS: [&str; 3] = [
    "ada@example.com|sent|1",
    "bob@example.com|sent|1",
    "cyd@example.com|ready|0",
];

/// Sends what is left, to a server that takes it at once.
async fn assert_goes_on(shop: &Shop, server: Server) {
    configure(shop, &mail(server.port, ""));
    let output = shop.run_to(0, &DELIVER);
    // Nobody watches in a pipe.
    assert_eq!(stderr(&output), "");
    assert!(output.stdout.is_empty());
    server.stop();
    assert_eq!(taken(shop).len(), 3);
    let states = shop.rows(STATES).await;
    assert!(
        states.iter().all(|state| state.ends_with("|sent|1")),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_terminal_shows_how_far_deliver_is_and_can_end_it() {
    let (shop, server) = slow().await;
    let mut terminal = Terminal::start(&shop, &DELIVER);
    terminal.wait_for("deliver: 2 sent, 0 failed, about 1 left");
    // Control and C.
    terminal.press(b"\x03");
    terminal.wait_for("told to end before all was done");
    terminal.ended(1);
    assert_eq!(shop.rows(STATES).await, WAITS);
    assert_goes_on(&shop, server).await;
}

#[tokio::test]
async fn a_terminal_shows_how_far_enforce_is() {
    let shop = Shop::on(Engine::Postgres, "");
    shop.import(&many_units(5)).await;
    let mut block = shop.connection().await;
    block.rows(BLOCK).await;
    let mut terminal = Terminal::start(&shop, &ENFORCE);
    terminal.wait_for("enforce: 0 of 5 cases");
    block.rows("ROLLBACK").await;
    terminal.wait_for("5 found");
    terminal.ended(0);
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
}

/// Waits until a process would not simply die of SIGTERM.
async fn listens(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    until("a process that listens to signals", || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        // Signal 15.
        caught & (1 << 14) != 0
    })
    .await;
}

/// Waits for the end of a process that was told to.
fn ended_early(child: Child) {
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("error: told to end before all was done"),
        "{said}"
    );
}

#[tokio::test]
async fn deliver_that_is_told_to_end_leaves_the_rest_to_the_next() {
    let (shop, server) = slow().await;
    let mut child = shop.command(&DELIVER);
    let child = child.stderr(Stdio::piped()).spawn().unwrap();
    let sent = "SELECT count(*) FROM messages WHERE state = 'sent'";
    shop.until(sent, &["2"]).await;
    terminate(&child);
    ended_early(child);
    assert_eq!(shop.rows(STATES).await, WAITS);
    assert_goes_on(&shop, server).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let shop = Shop::new("");
    shop.import(&many_units(5)).await;
    let mut block = shop.connection().await;
    block.rows(shop.take_all()).await;
    let mut child = shop.command(&ENFORCE);
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    listens(&child).await;
    // Two that come together are one.
    until("a process that was told twice", || {
        terminate(&child);
        child.try_wait().unwrap().is_some()
    })
    .await;
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ended at once by a second SIGTERM"), "{said}");
    block.rows("ROLLBACK").await;
    shop.run_to(0, &ENFORCE);
    let left = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(left).await, ["0"]);
}

#[tokio::test]
async fn enforce_that_is_told_to_end_leaves_the_rest_to_the_next() {
    let shop = Shop::new("");
    shop.import(&many_units(4_400)).await;
    let undisturbed = shop.copy();
    let mut block = shop.connection().await;
    block.rows(shop.take_all()).await;
    let mut child = shop.command(&ENFORCE);
    let child = child.stderr(Stdio::piped()).spawn().unwrap();
    listens(&child).await;
    terminate(&child);
    block.rows("ROLLBACK").await;
    ended_early(child);
    // The first of three pages.
    let left = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(left).await, ["2400"]);
    let run = "SELECT state, error FROM job_runs";
    let run = shop.rows(run).await.remove(0);
    assert!(run.starts_with("failed|told to end"), "{run}");
    for shop in [&shop, &undisturbed] {
        shop.run_to(0, &ENFORCE);
    }
    let mut without = WHEN_RECORDED.to_vec();
    without.push("notices.id");
    let expected = undisturbed.dump(&without).await;
    assert_same(&shop.dump(&without).await, &expected, "ended early");
}

/// Waits until a process says that it was told to end.
fn says_so(child: &mut Child) -> String {
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
    while !said.contains("told to end by SIGTERM") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
    }
    said
}

#[tokio::test]
async fn an_import_that_is_told_to_end_imports_nothing() {
    let shop = Shop::new("");
    // More rows come for as long as nobody closes it.
    let made = Command::new("mkfifo").arg(shop.path("orders.csv")).status();
    assert!(made.unwrap().success());
    let mut child = shop.command(&["import", "orders.csv"]);
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let mut orders = fs::OpenOptions::new();
    let mut orders = orders.write(true).open(shop.path("orders.csv")).unwrap();
    let [(_, rows), _] = many_units(10_000);
    let refused = rows.replace("EUR", "money");
    orders.write_all(refused.as_bytes()).unwrap();
    listens(&child).await;
    terminate(&child);
    says_so(&mut child);
    let (_, rows) = rows.split_once('\n').unwrap();
    orders.write_all(rows.as_bytes()).unwrap_or_default();
    drop(orders);
    ended_early(child);
    assert_eq!(shop.rows("SELECT count(*) FROM orders").await, ["0"]);
    assert_eq!(shop.rows("SELECT count(*) FROM change_sets").await, ["0"]);
    let mut left: Vec<String> = fs::read_dir(shop.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("shop.db"))
        .collect();
    left.sort();
    assert_eq!(left, ["orders.csv", "warrantyd.toml"]);
    fs::remove_file(shop.path("orders.csv")).unwrap();
    let [(name, rows), _] = many_units(10);
    shop.write(name, rows);
    shop.run_to(0, &["import", "orders.csv"]);
    assert_eq!(shop.rows("SELECT count(*) FROM orders").await, ["10"]);
}

#[tokio::test]
async fn a_report_that_is_told_to_end_publishes_nothing() {
    let shop = Shop::new("[reports]\ndir = \"reports\"\n");
    shop.import(&many_units(5)).await;
    const REPORT: [&str; 4] = ["run", "report", "--at", "2025-06-05T09:00:00Z"];
    let mut block = shop.connection().await;
    block.rows(shop.take_all()).await;
    if shop.engine() == Engine::Postgres {
        block.rows("LOCK TABLE job_runs IN EXCLUSIVE MODE").await;
    }
    let mut child = shop.command(&REPORT);
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    listens(&child).await;
    terminate(&child);
    says_so(&mut child);
    block.rows("ROLLBACK").await;
    ended_early(child);
    let set = shop.path("reports/2025-06-05");
    assert_eq!(fs::read_dir(&set).unwrap().count(), 0);
    let run = shop
        .rows("SELECT state, error FROM job_runs")
        .await
        .remove(0);
    assert!(
        run.starts_with("failed|told to end before all was done: nothing"),
        "{run}"
    );
    shop.run_to(0, &REPORT);
    assert!(set.join("manifest.json").exists());
}
