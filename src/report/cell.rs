//! What stands in one field of a report.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::NaiveDate;
use chrono::serde::ts_microseconds;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::time::{print_date, print_time};
use crate::policy::{Instant, Money, PolicyId};

/// One field. The variants of a column are the same in all its rows, but for
/// `Empty`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cell<'a> {
    /// What people typed: guarded against formulas in CSV.
    Text(Cow<'a, str>),
    /// A name out of a fixed list.
    Code(Cow<'static, str>),
    /// A count or a number of days.
    Number(i64),
    /// Percent, with its decimals.
    Percent(Decimal),
    /// An amount with the decimals of its currency.
    Money(Decimal),
    /// A point in time.
    Time(#[serde(with = "ts_microseconds")] Instant),
    /// A local date.
    Date(NaiveDate),
    /// Not known, or none.
    Empty,
}

/// The cells of one row, in the order of the report's columns.
pub(super) type Row<'a> = Vec<Cell<'a>>;

impl<'a> Cell<'a> {
    /// A text that may be missing.
    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.filter(|text| !text.is_empty())
            .map_or(Self::Empty, |text| Self::Text(Cow::Borrowed(text)))
    }

    /// A policy's version, `NAME@DATE`.
    pub(super) fn policy(id: &PolicyId) -> Self {
        let mut text = String::with_capacity(id.name.len() + "@2026-01-01".len());
        text.push_str(&id.name);
        text.push('@');
        // Writing to a text cannot fail.
        let _ = print_date(id.effective_from, &mut text);
        Self::Text(Cow::Owned(text))
    }

    /// A name out of a fixed list.
    pub(super) fn code(name: impl Into<&'static str>) -> Self {
        Self::Code(Cow::Borrowed(name.into()))
    }

    /// A point in time that may be missing.
    pub(super) fn time(at: Option<Instant>) -> Self {
        at.map_or(Self::Empty, Self::Time)
    }

    /// A count.
    pub(super) fn count(count: u64) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A number of days that may be missing.
    pub(super) fn days(days: Option<i64>) -> Self {
        days.map_or(Self::Empty, Self::Number)
    }

    /// An amount.
    pub(super) fn money(money: Money) -> Self {
        Self::Money(Decimal::new(money.minor, money.currency.decimals().into()))
    }

    /// Appends the field as it is read by people and machines, without a
    /// guard. Times are in RFC 3339 with the zone's offset, and have fractions
    /// of a second only where there are any.
    pub(super) fn print(&self, zone: Tz, out: &mut String) {
        // Writing to a text cannot fail.
        let _ = match self {
            Self::Text(text) => out.write_str(text),
            Self::Code(name) => out.write_str(name),
            Self::Number(number) => write!(out, "{number}"),
            Self::Percent(decimal) | Self::Money(decimal) => write!(out, "{decimal}"),
            Self::Time(at) => print_time(*at, zone, out),
            Self::Date(date) => print_date(*date, out),
            Self::Empty => Ok(()),
        };
    }

    /// The field as a text of its own.
    pub(super) fn plain(&self, zone: Tz) -> String {
        let mut text = String::new();
        self.print(zone, &mut text);
        text
    }

    /// Appends the field as it stands in CSV: text that a spreadsheet could
    /// take for a formula begins with `'`.
    pub(super) fn print_guarded(&self, zone: Tz, out: &mut String) {
        if let Self::Text(text) = self
            && looks_like_formula(text)
        {
            out.push('\'');
        }
        self.print(zone, out);
    }

    /// A field that stands in CSV, as text without its guard.
    pub(super) fn unguarded(field: &'a str) -> Self {
        Self::text(Some(unguarded(field)))
    }

    /// Appends bytes that compare as the reports are sorted: texts bytewise,
    /// times and numbers by value, empty last. No report is sorted by an
    /// amount.
    pub(super) fn sort_key(&self, key: &mut Vec<u8>) {
        let number = match self {
            Self::Text(text) => return text_key(text, key),
            Self::Code(name) => return text_key(name, key),
            Self::Number(number) => *number,
            Self::Time(at) => at.timestamp_micros(),
            Self::Date(date) => date.to_epoch_days().into(),
            Self::Percent(_) | Self::Money(_) => return,
            Self::Empty => return key.push(u8::MAX),
        };
        key.push(0);
        // Negative numbers come first.
        key.extend((number ^ i64::MIN).to_be_bytes());
    }
}

/// A text's bytes; its end comes before any byte that it could go on with.
fn text_key(text: &str, key: &mut Vec<u8>) {
    key.push(0);
    for part in text.as_bytes().split_inclusive(|byte| *byte == 0) {
        key.extend(part);
        if part.ends_with(&[0]) {
            key.push(1);
        }
    }
    key.extend([0, 0]);
}

/// A field of CSV without its guard.
pub fn unguarded(field: &str) -> &str {
    let bare = field.strip_prefix('\'');
    let bare = bare.filter(|bare| looks_like_formula(bare));
    bare.unwrap_or(field)
}

/// Whether a spreadsheet could take a text for a formula (OWASP, CSV
/// injection): `= + - @` and their full-width forms, also after spaces, and
/// a TAB, CR or LF in front.
fn looks_like_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start()
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(cell: &Cell<'_>) -> String {
        let mut text = String::new();
        cell.print_guarded(Tz::UTC, &mut text);
        text
    }

    #[test]
    fn text_that_a_spreadsheet_could_run_is_guarded() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\rx", "'\rx"),
            ("\nx", "'\nx"),
            ("  =1", "'  =1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("\u{3000}＝1", "'\u{3000}＝1"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠x", "'＠x"),
            ("A-1", "A-1"),
            (" plain", " plain"),
            ("a=b", "a=b"),
        ] {
            let cell = Cell::text(Some(text));
            assert_eq!(guarded(&cell), expected, "{text:?}");
            assert_eq!(cell.plain(Tz::UTC), text);
        }
    }

    #[test]
    fn numbers_dates_and_codes_are_never_guarded() {
        let code = Cell::Code("-5d".into());
        let money = Cell::Money(Decimal::new(-5, 2));
        assert_eq!(guarded(&code), "-5d");
        assert_eq!(guarded(&Cell::Number(-3)), "-3");
        assert_eq!(guarded(&money), "-0.05");
    }

    #[test]
    fn times_carry_the_offset_of_the_zone() {
        let zone: Tz = "Europe/Rome".parse().unwrap();
        for (at, expected) in [
            ("2025-01-31T23:00:00Z", "2025-02-01T00:00:00+01:00"),
            ("2025-07-01T10:00:00.25Z", "2025-07-01T12:00:00.250+02:00"),
        ] {
            let cell = Cell::Time(at.parse().unwrap());
            assert_eq!(cell.plain(zone), expected);
        }
        let cell = Cell::Time("2025-07-01T10:00:00Z".parse().unwrap());
        assert_eq!(cell.plain(Tz::UTC), "2025-07-01T10:00:00+00:00");
    }

    #[test]
    fn keys_compare_bytewise_by_value_and_empty_last() {
        let time = |text: &str| Cell::Time(text.parse().unwrap());
        for cells in [
            ["", "\0", "\0a", "A", "A\0", "A\0b", "AB", "a", "é"]
                .map(|text| Cell::Text(text.into()))
                .to_vec(),
            [i64::MIN, -2, -1, 0, 1, 255, 256, i64::MAX]
                .map(Cell::Number)
                .to_vec(),
            [
                "1969-12-31T00:00:00Z",
                "2025-01-01T00:00:00Z",
                "2025-01-01T00:00:00.5Z",
            ]
            .map(time)
            .to_vec(),
        ] {
            let cells = [cells, vec![Cell::Empty]].concat();
            // What follows a cell never decides over it.
            let key = |cell: &Cell<'_>, next: &str| {
                let mut key = Vec::new();
                cell.sort_key(&mut key);
                Cell::text(Some(next)).sort_key(&mut key);
                key
            };
            for pair in cells.windows(2) {
                assert!(key(&pair[0], "z") < key(&pair[1], "a"), "{pair:?}");
            }
        }
    }
}
