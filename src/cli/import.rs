//! `import` and `record`: facts in.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::ending::until_told;
use super::output::{Rows, TableFormat, one_of, progress};
use super::{Done, time_or_now};
use crate::case::Entity;
use crate::clock;
use crate::jobs::import::{
    Checked, FileCounts, Recording, check_files, check_spool, files, import_files, record_fact,
};
use crate::jobs::{Refused, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, or directories with orders.csv, units.csv, claims.csv, waits.csv
    #[arg(required_unless_present = "check")]
    paths: Vec<PathBuf>,
    /// Say what would happen, and change nothing; without files, of `import.dir`
    #[arg(long)]
    check: bool,
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
    if args.paths.is_empty() && args.rejects.is_some() {
        let why = "--rejects names one file: expected one file to check with it";
        return Err(Refused(why.to_owned()).into());
    }
    let dialects = &shop.config.dialects;
    let files = files(dialects, &args.paths, args.entity, args.rejects.as_deref())?;
    let bar = progress("{spinner} {human_pos} rows, {per_sec}", "");
    let mut progress = |rows| bar.inc(rows);
    if args.check {
        let checking = async {
            match files.is_empty() {
                true => check_spool(&shop, clock::now(), &mut progress).await,
                false => {
                    let keeps_rejects = args.rejects.is_some();
                    check_files(&shop, &files, keeps_rejects, &mut progress).await
                }
            }
        };
        let checked = until_told("import", &shop.watch, &bar, checking).await;
        bar.finish_and_clear();
        return tell(&checked?, args.format);
    }
    let importing = import_files(&shop, &files, clock::now(), &mut progress);
    let imported = until_told("import", &shop.watch, &bar, importing).await;
    bar.finish_and_clear();
    let imported = imported?;
    counts(&imported.files).print(args.format)?;
    warn(&imported.files);
    for counts in imported.files.iter().filter(|counts| counts.rejected > 0) {
        let rejects = files.iter().find(|file| file.path == counts.path);
        eprintln!(
            "rows refused: {}, see {}",
            counts.rejected,
            rejects.map_or(&counts.path, |file| &file.rejects).display()
        );
    }
    let rejected = imported.files.iter().any(|file| file.rejected > 0);
    Ok(if rejected { Done::Partly } else { Done::Well })
}

fn counts(files: &[FileCounts]) -> Rows {
    let mut rows = Rows::new(&["file", "rows", "new", "changed", "unchanged", "rejected"]);
    for file in files {
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
    rows
}

fn warn(files: &[FileCounts]) {
    for file in files {
        for warning in &file.warnings {
            eprintln!("warning: {}: {warning}", file.path.display());
        }
    }
}

/// Says what would happen: to machines with the reasons in the same place.
fn tell(checked: &Checked, format: TableFormat) -> Result<Done> {
    let rows = counts(&checked.files);
    match format {
        TableFormat::Table => rows.print(format)?,
        TableFormat::Json => print_json(checked, rows.objects())?,
    }
    warn(&checked.files);
    for file in &checked.files {
        let name = file.path.display();
        for (line, why) in &file.reasons {
            eprintln!("{name}:{line}: would be refused: {why}");
        }
        let more = file.rejected - file.reasons.len() as u64;
        if more > 0 {
            eprintln!("{name}: {more} more rows would be refused: --rejects FILE takes them all");
        }
    }
    for (path, why) in &checked.hopeless {
        eprintln!("{}: would be refused: {why}", path.display());
    }
    if checked.waiting > 0 {
        eprintln!("files that would wait: {}", checked.waiting);
    }
    eprintln!("check, nothing was changed");
    Ok(match checked.is_partial() {
        true => Done::Partly,
        false => Done::Well,
    })
}

/// The table's rows with the reasons of the first rows that would be refused,
/// and files that would be refused, with an `error`.
fn print_json(checked: &Checked, mut objects: Value) -> Result<()> {
    if let Value::Array(objects) = &mut objects {
        for (object, file) in objects.iter_mut().zip(&checked.files) {
            let reasons = file.reasons.iter();
            let reasons = reasons.map(|(line, error)| json!({"line": line, "error": error}));
            if let Value::Object(object) = object {
                object.insert("reasons".to_owned(), reasons.collect());
            }
        }
        let hopeless = checked.hopeless.iter();
        objects.extend(
            hopeless
                .map(|(path, error)| json!({"file": path.display().to_string(), "error": error})),
        );
    }
    Ok(writeln!(io::stdout(), "{objects:#}")?)
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
