//! `init`: a commented config, and the database.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Done, load};
use crate::clock;
use crate::config::{starter, starter_below};
use crate::jobs::Shop;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep database, outbox and reports in DIR, and not beside the config
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Write the config only
    #[arg(long)]
    no_database: bool,
}

/// Writes the config, unless there is one, and creates the database.
pub async fn run(args: Args, config: Option<PathBuf>) -> Result<Done> {
    let path = config.unwrap_or_else(|| PathBuf::from("warrantyd.toml"));
    let today = clock::now().date_naive();
    let text = match &args.state_dir {
        None => starter(today),
        Some(dir) => starter_below(today, dir),
    };
    match write_new(&path, &text) {
        Ok(()) => println!("wrote {}", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("kept {} as it is", path.display());
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    if args.no_database {
        return Ok(Done::Well);
    }
    let shop = Shop::open(load(Some(path.clone()))?).await?;
    println!("the database is {}", shop.store.name());
    println!("next: edit {}, then `warrantyd import DIR`", path.display());
    Ok(Done::Well)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}
