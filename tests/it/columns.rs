//! The manual's tables of the columns of each report.

use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDate};
use rust_decimal::Decimal;
use strum::VariantArray;
use warrantyd::case::ExceptionCode;
use warrantyd::report::ReportName;

use crate::shop::Shop;

/// What the manual says of a column.
#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub type_name: String,
    pub is_ever_empty: bool,
}

impl Column {
    /// Whether a field of CSV is what the manual says.
    pub fn fits(&self, field: &str) -> bool {
        if field.is_empty() {
            return self.is_ever_empty;
        }
        let decimals = |field: &str| field.split_once('.').map_or(0, |(_, after)| after.len());
        match self.type_name.as_str() {
            "name" | "text" => true,
            "code" => !field.contains(char::is_whitespace),
            "time" => DateTime::parse_from_rfc3339(field).is_ok(),
            "date" => field.parse::<NaiveDate>().is_ok(),
            "count" | "days" => field.parse::<i64>().is_ok(),
            "percent" => field.parse::<Decimal>().is_ok() && decimals(field) == 2,
            "amount" => field.parse::<Decimal>().is_ok(),
            other => panic!("{}: the manual names no type {other}", self.name),
        }
    }
}

fn manual() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The cells of the first table behind a place.
pub fn rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let (_, table) = text
        .split_once(head)
        .unwrap_or_else(|| panic!("no table {head}"));
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim_matches('|').split('|');
        inner
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    lines.map(cells).collect()
}

/// The columns of a report, in the order of the manual.
pub fn documented(name: ReportName) -> Vec<Column> {
    let manual = manual();
    let (_, text) = manual.split_once(&format!("**`{name}`**: ")).unwrap();
    let rows = rows(text, "| column | type | meaning | empty |").into_iter();
    let column = |cells: Vec<String>| {
        let [name, type_name, meaning, empty] = cells.try_into().unwrap();
        assert!(!meaning.is_empty() && !empty.is_empty(), "{name}");
        Column {
            name,
            type_name,
            is_ever_empty: empty != "never",
        }
    };
    rows.map(column).collect()
}

#[test]
fn the_manual_has_every_column_of_every_report() {
    for name in ReportName::VARIANTS {
        let columns = documented(*name).into_iter().map(|column| column.name);
        assert_eq!(columns.collect::<Vec<_>>(), name.columns(), "{name}");
    }
}

#[test]
fn the_manual_says_how_each_report_is_sorted() {
    let manual = manual();
    for name in ReportName::VARIANTS {
        let (_, text) = manual.split_once(&format!("**`{name}`**: ")).unwrap();
        let text = text.lines().next().unwrap();
        let keys: Vec<String> = name
            .sorted_by()
            .iter()
            .map(|key| format!("`{key}`"))
            .collect();
        let said = match name {
            ReportName::Overdue | ReportName::Upcoming => "sorted by `due_at` first".to_owned(),
            ReportName::Exceptions => "sorted by all its columns".to_owned(),
            _ => format!("sorted by {}", keys.join(", ")),
        };
        assert!(text.contains(&said), "{name}: {said}");
    }
}

#[test]
fn the_manual_has_every_kind_of_exception() {
    let rows = rows(&manual(), "| code | means |");
    let codes: Vec<&str> = rows.iter().map(|cells| cells[0].as_str()).collect();
    let expected: Vec<&str> = ExceptionCode::VARIANTS.iter().map(Into::into).collect();
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn status_has_what_the_manual_says() {
    let shop = Shop::new("");
    let json = shop.run_to(0, &["status", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let told = shop.run_to(0, &["status"]).stdout;
    let told = String::from_utf8(told).unwrap();
    let head: Vec<&str> = told.lines().next().unwrap().split("  ").collect();
    let head: Vec<&str> = head.into_iter().map(str::trim).collect();
    let rows = rows(&manual(), "| column | `--format json` | is |");
    assert!(rows.len() > 5, "{rows:?}");
    for cells in rows {
        let is_there = cells[0].starts_with("a line ") || head.contains(&cells[0].as_str());
        assert!(is_there, "{}: {told}", cells[0]);
        for key in cells[1].split("`, `") {
            assert!(json["jobs"][0].get(key).is_some(), "{key}: {json}");
        }
    }
    for key in [
        "orders_due",
        "orders_overdue",
        "notices_queued",
        "messages_ready",
    ] {
        assert_eq!(json["backlog"][key], 0, "{json}");
    }
}
