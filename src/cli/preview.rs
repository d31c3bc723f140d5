//! `mail preview LETTER`: letters to look at.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::time_or_now;
use crate::jobs::{self, Preview, Shop, Wanted};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The letter's name, that of its template such as `warranty_ends`; `all` for each
    letter: String,
    /// The language, such as `vi` [default: the customer's, or else the shop's]
    #[arg(long)]
    locale: Option<String>,
    /// Write it about an order, a unit or a claim, not from made-up values
    #[arg(long = "ref", value_name = "REF")]
    name: Option<String>,
    /// Look at REF as of a time instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Write the text and the HTML of each of its kind into a directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Shows letters. Nothing is sent.
pub async fn run(args: Args, shop: Shop) -> Result<()> {
    let wanted = Wanted {
        letter: &args.letter,
        locale: args.locale.as_deref(),
        name: args.name.as_deref(),
        at: time_or_now(&shop, args.at.as_deref())?,
    };
    let previews = jobs::preview(&shop, wanted).await?;
    match &args.out {
        Some(dir) => write_all(dir, &previews),
        None => print(&previews),
    }
}

fn print(previews: &[Preview]) -> Result<()> {
    let Some((first, others)) = previews.split_first() else {
        return Ok(());
    };
    let mut out = std::io::stdout().lock();
    write!(
        out,
        "Subject: {}\n\n{}",
        first.words.subject, first.words.text
    )?;
    if !others.is_empty() {
        let count = others.len();
        eprintln!("{count} more of its kind: write them with --out DIR");
    }
    Ok(())
}

fn write_all(dir: &Path, previews: &[Preview]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for preview in previews {
        let Preview {
            letter,
            variant,
            words,
        } = preview;
        let text = format!("Subject: {}\n\n{}", words.subject, words.text);
        for (ending, content) in [("txt", &text), ("html", &words.html)] {
            // A subject's name may hold anything.
            let name = format!("{letter}-{variant}.{ending}").replace(['/', '\\', '\0'], "_");
            let path = dir.join(name);
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    println!("wrote {} letters into {}", previews.len(), dir.display());
    Ok(())
}
