//! `report verify DIR`: a published set against its manifest and the database.

use std::path::PathBuf;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat};
use serde_json::json;

use super::super::Done;
use super::super::output::{Rows, TableFormat, progress};
use crate::case::FactType;
use crate::jobs::{self, Explaining, FileCheck, HoldChange, Shop, Verdict, Verified};
use crate::report::{PROGRAM_VERSION, ReportName, RowDifference, TIME_ZONE_DATA};
use crate::store::FactChange;

/// Rows of a file that are printed; JSON has more.
const ROWS_SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The set's directory: `reports.dir/2026-01-31`, or a week's or month's
    dir: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Checks a published set; changes nothing.
pub async fn run(args: VerifyArgs, shop: &Shop) -> Result<Done> {
    let bar = progress("{spinner} {msg} {elapsed}", args.dir.display());
    let verified = jobs::verify(shop, &args.dir).await;
    bar.finish_and_clear();
    let verified = verified?;
    match args.format {
        TableFormat::Table => print(&verified)?,
        TableFormat::Json => println!("{:#}", value(&verified)),
    }
    Ok(done(&verified))
}

/// Failed: something was changed, is missing or is not explained. Partly: what
/// differs is explained.
fn done(verified: &Verified) -> Done {
    let is_bad =
        |file: &FileCheck| file.intact != Some(true) || file.verdict == Verdict::NotExplained;
    if verified.broken.is_some() || verified.files.iter().any(is_bad) {
        return Done::Failed;
    }
    let is_equal = |file: &FileCheck| file.verdict == Verdict::Equal;
    match verified.files.iter().all(is_equal) {
        true => Done::Well,
        false => Done::Partly,
    }
}

fn published(file: &FileCheck) -> &'static str {
    match file.intact {
        Some(true) => "intact",
        Some(false) => "changed",
        None => "missing",
    }
}

fn print(verified: &Verified) -> Result<()> {
    let mut rows = Rows::new(&["file", "published", "today"]);
    for file in &verified.files {
        let verdict = file.verdict.to_string();
        rows.push([file.name.as_str(), published(file), verdict.as_str()]);
    }
    rows.print(TableFormat::Table)?;
    println!("days before it, unbroken: {}", verified.days_before);
    if let Some(broken) = &verified.broken {
        println!(
            "the chain is broken at {}: {}",
            broken.directory, broken.why
        );
    }
    let differs = |file: &FileCheck| file.verdict != Verdict::Equal;
    if verified.files.iter().any(differs) {
        for rule in &verified.rules {
            println!("rules: {rule}");
        }
    }
    for file in &verified.files {
        for line in row_lines(file) {
            println!("{line}");
        }
    }
    for explaining in &verified.explaining {
        println!("{}", line(explaining));
    }
    for hold in &verified.holds {
        println!("{}", hold_line(hold));
    }
    let is_unexplained = |file: &FileCheck| file.verdict == Verdict::NotExplained;
    if verified.files.iter().any(is_unexplained) {
        println!("not explained: {}", unexplained(verified));
    }
    Ok(())
}

/// What may be the cause of what nothing explains.
fn unexplained(verified: &Verified) -> String {
    let mut written = Vec::new();
    if let Some(version) = &verified.written_by {
        written.push(format!(
            "by version {version} of the program, this is {PROGRAM_VERSION}"
        ));
    }
    if let Some(data) = &verified.time_zone_data {
        written.push(format!(
            "with version {data} of the time zone data, this program has {TIME_ZONE_DATA}"
        ));
    }
    match written.is_empty() {
        true => "the database or the program is not the one that published it".to_owned(),
        false => format!(
            "the set was written {}: verify it with that version, against a copy of the database",
            written.join(", and ")
        ),
    }
}

/// What a change that explains rows was, and when it was recorded.
fn line(explaining: &Explaining) -> String {
    let Explaining { change, files } = explaining;
    let at = change.recorded_at;
    let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (source, files) = (&change.source, files.join(", "));
    format!("{}, recorded {at} by {source}: {files}", shown(change))
}

fn hold_line(hold: &HoldChange) -> String {
    let HoldChange { kind, name, .. } = hold;
    let at = hold.recorded_at;
    let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    match &hold.lifted_by {
        None => format!("hold {kind} {name}: begun, recorded {at}"),
        Some(by) => format!("hold {kind} {name}: lifted, recorded {at} by {by}"),
    }
}

/// How many rows of a file differ, and the first of them.
fn row_lines(file: &FileCheck) -> Vec<String> {
    let Some(rows) = &file.rows else {
        return Vec::new();
    };
    let name = &file.name;
    let mut lines = vec![format!(
        "{name}: {} changed, {} added, {} missing",
        jobs::number_of(rows.changed, "row"),
        rows.added,
        rows.missing
    )];
    let first = rows.first.iter().take(ROWS_SHOWN);
    lines.extend(first.map(|row| format!("{name}: {}", row_line(file.report, row))));
    lines
}

fn row_line(report: Option<ReportName>, row: &RowDifference) -> String {
    let key = row.key.join(" ");
    match (&row.published, &row.computed) {
        (Some(_), None) => format!("{key}: missing"),
        (None, _) => format!("{key}: added"),
        (Some(old), Some(new)) => {
            let changed = columns(report, old, new);
            let changed = changed.map(|(column, old, new)| format!("{column} {old} → {new}"));
            format!("{key}: {}", changed.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The columns that differ, from what to what; `null` stands for empty.
fn columns<'r>(
    report: Option<ReportName>,
    old: &'r [String],
    new: &'r [String],
) -> impl Iterator<Item = (&'static str, &'r str, &'r str)> {
    let columns = report.map_or(&[][..], ReportName::columns);
    let field = |row: &'r [String], place: usize| {
        let field = row.get(place).map_or("", String::as_str);
        if field.is_empty() { "null" } else { field }
    };
    let fields = columns.iter().enumerate();
    let fields = fields.map(move |(place, column)| (*column, field(old, place), field(new, place)));
    fields.filter(|(_, old, new)| old != new)
}

fn shown(change: &FactChange) -> String {
    let FactChange {
        entity,
        name,
        field,
        old,
        new,
        ..
    } = change;
    if field.is_empty() {
        return format!("{entity} {name}: entered");
    }
    let known = entity.fields().iter().find(|known| known.name == field);
    let is_time = known.is_some_and(|known| known.fact_type == FactType::Time);
    let value = |value: &Option<String>| match value {
        None => "null".to_owned(),
        Some(text) if is_time => time(text).unwrap_or_else(|| text.clone()),
        Some(text) => text.clone(),
    };
    format!("{entity} {name}: {field} {} → {}", value(old), value(new))
}

fn time(micros: &str) -> Option<String> {
    let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn value(verified: &Verified) -> serde_json::Value {
    let file = |file: &FileCheck| {
        json!({
            "file": file.name,
            "published": published(file),
            "today": file.verdict.to_string(),
            "rows": file.rows.as_ref().map(|rows| json!({
                "changed": rows.changed,
                "added": rows.added,
                "missing": rows.missing,
                "first": rows.first.iter().map(|row| row_value(file.report, row)).collect::<Vec<_>>(),
            })),
        })
    };
    let broken = verified.broken.as_ref();
    json!({
        "files": verified.files.iter().map(file).collect::<Vec<_>>(),
        "days_before": verified.days_before,
        "broken": broken.map(|broken| json!({"directory": broken.directory, "why": broken.why})),
        "rules": verified.rules,
        "written_by": verified.written_by,
        "time_zone_data": verified.time_zone_data,
        "holds": verified.holds.iter().map(hold_line).collect::<Vec<_>>(),
        "recorded_later": verified.explaining.iter().map(line).collect::<Vec<_>>(),
    })
}

fn row_value(report: Option<ReportName>, row: &RowDifference) -> serde_json::Value {
    let changes = row.published.as_ref().zip(row.computed.as_ref());
    let changes = changes.map(|(old, new)| {
        let columns = columns(report, old, new);
        let change =
            |(column, old, new): (&str, &str, &str)| json!({"column": column, "old": old, "new": new});
        columns.map(change).collect::<Vec<_>>()
    });
    json!({
        "key": row.key,
        "published": row.published,
        "computed": row.computed,
        "changes": changes,
    })
}
