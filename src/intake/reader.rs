//! Rows of a CSV file, in pages, whatever the file holds.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use csv_core::ReadFieldResult;
use encoding_rs::{Encoding, UTF_8};

use super::header::{FileError, Header, section};
use super::text::Text;
use crate::case::{Dialect, Entity};

/// At most so many rows are in one page.
pub const PAGE_ROWS: usize = 5_000;
/// A page ends with the row that brings it to so many bytes.
const PAGE_BYTES: usize = 4 << 20;
/// The longest cell, in bytes.
const MAX_CELL: usize = 64 << 10;
/// The most columns that a header may have.
const MAX_COLUMNS: usize = 500;

/// One row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// The line that it begins on; the header is on line 1.
    pub line: u64,
    /// The cells, unquoted. Where `problem` is told of a cell, it is what
    /// could be kept of it.
    pub cells: Cells,
    /// Why the row cannot be read.
    pub problem: Option<String>,
}

/// Texts, one after the other: a row's cells, or a header's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells {
    text: String,
    /// Where in `text` each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    /// Adds a cell.
    pub fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    /// The cell at a place, if there is one.
    pub fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)?;
        let before = place
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.text.get(before.copied().unwrap_or(0)..end)
    }

    /// The cells in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|place| self.get(place))
    }

    /// How many cells there are.
    fn count(&self) -> usize {
        self.ends.len()
    }

    /// The length of all, in bytes.
    fn bytes(&self) -> usize {
        self.text.len()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Cells {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut cells = Self::default();
        for text in texts {
            cells.push(text.as_ref());
        }
        cells
    }
}

/// The rows of a file (RFC 4180, but for what its dialect says).
pub struct RowReader<R> {
    /// The columns.
    pub header: Header,
    /// What is odd about the header.
    pub warnings: Vec<String>,
    lines: Lines<R>,
}

impl<R: Read> RowReader<R> {
    /// Reads the header. `file` is the name for messages.
    pub fn open(
        entity: Entity,
        dialect: Arc<Dialect>,
        file: &str,
        input: R,
    ) -> Result<Self, FileError> {
        let refused = |problem: String| FileError {
            file: file.to_owned(),
            problem,
        };
        let unread = |error| refused(format!("cannot be read: {error}"));
        let text = Text::open(input, dialect.encoding, &section(entity)).map_err(unread)?;
        let mut lines = Lines::new(text.map_err(refused)?, dialect.delimiter);
        let first = lines
            .row(&[], MAX_COLUMNS)
            .map_err(unread)?
            .ok_or_else(|| refused("is empty: expected a first row of column names".into()))?;
        if let Some(problem) = first.problem {
            return Err(refused(format!("the header: {problem}")));
        }
        let (header, warnings) = Header::read(
            entity,
            dialect,
            first.cells.iter().map(str::to_owned).collect(),
        )
        .map_err(refused)?;
        Ok(Self {
            header,
            warnings,
            lines,
        })
    }

    /// The next rows; none at the end of the file.
    pub fn page(&mut self) -> io::Result<Vec<RawRow>> {
        let mut page = Vec::new();
        let mut bytes = 0;
        while page.len() < PAGE_ROWS && bytes < PAGE_BYTES {
            let names = &self.header.labels;
            let Some(mut row) = self.lines.row(names, names.len())? else {
                break;
            };
            if row.problem.is_none() && row.cells.count() < names.len() {
                row.problem = Some(format!(
                    "the row has {} cells, expected {}, as many as the header",
                    row.cells.count(),
                    names.len()
                ));
            }
            bytes += row.cells.bytes();
            page.push(row);
        }
        Ok(page)
    }
}

/// What is wrong with a cell, the gravest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nul,
    NotText,
    TooLong,
    OpenQuote,
}

impl Fault {
    fn text(self, encoding: &'static Encoding) -> String {
        match self {
            Self::Nul => "holds a NUL character: expected text".into(),
            Self::NotText => format!(
                "is not {0}: expected the file to be saved as {0} (replaced by U+FFFD here)",
                encoding.name()
            ),
            Self::TooLong => format!(
                "is longer than {MAX_CELL} bytes: expected a shorter one, or a quote that was \
                 meant to close it (cut off here)"
            ),
            Self::OpenQuote => {
                "a quote is never closed: expected `\"` at the end of the cell".into()
            }
        }
    }
}

/// Splits bytes into rows of cells. What is too long is passed over, not kept.
struct Lines<R> {
    input: BufReader<io::Chain<Text<R>, &'static [u8]>>,
    encoding: &'static Encoding,
    delimiter: char,
    core: csv_core::Reader,
    line: u64,
    /// How long the row before was: the next one needs as much.
    row_bytes: usize,
    cell: Box<[u8]>,
}

impl<R: Read> Lines<R> {
    fn new(input: Text<R>, delimiter: u8) -> Self {
        Self {
            encoding: input.encoding(),
            delimiter: char::from(delimiter),
            // With a line end after the last row, only a row with an open
            // quote can still be unfinished at the end of the input.
            input: BufReader::with_capacity(1 << 16, input.chain(b"\n".as_slice())),
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            line: 1,
            row_bytes: 0,
            cell: vec![0; MAX_CELL].into_boxed_slice(),
        }
    }

    /// The next row: its first `most` cells, and what is wrong with it.
    fn row(&mut self, names: &[String], most: usize) -> io::Result<Option<RawRow>> {
        if !self.skip_line_ends()? {
            return Ok(None);
        }
        let line = self.line;
        let mut cells = Cells {
            text: String::with_capacity(self.row_bytes),
            ends: Vec::with_capacity(names.len()),
        };
        let mut count = 0;
        let mut problem = None;
        loop {
            let encoding = self.encoding;
            let (text, fault, is_last) = self.cell()?;
            if let Some(fault) = fault {
                problem.get_or_insert_with(|| match names.get(count) {
                    Some(name) => format!("{name}: {}", fault.text(encoding)),
                    None => format!("cell {}: {}", count + 1, fault.text(encoding)),
                });
            }
            count += 1;
            if count <= most {
                cells.push(&text);
            }
            if is_last {
                break;
            }
        }
        if count > most {
            problem.get_or_insert_with(|| {
                let delimiter = match self.delimiter {
                    ',' => "comma".to_owned(),
                    '\t' => "tab".to_owned(),
                    other => format!("`{other}`"),
                };
                format!(
                    "the row has {count} cells, expected {most}: does a text with a {delimiter} \
                     lack its quotes?"
                )
            });
        }
        self.row_bytes = cells.bytes();
        Ok(Some(RawRow {
            line,
            cells,
            problem,
        }))
    }

    /// Whether anything comes after line ends and blank lines.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            let input = self.input.fill_buf()?;
            let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
            let ends = input.iter().take_while(is_end).count();
            self.line += line_feeds(input.iter().take(ends));
            if ends < input.len() || input.is_empty() {
                let is_more = !input.is_empty();
                self.input.consume(ends);
                return Ok(is_more);
            }
            self.input.consume(ends);
        }
    }

    /// The next cell, what is wrong with it, and whether it is the row's last.
    fn cell(&mut self) -> io::Result<(Cow<'_, str>, Option<Fault>, bool)> {
        let mut filled = 0;
        let mut fault = None;
        let mut beyond = [0; 1024];
        let is_last = loop {
            let input = self.input.fill_buf()?;
            let is_open = input.is_empty();
            let room = self.cell.get_mut(filled..).filter(|room| !room.is_empty());
            let is_full = room.is_none();
            let room = room.unwrap_or(&mut beyond);
            let (result, read, written) = self.core.read_field(input, room);
            self.line += line_feeds(input.iter().take(read));
            self.input.consume(read);
            if is_full && written > 0 {
                fault = fault.max(Some(Fault::TooLong));
            } else {
                filled += written;
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    if is_open {
                        fault = Some(Fault::OpenQuote);
                    }
                    break record_end;
                }
                ReadFieldResult::End => break true,
            }
        };
        let bytes = self.cell.get(..filled).unwrap_or_default();
        let mut text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            // A character that was cut in two is not the file's fault.
            fault = fault.max(Some(Fault::NotText));
        }
        // Where a byte is any character, those that nobody writes tell of
        // another encoding.
        if self.encoding != UTF_8 && text.contains(|c| matches!(c, '\u{80}'..='\u{9f}')) {
            fault = fault.max(Some(Fault::NotText));
            text = Cow::Owned(text.replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "\u{fffd}"));
        }
        if text.contains('\0') {
            fault = fault.max(Some(Fault::Nul));
            text = Cow::Owned(text.replace('\0', "\u{fffd}"));
        }
        Ok((text, fault, is_last))
    }
}

fn line_feeds<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: impl AsRef<[u8]>) -> Vec<RawRow> {
        let text = [b"claim_ref,from,until\n".as_slice(), text.as_ref()].concat();
        let mut reader =
            RowReader::open(Entity::Waits, Arc::default(), "waits.csv", text.as_slice()).unwrap();
        let page = reader.page().unwrap();
        assert_eq!(reader.page().unwrap(), []);
        page
    }

    #[test]
    fn rows_are_read_whatever_their_line_ends_and_quotes() {
        for (text, expected) in [
            ("a,b,c", [(2, ["a", "b", "c"])].as_slice()),
            (
                "a,b,c\r\nd,,\r\n",
                &[(2, ["a", "b", "c"]), (3, ["d", "", ""])],
            ),
            ("\n\na,b,c\n\n\n", &[(4, ["a", "b", "c"])]),
            (
                "\"a,\"\"1\"\"\",\"b\r\nb\",c\nd,e,f\n",
                &[(2, ["a,\"1\"", "b\r\nb", "c"]), (4, ["d", "e", "f"])],
            ),
            ("a,b,\"\"", &[(2, ["a", "b", ""])]),
            ("", &[]),
        ] {
            let found: Vec<_> = rows(text)
                .into_iter()
                .map(|row| (row.line, row.cells))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(line, cells)| (*line, cells.iter().collect()))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let text = b"\xef\xbb\xbf\"claim_ref\",from\na,b\n".as_slice();
        let reader = RowReader::open(Entity::Waits, Arc::default(), "waits.csv", text).unwrap();
        assert_eq!(reader.header.names, ["claim_ref", "from"]);
        assert_eq!(reader.warnings, [""; 0]);
    }

    #[test]
    fn a_row_that_cannot_be_read_says_why_and_the_next_one_can() {
        let long = format!("a,{},c\n", "x".repeat(MAX_CELL + 1));
        for (text, expected) in [
            (b"a,b\n".as_slice(), "the row has 2 cells, expected 3"),
            (b"a,b,c,d\n", "the row has 4 cells, expected 3"),
            (b"a,b\0b,c\n", "from: holds a NUL"),
            (b"a,b\xffb,c\n", "from: is not UTF-8"),
            (long.as_bytes(), "from: is longer than 65536 bytes"),
        ] {
            let rows = rows([text, b"d,e,f\n"].concat());
            let problem = rows[0].problem.as_deref().unwrap();
            assert!(problem.starts_with(expected), "{problem}");
            assert_eq!((rows[1].line, &rows[1].problem), (3, &None));
            assert_eq!(rows[1].cells, ["d", "e", "f"].iter().collect());
        }
        let fits = format!("a,{},c\n", "x".repeat(MAX_CELL));
        assert_eq!(rows(fits)[0].problem, None);
    }

    #[test]
    fn a_quote_that_is_never_closed_swallows_no_row_in_silence() {
        for text in ["a,\"b,c\nd,e,f\n", "a,b,\"c", "a,b,\""] {
            let rows = rows(text);
            let problem = rows[0].problem.as_deref().unwrap();
            assert!(problem.contains("a quote is never closed"), "{problem}");
        }
    }

    #[test]
    fn a_file_that_is_no_table_is_refused() {
        for (text, expected) in [
            (b"".as_slice(), "waits.csv: is empty"),
            (b"\r\n\n", "waits.csv: is empty"),
            (b"claim_ref,\xff\xfe\n", "is not UTF-8"),
            (b"a,b\n", "no column `claim_ref`, `from`"),
            (&[b','; MAX_COLUMNS], "the row has 501 cells"),
        ] {
            let refused = RowReader::open(Entity::Waits, Arc::default(), "waits.csv", text);
            let problem = refused.err().unwrap().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn pages_are_bounded_by_rows_and_by_bytes() {
        let row = format!("{0},{0},{0}\n", "x".repeat(MAX_CELL));
        for (row, most) in [("a,b,c\n", PAGE_ROWS), (&row, PAGE_BYTES / MAX_CELL)] {
            let text = format!("claim_ref,from,until\n{}", row.repeat(most + 1));
            let mut reader =
                RowReader::open(Entity::Waits, Arc::default(), "waits.csv", text.as_bytes())
                    .unwrap();
            assert!(reader.page().unwrap().len() <= most);
            assert!(!reader.page().unwrap().is_empty());
        }
    }
}
