//! A table says the same in any dialect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use encoding_rs::{Encoding, ISO_8859_15, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use proptest::prelude::*;
use warrantyd::case::{Dialect, Entity};
use warrantyd::intake::{Facts, RowReader, Rules, check};
use warrantyd::policy::Calendar;

/// A row before it is written.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    placed_at: NaiveDateTime,
    paid_at: Option<NaiveDateTime>,
    cents: u64,
    is_withdrawn: bool,
}

/// Characters that each of the encodings has.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select("aZ Äéß€.;,|\t\"'\n=-".chars().collect::<Vec<_>>()),
        0..12,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let start = NaiveDate::from_ymd_opt(2025, 1, 1)
        .unwrap()
        .and_time(Default::default());
    let row = (
        text(),
        0..40_000_000_i64,
        prop::option::of(0..40_000_000_i64),
        0..500_000_000_u64,
        any::<bool>(),
    )
        .prop_map(move |(name, placed, paid, cents, is_withdrawn)| Row {
            name,
            placed_at: start + TimeDelta::seconds(placed),
            paid_at: paid.map(|paid| start + TimeDelta::seconds(placed + paid)),
            cents,
            is_withdrawn,
        });
    prop::collection::vec(row, 0..20)
}

/// The encoding, whether a mark says it, what stands between the cells, and
/// how amounts are grouped.
type Way = (&'static Encoding, bool, u8, bool);

fn way() -> impl Strategy<Value = Way> {
    let encodings = vec![UTF_8, WINDOWS_1252, ISO_8859_15, UTF_16LE, UTF_16BE];
    (
        prop::sample::select(encodings),
        any::<bool>(),
        prop::sample::select(vec![b',', b';', b'\t', b'|']),
        any::<bool>(),
    )
}

const COLUMNS: [(&str, &str); 8] = [
    ("order_ref", "Nummer"),
    ("customer_ref", "Kunde Nr."),
    ("customer_name", "Größe; Name"),
    ("customer_email", "E-Mail"),
    ("placed_at", "Datum"),
    ("paid_at", "bezahlt"),
    ("total", "Summe, brutto"),
    ("withdrawn", "storniert"),
];

fn dialect((encoding, _, delimiter, _): Way) -> Dialect {
    let columns = COLUMNS.iter();
    let words = [
        ("ja".to_owned(), "true".to_owned()),
        ("nein".to_owned(), "false".to_owned()),
    ];
    Dialect {
        delimiter,
        encoding,
        dates: vec!["%d.%m.%y %H:%M:%S".parse().unwrap()],
        has_decimal_comma: true,
        columns: columns
            .map(|(ours, theirs)| (*ours, (*theirs).to_owned()))
            .collect(),
        values: BTreeMap::from([("withdrawn", BTreeMap::from(words))]),
        constants: BTreeMap::from([("currency", "EUR".to_owned())]),
        ..Dialect::default()
    }
}

fn table(delimiter: u8, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn cells(at: usize, row: &Row, time: &str, amount: String, flag: [&str; 2]) -> Vec<String> {
    vec![
        format!("O-{at}"),
        "K-1".to_owned(),
        row.name.clone(),
        "ada@example.com".to_owned(),
        row.placed_at.format(time).to_string(),
        row.paid_at
            .map_or("null".to_owned(), |paid| paid.format(time).to_string()),
        amount,
        flag[usize::from(row.is_withdrawn)].to_owned(),
    ]
}

fn plain(rows: &[Row]) -> Vec<u8> {
    let header = COLUMNS.iter().map(|(ours, _)| (*ours).to_owned());
    let header = header.chain(["currency".to_owned()]).collect();
    let rows = rows.iter().enumerate().map(|(at, row)| {
        let amount = format!("{}.{:02}", row.cents / 100, row.cents % 100);
        let mut cells = cells(at, row, "%Y-%m-%d %H:%M:%S", amount, ["false", "true"]);
        cells.push("EUR".to_owned());
        cells
    });
    table(b',', std::iter::once(header).chain(rows)).into_bytes()
}

fn own(rows: &[Row], (encoding, is_marked, delimiter, is_grouped): Way) -> Vec<u8> {
    let header = COLUMNS
        .iter()
        .map(|(_, theirs)| (*theirs).to_owned())
        .collect();
    let rows = rows.iter().enumerate().map(|(at, row)| {
        let mut whole = (row.cents / 100).to_string();
        let mut place = whole.len();
        while is_grouped && place > 3 {
            place -= 3;
            whole.insert(place, '.');
        }
        let amount = format!("{whole},{:02}", row.cents % 100);
        cells(at, row, "%d.%m.%y %H:%M:%S", amount, ["nein", "ja"])
    });
    let text = table(delimiter, std::iter::once(header).chain(rows));
    let is_wide = [UTF_16LE, UTF_16BE].contains(&encoding);
    let text = match is_marked && (is_wide || encoding == UTF_8) {
        true => format!("\u{feff}{text}"),
        false => text,
    };
    match encoding {
        wide if wide == UTF_16LE => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        wide if wide == UTF_16BE => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        other => other.encode(&text).0.into_owned(),
    }
}

/// What a file says.
fn read(bytes: &[u8], dialect: Dialect) -> Vec<Result<Facts, String>> {
    let calendar = Calendar::new(chrono_tz::Europe::Berlin, vec![], BTreeSet::new()).unwrap();
    let rules = Rules {
        calendar: &calendar,
        policies: &BTreeSet::new(),
    };
    let mut reader =
        RowReader::open(Entity::Orders, Arc::new(dialect), "orders.csv", bytes).unwrap();
    assert_eq!(reader.warnings, [""; 0]);
    let page = reader.page().unwrap();
    let facts = page.into_iter().map(|row| match &row.problem {
        Some(problem) => Err(problem.clone()),
        None => check(&reader.header, &row, None, None, rules),
    });
    facts.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_table_says_the_same_in_any_dialect(rows in rows(), way in way()) {
        let expected = read(&plain(&rows), Dialect::default());
        prop_assert_eq!(expected.len(), rows.len());
        prop_assert!(expected.iter().all(Result::is_ok), "{:?}", expected);
        prop_assert_eq!(read(&own(&rows, way), dialect(way)), expected);
    }
}
