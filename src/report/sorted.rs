//! Rows in the order of their report, however many there are: what does not
//! fit into a few megabytes is sorted on disk.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;

use grenad::{DefaultChunkCreator, MergeFunction, Sorter};

use super::ReportName;
use super::cell::{Cell, Row};

/// Bytes that a report holds in memory before it goes on on disk.
const MEMORY: usize = 10 << 20;

/// The rows of a report, on their way into its order.
pub(super) struct Sorted {
    /// The places of the columns that the report is sorted by.
    keys: Vec<usize>,
    /// Made for the first row: most reports of a command have none.
    sorter: Option<Sorter<NeverTwice, DefaultChunkCreator>>,
    rows: u64,
}

/// Keys end with the row's number: no two are the same.
struct NeverTwice;

impl MergeFunction for NeverTwice {
    type Error = Infallible;

    fn merge<'v>(
        &self,
        _key: &[u8],
        values: &[Cow<'v, [u8]>],
    ) -> Result<Cow<'v, [u8]>, Infallible> {
        Ok(values.first().cloned().unwrap_or_default())
    }
}

impl Sorted {
    /// No rows yet.
    pub fn new(name: ReportName) -> Self {
        let columns = name.columns();
        let place = |key: &&str| columns.iter().position(|column| column == key);
        Self {
            keys: name.sorted_by().iter().filter_map(place).collect(),
            sorter: None,
            rows: 0,
        }
    }

    /// Takes a row.
    pub fn push(&mut self, row: &[Cell<'_>]) -> io::Result<()> {
        let mut key = Vec::with_capacity(64);
        for cell in self.keys.iter().filter_map(|place| row.get(*place)) {
            cell.sort_key(&mut key);
        }
        key.extend(self.rows.to_be_bytes());
        self.rows += 1;
        let sorter = self.sorter.get_or_insert_with(|| {
            let mut builder = Sorter::builder(NeverTwice);
            builder.dump_threshold(MEMORY);
            builder.build()
        });
        sorter.insert(key, serde_json::to_vec(row)?).map_err(failed)
    }

    /// Gives the rows in their order; those that are the same in every field
    /// once.
    pub fn drain(self, mut take: impl FnMut(Row<'static>) -> io::Result<()>) -> io::Result<()> {
        let Some(sorter) = self.sorter else {
            return Ok(());
        };
        let mut sorted = sorter.into_stream_merger_iter().map_err(failed)?;
        let mut before = Vec::new();
        while let Some((_, row)) = sorted.next().map_err(failed)? {
            if row != before {
                take(serde_json::from_slice(row)?)?;
                row.clone_into(&mut before);
            }
        }
        Ok(())
    }
}

fn failed(error: grenad::Error) -> io::Error {
    let directory = std::env::temp_dir();
    let (kind, cause) = match error {
        grenad::Error::Io(error) => (error.kind(), error.to_string()),
        other => (io::ErrorKind::InvalidData, other.to_string()),
    };
    let directory = directory.display();
    io::Error::new(kind, format!("sorting a report in {directory}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(rows: impl IntoIterator<Item = Row<'static>>) -> Vec<Row<'static>> {
        let mut sorted = Sorted::new(ReportName::Refunds);
        for row in rows {
            sorted.push(&row).unwrap();
        }
        let mut found = Vec::new();
        let take = |row| {
            found.push(row);
            Ok(())
        };
        sorted.drain(take).unwrap();
        found
    }

    fn row(due: Option<&str>, reference: &str) -> Row<'static> {
        let mut row = vec![Cell::Empty; ReportName::Refunds.columns().len()];
        row[0] = Cell::Text(reference.to_owned().into());
        row[6] = Cell::time(due.map(|due| due.parse().unwrap()));
        row
    }

    #[test]
    fn rows_come_bytewise_with_empty_last_and_each_once() {
        let early = Some("2025-01-01T00:00:00Z");
        let late = Some("2025-01-02T00:00:00Z");
        let expected = [
            row(early, "Z"),
            row(late, "B"),
            row(late, "a"),
            row(late, "é"),
            row(None, "A"),
        ];
        for rotation in 0..expected.len() {
            let mut rows = expected.to_vec();
            rows.rotate_left(rotation);
            rows.push(expected[rotation].clone());
            assert_eq!(drained(rows), expected);
        }
        assert_eq!(drained([]), Vec::<Row<'static>>::new());
    }

    #[test]
    fn more_rows_than_memory_holds_come_in_order() {
        let rows = 200_000;
        let backwards = (0..rows).rev().map(|n| row(None, &format!("{n:0100}")));
        let found = drained(backwards);
        assert_eq!(found.len(), rows);
        assert!(found.is_sorted_by_key(|row| row[0].plain(chrono_tz::Tz::UTC)));
    }
}
