//! Import and record: files, or a fact from the command line, to the database.
//!
//! The caller gives a session, which keeps others from changing facts: staging
//! a large batch takes as long as reading it.

mod ahead;
mod batch;
mod files;
mod links;
mod page;
mod record;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use strum::VariantArray;

pub use files::{files, import_dir, import_files, record_fact};
pub use record::{Recording, record};

use self::ahead::Ahead;
use self::batch::Batch;
use self::page::{Done, RefusedRow, RowOutcome};
use crate::case::Entity;
use crate::intake::{FileError, Header, Rejects, RowReader, Rules};
use crate::jobs::ToldToEnd;
use crate::policy::Instant;
use crate::store::{Session, StoreError};

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFile {
    /// Where it is.
    pub path: PathBuf,
    /// What its rows are.
    pub entity: Entity,
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
    let mut open: Vec<OpenFile> = files.iter().map(OpenFile::open).collect::<Result<_, _>>()?;
    open.sort_by_key(|file| file.header.entity);
    let mut batch = Batch::open(conn, rules).await?;
    for entity in Entity::VARIANTS {
        for (place, file) in open.iter_mut().enumerate() {
            if file.header.entity == *entity {
                file.stage(&mut batch, place, progress).await?;
            }
        }
        if *entity == Entity::Units {
            for refused in batch.refuse_broken_links().await? {
                if let Some(file) = open.get_mut(refused.file) {
                    file.refuse(&refused)?;
                }
            }
        }
    }
    let mut counts = Vec::with_capacity(open.len());
    for file in open {
        counts.push(file.finish()?);
    }
    let merged = batch.merge(source, now).await?;
    Ok(Imported {
        files: counts,
        change_set: merged.change_set,
        orders_woken: merged.orders_woken,
    })
}

/// By what the changes of files are made.
pub fn source(files: &[ImportFile]) -> String {
    let name = |file: &ImportFile| {
        let name = file.path.file_name().unwrap_or(file.path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let names: Vec<String> = files.iter().map(name).collect();
    format!("import {}", names.join(", "))
}

/// A file of the batch, its rejects and its counts.
struct OpenFile {
    header: Header,
    /// `None`: it is read.
    reader: Option<RowReader<File>>,
    rejects: Rejects,
    rejects_path: PathBuf,
    counts: FileCounts,
}

impl OpenFile {
    fn open(file: &ImportFile) -> Result<Self, ImportError> {
        let input = File::open(&file.path).map_err(io_error(&file.path))?;
        let name = file.path.display().to_string();
        let reader = RowReader::open(file.entity, &name, input)?;
        let counts = FileCounts {
            path: file.path.clone(),
            rows: 0,
            new: 0,
            changed: 0,
            unchanged: 0,
            rejected: 0,
            warnings: reader.warnings.clone(),
        };
        Ok(Self {
            header: reader.header.clone(),
            reader: Some(reader),
            rejects: Rejects::new(file.rejects.clone()),
            rejects_path: file.rejects.clone(),
            counts,
        })
    }

    async fn stage(
        &mut self,
        batch: &mut Batch<'_>,
        place: usize,
        progress: &mut Progress<'_>,
    ) -> Result<(), ImportError> {
        let Some(reader) = self.reader.take() else {
            return Ok(());
        };
        let header = self.header.clone();
        let rows = Ahead::open(reader, self.counts.path.clone());
        let done = |page: Done| {
            let count = page.outcomes.len() + page.refused.len();
            self.counts.rows += count as u64;
            for outcome in page.outcomes {
                *self.count(outcome) += 1;
            }
            for refused in page.refused {
                self.refuse(&refused)?;
            }
            Ok(progress(count as u64)?)
        };
        batch.stage(place, &header, rows, done).await
    }

    fn refuse(&mut self, refused: &RefusedRow) -> Result<(), ImportError> {
        if let Some(was) = refused.was {
            *self.count(was) -= 1;
        }
        self.counts.rejected += 1;
        self.rejects
            .add(&self.header, &refused.row, &refused.error)
            .map_err(io_error(&self.rejects_path))
    }

    fn count(&mut self, outcome: RowOutcome) -> &mut u64 {
        match outcome {
            RowOutcome::New => &mut self.counts.new,
            RowOutcome::Changed => &mut self.counts.changed,
            RowOutcome::Unchanged => &mut self.counts.unchanged,
        }
    }

    /// The rejects come before the merge: repeated, an import that died in
    /// between writes the same ones.
    fn finish(self) -> Result<FileCounts, ImportError> {
        self.rejects
            .finish()
            .map_err(io_error(&self.rejects_path))?;
        Ok(self.counts)
    }
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> ImportError {
    move |error| ImportError::Io {
        file: file.to_owned(),
        error,
    }
}
