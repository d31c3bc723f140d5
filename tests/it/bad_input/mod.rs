//! What a user gets wrong: the exit status, the message, and how many rows
//! came of it.

mod table;

use std::fs;
use std::process::Command;

use self::table::{no_database, table};

use crate::shop::{Engine, FILE_MAIL, ORDERS, Shop, UNITS, named, one_unit, stderr};

/// One thing that goes wrong, in a shop that knows order O-1 with unit U-1
/// and was enforced up to 1 March 2025.
struct Bad {
    what: &'static str,
    /// Files that are written first.
    files: Vec<(&'static str, Vec<u8>)>,
    /// The environment.
    env: &'static [(&'static str, &'static str)],
    /// What is done to the database first.
    sql: &'static str,
    args: &'static [&'static str],
    status: i32,
    /// All of stderr, with `DATABASE` for its address; nothing: anything.
    message: &'static str,
    /// What the rejects file says of its one row.
    reject: &'static str,
    /// How many facts, notices and messages there are more.
    rows: i64,
}

impl Default for Bad {
    fn default() -> Self {
        Self {
            what: "",
            files: Vec::new(),
            env: &[],
            sql: "",
            args: &["run", "enforce", "--at", "2025-03-02"],
            status: 2,
            message: "",
            reject: "",
            rows: 0,
        }
    }
}

const ROWS: &str = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM units) + \
     (SELECT count(*) FROM claims) + (SELECT count(*) FROM waits) + \
     (SELECT count(*) FROM fact_changes) + (SELECT count(*) FROM notices) + \
     (SELECT count(*) FROM messages)";

/// A shop that knows order O-1 with unit U-1 and was enforced.
pub async fn base(engine: Engine) -> Shop {
    let shop = Shop::on(engine, "");
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop.enforce(named("2025-03-01T00:00:00Z")).await.unwrap();
    for name in ["orders.csv", "units.csv"] {
        fs::remove_file(shop.path(name)).unwrap();
    }
    shop
}

#[tokio::test]
async fn bad_input_is_told_and_does_no_harm() {
    let base = base(Engine::of_this_run()).await;
    for bad in table() {
        let shop = told(&base, &bad).await;
        let rows: i64 = shop.rows(ROWS).await[0].parse().unwrap();
        assert_eq!(rows, 2 + bad.rows, "{}", bad.what);
    }
}

#[tokio::test]
async fn what_is_no_database_is_told() {
    let shop = Shop::on(Engine::Sqlite, "");
    for bad in no_database() {
        told(&shop, &bad).await;
    }
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_told() {
    let shop = Shop::on(Engine::Postgres, "");
    let url = format!("{}_too", shop.database());
    let mut command = shop.command(&["status"]);
    let output = command.env("WARRANTYD_DATABASE__URL", &url).output();
    let output = output.unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let message =
        format!("error: {url}: cannot open the database: database \"{name}\" does not exist\n");
    assert_eq!(stderr(&output), message);
    assert_eq!(output.status.code(), Some(1));
}

/// Runs the program on a copy of a shop: what it says is what it should.
async fn told(base: &Shop, bad: &Bad) -> Shop {
    let shop = base.copy();
    fs::create_dir(shop.path("policy")).unwrap();
    if !bad.sql.is_empty() {
        shop.execute(bad.sql).await;
    }
    for (name, bytes) in &bad.files {
        shop.write(name, bytes);
    }
    let mut command = shop.command(bad.args);
    let output = command.envs(bad.env.iter().copied()).output().unwrap();
    let said = stderr(&output);
    assert_eq!(
        output.status.code(),
        Some(bad.status),
        "{}: {said}",
        bad.what
    );
    if !bad.message.is_empty() {
        let message = bad
            .message
            .replace("DATABASE:", &format!("{}:", shop.database()));
        assert_eq!(said.trim_end(), message, "{}", bad.what);
    }
    assert_eq!(reject(&shop), bad.reject, "{}", bad.what);
    shop
}

/// Why the one row of the rejects file was refused.
fn reject(shop: &Shop) -> String {
    let rows = csv::Reader::from_path(shop.path("orders.csv.rejects.csv"));
    let rows = rows.into_iter().flat_map(csv::Reader::into_records);
    let errors: Vec<String> = rows
        .map(|row| row.unwrap().iter().next_back().unwrap().to_owned())
        .collect();
    errors.join("\n")
}

#[tokio::test]
async fn many_bad_rows_are_refused_one_by_one_in_bounded_memory() {
    let is_full = std::env::var_os("WARRANTYD_FULL").is_some();
    let count = if is_full { 1_000_000 } else { 200_000 };
    let shop = base(Engine::of_this_run()).await;
    let mut rows = ORDERS.to_owned();
    for n in 0..count {
        rows += &format!("O-{n},K-1,Eve,eve@example.com,2025-01-01,,EUR,-1.00\n");
    }
    shop.write("orders.csv", &rows);
    // The system's own measure of what a child used at most.
    let measure = "import resource, subprocess, sys\n\
                   status = subprocess.run(sys.argv[1:]).returncode\n\
                   print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
                   sys.exit(status)";
    let output = Command::new("python3")
        .args([
            "-c",
            measure,
            env!("CARGO_BIN_EXE_warrantyd"),
            "import",
            "orders.csv",
        ])
        .current_dir(shop.dir())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = format!("rows refused: {count}, see orders.csv.rejects.csv\n");
    assert_eq!(stderr(&output), said);
    let rejects = fs::read_to_string(shop.path("orders.csv.rejects.csv")).unwrap();
    assert_eq!(rejects.lines().count(), count + 1);
    let used = String::from_utf8(output.stdout).unwrap();
    let used: u64 = used.lines().last().unwrap().parse().unwrap();
    assert!(used < 64 << 10, "{used} KiB");
}

#[tokio::test]
async fn odd_names_are_taken_and_do_no_harm() {
    let shop = Shop::new(FILE_MAIL);
    let mut orders = ORDERS.to_owned();
    orders += "=cmd(),K-1,\"Eve\r\nBcc: all@example.com\",eve@example.com,2025-01-01,2025-01-05,EUR,1.00\n";
    let units = "=2+3,=cmd(),\"=HYPERLINK(\"\"x\"\")\",hardware,,\n";
    shop.import(&[
        ("orders.csv", orders),
        ("units.csv", format!("{UNITS}{units}")),
    ])
    .await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    let report = shop.run_to(0, &["report", "deadlines", "--at", "2025-06-05"]);
    let report = String::from_utf8(report.stdout).unwrap();
    let cells = report.lines().nth(1).unwrap();
    assert!(cells.starts_with("'=cmd(),unit,'=2+3,"), "{cells}");
    let mail = fs::read_dir(shop.path("outbox")).unwrap().next().unwrap();
    let mail = fs::read(mail.unwrap().path()).unwrap();
    let mail = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert!(mail.bcc().is_none());
    let to = mail.to().unwrap().first().unwrap();
    assert_eq!(to.name(), Some("Eve Bcc: all@example.com"));
    assert_eq!(to.address(), Some("eve@example.com"));
}
