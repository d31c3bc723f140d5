//! A report as a page: one table, written row by row.

use std::io::{self, Write};

use minijinja::{HtmlEscape, Value, context};

use super::ReportName;
use super::cell::Cell;
use super::table::Scope;
use super::template::render;

const TEMPLATE: &str = include_str!("../../templates/report/table.html");

/// Where the rows come in the template. What stands before is written before
/// the first row, what stands after once they are counted.
const ROWS: &str = "<!-- rows -->\n";

/// What stands before the rows.
pub(super) fn head(name: ReportName, scope: &Scope<'_>) -> io::Result<String> {
    let zone = scope.rules.calendar.zone;
    render(
        parts()?.0,
        context! {
            name => name.to_string(),
            as_of => Cell::Time(scope.at).plain(zone),
            zone => zone.name(),
            columns => Value::from_iter(name.columns().iter().copied()),
        },
    )
}

/// What stands after them.
pub(super) fn tail(rows: u64) -> io::Result<String> {
    render(parts()?.1, context! { rows })
}

/// Writes a cell, whose text is `text`. Numbers stand on the right; what was
/// typed may be broken anywhere on paper.
pub(super) fn write_cell(out: &mut impl Write, cell: &Cell<'_>, text: &str) -> io::Result<()> {
    let class = match cell {
        Cell::Number(_) | Cell::Percent(_) | Cell::Money(_) => " class=\"n\"",
        Cell::Text(_) => " class=\"t\"",
        _ => "",
    };
    write!(out, "<td{class}>{}</td>", HtmlEscape(text))
}

fn parts() -> io::Result<(&'static str, &'static str)> {
    let parts = TEMPLATE.split_once(ROWS);
    parts.ok_or_else(|| io::Error::other("table.html has no place for the rows"))
}
