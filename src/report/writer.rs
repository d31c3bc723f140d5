//! Rows to CSV or JSON, as they come.

use std::io::{self, BufWriter, Write};

use chrono_tz::Tz;
use strum::{Display, EnumString, VariantArray};

use super::ReportName;
use super::cell::Cell;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// RFC 4180 in UTF-8, with one header row. Text is guarded against
    /// formulas.
    Csv,
    /// An array of objects whose keys are the columns. Amounts are strings,
    /// so that no reader rounds them; an empty field is `null`.
    Json,
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
}

impl<W: Write> RowWriter<W> {
    /// Begins a report; the zone is that of the times.
    pub fn new(name: ReportName, format: Format, zone: Tz, out: W) -> io::Result<Self> {
        let columns = name.columns();
        let sink = match format {
            Format::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(out);
                csv.write_record(columns)?;
                Sink::Csv(Box::new(csv))
            }
            Format::Json => {
                let mut json = BufWriter::new(out);
                json.write_all(b"[")?;
                Sink::Json(json)
            }
        };
        Ok(Self {
            columns,
            zone,
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
                    csv.write_field(field.as_bytes())?;
                }
                csv.write_record(None::<&[u8]>)?;
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
        };
        Ok((out, self.rows))
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

    fn written(format: Format, rows: &[Vec<Cell<'_>>]) -> String {
        let mut writer =
            RowWriter::new(ReportName::Exceptions, format, Tz::UTC, Vec::new()).unwrap();
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
        assert_eq!(written(Format::Csv, &[]), "code,subject,ref,detail\r\n");
        let text = written(Format::Csv, &[odd_row()]);
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
                 "detail": "2025-01-31T00:00:00+00:00"},
            ])
        );
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let mut writer =
            RowWriter::new(ReportName::Exceptions, Format::Csv, Tz::UTC, Vec::new()).unwrap();
        assert!(writer.write(&[Cell::Empty]).is_err());
    }
}
