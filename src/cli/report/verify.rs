//! `report verify DIR`: a published day against its manifest and the database.

use std::path::PathBuf;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat};
use serde_json::json;

use super::super::Done;
use super::super::output::{Rows, TableFormat, progress};
use crate::case::FactType;
use crate::jobs::{self, Explaining, FileCheck, Shop, Verdict, Verified};
use crate::store::FactChange;

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The day's directory: `reports.dir/YYYY-MM-DD`
    dir: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Checks a published day; changes nothing.
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
    for explaining in &verified.explaining {
        for line in lines(explaining) {
            println!("{line}");
        }
    }
    if verified.has_more {
        println!("more was recorded later than was looked at");
    }
    if verified
        .files
        .iter()
        .any(|file| file.verdict == Verdict::NotExplained)
    {
        println!("not explained: the database or the program is not the one that published it");
    }
    Ok(())
}

/// A line for each change of a set; one for a set of which none is named.
fn lines(explaining: &Explaining) -> Vec<String> {
    let Explaining {
        set,
        files,
        changes,
    } = explaining;
    let at = set.recorded_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let recorded = format!("recorded {at} by {}: {}", set.source, files.join(", "));
    if changes.is_empty() {
        return vec![recorded];
    }
    let line = |change: &FactChange| format!("{}, {recorded}", shown(change));
    changes.iter().map(line).collect()
}

fn shown(change: &FactChange) -> String {
    let FactChange {
        entity,
        name,
        field,
        old,
        new,
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
        })
    };
    let broken = verified.broken.as_ref();
    json!({
        "files": verified.files.iter().map(file).collect::<Vec<_>>(),
        "days_before": verified.days_before,
        "broken": broken.map(|broken| json!({"directory": broken.directory, "why": broken.why})),
        "rules": verified.rules,
        "recorded_later": verified.explaining.iter().flat_map(lines).collect::<Vec<_>>(),
        "has_more": verified.has_more,
    })
}
