//! Reports with the oddest texts that the shop can be given, read back by
//! others, and in every format.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};
use strum::VariantArray;
use warrantyd::jobs::{self, ReportRequest, UPCOMING_DAYS};
use warrantyd::policy::{Instant, STANDARD};
use warrantyd::report::{By, Dialect, Format, Period, ReportName};

use crate::shop::{CONFIG, ORDERS, Shop, UNITS, at, named, stderr};

/// A Monday.
const AT: &str = "2025-02-10T06:00:00Z";

/// What a text may begin with in every report: a formula, as OWASP lists them,
/// and their full-width forms.
const FORMULAS: [&str; 8] = ["=", "+", "-", "@", "＝", "＋", "－", "＠"];

/// Names of the shop's own. They are trimmed, and control characters in them
/// are refused.
const ODD: [&str; 20] = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(1+1)",
    "=1+2\";=1+2",
    "=1+2'\" ;,=1+2",
    "=HYPERLINK(\"http://shop.example\";\"x\")",
    "'=1+1",
    "a,\"b\"",
    "a;=1+1",
    "\u{feff}=1+1",
    "x  y",
    "طلب 7",
    "\u{202e}7 desrever",
    "👩‍🔧 é e\u{301}",
    "x\u{2028}y",
];

/// Addresses that an import takes.
const TECHNICIANS: [&str; 4] = [
    "=1+1@example.com",
    "+1@example.com",
    "-1@example.com",
    "'tom@example.com",
];

fn config(reports: &str) -> String {
    let head = CONFIG.replace("\"UTC\"", "\"Europe/Rome\"");
    let head = head.replace("\"lead@example.com\"", "\"=lead@example.com\"");
    format!("{head}[policy]\ndir = \"policy\"\n[reports]\ndir = \"reports\"\n{reports}")
}

/// A policy whose name and clauses are odd too.
fn odd_policy() -> String {
    let text = STANDARD.replace("name = \"standard\"", "name = \"=house, \\\"1\\\"\"");
    let odd = "clause = \"\\n=4.1;\\t\\\"x\\\",\\r\\nend\"";
    let text = text.replace("clause = \"4.1\"", odd);
    assert!(text.contains("=house") && text.contains(odd));
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// For each odd text an order of it with a claim that is late, one that is due
/// soon and one whose refund is owed; and a second one that was cancelled.
fn facts() -> [(&'static str, String); 3] {
    let mut orders = ORDERS.replace("total\n", "total,paid_at,cancelled_at\n");
    let mut units = UNITS.replace("replaces_unit_ref", "policy,serial");
    let mut claims = "claim_ref,unit_ref,type,opened_at,assignee_email,confirmed_at,received_at,\
                      returned_at\n"
        .to_owned();
    for (nth, odd) in ODD.iter().enumerate() {
        let name = |suffix: &str| quoted(&format!("{odd} {suffix}"));
        let customer = format!("{},Ada,ada{nth}@example.com", name("K"));
        let (order, unit) = (name("O"), name("U"));
        orders += &format!("{order},{customer},2025-01-01,2025-01-05,EUR,100.00,,\n");
        orders += &format!(
            "{},{customer},2025-01-01,,EUR,0.50,2025-01-02,2025-01-08\n",
            name("X")
        );
        let policy = ["standard", "\"=house, \"\"1\"\"\""][nth % 2];
        units += &format!("{unit},{order},Lamp,hardware,,{policy},same\n");
        let tom = quoted(TECHNICIANS[nth % TECHNICIANS.len()]);
        for (claim, cells) in [
            ("late", format!("repair,2025-01-10,{tom},,2025-01-15,")),
            ("soon", format!("repair,2025-01-20,{tom},,2025-01-24,")),
            (
                "owed",
                format!("refund,2025-01-10,{tom},2025-01-12,,2025-01-20"),
            ),
        ] {
            claims += &format!("{},{unit},{cells}\n", name(claim));
        }
    }
    [
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
    ]
}

/// A shop of them, with notices, and a hold for an odd reason.
async fn odd_shop() -> Shop {
    let shop = Shop::new("");
    shop.write("warrantyd.toml", config(""));
    fs::create_dir(shop.path("policy")).unwrap();
    shop.write("policy/odd.toml", odd_policy());
    let imported = shop.import(&facts()).await;
    let rejected: u64 = imported.files.iter().map(|file| file.rejected).sum();
    assert_eq!(rejected, 0, "{imported:?}");
    shop.run_to(0, &["hold", "=1+1 O", "--reason", "=1+1; \"+2\", é"]);
    shop.enforce(named(AT)).await.unwrap();
    shop
}

/// A report in a format, as of [`AT`].
async fn written(shop: &jobs::Shop, request: ReportRequest) -> String {
    let (out, _) = jobs::one_report(shop, request, Vec::new()).await.unwrap();
    String::from_utf8(out).unwrap()
}

fn request(name: ReportName, format: Format) -> ReportRequest {
    ReportRequest {
        name,
        at: at(AT),
        known_at: None,
        from: None,
        to: None,
        by: By::Started,
        days: UPCOMING_DAYS,
        format,
    }
}

fn objects(json: &str) -> Vec<Map<String, Value>> {
    serde_json::from_str(json).unwrap()
}

/// The JSON of each file of the daily set and of the week's, by the paths of
/// the files.
async fn expected(shop: &jobs::Shop) -> BTreeMap<String, String> {
    let mut expected = BTreeMap::new();
    for name in ReportName::VARIANTS {
        let json = written(shop, request(*name, Format::Json)).await;
        expected.insert(format!("2025-02-10/{name}"), json);
    }
    let (from, to) = ("2025-02-03".parse().unwrap(), "2025-02-09".parse().unwrap());
    let week = ReportRequest {
        from: Some(from),
        to: Some(to),
        by: By::Due,
        ..request(ReportName::Compliance, Format::Json)
    };
    expected.insert("2025-W06/compliance".to_owned(), written(shop, week).await);
    // One row a line, whose columns keep their order so.
    let deadlines = expected["2025-02-10/deadlines"].lines();
    let missed = deadlines
        .map(|line| line.trim_end_matches(','))
        .filter(|line| {
            let Ok(row) = serde_json::from_str::<Map<String, Value>>(line) else {
                return false;
            };
            let last_day = row["last_day"].as_str().unwrap_or_default();
            let is_late = row["state"] == "missed" || row["state"] == "overdue";
            is_late && ("2025-02-03"..="2025-02-09").contains(&last_day)
        });
    let missed: Vec<&str> = missed.collect();
    let missed = format!("[{}]", missed.join(","));
    expected.insert("2025-W06/missed".to_owned(), missed);
    expected
}

/// pandas and LibreOffice read in every dialect what the JSON says.
#[tokio::test]
async fn others_read_what_was_written() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(
        python.exists(),
        "there is no pandas: run `bash tests/run.sh`"
    );
    let shop = odd_shop().await;
    for (delimiter, bom, settings) in [
        (",", false, ""),
        (";", true, "csv_delimiter = \";\"\ncsv_bom = true\n"),
        ("\t", false, "csv_delimiter = \"tab\"\n"),
    ] {
        shop.write("warrantyd.toml", config(settings));
        let open = shop.open().await;
        jobs::daily_report(&open, named(AT)).await.unwrap();
        jobs::compliance_report(&open, named(AT), Period::Week)
            .await
            .unwrap();
        // All files in one directory, for one start of LibreOffice.
        let sheets = shop.path("sheets");
        fs::create_dir_all(&sheets).unwrap();
        for (path, json) in expected(&open).await {
            let name = path.replace('/', "-");
            assert!(objects(&json).len() > 2, "{path}: {json}");
            let csv = shop.path("reports").join(format!("{path}.csv"));
            fs::copy(csv, sheets.join(format!("{name}.csv"))).unwrap();
            fs::write(sheets.join(format!("{name}.json")), json).unwrap();
        }
        open.store.close().await;
        let mut command = Command::new(&python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_back.py"))
            .arg(&sheets)
            .arg(delimiter)
            .args(bom.then_some("bom"));
        let read = command.output().unwrap();
        let said = String::from_utf8_lossy(&read.stdout);
        assert!(
            read.status.success(),
            "{delimiter:?}: {said}{}",
            stderr(&read)
        );
        assert!(said.contains("cells of 10 files are equal"), "{said}");
    }
}

/// What a text must be in CSV.
fn guarded(text: &str) -> String {
    let is_formula = FORMULAS.iter().any(|start| text.starts_with(start));
    let quote = if is_formula || text.starts_with('\n') {
        "'"
    } else {
        ""
    };
    format!("{quote}{text}")
}

/// In each column, which beginnings came from outside.
const FROM_OUTSIDE: [(&str, &[&str]); 9] = [
    ("order_ref", &FORMULAS),
    ("ref", &FORMULAS),
    ("claim_ref", &FORMULAS),
    ("unit_ref", &FORMULAS),
    ("customer_ref", &FORMULAS),
    ("recipient", &FORMULAS),
    ("assignee", &["=", "+", "-"]),
    ("policy", &["="]),
    ("clause", &["\n"]),
];

#[tokio::test]
async fn no_text_from_outside_is_a_formula_in_any_column() {
    let shop = odd_shop().await;
    let open = shop.open().await;
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in ReportName::VARIANTS {
        let json = objects(&written(&open, request(*name, Format::Json)).await);
        for delimiter in *b",;\t" {
            let dialect = Dialect {
                delimiter,
                bom: false,
            };
            let text = written(&open, request(*name, Format::Csv(dialect))).await;
            let mut reader = csv::ReaderBuilder::new();
            let mut reader = reader.delimiter(delimiter).from_reader(text.as_bytes());
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            assert_eq!(rows.len(), json.len());
            for (row, expected) in rows.iter().zip(&json) {
                for (cell, column) in row.iter().zip(name.columns()) {
                    let Some(text) = expected[*column].as_str() else {
                        continue;
                    };
                    // Codes of ours.
                    let is_code = *column == "step";
                    let expected = if is_code {
                        text.to_owned()
                    } else {
                        guarded(text)
                    };
                    assert_eq!(cell, expected, "{name} {column}");
                    if cell.starts_with('\'') {
                        let start = text.chars().take(1).collect();
                        let places = seen.entry((*column).to_owned()).or_default();
                        places.insert(start);
                    }
                }
            }
        }
    }
    open.store.close().await;
    for (column, starts) in FROM_OUTSIDE {
        for start in starts {
            assert!(
                seen[column].contains(*start),
                "no {column} begins with {start:?}"
            );
        }
    }
}

/// A field as reports are sorted by it: nothing comes last, a time is an
/// instant, a text its bytes.
fn sort_key(field: &Value) -> (bool, Option<Instant>, Vec<u8>) {
    let text = field.as_str().unwrap_or_default();
    let time = chrono::DateTime::parse_from_rfc3339(text).ok();
    let time = time.map(|time| time.to_utc());
    (field.is_null(), time, text.as_bytes().to_vec())
}

#[tokio::test]
async fn rows_are_sorted_bytewise_with_what_is_empty_last() {
    let shop = odd_shop().await;
    let open = shop.open().await;
    for (path, json) in expected(&open).await {
        let (_, name) = path.split_once('/').unwrap();
        let name = name.parse().unwrap_or(ReportName::Deadlines);
        let rows = objects(&json);
        let keys = |row: &Map<String, Value>| -> Vec<_> {
            let columns = name.sorted_by().iter();
            columns.map(|column| sort_key(&row[*column])).collect()
        };
        let keys: Vec<_> = rows.iter().map(keys).collect();
        assert!(keys.is_sorted(), "{path}");
        let is_told_apart = keys.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(is_told_apart, "{path}: two rows have the same keys");
    }
    open.store.close().await;
}

/// In a page nothing runs, and programs that read JSON run nothing: texts are
/// as they were entered.
#[tokio::test]
async fn a_page_and_json_have_texts_as_they_were_entered() {
    let shop = odd_shop().await;
    let open = shop.open().await;
    for name in ReportName::VARIANTS {
        let rows = objects(&written(&open, request(*name, Format::Json)).await);
        let page = written(&open, request(*name, Format::Html)).await;
        let cells = page.split("<td").skip(1).map(|rest| {
            let (_, rest) = rest.split_once('>').unwrap();
            let (text, _) = rest.split_once("</td>").unwrap();
            assert!(!text.contains('<'), "{name}: {text}");
            text.replace("&quot;", "\"")
                .replace("&#x27;", "'")
                .replace("&#x2f;", "/")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        });
        let expected = rows.iter().flat_map(|row| {
            name.columns().iter().map(|column| match &row[*column] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number if *column == "on_time_pct" => format!("{:.2}", number.as_f64().unwrap()),
                number => number.to_string(),
            })
        });
        assert_eq!(
            cells.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{name}"
        );
    }
    let refs = objects(&written(&open, request(ReportName::Claims, Format::Json)).await);
    open.store.close().await;
    let refs: BTreeSet<&str> = refs
        .iter()
        .map(|row| row["claim_ref"].as_str().unwrap())
        .collect();
    for odd in ODD {
        let entered = format!("{odd} late");
        assert!(refs.contains(entered.as_str()), "{entered:?}");
    }
}

/// `report … | head`.
#[tokio::test]
async fn who_has_read_enough_hears_nothing() {
    let shop = odd_shop().await;
    for format in ["csv", "json", "html"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["report", "deadlines", "--at", AT, "--format", format];
        let output = shop.command(&args).stdout(writer).output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), "")
        );
    }
}
