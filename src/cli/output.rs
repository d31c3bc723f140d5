//! Tables for people, JSON for machines.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::Value;
use strum::VariantArray;

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TableFormat {
    /// For people.
    #[default]
    Table,
    /// An array of objects, for machines.
    Json,
}

/// How a table shows that there is no value; `null` in JSON.
const NONE: &str = "-";

/// A table to be printed.
pub struct Rows {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
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
    pub fn push<C: Into<Value>>(&mut self, row: impl IntoIterator<Item = C>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// The rows as objects, whose keys are the columns.
    pub fn objects(&self) -> Value {
        let value = |cell: &Value| match cell == NONE {
            true => Value::Null,
            false => cell.clone(),
        };
        let object = |row: &Vec<Value>| {
            let cells = self.columns.iter().zip(row);
            let cells = cells.map(|(name, cell)| ((*name).to_owned(), value(cell)));
            Value::Object(cells.collect())
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
                    table.add_row(row.iter().map(shown));
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

fn shown(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value that may be missing.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// Shows a person that long work goes on, and how far it is if `template`
/// counts. It hides itself in a pipe.
pub fn progress(template: &str, message: impl ToString) -> ProgressBar {
    spinner(style(template), message)
}

/// The same; how far the work is somebody else says, whenever it is shown.
pub fn progress_told<F>(message: impl ToString, so_far: F) -> ProgressBar
where
    F: Fn() -> String + Clone + Send + Sync + 'static,
{
    let told = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        // A line that cannot be shown is shown the next time.
        let _shown = out.write_str(&so_far());
    };
    let style = style("{spinner} {msg}: {so_far} {elapsed}").with_key("so_far", told);
    spinner(style, message)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn spinner(style: ProgressStyle, message: impl ToString) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.set_message(message.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A value that is one of a list, which `--help` and errors show.
pub fn one_of<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantArray + Display + Clone + Send + Sync + 'static,
{
    let names = T::VARIANTS.iter().map(ToString::to_string);
    PossibleValuesParser::new(names).try_map(|name| {
        let found = T::VARIANTS.iter().find(|value| value.to_string() == name);
        found.cloned().ok_or("not one of them")
    })
}
