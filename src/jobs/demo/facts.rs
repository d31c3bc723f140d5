//! What the made-up shop enters, and when: import files with a column more.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use csv::StringRecord;

use crate::intake::parse_time;
use crate::policy::{Calendar, Instant};

/// The files. Their first column says when somebody entered the row; `#`
/// begins a comment.
const FILES: [(&str, &str); 4] = [
    (
        "orders.csv",
        include_str!("../../../templates/demo/orders.csv"),
    ),
    (
        "units.csv",
        include_str!("../../../templates/demo/units.csv"),
    ),
    (
        "claims.csv",
        include_str!("../../../templates/demo/claims.csv"),
    ),
    (
        "waits.csv",
        include_str!("../../../templates/demo/waits.csv"),
    ),
];

/// The rows of one file.
pub struct Sheet {
    name: &'static str,
    header: StringRecord,
    rows: Vec<(Instant, StringRecord)>,
}

/// Reads the files.
pub fn sheets(calendar: &Calendar) -> Result<Vec<Sheet>> {
    let sheets = FILES.iter().map(|(name, text)| sheet(name, text, calendar));
    sheets.collect()
}

fn sheet(name: &'static str, text: &str, calendar: &Calendar) -> Result<Sheet> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let header = without_first(reader.headers()?);
    let rows = reader.into_records().map(|row| {
        let row = row.context(name)?;
        let entered_at = row.get(0).unwrap_or_default();
        let entered_at = parse_time(entered_at, calendar)
            .with_context(|| format!("{name}: entered_at: `{entered_at}` is no time"))?;
        Ok((entered_at, without_first(&row)))
    });
    let rows = rows.collect::<Result<_>>()?;
    Ok(Sheet { name, header, rows })
}

fn without_first(row: &StringRecord) -> StringRecord {
    row.iter().skip(1).collect()
}

/// Writes what was entered after an instant, up to another, into files of a
/// directory that is made for it. `false`: nothing was.
pub fn write(sheets: &[Sheet], after: Option<Instant>, until: Instant, dir: &Path) -> Result<bool> {
    let mut wrote = false;
    for sheet in sheets {
        let entered = sheet.rows.iter();
        let mut entered = entered
            .filter(|(at, _)| after.is_none_or(|after| after < *at) && *at <= until)
            .peekable();
        if entered.peek().is_none() {
            continue;
        }
        let path = dir.join(sheet.name);
        let shown = || path.display().to_string();
        fs::create_dir_all(dir).with_context(shown)?;
        let mut writer = csv::Writer::from_path(&path).with_context(shown)?;
        writer.write_record(&sheet.header).with_context(shown)?;
        for (_, row) in entered {
            writer.write_record(row).with_context(shown)?;
        }
        writer.flush().with_context(shown)?;
        wrote = true;
    }
    Ok(wrote)
}
