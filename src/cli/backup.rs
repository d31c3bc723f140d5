//! `backup`: a copy of the database, while everything runs.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Result;

use super::Done;
use super::output::progress;
use crate::clock;
use crate::jobs::{self, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where no file is; in a directory the backup is named by the time
    file: PathBuf,
}

/// Writes it, and tells a person where. Cron mails whatever is printed.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let bar = progress("{spinner} {human_pos} rows {elapsed}", "");
    let now = clock::now();
    let written = jobs::backup(&shop, &args.file, now, &mut |rows| bar.inc(rows)).await;
    bar.finish_and_clear();
    let (file, manifest) = written?;
    if std::io::stderr().is_terminal() {
        let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
        let rows = jobs::number_of(rows, "row");
        eprintln!("{}: {rows}, read back and checked", file.display());
    }
    Ok(Done::Well)
}
