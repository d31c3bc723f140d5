//! `bounce`: mail that comes back.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::output::{Rows, TableFormat, progress};
use super::{Done, open};
use crate::clock;
use crate::jobs::{self, Shop, Taken};
use crate::mail::BOUNCE_BYTES;

/// So much more is taken from a pipe, so that whoever writes into it is not
/// stopped.
const MOST_PIPED: u64 = 256 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory of mail, or a maildir; without it one mail is read from stdin
    dir: Option<PathBuf>,
    /// How the table of a directory is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Reads one mail from a pipe, or those of a directory. A mail server bounces
/// or drops mail that a command fails over, unless it says to come again later.
pub async fn run(args: Args, config: Option<PathBuf>) -> Result<Done> {
    if let Some(dir) = args.dir {
        return directory(&dir, args.format, open(config).await?).await;
    }
    match piped(config).await {
        Ok(done) => Ok(done),
        Err(error) => {
            eprintln!("error: {error:#}; to be tried again later");
            Ok(Done::Later)
        }
    }
}

async fn piped(config: Option<PathBuf>) -> Result<Done> {
    let mut stdin = io::stdin().lock();
    let raw = read(&mut stdin).context("reading stdin")?;
    io::copy(&mut stdin.take(MOST_PIPED), &mut io::sink()).context("reading stdin")?;
    let shop = open(config).await?;
    let taken = jobs::bounce(&shop, &raw, clock::now()).await?;
    // Some mail servers take what a command prints for a failure.
    if io::stderr().is_terminal() {
        let (what, why) = shown(taken);
        eprintln!("{what}: {why}");
    }
    Ok(match taken {
        Taken::Later => Done::Later,
        _ => Done::Well,
    })
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    from.take(BOUNCE_BYTES as u64).read_to_end(&mut raw)?;
    Ok(raw)
}

async fn directory(dir: &Path, format: TableFormat, shop: Shop) -> Result<Done> {
    let mut rows = Rows::new(&["file", "what", "why"]);
    let mut done = Done::Well;
    let bar = progress("{spinner} {human_pos} files", "");
    for path in jobs::bounce_files(dir)? {
        let (what, why) = match File::open(&path).and_then(|mut file| read(&mut file)) {
            Ok(raw) => {
                let taken = jobs::bounce(&shop, &raw, clock::now()).await?;
                if taken == Taken::Later {
                    done = Done::Partly;
                }
                let (what, why) = shown(taken);
                (what, why.to_owned())
            }
            Err(error) => {
                done = Done::Partly;
                ("failed", error.to_string())
            }
        };
        rows.push([path.display().to_string(), what.to_owned(), why]);
        bar.inc(1);
    }
    bar.finish_and_clear();
    rows.print(format)?;
    Ok(done)
}

/// What became of a mail, and why.
fn shown(taken: Taken) -> (&'static str, &'static str) {
    use crate::store::BounceKind::{Hard, Noted, Soft};
    match taken {
        Taken::Recorded(Hard) => ("hard", "no more notices go to the address"),
        Taken::Recorded(Soft) => ("soft", "the message failed, the address may work"),
        Taken::Recorded(Noted) => ("noted", "counted, nothing changed"),
        Taken::Known => ("known", "it was recorded before"),
        Taken::LeftAlone(what) => ("left alone", what),
        Taken::Later => ("later", "its message is being sent right now"),
    }
}
