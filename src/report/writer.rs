//! Rows to CSV, JSON or HTML, as they come.

use std::io::{self, BufWriter, Write};

use chrono_tz::Tz;

use super::cell::Cell;
use super::table::Scope;
use super::{ReportName, html};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 in UTF-8, with one header row. Text is guarded against
    /// formulas.
    Csv(Dialect),
    /// An array of objects whose keys are the columns. Amounts are strings,
    /// so that no reader rounds them; an empty field is `null`.
    Json,
    /// A page with one table.
    Html,
}

/// What a spreadsheet may want of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What stands between two fields, an ASCII character.
    pub delimiter: u8,
    /// Whether U+FEFF in front says that the file is UTF-8.
    pub bom: bool,
}

impl Default for Dialect {
    /// That of RFC 4180.
    fn default() -> Self {
        Self {
            delimiter: b',',
            bom: false,
        }
    }
}

/// Writes the rows of one report and counts them.
pub(super) struct RowWriter<W: Write> {
    columns: &'static [&'static str],
    zone: Tz,
    sink: Sink<W>,
    /// The field that is being written.
    field: String,
    rows: u64,
}

enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(BufWriter<W>),
    Html(BufWriter<W>),
}

impl<W: Write> RowWriter<W> {
    /// Begins a report.
    pub fn new(
        name: ReportName,
        format: Format,
        scope: &Scope<'_>,
        mut out: W,
    ) -> io::Result<Self> {
        let columns = name.columns();
        let sink = match format {
            Format::Csv(Dialect { delimiter, bom }) => {
                if bom {
                    out.write_all("\u{feff}".as_bytes())?;
                }
                let mut csv = csv::WriterBuilder::new()
                    .delimiter(delimiter)
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(out);
                csv.write_record(columns).map_err(cause)?;
                Sink::Csv(Box::new(csv))
            }
            Format::Json => {
                let mut json = BufWriter::new(out);
                json.write_all(b"[")?;
                Sink::Json(json)
            }
            Format::Html => {
                let mut page = BufWriter::new(out);
                page.write_all(html::head(name, scope)?.as_bytes())?;
                Sink::Html(page)
            }
        };
        Ok(Self {
            columns,
            zone: scope.rules.calendar.zone,
            sink,
            field: String::new(),
            rows: 0,
        })
    }

    /// Writes one row.
    pub fn write(&mut self, row: &[Cell<'_>]) -> io::Result<()> {
        let field = &mut self.field;
        match &mut self.sink {
            Sink::Csv(csv) => {
                for cell in row {
                    field.clear();
                    cell.print_guarded(self.zone, field);
                    csv.write_field(field.as_bytes()).map_err(cause)?;
                }
                csv.write_record(None::<&[u8]>).map_err(cause)?;
            }
            Sink::Json(json) => {
                let before = if self.rows == 0 { "\n{" } else { ",\n{" };
                json.write_all(before.as_bytes())?;
                for (i, (column, cell)) in self.columns.iter().zip(row).enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(json, "{comma}\"{column}\":")?;
                    field.clear();
                    cell.print(self.zone, field);
                    write_json(json, cell, field)?;
                }
                json.write_all(b"}")?;
            }
            Sink::Html(page) => {
                page.write_all(b"<tr>")?;
                for cell in row {
                    field.clear();
                    cell.print(self.zone, field);
                    html::write_cell(page, cell, field)?;
                }
                page.write_all(b"</tr>\n")?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends the report: what it was written to, and how many rows it has.
    pub fn finish(self) -> io::Result<(W, u64)> {
        let out = match self.sink {
            Sink::Csv(csv) => csv.into_inner().map_err(|error| error.into_error())?,
            Sink::Json(mut json) => {
                json.write_all(b"\n]\n")?;
                json.into_inner().map_err(|error| error.into_error())?
            }
            Sink::Html(mut page) => {
                page.write_all(html::tail(self.rows)?.as_bytes())?;
                page.into_inner().map_err(|error| error.into_error())?
            }
        };
        Ok((out, self.rows))
    }
}

/// What went wrong beneath, as itself: whoever called wants to know of a pipe
/// that was closed.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn write_json(out: &mut impl Write, cell: &Cell<'_>, text: &str) -> io::Result<()> {
    match cell {
        Cell::Empty => out.write_all(b"null"),
        Cell::Number(_) | Cell::Percent(_) => out.write_all(text.as_bytes()),
        _ => Ok(serde_json::to_writer(out, text)?),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::report::tests::{rules, scope};

    const CSV: Format = Format::Csv(Dialect {
        delimiter: b',',
        bom: false,
    });

    fn writer(format: Format) -> RowWriter<Vec<u8>> {
        RowWriter::new(ReportName::Exceptions, format, &scope(&rules()), Vec::new()).unwrap()
    }

    fn written(format: Format, rows: &[Vec<Cell<'_>>]) -> String {
        let mut writer = writer(format);
        for row in rows {
            writer.write(row).unwrap();
        }
        let (out, count) = writer.finish().unwrap();
        assert_eq!(count, rows.len() as u64);
        String::from_utf8(out).unwrap()
    }

    fn odd_row() -> Vec<Cell<'static>> {
        vec![
            Cell::code("on_hold"),
            Cell::Percent(Decimal::new(9750, 2)),
            Cell::Empty,
            Cell::text(Some("=a, \"b\"\r\né")),
        ]
    }

    #[test]
    fn csv_has_a_header_quotes_and_crlf() {
        assert_eq!(written(CSV, &[]), "code,subject,ref,detail\r\n");
        let text = written(CSV, &[odd_row()]);
        assert_eq!(
            text,
            "code,subject,ref,detail\r\non_hold,97.50,,\"'=a, \"\"b\"\"\r\né\"\r\n"
        );
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), 1);
        assert_eq!(&records[0][3], "'=a, \"b\"\r\né");
    }

    #[test]
    fn csv_for_spreadsheets_has_a_bom_and_a_delimiter_of_its_own() {
        for delimiter in *b",;\t" {
            for bom in [false, true] {
                let text = written(Format::Csv(Dialect { delimiter, bom }), &[odd_row()]);
                let mark = text.strip_prefix('\u{feff}');
                assert_eq!(mark.is_some(), bom);
                let text = mark.unwrap_or(&text);
                let mut reader = csv::ReaderBuilder::new();
                let mut reader = reader.delimiter(delimiter).from_reader(text.as_bytes());
                assert_eq!(reader.headers().unwrap().len(), 4);
                let found = reader.records().next().unwrap().unwrap();
                let expected = ["on_hold", "97.50", "", "'=a, \"b\"\r\né"];
                assert_eq!(found.iter().collect::<Vec<_>>(), expected);
            }
        }
    }

    /// What a cell may not begin with, and what must be escaped in it, by
    /// OWASP's page on CSV injection; full-width forms besides.
    #[test]
    fn csv_holds_against_the_list_of_owasp() {
        for (text, expected) in [
            ("=x", "'=x"),
            ("+x", "'+x"),
            ("-x", "'-x"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("\nx", "\"'\nx\""),
            ("＝x", "'＝x"),
            ("＋x", "'＋x"),
            ("－x", "'－x"),
            ("＠x", "'＠x"),
            ("=1+2\";=1+2", "\"'=1+2\"\";=1+2\""),
            ("=1+2'\" ;,=1+2", "\"'=1+2'\"\" ;,=1+2\""),
            ("x,=1", "\"x,=1\""),
            ("x\r\n=1", "\"x\r\n=1\""),
        ] {
            let row = vec![
                Cell::Empty,
                Cell::Empty,
                Cell::Empty,
                Cell::text(Some(text)),
            ];
            let found = written(CSV, &[row]);
            let expected = format!("code,subject,ref,detail\r\n,,,{expected}\r\n");
            assert_eq!(found, expected, "{text:?}");
        }
        let row = vec![Cell::text(Some("x;=1")); 4];
        let semicolon = Format::Csv(Dialect {
            delimiter: b';',
            bom: false,
        });
        assert!(
            written(semicolon, &[row]).ends_with("\r\n\"x;=1\";\"x;=1\";\"x;=1\";\"x;=1\"\r\n")
        );
    }

    #[test]
    fn html_is_a_whole_page_with_escaped_rows() {
        let mut row = odd_row();
        row[2] = Cell::text(Some("<script>'&\""));
        let page = written(Format::Html, &[row, odd_row()]);
        for expected in [
            "<title>Exceptions 2025-03-31</title>",
            "As of 2025-03-31T12:00:00+02:00 (Europe&#x2f;Berlin)",
            "<th scope=\"col\">Code <code>code</code></th>",
            "<td>on_hold</td><td class=\"n\">97.50</td>",
            "<td class=\"t\">&lt;script&gt;&#x27;&amp;&quot;</td>",
            // As it is: a browser runs no formulas.
            "<td class=\"t\">=a, &quot;b&quot;\r\né</td>",
            "<p>2 rows</p>",
        ] {
            assert!(page.contains(expected), "{expected} is not in {page}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(written(Format::Html, &[]).contains("<p>0 rows</p>"));
    }

    #[test]
    fn json_has_numbers_strings_and_null() {
        let none: serde_json::Value = serde_json::from_str(&written(Format::Json, &[])).unwrap();
        assert_eq!(none, serde_json::json!([]));
        let money = vec![
            Cell::Money(Decimal::new(500, 2)),
            Cell::Number(-3),
            Cell::Date("2025-01-31".parse().unwrap()),
            Cell::Time("2025-01-31T00:00:00Z".parse().unwrap()),
        ];
        let text = written(Format::Json, &[odd_row(), money]);
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            found,
            serde_json::json!([
                {"code": "on_hold", "subject": 97.5, "ref": null, "detail": "=a, \"b\"\r\né"},
                {"code": "5.00", "subject": -3, "ref": "2025-01-31",
                 "detail": "2025-01-31T01:00:00+01:00"},
            ])
        );
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let mut writer = writer(CSV);
        assert!(writer.write(&[Cell::Empty]).is_err());
    }
}
