//! What a user gets wrong: the exit status, the message, and how many rows
//! came of it.

use std::fs;
use std::process::Command;

use crate::shop::{CONFIG, Engine, FILE_MAIL, ORDERS, Shop, UNITS, named, one_unit, stderr};

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

const STANDARD: &str = include_str!("../../templates/policy/standard.toml");
const POLICY_DIR: &str = "[policy]\ndir = \"policy\"\n";

fn config(more: &str) -> (&'static str, Vec<u8>) {
    ("warrantyd.toml", format!("{CONFIG}{more}").into())
}

/// The config with a directory of policies, and one policy in it.
fn policy(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![config(POLICY_DIR), ("policy/shop.toml", text.into())]
}

/// The built-in policy under another date, with a change.
fn edited(from: &str, to: &str) -> String {
    let text = STANDARD.replace("effective_from = 2000-01-01", "effective_from = 2030-01-01");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

const IMPORT: &[&str] = &["import", "orders.csv"];

fn orders(rows: impl AsRef<[u8]>) -> Vec<(&'static str, Vec<u8>)> {
    vec![("orders.csv", [ORDERS.as_bytes(), rows.as_ref()].concat())]
}

fn order(name: &str) -> String {
    format!("O-2,K-2,{name},eve@example.com,2025-01-01,,EUR,1.00\n")
}

#[rustfmt::skip]
fn table() -> Vec<Bad> {
    vec![
        Bad {
            what: "a config that is not text",
            files: vec![("warrantyd.toml", b"[database]\nurl = \"\xff\"\n".to_vec())],
            message: "error: warrantyd.toml: cannot be read: stream did not contain valid UTF-8",
            ..Bad::default()
        },
        Bad {
            what: "a config that is a directory",
            args: &["--config", ".", "status"],
            message: "error: .: cannot be read: Is a directory (os error 21)",
            ..Bad::default()
        },
        Bad {
            what: "no config",
            args: &["--config", "none.toml", "status"],
            message: "error: none.toml: found no such file, expected a configuration: write one with `warrantyd init`, or name one with --config FILE",
            ..Bad::default()
        },
        Bad {
            what: "a key that nobody knows",
            files: vec![config("[notices]\nstale_afer = \"3 days\"\n")],
            message: "error: warrantyd.toml:14: notices.stale_afer: unknown key, expected one of live_from, stale_after, outcome_delay",
            ..Bad::default()
        },
        Bad {
            what: "a bad value in the environment",
            env: &[("WARRANTYD_NOTICES__STALE_AFTER", "soon")],
            message: r#"error: WARRANTYD_NOTICES__STALE_AFTER: found "soon", expected a span such as "3 days", at most 10 years"#,
            ..Bad::default()
        },
        Bad {
            what: "a key in the environment that nobody knows",
            env: &[("WARRANTYD_NOTICES__STALE", "3 days")],
            message: "error: WARRANTYD_NOTICES__STALE: unknown key, expected one of live_from, stale_after, outcome_delay",
            ..Bad::default()
        },
        Bad {
            what: "an unknown time zone",
            env: &[("WARRANTYD_BUSINESS__TIMEZONE", "Europe/Atlantis")],
            message: r#"error: WARRANTYD_BUSINESS__TIMEZONE: found "Europe/Atlantis", expected an IANA name such as "Europe/Rome""#,
            ..Bad::default()
        },
        Bad {
            what: "a policy with a wrong key",
            files: policy(&edited("days = 180", "day = 180")),
            message: "error: policy/shop.toml:31: windows.hardware_warranty.day: unknown field `day`, expected one of `clause`, `days`, `count`, `roll_forward`, `pause_on_wait`, `assumed`, `steps`",
            ..Bad::default()
        },
        Bad {
            what: "a policy with negative days",
            files: policy(&edited("days = 180", "days = -180")),
            message: "error: policy/shop.toml:31: windows.hardware_warranty.days: found -180, expected a number of days from 0 to 36500",
            ..Bad::default()
        },
        Bad {
            what: "a policy with a step for nobody",
            files: policy(&edited("\"customer\"", "\"neighbour\"")),
            message: "error: policy/shop.toml:33: windows.hardware_warranty.steps: unknown variant `neighbour`, expected one of `customer`, `assignee`, `lead`, `finance`, `manager`, `director`",
            ..Bad::default()
        },
        Bad {
            what: "a policy version in two files",
            files: {
                let mut files = policy(&edited("days = 180", "days = 181"));
                files.push(("policy/twin.toml", edited("days = 180", "days = 182").into()));
                files
            },
            message: "error: policy/twin.toml: policy standard@2030-01-01 is in policy/shop.toml too: expected one file a version, give this one a later effective_from or another name",
            ..Bad::default()
        },
        Bad {
            what: "a used policy version that was edited",
            files: policy(&STANDARD.replacen("days = 180", "days = 181", 1)),
            message: "error: policy standard@2000-01-01 was used and its file was edited since: orders keep the terms under which they were placed. Restore the text (`warrantyd policy show standard@2000-01-01` prints it), and put the change into a file of its own with a later effective_from",
            ..Bad::default()
        },
        Bad {
            what: "a policy version that starts before orders that were evaluated",
            files: policy(&edited("2030-01-01", "2025-01-01")),
            message: "error: policy standard@2025-01-01 starts before orders that were evaluated under an earlier version (the newest of 2025-01-01): orders keep the terms under which they were placed. Give it an effective_from after 2025-01-01",
            ..Bad::default()
        },
        Bad {
            what: "no such job",
            args: &["run", "everything"],
            ..Bad::default()
        },
        Bad {
            what: "no such file",
            args: &["import", "none-orders.csv"],
            status: 2,
            message: "error: none-orders.csv: no such file or directory",
            ..Bad::default()
        },
        Bad {
            what: "a directory without an import file",
            args: &["import", "policy"],
            message: "error: policy: no import file in it: expected orders.csv, units.csv, claims.csv or waits.csv",
            ..Bad::default()
        },
        Bad {
            what: "a period for a report that has none",
            args: &["report", "claims", "--from", "2025-01-01"],
            message: "error: --from and --to are for compliance and notices, not for claims",
            ..Bad::default()
        },
        Bad {
            what: "days for a report that does not look ahead",
            args: &["report", "overdue", "--days", "3"],
            message: "error: --days is for upcoming, not for overdue",
            ..Bad::default()
        },
        Bad {
            what: "a period that ends before it begins",
            args: &["report", "notices", "--from", "2025-02-01", "--to", "2025-01-01"],
            message: "error: --from 2025-02-01 is after --to 2025-01-01: expected the earlier date first",
            ..Bad::default()
        },
        Bad {
            what: "a time for a job that has none",
            args: &["run", "import", "--at", "2025-01-01"],
            message: "error: --at: import has no time but the present, leave it out",
            ..Bad::default()
        },
        Bad {
            what: "a message that is not there",
            args: &["mail", "retry", "99"],
            message: "error: there is no message 99: `warrantyd mail list` shows them",
            ..Bad::default()
        },
        Bad {
            what: "a policy directory that is not there",
            files: vec![config("[policy]\ndir = \"nowhere\"\n")],
            message: "error: policy.dir: nowhere: No such file or directory (os error 2): expected a directory with policy files",
            ..Bad::default()
        },
        Bad {
            what: "a file whose name says nothing",
            files: vec![("list.csv", b"a\n".to_vec())],
            args: &["import", "list.csv"],
            message: "error: list.csv: what is in it? Expected a name that ends with orders.csv, units.csv, claims.csv or waits.csv, or --as",
            ..Bad::default()
        },
        Bad {
            what: "a wrong header",
            files: vec![("orders.csv", b"order;customer\n1;2\n".to_vec())],
            args: IMPORT,
            message: "error: orders.csv: the header has no column `order_ref`, `customer_ref`, `customer_email`, `placed_at`, `currency`, `total`, which every file of orders needs: expected a first row of column names, as CSV in UTF-8; the columns must be separated by commas",
            ..Bad::default()
        },
        Bad {
            what: "an empty file",
            files: vec![("orders.csv", Vec::new())],
            args: IMPORT,
            message: "error: orders.csv: is empty: expected a first row of column names",
            ..Bad::default()
        },
        Bad {
            what: "a good file among bad ones",
            files: [orders(order("Eve")), vec![("units.csv", b"a\n".to_vec())]].concat(),
            args: &["import", "."],
            message: "error: ./units.csv: the header has no column `unit_ref`, `order_ref`, `product_name`, `kind`, which every file of units needs: expected a first row of column names, as CSV in UTF-8",
            ..Bad::default()
        },
        Bad {
            what: "a byte order mark",
            files: vec![("orders.csv", format!("\u{feff}{ORDERS}{}", order("Eve")).into())],
            args: IMPORT,
            status: 0,
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "CRLF",
            files: vec![("orders.csv", format!("{ORDERS}{}", order("Eve")).replace('\n', "\r\n").into())],
            args: IMPORT,
            status: 0,
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "quotes, commas and line breaks in cells",
            files: orders(order("\"Eve \"\"E\"\", the\r\nfirst\"")),
            args: IMPORT,
            status: 0,
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a NUL",
            files: orders([order("E\0ve"), order("Eve").replace("O-2", "O-3")].concat()),
            args: IMPORT,
            status: 3,
            reject: "customer_name: holds a NUL character: expected text",
            message: "1 rows were refused: see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a cell of 10 MB",
            files: orders([order(&"x".repeat(10 << 20)), order("Eve").replace("O-2", "O-3")].concat()),
            args: IMPORT,
            status: 3,
            reject: "customer_name: is longer than 65536 bytes: expected a shorter one, or a quote that was meant to close it (cut off here)",
            message: "1 rows were refused: see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a cell that is not UTF-8",
            files: orders([order("\u{c9}ve").as_bytes(), b"O-3,K-2,E\xe9,eve@example.com,2025-01-01,,EUR,1.00\n"].concat()),
            args: IMPORT,
            status: 3,
            reject: "customer_name: is not UTF-8: expected the file to be saved as UTF-8 (replaced by U+FFFD here)",
            message: "1 rows were refused: see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a quote that is never closed",
            files: orders(format!("{}O-3,K-2,\"Eve\n", order("Eve"))),
            args: IMPORT,
            status: 3,
            reject: "customer_name: a quote is never closed: expected `\"` at the end of the cell",
            message: "1 rows were refused: see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a time that is none",
            args: &["run", "enforce", "--at", "yesterday"],
            message: "error: --at: found `yesterday`, expected `now`, RFC 3339 such as 2026-01-31T09:00:00Z, or YYYY-MM-DD[ HH:MM[:SS]] in the business's time zone",
            ..Bad::default()
        },
        Bad {
            what: "a time in the future",
            args: &["run", "enforce", "--at", "2999-01-01"],
            ..Bad::default()
        },
        Bad {
            what: "a time before what was enforced",
            args: &["run", "enforce", "--at", "2025-02-28"],
            message: "error: --at 2025-02-28 00:00:00 UTC is before 2025-03-01 00:00:00 UTC, up to when was enforced: expected a later time",
            ..Bad::default()
        },
        Bad {
            what: "a database from a newer version",
            sql: "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                  VALUES (9999, 'later', '2030-01-01', TRUE, '00', 0)",
            status: 1,
            message: "error: DATABASE: the database is from a newer version of warrantyd (schema 9999, this program knows 4): install that version, or restore a backup",
            ..Bad::default()
        },
        Bad {
            what: "a file in place of the reports' directory",
            files: vec![config("[reports]\ndir = \"reports\"\n"), ("reports", Vec::new())],
            args: &["run", "report", "--at", "2025-03-02"],
            status: 1,
            message: "error: reports/2025-03-02: Not a directory (os error 20)",
            ..Bad::default()
        },
        Bad {
            what: "no directory for reports",
            args: &["run", "report"],
            message: "error: reports.dir is not set: expected a directory for the daily reports",
            ..Bad::default()
        },
        Bad {
            what: "no way for mail",
            args: &["run", "deliver"],
            message: r#"error: mail.transport is not set: expected "smtp" or "file""#,
            ..Bad::default()
        },
        Bad {
            what: "a dry run of what has none",
            args: &["run", "report", "--dry-run"],
            message: "error: --dry-run: only `run enforce` has one",
            ..Bad::default()
        },
        Bad {
            what: "an unknown subject",
            args: &["explain", "O-404"],
            message: "error: there is no order, unit or claim `O-404`",
            ..Bad::default()
        },
        Bad {
            what: "a fact before its order",
            args: &["record", "order", "O-1", "paid_at=2024-12-31"],
            message: "error: paid_at: found `2024-12-31T00:00:00Z`, expected a time that is not before placed_at, `2025-01-01T00:00:00Z`",
            ..Bad::default()
        },
    ]
}

/// What is no database.
#[rustfmt::skip]
fn no_database() -> Vec<Bad> {
    vec![
        Bad {
            what: "a database that is none",
            files: vec![("shop.db", b"this is not a database, it is a text\n".repeat(100))],
            status: 1,
            message: "error: shop.db: cannot open the database: error returned from database: (code: 26) file is not a database",
            ..Bad::default()
        },
        Bad {
            what: "a directory in place of the database",
            env: &[("WARRANTYD_DATABASE__URL", "sqlite://.")],
            status: 1,
            message: "error: .: cannot open the database: error returned from database: (code: 14) unable to open database file",
            ..Bad::default()
        },
        Bad {
            what: "an engine that nobody knows",
            env: &[("WARRANTYD_DATABASE__URL", "mysql://shop@127.0.0.1/shop")],
            message: "error: WARRANTYD_DATABASE__URL: found mysql://: expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
            ..Bad::default()
        },
        Bad {
            what: "a server that does not run",
            env: &[("WARRANTYD_DATABASE__URL", "postgres://shop:secret@127.0.0.1:1/shop")],
            status: 1,
            message: "error: postgres://shop@127.0.0.1:1/shop: cannot open the database: Connection refused (os error 111)",
            ..Bad::default()
        },
    ]
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
    let said = format!("{count} rows were refused: see orders.csv.rejects.csv\n");
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
