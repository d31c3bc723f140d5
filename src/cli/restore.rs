//! `restore`: from a backup into an empty database.

use std::path::PathBuf;

use anyhow::Result;

use super::output::progress;
use super::{Done, load, user};
use crate::clock;
use crate::jobs;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `warrantyd backup` wrote
    file: PathBuf,
}

/// Takes it in, and says what is lost and what to do next.
pub async fn run(args: Args, config: Option<PathBuf>) -> Result<Done> {
    let config = load(config)?;
    let zone = config.calendar.zone;
    let bar = progress("{spinner} {human_pos} rows, {per_sec}", "");
    let now = clock::now();
    let mut counted = |rows| bar.inc(rows);
    let restored = jobs::restore(config, user(), &args.file, now, &mut counted).await;
    bar.finish_and_clear();
    let (manifest, held) = restored?;
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let taken_at = manifest.taken_at.with_timezone(&zone);
    let taken_at = taken_at.format("%Y-%m-%d %H:%M:%S %Z");
    println!(
        "restored {} of a backup of {taken_at}; every row was read back and is equal",
        jobs::number_of(rows, "row")
    );
    println!(
        "customers' mail is held ({} so far), as it may have been sent after the backup",
        jobs::number_of(held, "notice")
    );
    println!(
        "next: import and record again what came since, start the daemon, look at `warrantyd mail \
         list --held`, then `warrantyd mail release`"
    );
    Ok(Done::Well)
}
