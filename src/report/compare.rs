//! Two files of the same report, row by row: both are sorted, so they are
//! merged, and memory does not grow with them.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use chrono::{DateTime, Utc};
use csv::StringRecord;

use super::ReportName;
use super::cell::Cell;
use super::writer::Dialect;

/// A row that is not the same in both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    /// The fields that the report is sorted by, which name the row.
    pub key: Vec<String>,
    /// The row as it was published; `None`: it was not there.
    pub published: Option<Vec<String>>,
    /// The row as it is computed; `None`: it is not there.
    pub computed: Option<Vec<String>>,
}

/// How two files of a report differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowDifferences {
    /// Rows that were not published.
    pub added: u64,
    /// Rows that were published and are not computed.
    pub missing: u64,
    /// Rows with the same key and other fields.
    pub changed: u64,
    /// The first of them.
    pub first: Vec<RowDifference>,
}

/// Compares a published file with one that was computed, both in the order of
/// the report. The first `at_most` differences are given, all are counted.
pub fn compare(
    name: ReportName,
    dialect: Dialect,
    published: &Path,
    computed: &Path,
    at_most: usize,
) -> io::Result<RowDifferences> {
    let mut published = Rows::read(name, dialect, File::open(published)?)?;
    let mut computed = Rows::read(name, dialect, File::open(computed)?)?;
    let mut found = RowDifferences::default();
    loop {
        let order = match (&published.next, &computed.next) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = order.is_le().then(|| published.take()).transpose()?;
        let new = order.is_ge().then(|| computed.take()).transpose()?;
        let (old, new) = (old.flatten(), new.flatten());
        match (&old, &new) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => found.changed += 1,
            (Some(_), None) => found.missing += 1,
            _ => found.added += 1,
        }
        if found.first.len() < at_most {
            let key = published.key_of(new.as_ref().or(old.as_ref()).map_or(&[], Vec::as_slice));
            found.first.push(RowDifference {
                key,
                published: old,
                computed: new,
            });
        }
    }
}

/// The rows of a report, each after the fields that it is sorted by.
pub fn read_rows(
    name: ReportName,
    dialect: Dialect,
    text: &[u8],
) -> io::Result<Vec<(Vec<String>, Vec<String>)>> {
    let mut rows = Rows::read(name, dialect, text)?;
    let mut all = Vec::new();
    while let Some(row) = rows.take()? {
        all.push((rows.key_of(&row), row));
    }
    Ok(all)
}

/// The rows of a file, the next one read already.
struct Rows<R> {
    keys: Vec<usize>,
    times: Vec<usize>,
    reader: csv::Reader<R>,
    next: Option<(Vec<u8>, Vec<String>)>,
}

impl<R: Read> Rows<R> {
    fn read(name: ReportName, dialect: Dialect, text: R) -> io::Result<Self> {
        let columns = name.columns();
        let place = |key: &&str| columns.iter().position(|column| column == key);
        let is_time = |place: &usize| {
            columns
                .get(*place)
                .is_some_and(|name| name.ends_with("_at"))
        };
        let keys: Vec<usize> = name.sorted_by().iter().filter_map(place).collect();
        let mut rows = Self {
            times: keys.iter().copied().filter(is_time).collect(),
            keys,
            // A file that somebody edited may have any rows.
            reader: csv::ReaderBuilder::new()
                .delimiter(dialect.delimiter)
                .flexible(true)
                .from_reader(text),
            next: None,
        };
        rows.take()?;
        Ok(rows)
    }

    /// Gives the next row and reads on.
    fn take(&mut self) -> io::Result<Option<Vec<String>>> {
        let mut record = StringRecord::new();
        let next = match self.reader.read_record(&mut record)? {
            true => {
                let row: Vec<String> = record.iter().map(str::to_owned).collect();
                Some((self.sort_key(&row), row))
            }
            false => None,
        };
        let taken = std::mem::replace(&mut self.next, next);
        Ok(taken.map(|(_, row)| row))
    }

    /// Bytes that compare as the report is sorted.
    fn sort_key(&self, row: &[String]) -> Vec<u8> {
        let mut key = Vec::with_capacity(64);
        for place in &self.keys {
            let text = row.get(*place).map_or("", String::as_str);
            let time = DateTime::parse_from_rfc3339(text).ok();
            let cell = match time.filter(|_| self.times.contains(place)) {
                Some(time) => Cell::Time(time.with_timezone(&Utc)),
                None => Cell::unguarded(text),
            };
            cell.sort_key(&mut key);
        }
        key
    }

    fn key_of(&self, row: &[String]) -> Vec<String> {
        let fields = self.keys.iter().filter_map(|place| row.get(*place));
        fields.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect {
        delimiter: b';',
        bom: true,
    };

    fn differences(name: ReportName, old: &[&str], new: &[&str], at_most: usize) -> RowDifferences {
        let dir = tempfile::tempdir().unwrap();
        let file = |called: &str, rows: &[&str]| {
            let path = dir.path().join(called);
            let head = name.columns().join(";");
            let text = format!("\u{feff}{head}\r\n{}\r\n", rows.join("\r\n"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let (old, new) = (file("old", old), file("new", new));
        compare(name, DIALECT, &old, &new, at_most).unwrap()
    }

    #[test]
    fn rows_are_added_missing_or_changed() {
        let old = ["a;unit;U-1;x", "a;unit;U-2;x", "c;unit;U-1;x"];
        let new = ["a;unit;U-1;x", "b;unit;U-1;x", "c;unit;U-1;x"];
        let found = differences(ReportName::Exceptions, &old, &new, 1);
        assert_eq!((found.added, found.missing, found.changed), (1, 1, 0));
        assert_eq!(found.first.len(), 1);
        assert_eq!(found.first[0].key, ["a", "unit", "U-2", "x"]);
        assert_eq!(found.first[0].computed, None);
        let found = differences(
            ReportName::Claims,
            &["C-1;U-1;O-1;K-1;repair"],
            &["C-1;U-1;O-1;K-1;refund"],
            9,
        );
        assert_eq!((found.added, found.missing, found.changed), (0, 0, 1));
        let same = differences(ReportName::Claims, &["C-1"], &["C-1"], 9);
        assert_eq!(same, RowDifferences::default());
    }

    /// The order of the files is not that of their texts: times are compared
    /// as such, empty is last, and a guard does not count.
    #[test]
    fn rows_meet_in_the_order_of_the_report() {
        let rows = [
            "C-0;claim;;;;;2025-10-26T02:30:00+02:00;;",
            "C-0;claim;;;;;2025-10-26T02:10:00+01:00;;",
            "'=C;claim;;;;;;;",
            "A;claim;;;;;;;",
        ];
        for left_out in 0..rows.len() {
            let mut fewer = rows.to_vec();
            fewer.remove(left_out);
            let found = differences(ReportName::Refunds, &rows, &fewer, 9);
            assert_eq!((found.added, found.missing, found.changed), (0, 1, 0));
            let expected: Vec<&str> = rows[left_out].split(';').collect();
            assert_eq!(found.first[0].published.as_ref().unwrap(), &expected);
        }
    }
}
