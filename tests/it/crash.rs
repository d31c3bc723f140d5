//! The real process dies in the middle of its work and is started again at
//! the same `--at`: the rows are those of a run that was not disturbed.
//!
//! It is killed at the write with which a file outgrows a limit (SIGXFSZ acts
//! as SIGKILL does, at a point that can be repeated), at a line of its log
//! (SIGKILL), between handing a message over and noting it (a trigger), and in
//! each phase of a conversation with a mail server (SIGKILL).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::deliver::{configure, mail};
use crate::shop::{CLAIMS, Engine, FILE_MAIL, Shop, assert_same, many_units, named, stderr};

/// What two runs over the same facts differ in: when facts were recorded, and
/// the history of runs.
pub const WHEN_RECORDED: [&str; 7] = [
    "change_sets.recorded_at",
    "orders.changed_at",
    "units.changed_at",
    "claims.changed_at",
    "waits.changed_at",
    "feed",
    "job_runs",
];

/// The limits, in KiB, on the files of a run that is to be killed: growing
/// until one run is not.
fn limits() -> impl Iterator<Item = u64> {
    let is_full = std::env::var_os("WARRANTYD_FULL").is_some();
    let step = if is_full { 8 } else { 1 };
    std::iter::successors(Some(48), move |limit| Some(limit + limit / step))
}

/// Kills runs of a command on copies of a shop until one lives; every time
/// the command is run again. Gives the rows as they are left by each kill.
async fn killed_and_run_again(base: &Shop, args: &[&str]) -> Vec<Vec<String>> {
    let undisturbed = base.copy();
    undisturbed.run_to(0, args);
    let expected = undisturbed.dump(&WHEN_RECORDED).await;
    let mut left = Vec::new();
    for limit in limits() {
        let shop = base.copy();
        let output = shop.limited(limit, args).output().unwrap();
        let is_killed = output.status.signal().is_some();
        assert!(is_killed || output.status.success(), "{limit}: {output:?}");
        if is_killed {
            left.push(shop.dump(&WHEN_RECORDED).await);
            shop.run_to(0, args);
        }
        let what = format!("{args:?} with files of {limit} KiB");
        assert_same(&shop.dump(&WHEN_RECORDED).await, &expected, &what);
        if !is_killed {
            break;
        }
    }
    left
}

#[tokio::test]
async fn enforce_killed_at_a_write_of_sqlite() {
    let base = Shop::on(Engine::Sqlite, "");
    base.import(&many_units(2_400)).await;
    let args = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];
    let left = killed_and_run_again(&base, &args).await;
    let notices = |rows: &Vec<String>| {
        let is_notice = |row: &&String| row.starts_with("notices:");
        rows.iter().filter(is_notice).count()
    };
    let counts: Vec<usize> = left.iter().map(notices).collect();
    let is_partly = |count: &usize| *count > 0 && *count < 2_400;
    assert!(
        counts.contains(&0),
        "one died before its first page: {counts:?}"
    );
    assert!(
        counts.iter().any(is_partly),
        "one died between two pages: {counts:?}"
    );
}

#[tokio::test]
async fn enforce_killed_at_a_line_of_its_log() {
    let base = Shop::new("");
    base.import(&many_units(2_400)).await;
    let args = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];
    let without = [WHEN_RECORDED.as_slice(), &["notices.id"]].concat();
    let undisturbed = base.copy();
    undisturbed.run_to(0, &args);
    let expected = undisturbed.dump(&without).await;
    for lines in [1, 2_001] {
        let shop = base.copy();
        assert!(killed_at_a_line(&shop, &args, "planned", lines).await);
        shop.run_to(0, &args);
        let what = format!("killed after {lines} cases");
        assert_same(&shop.dump(&without).await, &expected, &what);
    }
}

#[tokio::test]
async fn pages_that_sqlite_read_before_somebody_else_wrote_are_read_again() {
    let shop = Shop::on(Engine::Sqlite, "");
    shop.import(&many_units(5_000)).await;
    let mut command = shop.command(&["run", "enforce", "--at", "2025-06-05T09:00:00Z"]);
    command.env("RUST_LOG", "warrantyd=debug");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    // The first page is decided and nothing is written: for as long as nobody
    // reads on, the log is full before the page ends.
    let planned = log.any(|line| line.unwrap().contains("planned"));
    assert!(planned);
    assert_eq!(shop.rows("SELECT count(*) FROM notices").await, ["0"]);
    // One of the first page and one of the last.
    shop.execute("UPDATE orders SET withdrawn = TRUE WHERE id IN (1, 5000)")
        .await;
    log.for_each(|line| drop(line.unwrap()));
    assert!(child.wait().unwrap().success());
    let told = "SELECT count(DISTINCT order_id), count(*) FILTER (WHERE order_id IN (1, 5000)) \
                  FROM notices";
    assert_eq!(shop.rows(told).await, ["4998|0"]);
    let left = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(left).await, ["0"]);
}

/// Runs a command up to so many lines of its log that hold a text.
/// `false`: it was faster, and ended well.
pub async fn killed_at_a_line(shop: &Shop, args: &[&str], text: &str, lines: usize) -> bool {
    let mut command = shop.command(args);
    command.env("RUST_LOG", "warrantyd=debug");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = log.map_while(Result::ok).filter(|line| line.contains(text));
    assert_eq!(found.take(lines).count(), lines);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    let is_killed = ended.signal() == Some(9);
    assert!(is_killed || ended.success(), "{ended}");
    shop.alone().await;
    is_killed
}

#[tokio::test]
async fn worklists_killed_at_a_write_of_sqlite() {
    let base = Shop::on(Engine::Sqlite, FILE_MAIL);
    base.import(&many_units(60)).await;
    // A list for each of sixty, and one for the lead.
    let mut claims = CLAIMS.to_owned();
    for n in 0..60 {
        let cells = format!("repair,2025-02-01,tech{n}@example.com,2025-02-01,2025-02-01");
        claims += &format!("C-{n},U-{n},{cells},,,,\n");
    }
    base.import(&[("claims.csv", claims)]).await;
    let args = ["run", "worklists", "--at", "2025-02-28T07:00:00Z"];
    let left = killed_and_run_again(&base, &args).await;
    assert!(!left.is_empty(), "none was killed");
    let done = base.copy();
    done.run_to(0, &args);
    let messages = "SELECT count(DISTINCT recipient), count(*) FROM messages";
    assert_eq!(done.rows(messages).await, ["61|61"]);
}

#[tokio::test]
async fn import_killed_at_a_write_of_sqlite() {
    let base = Shop::on(Engine::Sqlite, "");
    base.open().await.store.close().await;
    let before = base.dump(&WHEN_RECORDED).await;
    let [(_, orders), (_, units)] = many_units(2_500);
    let files = tempfile::TempDir::new().unwrap();
    fs::write(files.path().join("orders.csv"), orders).unwrap();
    fs::write(files.path().join("units.csv"), units).unwrap();
    let args = ["import", files.path().to_str().unwrap()];
    let left = killed_and_run_again(&base, &args).await;
    assert!(left.contains(&before), "one died before its merge");
    // A run that is killed while the database is closed has all.
    let sizes = left.iter().map(Vec::len);
    let all = before.len() + 1 + 3 * 2_500;
    let partly = sizes.filter(|rows| *rows != before.len() && *rows != all);
    assert_eq!(partly.collect::<Vec<_>>(), [0; 0]);
}

#[tokio::test]
async fn import_that_dies_in_its_merge_leaves_nothing() {
    let base = Shop::new("");
    base.open().await.store.close().await;
    let before = base.dump(&WHEN_RECORDED).await;
    let facts = tempfile::TempDir::new().unwrap();
    for (name, text) in many_units(20) {
        fs::write(facts.path().join(name), text).unwrap();
    }
    let args = ["import", facts.path().to_str().unwrap()];
    for (table, id, row) in [
        ("change_sets", "id", 1),
        ("orders", "id", 20),
        ("units", "id", 10),
        ("agenda", "order_id", 10),
    ] {
        let shop = base.copy();
        shop.breaks("INSERT", table, &format!("NEW.{id} = {row}"))
            .await;
        let output = shop.run_to(1, &args);
        assert!(stderr(&output).contains("died here"), "{output:?}");
        assert_same(&shop.dump(&WHEN_RECORDED).await, &before, table);
        shop.mends().await;
        shop.run_to(0, &args);
        assert_eq!(shop.rows("SELECT count(*) FROM agenda").await, ["20"]);
    }
}

/// The shop with a notice for each of so many customers.
pub async fn with_notices(shop: Shop, customers: usize) -> Shop {
    shop.import(&many_units(customers)).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop
}

fn mails(shop: &Shop) -> usize {
    let files = fs::read_dir(shop.path("outbox")).into_iter().flatten();
    let names = files.map(|file| file.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(".eml"))
        .count()
}

pub const DELIVER: [&str; 4] = ["run", "deliver", "--at", "2025-06-05T10:00:00Z"];

/// Runs `deliver` again after a kill: every message is sent, those of an
/// undisturbed run, and only what was under way is tried twice.
pub async fn delivered_in_the_end(shop: &Shop, expected: &[String], what: &str) {
    let sending = "SELECT count(*) FROM messages WHERE state = 'sending'";
    let sending = shop.rows(sending).await;
    // The dead node's lease has run out.
    shop.execute("UPDATE messages SET lease_until = 0").await;
    shop.run_to(0, &DELIVER);
    assert_same(&outcome(shop).await, expected, what);
    let twice = "SELECT count(*) FROM messages WHERE tries > 1";
    assert_eq!(shop.rows(twice).await, sending, "{what}");
    let most = "SELECT max(tries) <= 2 FROM messages";
    assert_eq!(shop.rows(most).await, ["1"], "{what}");
    assert_eq!(mails(shop), expected.len(), "{what}");
}

/// Each notice, what became of it, and the message that carries it.
async fn outcome(shop: &Shop) -> Vec<String> {
    let sql = "SELECT n.ref, n.disposition, m.state, m.message_id, b.raw \
                 FROM notices AS n JOIN message_notices AS c ON c.notice_id = n.id \
                 JOIN messages AS m ON m.id = c.message_id \
                 JOIN message_bodies AS b ON b.message_id = m.id ORDER BY n.ref";
    shop.rows(sql).await
}

pub async fn undisturbed(base: &Shop) -> Vec<String> {
    let shop = base.copy();
    shop.run_to(0, &DELIVER);
    let outcome = outcome(&shop).await;
    assert_eq!(outcome.len(), 30);
    assert!(outcome.iter().all(|row| row.contains("|sent|sent|")));
    outcome
}

#[tokio::test]
async fn deliver_killed_at_a_line_of_its_log() {
    let base = with_notices(Shop::new(FILE_MAIL), 30).await;
    let expected = undisturbed(&base).await;
    let mut kills = 0;
    for lines in [1, 2, 7, 14] {
        let shop = base.copy();
        kills += usize::from(killed_at_a_line(&shop, &DELIVER, "tried", lines).await);
        let what = format!("killed after {lines} messages");
        delivered_in_the_end(&shop, &expected, &what).await;
    }
    assert!(kills > 0);
}

#[tokio::test]
async fn deliver_killed_at_a_write_of_sqlite() {
    let base = with_notices(Shop::on(Engine::Sqlite, FILE_MAIL), 30).await;
    let expected = undisturbed(&base).await;
    let mut kills = 0;
    for limit in limits() {
        let shop = base.copy();
        let output = shop.limited(limit, &DELIVER).output().unwrap();
        if output.status.success() {
            break;
        }
        assert!(output.status.signal().is_some(), "{}", stderr(&output));
        kills += 1;
        let what = format!("deliver with files of {limit} KiB");
        delivered_in_the_end(&shop, &expected, &what).await;
    }
    assert!(kills > 2, "{kills}");
}

#[tokio::test]
async fn deliver_dies_between_handing_over_and_noting_it() {
    let base = with_notices(Shop::new(FILE_MAIL), 30).await;
    let expected = undisturbed(&base).await;
    let shop = base.copy();
    let fourth = "NEW.state = 'sent' AND (SELECT count(*) FROM messages WHERE state = 'sent') >= 4";
    shop.breaks("UPDATE", "messages", fourth).await;
    let output = shop.run_to(1, &DELIVER);
    assert!(stderr(&output).contains("died here"), "{}", stderr(&output));
    // Those that were answered with the fourth share its fate; the others wait.
    let states = "SELECT count(*) FILTER (WHERE state = 'sent'), \
                    count(*) FILTER (WHERE state = 'ready') + \
                    count(*) FILTER (WHERE state = 'sending'), \
                    count(*) FILTER (WHERE state <> 'ready') FROM messages";
    assert_eq!(shop.rows(states).await, [format!("3|27|{}", mails(&shop))]);
    assert!(mails(&shop) > 3);
    shop.mends().await;
    delivered_in_the_end(&shop, &expected, "died between").await;
}

/// What a mail server says for a message: to the connection, EHLO, MAIL, RCPT,
/// DATA and the final dot.
pub const ANSWERS: [&str; 6] = [
    "220 a",
    "250 a",
    "250 ok",
    "250 ok",
    "354 go on",
    "250 taken",
];

/// Hears a conversation up to its answer at `silent_at`, which it does not
/// give. The connection is open until it is dropped; with the message, if all
/// of it came.
pub fn heard(listener: &TcpListener, silent_at: usize) -> (TcpStream, Option<String>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut message = None;
    for (nth, answer) in ANSWERS.iter().enumerate().take(silent_at + 1) {
        let mut said = String::new();
        // Only the message is of several lines.
        while nth > 0 && !(said.ends_with("\r\n") && (nth < 5 || said.ends_with("\r\n.\r\n"))) {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it is gone: {said}");
        }
        message = (nth == 5).then_some(said);
        if nth < silent_at {
            stream
                .write_all(format!("{answer}\r\n").as_bytes())
                .unwrap();
        }
    }
    (stream, message)
}

#[tokio::test]
async fn deliver_killed_in_each_phase_of_a_conversation() {
    let base = with_notices(Shop::new(""), 1).await;
    for silent_at in 0..=ANSWERS.len() {
        let shop = base.copy();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        configure(&shop, &mail(listener.local_addr().unwrap().port(), ""));
        let mut child = shop
            .command(&DELIVER)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (connection, first) = heard(&listener, silent_at);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(connection);
        // The server had it exactly if all of it had come.
        assert_eq!(first.is_some(), silent_at >= 5, "{silent_at}");
        let noted = "SELECT state FROM messages";
        let noted = shop.rows(noted).await;
        let is_known = noted == ["sent"];
        assert!(
            noted == ["sending"] || is_known && silent_at > 5,
            "{silent_at}: {noted:?}"
        );
        shop.execute("UPDATE messages SET lease_until = 0").await;
        let mut again = shop
            .command(&DELIVER)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if !is_known {
            let (_, second) = heard(&listener, ANSWERS.len());
            assert!(second.is_some(), "{silent_at}");
            // Twice only what was uncertain, and then the same bytes.
            assert!(first.is_none() || first == second, "{silent_at}");
        }
        assert!(again.wait().unwrap().success(), "{silent_at}");
        let sent = "SELECT m.state, n.disposition FROM messages AS m \
             JOIN message_notices AS c ON c.message_id = m.id \
             JOIN notices AS n ON n.id = c.notice_id";
        assert_eq!(shop.rows(sent).await, ["sent|sent"], "{silent_at}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "{silent_at}");
    }
}

#[tokio::test]
async fn pages_of_letters_that_sqlite_read_before_somebody_else_wrote_are_read_again() {
    let mail = format!("{FILE_MAIL}surge_limit = 2500\n");
    let shop = with_notices(Shop::on(Engine::Sqlite, &mail), 2_500).await;
    let mut command = shop.command(&DELIVER);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The first of five pages is in the outbox. The next was read before, and
    // is there soon: this does not wait to look again.
    let mut other = shop.connection().await;
    while other.rows("SELECT count(*) > 0 FROM messages").await != ["1"] {}
    let carried = "EXISTS (SELECT 1 FROM notices AS n JOIN message_notices AS c \
                    ON c.notice_id = n.id WHERE n.order_id = orders.id)";
    let withdraw = format!("UPDATE orders SET withdrawn = TRUE WHERE NOT {carried}");
    other.rows(&withdraw).await;
    assert!(child.wait().unwrap().success());
    let told = format!(
        "SELECT count(*) FILTER (WHERE withdrawn) > 0, \
           count(*) FILTER (WHERE withdrawn AND {carried}), \
           count(*) FILTER (WHERE NOT withdrawn AND NOT {carried}) FROM orders"
    );
    assert_eq!(shop.rows(&told).await, ["1|0|0"]);
}
