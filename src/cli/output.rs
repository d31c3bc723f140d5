//! Tables for people, JSON for machines.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TableFormat {
    /// For people.
    #[default]
    Table,
    /// An array of objects, for machines.
    Json,
}

/// A table to be printed.
pub struct Rows {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// A table without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The rows as objects, whose keys are the columns.
    pub fn objects(&self) -> serde_json::Value {
        let object = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(row);
            let cells = cells.map(|(name, cell)| ((*name).to_owned(), cell.as_str().into()));
            serde_json::Value::Object(cells.collect())
        };
        self.rows.iter().map(object).collect()
    }

    /// Prints the table.
    pub fn print(&self, format: TableFormat) -> Result<()> {
        let mut out = io::stdout().lock();
        match format {
            TableFormat::Table => {
                let mut table = Table::new();
                table.load_preset(presets::NOTHING);
                table.set_header(&self.columns);
                for row in &self.rows {
                    table.add_row(row);
                }
                for line in table.lines() {
                    writeln!(out, "{}", line.trim_end())?;
                }
            }
            TableFormat::Json => {
                serde_json::to_writer_pretty(&mut out, &self.objects())?;
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

/// A value that may be missing.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Shows a person that long work goes on, and how far it is if `template`
/// counts. It hides itself in a pipe.
pub fn progress(template: &str, message: impl ToString) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.set_message(message.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
