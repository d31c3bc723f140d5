//! Import and record: files, or a fact from the command line, to the database.
//!
//! The caller gives a session, which keeps others from changing facts: staging
//! a large batch takes as long as reading it.

mod ahead;
mod batch;
mod check;
mod files;
mod links;
mod open;
mod page;
mod record;
mod spool;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strum::VariantArray;

pub use check::{Checked, check_files, check_spool};
pub use files::{files, import_files, record_fact};
pub use record::{Recording, record};
pub use spool::{done_forget, import_dir};

use self::batch::Batch;
use self::open::OpenFile;
use crate::case::{Dialect, Entity};
use crate::intake::{FileError, Rules};
use crate::jobs::ToldToEnd;
use crate::policy::Instant;
use crate::store::{Session, StoreError};

/// A file to import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportFile {
    /// Where it is.
    pub path: PathBuf,
    /// What its rows are.
    pub entity: Entity,
    /// How it is written.
    pub dialect: Arc<Dialect>,
    /// Where its refused rows go, if there are any.
    pub rejects: PathBuf,
}

/// What became of a file's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCounts {
    /// The file.
    pub path: PathBuf,
    /// Rows read: the sum of the other counts.
    pub rows: u64,
    /// Rows that nobody knew.
    pub new: u64,
    /// Rows that changed a fact.
    pub changed: u64,
    /// Rows that said what is known.
    pub unchanged: u64,
    /// Rows refused, now in the rejects file.
    pub rejected: u64,
    /// The first of them: lines, and why.
    pub reasons: Vec<(u64, String)>,
    /// What is odd about the file.
    pub warnings: Vec<String>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Of each file, in the order in which they were read.
    pub files: Vec<FileCounts>,
    /// The set that the changes are recorded in; `None` if nothing changed.
    pub change_set: Option<i64>,
    /// Orders that must be looked at again.
    pub orders_woken: u64,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file is no import file of its kind.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read, or its rejects cannot be written.
    #[error("{}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The fact to record breaks a rule.
    #[error("{0}")]
    Refused(String),
    /// Whoever is told of the rows does not want to go on.
    #[error("{0}")]
    ToldToEnd(#[from] ToldToEnd),
    /// The database failed; it is as it was.
    #[error("nothing was imported: {0}")]
    Store(StoreError),
    /// The database went away. All was imported or nothing was.
    #[error("the import broke off: {0}")]
    Gone(StoreError),
}

// Not `#[from]`: its text would be said twice, as the cause too.
impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Gone(_) => Self::Gone(error),
            error => Self::Store(error),
        }
    }
}

/// Is told of rows that were read, and says whether to go on.
pub type Progress<'p> = dyn FnMut(u64) -> Result<(), ToldToEnd> + Send + 'p;

/// Imports files as one batch: orders first, then units, claims and waits; the
/// changes are recorded as of `source`.
///
/// A file that is no table refuses the batch before anything is read; a bad
/// row goes to the file's rejects. `progress` is told of each page's rows, and
/// says whether to go on: until it was told of the last one, nothing changes.
pub async fn import(
    conn: &mut Session,
    files: &[ImportFile],
    rules: Rules<'_>,
    source: &str,
    now: Instant,
    progress: &mut Progress<'_>,
) -> Result<Imported, ImportError> {
    let open = files.iter().map(|file| OpenFile::open(file, true));
    let open = open.collect::<Result<_, _>>()?;
    let staged = stage(conn, open, rules, progress).await?;
    staged.merge(source, now).await
}

/// Files that were read, with what is to be changed staged.
struct Staged<'a> {
    files: Vec<OpenFile>,
    batch: Batch<'a>,
}

/// Reads files and stages what they change. Dropped, nothing is changed.
async fn stage<'a>(
    conn: &'a mut Session,
    mut files: Vec<OpenFile>,
    rules: Rules<'a>,
    progress: &mut Progress<'_>,
) -> Result<Staged<'a>, ImportError> {
    files.sort_by_key(OpenFile::entity);
    let mut batch = Batch::open(conn, rules).await?;
    for entity in Entity::VARIANTS {
        for (place, file) in files.iter_mut().enumerate() {
            if file.entity() == *entity {
                file.stage(&mut batch, place, progress).await?;
            }
        }
        if *entity == Entity::Units {
            for refused in batch.refuse_broken_links().await? {
                if let Some(file) = files.get_mut(refused.file) {
                    file.refuse(refused)?;
                }
            }
        }
    }
    Ok(Staged { files, batch })
}

impl Staged<'_> {
    /// Writes the rejects and says what became of each file's rows.
    fn counts(files: Vec<OpenFile>) -> Result<Vec<FileCounts>, ImportError> {
        files.into_iter().map(OpenFile::finish).collect()
    }

    /// Makes what is staged last. The rejects come first: repeated, an import
    /// that died in between writes the same ones.
    async fn merge(self, source: &str, now: Instant) -> Result<Imported, ImportError> {
        let files = Self::counts(self.files)?;
        let merged = self.batch.merge(source, now).await?;
        Ok(Imported {
            files,
            change_set: merged.change_set,
            orders_woken: merged.orders_woken,
        })
    }

    /// Leaves everything as it was.
    async fn leave(self) -> Result<Vec<FileCounts>, ImportError> {
        let files = Self::counts(self.files)?;
        self.batch.leave().await?;
        Ok(files)
    }
}

/// By what the changes of files are made.
pub fn source<'f>(files: impl IntoIterator<Item = &'f ImportFile>) -> String {
    let name = |file: &ImportFile| {
        let name = file.path.file_name().unwrap_or(file.path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let names: Vec<String> = files.into_iter().map(name).collect();
    format!("import {}", names.join(", "))
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> ImportError {
    move |error| ImportError::Io {
        file: file.to_owned(),
        error,
    }
}
