//! Messages as files instead of mail.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes each message to a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTransport {
    dir: PathBuf,
}

impl FileTransport {
    /// Messages go to `dir`, which is created when it is first needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Whether a file can be written; says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let created = create_in(&self.dir);
        created
            .map(drop)
            .map_err(|error| format!("{}: {error}", self.dir.display()))
    }

    /// Writes `<name>.eml`, whole or not at all, and returns its path. A file
    /// of the same name is replaced: it was an earlier try.
    pub(super) async fn write(&self, name: &str, raw: &[u8]) -> Result<PathBuf, String> {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-_".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let path = self.dir.join(format!("{name}.eml"));
        let (dir, target, raw) = (self.dir.clone(), path.clone(), raw.to_vec());
        let written = tokio::task::spawn_blocking(move || write_whole(&dir, &target, &raw)).await;
        match written.map_err(io::Error::other) {
            Ok(Ok(())) => Ok(path),
            Ok(Err(error)) | Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

fn create_in(dir: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(dir)?;
    NamedTempFile::new_in(dir)
}

fn write_whole(dir: &Path, target: &Path, raw: &[u8]) -> io::Result<()> {
    let mut file = create_in(dir)?;
    file.write_all(raw)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    fs::File::open(dir)?.sync_all()
}
