//! Where files go that were taken from the spool.
//!
//! Their names begin with the time of their last change, which is the same
//! whenever a run that died is repeated.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::NaiveDateTime;
use rustix::fs::Access;
use tempfile::Builder;

use super::look::Spooled;
use crate::policy::{Instant, sha256_hex};

/// Files that were imported.
pub const DONE: &str = "done";
/// Files that could not be, and rows that were refused.
pub const REJECTED: &str = "rejected";

/// How names begin, such as `20260131T093015.123456Z-`.
const STAMP: &str = "%Y%m%dT%H%M%S%.6fZ-";
/// The length of that.
const STAMP_LENGTH: usize = 24;
/// So many bytes of a file's own name have room beside what is added to it.
const MOST_NAME: usize = 200;

/// The directories.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    /// Makes the directories, and sees that files can be moved.
    pub fn open(spool: &Path) -> Result<Self> {
        for dir in [spool.to_owned(), spool.join(DONE), spool.join(REJECTED)] {
            let ready = || -> io::Result<()> {
                match fs::create_dir(&dir) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    // No link: whoever fills the spool could have us write elsewhere.
                    _ if !fs::symlink_metadata(&dir)?.is_dir() && dir != *spool => {
                        Err(io::Error::other("is no directory"))
                    }
                    _ => {
                        let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
                        Ok(rustix::fs::access(&dir, needed)?)
                    }
                }
            };
            ready().with_context(|| {
                format!(
                    "import.dir: {}: files cannot be moved there: expected a directory that this \
                     user can write to",
                    dir.display()
                )
            })?;
        }
        Ok(Self {
            dir: spool.to_owned(),
        })
    }

    /// Where a file's refused rows go.
    pub fn rejects(&self, file: &Spooled) -> PathBuf {
        let name = format!("{}.rejects.csv", shelved(file));
        self.dir.join(REJECTED).join(name)
    }

    /// Puts a file that was imported away. `false`: it is gone, or another is
    /// there by now.
    pub fn done(&self, file: &Spooled) -> Result<bool> {
        self.put(file, DONE)
    }

    /// Puts a file that cannot be imported away, and beside it why.
    pub fn reject(&self, file: &Spooled, why: &str) -> Result<bool> {
        let dir = self.dir.join(REJECTED);
        let note = dir.join(format!("{}.error.txt", shelved(file)));
        let text = format!(
            "{}: {why}\n\nNothing of it was imported. Set it right and put it into {} again.\n",
            file.name.display(),
            self.dir.display()
        );
        let write = || -> io::Result<()> {
            let mut temporary = Builder::new().tempfile_in(&dir)?;
            temporary.write_all(text.as_bytes())?;
            temporary.persist(&note)?;
            Ok(())
        };
        write().with_context(|| note.display().to_string())?;
        self.put(file, REJECTED)
    }

    fn put(&self, file: &Spooled, shelf: &str) -> Result<bool> {
        if !file.is_same() {
            return Ok(false);
        }
        let to = free(&self.dir.join(shelf), &shelved(file));
        match fs::rename(&file.path, &to) {
            Ok(()) => {}
            // Another node was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                let what = format!("{}: cannot be moved to {shelf}", file.path.display());
                return Err(error).context(what);
            }
        }
        let moved = fs::symlink_metadata(&to).is_ok_and(|found| file.stamp.is_moved(&found));
        if !moved {
            // What was put there at this very moment was not looked at.
            let back = match file.path.symlink_metadata() {
                Ok(_) => self.dir.join(shelved(file)),
                Err(_) => file.path.clone(),
            };
            fs::rename(&to, &back).with_context(|| to.display().to_string())?;
        }
        Ok(moved)
    }
}

/// The name of a file on a shelf: of a long one the end, which says what it is,
/// with what tells it from others.
fn shelved(file: &Spooled) -> String {
    let stamp = file.stamp.changed_at().format(STAMP);
    let name = file.name.to_string_lossy();
    if name.len() <= MOST_NAME {
        return format!("{stamp}{name}");
    }
    let least = name.len() - MOST_NAME / 2;
    let from = (least..=name.len()).find(|at| name.is_char_boundary(*at));
    let end = from.and_then(|from| name.get(from..)).unwrap_or_default();
    let print = sha256_hex(file.name.as_bytes());
    format!("{stamp}{}-{end}", print.get(..16).unwrap_or_default())
}

/// A path that nothing has yet.
fn free(dir: &Path, name: &str) -> PathBuf {
    let numbered = |number: u32| match number {
        1 => dir.join(name),
        number => dir.join(format!("{name}-{number}")),
    };
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    let mut paths = (1..).map(numbered);
    paths.find(is_free).unwrap_or_else(|| dir.join(name))
}

/// Removes files that were put away as imported before a time; gives how many.
/// What has no such name is somebody else's.
pub fn forget_done(dir: &Path, before: Instant) -> io::Result<u64> {
    let entries = match fs::read_dir(dir.join(DONE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut forgotten = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let stamp = name
            .to_str()
            .and_then(|name| name.split_at_checked(STAMP_LENGTH));
        let at = stamp.and_then(|(stamp, _)| NaiveDateTime::parse_from_str(stamp, STAMP).ok());
        if at.is_some_and(|at| at.and_utc() < before) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}
