//! A shop's own export goes in without a script.

use std::fs;

use encoding_rs::WINDOWS_1252;

use super::{RUN, SPOOL, lies, text_of};
use crate::shop::{Shop, stderr};

/// The indented blocks of the manual's example.
fn example() -> Vec<String> {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let manual = fs::read_to_string(manual).unwrap();
    let (_, section) = manual.split_once("\n### A shop's own export\n").unwrap();
    let section = section.split("\n##").next().unwrap();
    let mut blocks = vec![String::new()];
    for line in section.lines() {
        let last = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            Some(code) => *last += &format!("{code}\n"),
            None if line.is_empty() && last.contains("[import") => *last += "\n",
            None if !last.is_empty() => blocks.push(String::new()),
            None => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[tokio::test]
async fn the_manual_s_german_export_goes_in_as_written() {
    let blocks = example();
    let [config, orders, units, said] = blocks.as_slice() else {
        panic!("{blocks:?}");
    };
    let shop = Shop::new(config);
    fs::create_dir(shop.path("spool")).unwrap();
    for (name, text) in [
        ("Bestellungen_2026-01.csv", orders),
        ("Artikel_2026-01.csv", units),
    ] {
        let (bytes, _, is_lossy) = WINDOWS_1252.encode(text);
        assert!(
            !is_lossy && bytes.len() < text.len(),
            "{name} has nothing to decode"
        );
        shop.write(&format!("spool/{name}"), bytes);
    }
    let at_once = |args: &[&str], status| {
        let output = shop
            .command(args)
            .env("WARRANTYD_IMPORT__SETTLE", "0s")
            .output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        output
    };
    let output = at_once(&["import", "--check"], 0);
    let (command, table) = said.split_once('\n').unwrap();
    assert_eq!(command, "$ warrantyd import --check");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), table);
    at_once(&RUN, 0);
    let orders = "SELECT order_ref, customer_ref, customer_name, customer_email, placed_at, \
                  delivered_at, currency, total FROM orders";
    assert_eq!(
        shop.rows(orders).await,
        [
            "B-1001|K-17|Jürgen Müller|juergen@example.com|1767623400000000|1767830400000000|EUR|124990"
        ]
    );
    let units = "SELECT unit_ref, product_name, kind, price FROM units ORDER BY 1";
    assert_eq!(
        shop.rows(units).await,
        [
            "A-1|Kaffeemühle „Größe L“|hardware|119990",
            "A-2|Röstprogramm|software|5000"
        ]
    );
    assert_eq!(lies(&shop, "spool/done").len(), 2);
}

const GERMAN: &str = r#"
[import.orders]
delimiter = ";"
encoding = "windows-1252"
decimal = ","
dates = ["%d.%m.%Y"]
constants = { currency = "EUR", customer_ref = "K-1" }
values = { withdrawn = { ja = "true" } }
[import.orders.columns]
order_ref = "Nr"
customer_name = "Kunde"
customer_email = "E-Mail"
placed_at = "Datum"
total = "Summe"
"#;

const HEADER: &str = "Nr;Kunde;E-Mail;Datum;Summe;withdrawn\n";

#[tokio::test]
async fn messages_name_the_file_s_own_header_and_the_column() {
    let shop = Shop::new(&format!("{SPOOL}{GERMAN}"));
    for (row, expected) in [
        (
            &b"B-1;J\xfcrgen;j@example.com;01.02.2025;1.000,50;ja"[..],
            "",
        ),
        (
            b"B-2;;j@example.com;31.02.2025;1",
            "Datum (placed_at): found `31.02.2025`, expected a \
          time such as 2026-01-31T09:30:00+01:00, or a local one such as 2026-01-31 or 2026-01-31 \
          09:30, or one written as `%d.%m.%Y`, in the years 1970 to 2200",
        ),
        (
            b"B-2;;j@example.com;01.02.2025;12.50",
            "Summe (total): found `12.50`, expected an \
          amount such as 1234,50 or 1.234,50",
        ),
        (
            b"B-2;;j@example.com;01.02.2025;1.00.000,00",
            "Summe (total): found `1.00.000,00`",
        ),
        (
            b"B-2;;;01.02.2025;1",
            "the order is not known yet: expected a value in `E-Mail \
          (customer_email)`",
        ),
        (
            b"B-2;J\x81rgen;j@example.com;01.02.2025;1",
            "Kunde (customer_name): is not \
          windows-1252: expected the file to be saved as windows-1252 (replaced by U+FFFD here)",
        ),
        (
            b"B-2;;j@example.com;01.02.2025;1;nein",
            "withdrawn: found `nein`, expected `true`",
        ),
        (b";;j@example.com;01.02.2025;1", "Nr (order_ref): is empty"),
        (
            b"B-2;;j@example.com;01.02.2025;1;;;",
            "does a text with a `;` lack its quotes?",
        ),
    ] {
        let missing = 5_usize.saturating_sub(row.iter().filter(|byte| **byte == b';').count());
        let row = [row, &b";".repeat(missing)].concat();
        shop.write("orders.csv", [HEADER.as_bytes(), &row, b"\n"].concat());
        let status = if expected.is_empty() { 0 } else { 3 };
        let output = shop.run_to(status, &["import", "--check", "orders.csv"]);
        assert!(
            stderr(&output).contains(expected),
            "{expected}: {}",
            stderr(&output)
        );
    }
    shop.write("orders.csv", "Nr;Kunde;E-Mail;placed_at;withdrawn\n");
    let output = shop.run_to(2, &["import", "orders.csv"]);
    let expected = "the header has no column `Datum (placed_at)`, `Summe (total)`";
    assert!(stderr(&output).contains(expected), "{output:?}");
    shop.write("orders.csv", format!("placed_at;{HEADER}"));
    let output = shop.run_to(0, &["import", "orders.csv"]);
    let expected = "column `placed_at` is ignored: [import.orders.columns] has `Datum` for it";
    assert!(stderr(&output).contains(expected), "{output:?}");
}

#[tokio::test]
async fn rejects_are_written_as_they_are_read() {
    let shop = Shop::new(&format!("{SPOOL}{GERMAN}"));
    fs::create_dir(shop.path("spool")).unwrap();
    let row = b"B-1;J\xfcrgen \x80;j@example.com;01.02.2025;zehn;\n";
    shop.write("spool/orders.csv", [HEADER.as_bytes(), row].concat());
    shop.run_to(3, &RUN);
    let rejects = text_of(&shop, "spool/rejected", "orders.csv.rejects.csv");
    let head = "\u{feff}Nr;Kunde;E-Mail;Datum;Summe;withdrawn;line;error\r\n\
                B-1;Jürgen €;j@example.com;01.02.2025;zehn;;2;";
    assert!(rejects.starts_with(head), "{rejects}");
    // Mended, and put back.
    shop.write("spool/mended-orders.csv", rejects.replace("zehn", "10,00"));
    shop.run_to(0, &RUN);
    let found = shop.rows("SELECT customer_name, total FROM orders").await;
    assert_eq!(found, ["Jürgen €|1000"]);
}

#[tokio::test]
async fn a_byte_order_mark_stands_above_the_encoding() {
    let text = "order_ref,customer_ref,customer_name,customer_email,placed_at,currency,total\n\
                O-1,K-1,Jürgen €,j@example.com,2025-01-01,EUR,1\n";
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    let marked = format!("\u{feff}{text}");
    for (encoding, bytes) in [
        ("windows-1252", marked.clone().into_bytes()),
        ("utf-16le", wide(text, u16::to_le_bytes)),
        ("utf-16le", wide(&marked, u16::to_le_bytes)),
        ("utf-16le", wide(&marked, u16::to_be_bytes)),
        ("utf-16be", wide(text, u16::to_be_bytes)),
        ("utf-8", text.to_owned().into_bytes()),
    ] {
        let shop = Shop::new(&format!("[import.orders]\nencoding = \"{encoding}\"\n"));
        shop.write("orders.csv", &bytes);
        shop.run_to(0, &["import", "orders.csv"]);
        let found = shop.rows("SELECT customer_name FROM orders").await;
        assert_eq!(found, ["Jürgen €"], "{encoding}");
    }
    // Half a character, and one that is none.
    let shop = Shop::new("[import.orders]\nencoding = \"utf-16le\"\n");
    let mut bytes = wide(text, u16::to_le_bytes);
    let at = text.chars().position(|c| c == '€').unwrap() * 2;
    bytes[at..at + 2].copy_from_slice(&[0, 0xd8]);
    shop.write("orders.csv", &bytes);
    let output = shop.run_to(3, &["import", "--check", "orders.csv"]);
    let expected = "customer_name: is not UTF-16LE";
    assert!(stderr(&output).contains(expected), "{output:?}");
}
