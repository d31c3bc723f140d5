//! Reading ahead: a file's pages are read while those before are at work.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use tokio::sync::mpsc::{Receiver, channel};

use super::{ImportError, io_error};
use crate::intake::{RawRow, RowReader};

/// The pages of a file.
pub(super) struct Ahead {
    path: PathBuf,
    pages: Receiver<Result<Vec<RawRow>, ImportError>>,
}

impl Ahead {
    /// Reads a file on a thread of its own, up to two pages ahead; it ends
    /// with the file, or when nobody waits for more.
    pub fn open(mut reader: RowReader<File>, path: PathBuf) -> Self {
        let (to, pages) = channel(1);
        let file = path.clone();
        tokio::task::spawn_blocking(move || {
            loop {
                let page = reader.page().map_err(io_error(&file));
                let is_last = page.as_ref().map_or(true, Vec::is_empty);
                if to.blocking_send(page).is_err() || is_last {
                    return;
                }
            }
        });
        Self { path, pages }
    }

    /// These rows alone.
    pub fn of(rows: Vec<RawRow>) -> Self {
        let (to, pages) = channel(2);
        for page in [rows, Vec::new()] {
            // There is room for both.
            let _ = to.try_send(Ok(page));
        }
        let path = PathBuf::new();
        Self { path, pages }
    }

    /// The next rows; none at the end of the file.
    pub async fn page(&mut self) -> Result<Vec<RawRow>, ImportError> {
        let page = self.pages.recv().await;
        // The last page is empty: without it not all was read.
        page.unwrap_or_else(|| Err(io_error(&self.path)(io::ErrorKind::UnexpectedEof.into())))
    }
}
