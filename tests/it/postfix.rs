//! Postfix, which is not ours: its test server, and the server itself with the
//! configuration of the manual.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mail_parser::MessageParser;
use warrantyd::clock::Stopwatch;

use crate::deliver::{STATES, configure, customers, mail};
use crate::shop::{LOOK_AGAIN, PATIENCE, named};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where Postfix was unpacked.
fn postfix() -> PathBuf {
    let dir = root().join("target/postfix");
    let missing = "there is no Postfix: run `bash tests/run.sh`";
    assert!(dir.join("usr/sbin/smtp-sink").exists(), "{missing}");
    dir
}

/// One of its programs.
fn program(name: &str) -> Command {
    let mut command = Command::new(postfix().join(name));
    command.env("LD_LIBRARY_PATH", postfix().join("usr/lib/postfix"));
    command
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until somebody listens.
fn until_there(port: u16) {
    let since = Stopwatch::start();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < PATIENCE, "nobody listens on {port}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Postfix's test server, which keeps what it takes.
pub struct Sink {
    child: Child,
    port: u16,
    taken: tempfile::TempDir,
}

impl Sink {
    fn start(options: &[&str]) -> Self {
        Self::on(free_port(), options)
    }

    pub fn on(port: u16, options: &[&str]) -> Self {
        let taken = tempfile::TempDir::new().unwrap();
        fs::set_permissions(taken.path(), Permissions::from_mode(0o777)).unwrap();
        let mut sink = program("usr/sbin/smtp-sink");
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            sink.args(["-u", "nobody"]);
        }
        sink.args(options).args(["-d", "mail."]);
        sink.args([&format!("127.0.0.1:{port}"), "100"]);
        let child = sink.current_dir(taken.path()).spawn().unwrap();
        until_there(port);
        Self { child, port, taken }
    }

    /// The messages, with the lines above them that say who sent them to whom.
    pub fn taken(&self) -> Vec<String> {
        let dir = self.taken.path().read_dir().unwrap();
        let read = |path| fs::read_to_string(path).unwrap();
        let mut all: Vec<String> = dir.map(|entry| read(entry.unwrap().path())).collect();
        all.sort();
        all
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[tokio::test]
async fn its_test_server_takes_commands_in_groups() {
    let names: Vec<String> = (0..30).map(|n| format!("ada{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shop = customers(&names).await;
    let sink = Sink::start(&[]);
    configure(&shop, &mail(sink.port, "sessions = 3\n"));
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!((done.get("sent"), done.problem), (30, None));
    let taken = sink.taken();
    assert_eq!(taken.len(), 30);
    for message in taken {
        assert!(message.contains("X-Mail-Args: <shop@example.com>\n"));
        assert!(message.contains("\nAuto-Submitted: auto-generated\n"));
    }
}

#[tokio::test]
async fn its_refusals_mean_what_the_table_says() {
    for (options, state, is_fault) in [
        (["-r", "mail"], "ready|1", false),
        (["-f", "mail"], "ready|0", true),
        (["-q", "mail"], "ready|0", true),
        (["-r", "rcpt"], "ready|1", false),
        (["-f", "rcpt"], "failed|1", false),
        (["-q", "rcpt"], "ready|1", false),
        (["-r", "data"], "ready|1", false),
        (["-f", "data"], "failed|1", false),
        (["-q", "data"], "ready|1", false),
        (["-r", "."], "ready|1", false),
        (["-f", "."], "failed|1", false),
        (["-f", "connect"], "ready|0", true),
        (["-q", "helo,ehlo"], "ready|0", true),
    ] {
        let shop = customers(&["ada"]).await;
        let sink = Sink::start(&options);
        configure(&shop, &mail(sink.port, ""));
        let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
        assert_eq!(done.problem.is_some(), is_fault, "{options:?}: {done:?}");
        let expected = format!("ada@example.com|{state}");
        assert_eq!(shop.rows(STATES).await, [expected], "{options:?}");
    }
}

/// The manual's lines for a file of a mail server.
fn manual(file: &str) -> String {
    let manual = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = manual.split_once(&format!("    # {file}")).unwrap();
    let lines = rest
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn postfix_knows_every_line_of_the_manual() {
    let dir = tempfile::TempDir::new().unwrap();
    let main = manual("/etc/postfix/main.cf");
    fs::write(dir.path().join("main.cf"), &main).unwrap();
    fs::write(dir.path().join("master.cf"), "").unwrap();
    let mut shown = program("usr/sbin/postconf");
    let shown = shown.arg("-c").arg(dir.path()).arg("-n").output().unwrap();
    let warnings = String::from_utf8(shown.stderr).unwrap();
    assert_eq!(warnings, "");
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in main.lines() {
        let is_there = shown.lines().any(|shown| shown.trim() == line.trim());
        assert!(is_there, "{line}: {shown}");
    }
}

/// A server that ends with its input.
struct Postfix(Child);

impl Postfix {
    /// Starts the manual's server, which relays to another one of this machine.
    fn start(dir: &Path, port: u16, relay: u16) -> Self {
        let main = manual("/etc/postfix/main.cf");
        let ours = [
            ("relayhost", format!("[127.0.0.1]:{relay}")),
            ("smtp_tls_security_level", "none".to_owned()),
            ("smtp_sasl_auth_enable", "no".to_owned()),
            // Nobody signs here.
            ("smtpd_milters", String::new()),
        ];
        let line = |line: &str| {
            let (key, _) = line.split_once('=').unwrap();
            let ours = ours.iter().find(|(name, _)| *name == key.trim());
            ours.map_or(line.to_owned(), |(name, value)| format!("{name} = {value}"))
        };
        let main: Vec<String> = main.lines().map(line).collect();
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("main.cf"), main.join("\n") + "\n").unwrap();
        let mut script = Command::new("bash");
        script.arg(root().join("tests/postfix.sh")).arg(postfix());
        let script = script.arg(dir).arg(port.to_string());
        let child = script.stdin(Stdio::piped()).spawn().unwrap();
        until_there(port);
        Self(child)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _gone = self.0.wait();
    }
}

/// What the server has passed on, once every text of some has arrived whole.
async fn relayed(sink: &Sink, texts: &[String]) -> Vec<String> {
    let since = Stopwatch::start();
    loop {
        let taken = sink.taken();
        let is_there = |text: &String| taken.iter().any(|mail| mail.contains(text));
        if texts.iter().all(is_there) {
            return taken;
        }
        assert!(since.elapsed() < PATIENCE, "{taken:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[tokio::test]
async fn the_manual_s_postfix_takes_mail_and_passes_it_on_as_it_is() {
    let shop = customers(&["ada", "bob", "cyd"]).await;
    let sink = Sink::start(&[]);
    let home = tempfile::TempDir::new().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let port = free_port();
    let postfix = Postfix::start(&home.path().join("postfix"), port, sink.port);
    let unsubscribe = "unsubscribe_url = \"https://shop.example.com/stop/{id}\"\n";
    configure(&shop, &mail(port, unsubscribe));
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!((done.get("sent"), done.problem), (3, None));
    let answers = shop.rows("SELECT DISTINCT substr(answer, 1, 10) FROM messages");
    assert_eq!(answers.await, ["250 2.0.0 "]);
    let bodies = shop
        .rows("SELECT raw FROM message_bodies ORDER BY message_id")
        .await;
    let text = |body: &String| body.split_once("\r\n\r\n").unwrap().1.replace("\r\n", "\n");
    let texts: Vec<String> = bodies.iter().map(text).collect();
    let relayed = relayed(&sink, &texts).await;
    for (body, text) in bodies.iter().zip(texts) {
        let (head, _) = body.split_once("\r\n\r\n").unwrap();
        let sent = MessageParser::default().parse(body).unwrap();
        let id = sent.message_id().unwrap();
        let passed = relayed.iter().find(|mail| mail.contains(id)).unwrap();
        for line in head.split("\r\n") {
            assert!(passed.contains(line), "{line}: {passed}");
        }
        assert!(passed.contains(&text), "{passed}");
    }
    drop(postfix);
}
