//! `init`: a commented config, and the database.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Done, load};
use crate::clock;
use crate::config::starter;
use crate::jobs::Shop;

#[derive(Debug, clap::Args)]
pub struct Args {}

/// Writes the config, unless there is one, and creates the database.
pub async fn run(_: Args, config: Option<PathBuf>) -> Result<Done> {
    let path = config.unwrap_or_else(|| PathBuf::from("warrantyd.toml"));
    match write_new(&path, &starter(clock::now().date_naive())) {
        Ok(()) => println!("wrote {}", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("kept {} as it is", path.display());
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    let shop = Shop::open(load(Some(path.clone()))?).await?;
    println!("the database is {}", shop.store.name());
    println!("next: edit {}, then `warrantyd import DIR`", path.display());
    Ok(Done::Well)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}
