//! What stands in one field of a report.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::ReportName;
use crate::policy::{Instant, Money};

/// One field. The variants of a column are the same in all its rows, but for
/// `Empty`; the derived order is then that of the reports: texts bytewise,
/// times and numbers by value, empty last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cell {
    /// What people typed: guarded against formulas in CSV.
    Text(String),
    /// A name out of a fixed list.
    Code(Cow<'static, str>),
    /// A count or a number of days.
    Number(i64),
    /// Percent, with its decimals.
    Percent(Decimal),
    /// An amount with the decimals of its currency.
    Money(Decimal),
    /// A point in time.
    Time(Instant),
    /// A local date.
    Date(NaiveDate),
    /// Not known, or none.
    Empty,
}

/// The cells of one row, in the order of the report's columns.
pub(super) type Row = Vec<Cell>;

impl Cell {
    /// A text that may be missing.
    pub(super) fn text(text: Option<&str>) -> Self {
        text.filter(|text| !text.is_empty())
            .map_or(Self::Empty, |text| Self::Text(text.to_owned()))
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

    /// An amount.
    pub(super) fn money(money: Money) -> Self {
        Self::Money(Decimal::new(money.minor, money.currency.decimals().into()))
    }

    /// The field as it is read by people and machines, without a guard. Times
    /// are in RFC 3339 with the zone's offset, and have fractions of a second
    /// only where there are any.
    pub(super) fn plain(&self, zone: Tz) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Code(name) => Cow::Borrowed(name),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Percent(decimal) | Self::Money(decimal) => Cow::Owned(decimal.to_string()),
            Self::Time(at) => Cow::Owned(rfc3339(*at, zone)),
            Self::Date(date) => Cow::Owned(date.to_string()),
            Self::Empty => Cow::Borrowed(""),
        }
    }

    /// The field as it stands in CSV: text that a spreadsheet could take for
    /// a formula begins with `'`.
    pub(super) fn guarded(&self, zone: Tz) -> Cow<'_, str> {
        match self {
            Self::Text(text) if looks_like_formula(text) => Cow::Owned(format!("'{text}")),
            _ => self.plain(zone),
        }
    }
}

/// A time in RFC 3339 with the zone's offset.
pub(super) fn rfc3339(at: Instant, zone: Tz) -> String {
    at.with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
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

/// Puts the rows of a report in its order.
pub(super) fn sort(name: ReportName, rows: &mut [Row]) {
    let columns = name.columns();
    let place = |key: &&str| columns.iter().position(|column| column == key);
    let keys: Vec<usize> = name.sorted_by().iter().filter_map(place).collect();
    let compare = |a: &Row, b: &Row| -> Ordering {
        keys.iter()
            .map(|key| a.get(*key).cmp(&b.get(*key)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    rows.sort_by(compare);
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(cell.guarded(Tz::UTC), expected, "{text:?}");
            assert_eq!(cell.plain(Tz::UTC), text);
        }
    }

    #[test]
    fn numbers_dates_and_codes_are_never_guarded() {
        let code = Cell::Code("-5d".into());
        let money = Cell::Money(Decimal::new(-5, 2));
        assert_eq!(code.guarded(Tz::UTC), "-5d");
        assert_eq!(Cell::Number(-3).guarded(Tz::UTC), "-3");
        assert_eq!(money.guarded(Tz::UTC), "-0.05");
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
    fn rows_are_sorted_bytewise_and_empty_comes_last() {
        let row = |due: Option<&str>, reference: &str| {
            let mut row = vec![Cell::Empty; ReportName::Refunds.columns().len()];
            row[0] = Cell::text(Some(reference));
            row[6] = Cell::time(due.map(|due| due.parse().unwrap()));
            row
        };
        let early = Some("2025-01-01T00:00:00Z");
        let late = Some("2025-01-02T00:00:00Z");
        let sorted = [
            row(early, "Z"),
            row(late, "B"),
            row(late, "a"),
            row(late, "é"),
            row(None, "A"),
        ];
        for rotation in 0..sorted.len() {
            let mut rows = sorted.to_vec();
            rows.rotate_left(rotation);
            sort(ReportName::Refunds, &mut rows);
            assert_eq!(rows, sorted);
        }
    }
}
