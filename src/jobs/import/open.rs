//! A file of the batch, its rejects and its counts.

use std::fs::File;
use std::path::PathBuf;

use super::ahead::Ahead;
use super::batch::Batch;
use super::page::{Done, RefusedRow, RowOutcome};
use super::{FileCounts, ImportError, ImportFile, Progress, io_error};
use crate::case::Entity;
use crate::intake::{Header, Rejects, RowReader};

/// So many reasons are kept of the rows that a file has refused.
const REASONS: usize = 20;

/// See the module.
pub(super) struct OpenFile {
    header: Header,
    /// `None`: it is read.
    reader: Option<RowReader<File>>,
    /// `None`: they are counted only.
    rejects: Option<Rejects>,
    rejects_path: PathBuf,
    counts: FileCounts,
}

impl OpenFile {
    pub fn open(file: &ImportFile, keeps_rejects: bool) -> Result<Self, ImportError> {
        let input = File::open(&file.path).map_err(io_error(&file.path))?;
        Self::of(file, input, keeps_rejects)
    }

    /// A file that is open.
    pub fn of(file: &ImportFile, input: File, keeps_rejects: bool) -> Result<Self, ImportError> {
        let name = file.path.display().to_string();
        let reader = RowReader::open(file.entity, file.dialect.clone(), &name, input)?;
        let counts = FileCounts {
            path: file.path.clone(),
            rows: 0,
            new: 0,
            changed: 0,
            unchanged: 0,
            rejected: 0,
            reasons: Vec::new(),
            warnings: reader.warnings.clone(),
        };
        Ok(Self {
            header: reader.header.clone(),
            reader: Some(reader),
            rejects: keeps_rejects.then(|| Rejects::new(file.rejects.clone())),
            rejects_path: file.rejects.clone(),
            counts,
        })
    }

    /// What its rows are.
    pub fn entity(&self) -> Entity {
        self.header.entity
    }

    pub async fn stage(
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
                self.refuse(refused)?;
            }
            Ok(progress(count as u64)?)
        };
        batch.stage(place, &header, rows, done).await
    }

    pub fn refuse(&mut self, refused: RefusedRow) -> Result<(), ImportError> {
        if let Some(was) = refused.was {
            *self.count(was) -= 1;
        }
        self.counts.rejected += 1;
        if let Some(rejects) = &mut self.rejects {
            rejects
                .add(&self.header, &refused.row, &refused.error)
                .map_err(io_error(&self.rejects_path))?;
        }
        if self.counts.reasons.len() < REASONS {
            self.counts.reasons.push((refused.row.line, refused.error));
        }
        Ok(())
    }

    fn count(&mut self, outcome: RowOutcome) -> &mut u64 {
        match outcome {
            RowOutcome::New => &mut self.counts.new,
            RowOutcome::Changed => &mut self.counts.changed,
            RowOutcome::Unchanged => &mut self.counts.unchanged,
        }
    }

    /// Puts the rejects in their place.
    pub fn finish(self) -> Result<FileCounts, ImportError> {
        if let Some(rejects) = self.rejects {
            rejects.finish().map_err(io_error(&self.rejects_path))?;
        }
        Ok(self.counts)
    }
}
