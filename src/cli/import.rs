//! `import` and `record`: facts in.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::ending::until_told;
use super::output::{Rows, TableFormat, one_of, progress};
use super::{Done, time_or_now};
use crate::case::Entity;
use crate::clock;
use crate::jobs::Shop;
use crate::jobs::import::{Imported, Recording, files, import_files, record_fact};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, or directories with orders.csv, units.csv, claims.csv, waits.csv
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What the files hold, where their names do not say
    #[arg(long = "as", value_name = "KIND", value_parser = one_of::<Entity>())]
    entity: Option<Entity>,
    /// Where the refused rows of one file go [default: FILE.rejects.csv]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// order, unit, claim or wait
    #[arg(value_parser = one_entity)]
    entity: Entity,
    /// Its own name; of a wait, its claim's
    name: String,
    /// `repaired` (at --at), or NAME=VALUE; `null` erases
    #[arg(required = true, value_name = "FACT")]
    facts: Vec<String>,
    /// When it happened, instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

fn one_entity(text: &str) -> Result<Entity, String> {
    use strum::VariantArray;
    let found = Entity::VARIANTS.iter().find(|entity| entity.one() == text);
    found
        .copied()
        .ok_or_else(|| "expected order, unit, claim or wait".to_owned())
}

/// Imports files and says what became of their rows.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let files = files(&args.paths, args.entity, args.rejects.as_deref())?;
    let bar = progress("{spinner} {human_pos} rows, {per_sec}", "");
    let mut progress = |rows| bar.inc(rows);
    let importing = import_files(&shop, &files, clock::now(), &mut progress);
    let imported = until_told("import", &shop.watch, &bar, importing).await;
    bar.finish_and_clear();
    let imported = imported?;
    print(&imported, args.format)?;
    let rejected = imported.files.iter().any(|file| file.rejected > 0);
    for (file, counts) in files.iter().zip(by_path(&files, &imported)) {
        for warning in &counts.warnings {
            eprintln!("warning: {}: {warning}", counts.path.display());
        }
        if counts.rejected > 0 {
            eprintln!(
                "rows refused: {}, see {}",
                counts.rejected,
                file.rejects.display()
            );
        }
    }
    Ok(if rejected { Done::Partly } else { Done::Well })
}

fn by_path<'i>(
    files: &'i [crate::jobs::import::ImportFile],
    imported: &'i Imported,
) -> impl Iterator<Item = &'i crate::jobs::import::FileCounts> {
    files.iter().filter_map(|file| {
        imported
            .files
            .iter()
            .find(|counts| counts.path == file.path)
    })
}

fn print(imported: &Imported, format: TableFormat) -> Result<()> {
    let mut rows = Rows::new(&["file", "rows", "new", "changed", "unchanged", "rejected"]);
    for file in &imported.files {
        let counts = [
            file.rows,
            file.new,
            file.changed,
            file.unchanged,
            file.rejected,
        ];
        let name = std::iter::once(Value::from(file.path.display().to_string()));
        rows.push(name.chain(counts.map(Value::from)));
    }
    rows.print(format)
}

/// Records a fact.
pub async fn record(args: RecordArgs, shop: Shop) -> Result<Done> {
    let at = time_or_now(&shop, args.at.as_deref())?;
    let recording = Recording {
        entity: args.entity,
        name: &args.name,
        facts: &args.facts,
        at,
        person: shop.person.as_deref(),
    };
    let merged = record_fact(&shop, recording, clock::now()).await?;
    match merged.change_set {
        Some(_) => println!("recorded: the next `enforce` works out what follows"),
        None => println!("nothing changed: that was known"),
    }
    Ok(Done::Well)
}
