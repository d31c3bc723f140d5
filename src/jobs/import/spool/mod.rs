//! The job `import`: takes the files of `import.dir`.
//!
//! Invariant: a file is put away only when all of it was imported, or nothing
//! of it can be. A run that dies before it did so is repeated, and comes to
//! the same end: importing again changes nothing.

mod look;
mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

pub(super) use self::look::Spooled;
use self::look::{Look, look};
use self::shelf::{Shelf, forget_done};
use super::files::{policy_names, rules, told};
use super::open::OpenFile;
use super::{FileCounts, ImportError, ImportFile, source, stage};
use crate::clock::Stopwatch;
use crate::intake::Rules;
use crate::jobs::{Outcome, Refused, Shop, When};
use crate::policy::Instant;
use crate::store::{self, Session};

/// So many files are one batch, for each is open; more are further ones.
const MOST_FILES: usize = 200;

/// So long somebody else's import is waited for: one that died ends soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Before it is looked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Files that a try has shown to be left out.
type Aside = BTreeMap<PathBuf, LeftOut>;

enum LeftOut {
    /// It changed while it was read.
    ForNow,
    /// It cannot be read to its end, and why.
    ForGood(String),
}

/// What is taken together.
pub(super) struct Take {
    pub ready: Vec<(Spooled, ImportFile)>,
    pub open: Vec<OpenFile>,
    /// What can never be imported, and why.
    pub hopeless: Vec<(Spooled, String)>,
    pub waiting: u64,
    /// Whether there are more files than one batch holds.
    pub has_more: bool,
}

/// The job. One that finds nothing to take costs a look.
pub async fn import_dir(shop: &Shop, when: When) -> Result<Outcome> {
    let Some(dir) = &shop.config.import_dir else {
        return Ok(Outcome::default());
    };
    let first = look_into(shop, dir, when.clock)?;
    let shelf = Shelf::open(dir)?;
    let mut outcome = Outcome::default();
    if first.ready.is_empty() && first.hopeless.is_empty() {
        outcome.count("waiting", first.waiting);
        return Ok(outcome);
    }
    let policies = policy_names(shop).await?;
    let rules = rules(shop, &policies);
    let Some(mut session) = session(shop).await? else {
        outcome.count("waiting", first.waiting + first.ready.len() as u64);
        tracing::info!("somebody else imports: the files are left to the next run");
        return Ok(outcome);
    };
    let mut aside = Aside::new();
    loop {
        let round = apply(
            shop,
            dir,
            &shelf,
            &mut session,
            rules,
            when.clock,
            &mut aside,
        );
        let (take, imported) = round.await?;
        tracing::debug!(files = imported.len(), "applied");
        count(&mut outcome, &take, &imported);
        outcome.problem = put_away(&shelf, &take, &mut aside);
        if !take.has_more || outcome.problem.is_some() {
            outcome.count("waiting", take.waiting);
            return Ok(outcome);
        }
    }
}

/// Waits for others who import, but not for a long import by hand: other jobs
/// would wait, too.
async fn session(shop: &Shop) -> Result<Option<Session>> {
    let since = Stopwatch::start();
    loop {
        let session = shop.store.session_if_free().await?;
        if session.is_some() || since.elapsed() > PATIENCE {
            return Ok(session);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes one batch and applies it: what lies there, as long as nobody else
/// imports, who may have taken what an earlier look saw.
async fn apply(
    shop: &Shop,
    dir: &Path,
    shelf: &Shelf,
    session: &mut Session,
    rules: Rules<'_>,
    now: Instant,
    aside: &mut Aside,
) -> Result<(Take, Vec<FileCounts>)> {
    let mut progress = |_| shop.watch.go_on();
    loop {
        let look = look_into(shop, dir, now)?;
        let rejects = |file: &Spooled| shelf.rejects(file);
        let mut take = open(shop, look, aside, rejects, true).await?;
        if take.ready.is_empty() {
            return Ok((take, Vec::new()));
        }
        let open = std::mem::take(&mut take.open);
        let staged = match stage(session, open, rules, &mut progress).await {
            Err(ImportError::Io { file, error }) if take.has(&file) => {
                aside.insert(file, LeftOut::ForGood(unread(&error)));
                continue;
            }
            staged => staged.map_err(told)?,
        };
        let files = take.ready.iter().map(|(file, _)| file);
        let changed: Vec<_> = files.filter(|file| !file.is_same()).collect();
        if !changed.is_empty() {
            let changed = changed.into_iter();
            aside.extend(changed.map(|file| (file.path.clone(), LeftOut::ForNow)));
            continue;
        }
        let files = take.ready.iter().map(|(_, file)| file);
        let source = shop.given(&source(files));
        let imported = staged.merge(&source, now).await.map_err(told)?;
        let mut tx = session.begin().await?;
        store::feed_write(&mut tx, now).await?;
        tx.commit().await?;
        return Ok((take, imported.files));
    }
}

impl Take {
    fn has(&self, path: &Path) -> bool {
        self.ready.iter().any(|(file, _)| file.path == path)
    }
}

/// What lies in the spool.
pub(super) fn look_into(shop: &Shop, dir: &Path, now: Instant) -> Result<Look> {
    if !dir.is_dir() {
        let why = "no such directory: create it, or set the key right";
        return Err(Refused(format!("import.dir: {}: {why}", dir.display())).into());
    }
    look(dir, &shop.config.dialects, shop.config.import_settle, now)
}

/// Opens what a look found: what is no import file of its kind is hopeless.
async fn open(
    shop: &Shop,
    look: Look,
    aside: &Aside,
    rejects: impl Fn(&Spooled) -> PathBuf,
    keeps_rejects: bool,
) -> Result<Take> {
    let mut take = Take {
        ready: Vec::new(),
        open: Vec::new(),
        hopeless: look.hopeless,
        waiting: look.waiting,
        has_more: false,
    };
    let mut files = Vec::new();
    for file in look.ready {
        match aside.get(&file.path) {
            Some(LeftOut::ForNow) => take.waiting += 1,
            Some(LeftOut::ForGood(why)) => take.hopeless.push((file, why.clone())),
            None if files.len() == MOST_FILES => take.has_more = true,
            None => {
                let import = ImportFile {
                    path: file.path.clone(),
                    entity: file.entity,
                    dialect: shop.config.dialects.of(file.entity),
                    rejects: rejects(&file),
                };
                files.push((file, import));
            }
        }
    }
    // The header of a hostile file may take its time.
    let opening = tokio::task::spawn_blocking(move || {
        for (file, import) in files {
            let opened = file.open().map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => None,
                _ => Some(unread(&error)),
            });
            let opened = opened.and_then(|input| {
                OpenFile::of(&import, input, keeps_rejects).map_err(|error| {
                    Some(match error {
                        ImportError::File(error) => error.problem,
                        error => error.to_string(),
                    })
                })
            });
            match opened {
                Ok(open) => {
                    take.ready.push((file, import));
                    take.open.push(open);
                }
                Err(Some(why)) => take.hopeless.push((file, why)),
                // Another took it.
                Err(None) => {}
            }
        }
        take
    });
    opening.await.context("reading import.dir")
}

fn unread(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn count(outcome: &mut Outcome, take: &Take, imported: &[FileCounts]) {
    outcome.count("files", imported.len() as u64);
    outcome.count("failed", take.hopeless.len() as u64);
    for file in imported {
        let name = file.path.display();
        for warning in &file.warnings {
            tracing::warn!(file = %name, warning, "import");
        }
        if file.rejected > 0 {
            tracing::warn!(file = %name, rejected = file.rejected, "import: rows refused");
        }
        outcome.count("found", file.rows);
        outcome.count("new", file.new);
        outcome.count("changed", file.changed);
        outcome.count("already", file.unchanged);
        outcome.count("rejected", file.rejected);
    }
}

/// Moves files where they belong; gives what cannot be moved. It is met again
/// at the next run, which does no harm.
fn put_away(shelf: &Shelf, take: &Take, aside: &mut Aside) -> Option<String> {
    let mut problems = Vec::new();
    let mut note = |file: &Spooled, moved: Result<bool>| {
        let name = file.path.display();
        match moved {
            Ok(true) => tracing::debug!(file = %name, "moved"),
            Ok(false) => {
                tracing::debug!(file = %name, "is another by now, or gone");
                aside.insert(file.path.clone(), LeftOut::ForNow);
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    };
    for (file, why) in &take.hopeless {
        tracing::warn!(file = %file.path.display(), why, "import: file refused");
        note(file, shelf.reject(file, why));
    }
    for (file, _) in &take.ready {
        note(file, shelf.done(file));
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// What the job would take now, with nothing made ready for it.
pub(super) async fn take_nothing(shop: &Shop, dir: &Path, now: Instant) -> Result<Take> {
    let look = look_into(shop, dir, now)?;
    open(shop, look, &Aside::new(), |file| file.path.clone(), false).await
}

/// Removes files that were imported longer ago than the shop keeps them; gives
/// how many.
pub fn done_forget(shop: &Shop, now: Instant) -> Result<u64> {
    let (Some(dir), Some(keep)) = (&shop.config.import_dir, shop.config.import_keep_done) else {
        return Ok(0);
    };
    forget_done(dir, now - keep).with_context(|| format!("import.dir: {}", dir.display()))
}
