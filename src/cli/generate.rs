//! `generate DIR`: what a package holds beside the program, made from the
//! program itself. Hidden: nobody needs it but the script that packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, roman};

use super::{Cli, Done};
use crate::config::starter;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory, which is created
    dir: PathBuf,
}

/// Writes manual pages for every command and the config into `man`, and
/// completions for shells into `completions`.
pub fn run(args: Args) -> Result<Done> {
    let (man, completions) = (args.dir.join("man"), args.dir.join("completions"));
    for dir in [&man, &completions] {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    clap_mangen::generate_to(Cli::command(), &man)?;
    config_page(&man.join("warrantyd.toml.5"))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "warrantyd", &completions)?;
    }
    Ok(Done::Well)
}

/// The manual page of the config: the one that a shop starts with.
fn config_page(path: &Path) -> Result<()> {
    // Where a config has the day of its `init`.
    let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap_or_default();
    let mut page = Roff::new();
    page.control("TH", ["warrantyd.toml", "5", "", "warrantyd"])
        .control("SH", ["NAME"])
        .text([roman("warrantyd.toml - the configuration of warrantyd")])
        .control("SH", ["DESCRIPTION"])
        .control("nf", []);
    for line in starter(day).lines() {
        match line {
            "" => page.control("sp", []),
            _ => page.text([roman(line)]),
        };
    }
    page.control("fi", [])
        .control("SH", ["SEE ALSO"])
        .text([roman("warrantyd(1)")]);
    std::fs::write(path, page.render()).with_context(|| path.display().to_string())
}
