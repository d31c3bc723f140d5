//! Import files that are wrong.

use super::Bad;
use crate::shop::ORDERS;

const IMPORT: &[&str] = &["import", "orders.csv"];

fn orders(rows: impl AsRef<[u8]>) -> Vec<(&'static str, Vec<u8>)> {
    vec![("orders.csv", [ORDERS.as_bytes(), rows.as_ref()].concat())]
}

fn order(name: &str) -> String {
    format!("O-2,K-2,{name},eve@example.com,2025-01-01,,EUR,1.00\n")
}

/// What is wrong with a file, or with a row of it.
#[rustfmt::skip]
pub(super) fn files() -> Vec<Bad> {
    vec![
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
    ]
}
