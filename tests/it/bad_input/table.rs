//! The list of what goes wrong.

use super::Bad;
use crate::shop::{CONFIG, ORDERS};

const STANDARD: &str = include_str!("../../../templates/policy/standard.toml");
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
pub fn table() -> Vec<Bad> {
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
            message: "error: orders.csv: the header has no column `order_ref`, `customer_ref`, `customer_email`, `placed_at`, `currency`, `total`, which every file of orders needs: expected a first row of column names, as CSV in UTF-8; the columns must be separated by commas, as `delimiter` in [import.orders] has it",
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
            message: "rows refused: 1, see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a cell of 10 MB",
            files: orders([order(&"x".repeat(10 << 20)), order("Eve").replace("O-2", "O-3")].concat()),
            args: IMPORT,
            status: 3,
            reject: "customer_name: is longer than 65536 bytes: expected a shorter one, or a quote that was meant to close it (cut off here)",
            message: "rows refused: 1, see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a cell that is not UTF-8",
            files: orders([order("\u{c9}ve").as_bytes(), b"O-3,K-2,E\xe9,eve@example.com,2025-01-01,,EUR,1.00\n"].concat()),
            args: IMPORT,
            status: 3,
            reject: "customer_name: is not UTF-8: expected the file to be saved as UTF-8 (replaced by U+FFFD here)",
            message: "rows refused: 1, see orders.csv.rejects.csv",
            rows: 1,
            ..Bad::default()
        },
        Bad {
            what: "a quote that is never closed",
            files: orders(format!("{}O-3,K-2,\"Eve\n", order("Eve"))),
            args: IMPORT,
            status: 3,
            reject: "customer_name: a quote is never closed: expected `\"` at the end of the cell",
            message: "rows refused: 1, see orders.csv.rejects.csv",
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
            message: "error: DATABASE: the database is from a newer version of warrantyd (schema 9999, this program knows 9): install that version, or restore a backup",
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
            message: "error: reports.dir is not set: expected a directory for the reports",
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
            message: "error: --dry-run: only `run enforce` and `run worklists` have one",
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
pub fn no_database() -> Vec<Bad> {
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
