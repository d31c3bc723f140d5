//! The rejects file: rows that could not be taken, to be put right and
//! imported again.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use csv::{Terminator, Writer, WriterBuilder};
use encoding_rs::UTF_8;
use tempfile::{Builder, NamedTempFile};

use super::header::{ADDED, Header, is_added};
use super::reader::RawRow;
use crate::case::Dialect;

/// Collects rows; the file appears, whole, when it is finished.
pub struct Rejects {
    path: PathBuf,
    writer: Option<Writer<NamedTempFile>>,
}

impl Rejects {
    /// Writes nothing before the first row.
    pub fn new(path: PathBuf) -> Self {
        Self { path, writer: None }
    }

    /// Adds a row: the file's columns, the line it was on, and why it was
    /// refused.
    pub fn add(&mut self, header: &Header, row: &RawRow, error: &str) -> io::Result<()> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let mut writer = open(&self.path, &header.dialect)?;
                let names = header.names.iter().map(String::as_str);
                writer.write_record(own_columns(header, names).chain(ADDED))?;
                writer
            }
        };
        let line = row.line.to_string();
        writer.write_record(own_columns(header, row.cells.iter()).chain([line.as_str(), error]))?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Puts the file in its place, if there is a row. An older one is
    /// replaced.
    pub fn finish(self) -> io::Result<()> {
        let Some(writer) = self.writer else {
            return Ok(());
        };
        let file = writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

/// It is written as it will be read: a mark says that it is UTF-8, where that
/// is not the file's encoding.
fn open(path: &Path, dialect: &Dialect) -> io::Result<Writer<NamedTempFile>> {
    // Who may read it is for the umask to say, as with any other file.
    let mut file = Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(path))?;
    if dialect.encoding != UTF_8 {
        file.write_all("\u{feff}".as_bytes())?;
    }
    Ok(WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .delimiter(dialect.delimiter)
        .from_writer(file))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// One cell for each column of the file, but those that this file adds.
fn own_columns<'a>(
    header: &'a Header,
    cells: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    std::iter::zip(&header.names, cells.chain(std::iter::repeat("")))
        .filter(|(name, _)| !is_added(name))
        .map(|(_, cell)| cell)
}
