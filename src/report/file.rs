//! Files that appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use crate::policy::hex;

/// A file that is written under a temporary name in the directory of its own
/// and takes its name in [`AtomicFile::commit`]. Dropped before that, it
/// leaves nothing behind. Every error names the path.
pub struct AtomicFile {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl AtomicFile {
    /// Begins a file in a directory that exists. Who may read it is up to the
    /// process's umask.
    pub fn create(path: &Path) -> io::Result<Self> {
        let temporary = tempfile::Builder::new()
            .prefix(".warrantyd-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory(path))
            .map_err(|error| naming(path, without_directory(path, error)))?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
        })
    }

    /// Puts the file on disk under its name, in the place of an older one.
    pub fn commit(self) -> io::Result<()> {
        let path = self.path;
        let named = |error| naming(&path, error);
        self.temporary.as_file().sync_all().map_err(named)?;
        let persisted = self.temporary.persist(&path);
        persisted.map_err(|error| naming(&path, error.error))?;
        sync_directory(directory(&path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temporary.write(bytes);
        written.map_err(|error| naming(&self.path, error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// A file of a set, which the set's manifest describes.
pub(super) struct DescribedFile {
    file: AtomicFile,
    sha256: Context,
}

impl DescribedFile {
    /// As [`AtomicFile::create`].
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: AtomicFile::create(path)?,
            sha256: Context::new(&SHA256),
        })
    }

    /// As [`AtomicFile::commit`]; gives the SHA-256 of the content, in hex.
    pub fn commit(self) -> io::Result<String> {
        self.file.commit()?;
        Ok(hex(self.sha256.finish()))
    }
}

impl Write for DescribedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// SHA-256 of a file's content, in hex.
pub fn file_sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path).map_err(|error| naming(path, error))?;
    let mut sha256 = Context::new(&SHA256);
    let mut part = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut part).map_err(|error| naming(path, error))?;
        if read == 0 {
            return Ok(hex(sha256.finish()));
        }
        sha256.update(part.get(..read).unwrap_or(&part));
    }
}

/// Makes a directory, if it is not there, so that a crash does not lose it.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|error| naming(path, error))?;
    sync_directory(directory(path))
}

/// Removes a file, if it is there, so that a crash does not bring it back.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(directory(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(naming(path, error)),
    }
}

/// An error that names the temporary file says little about a directory that
/// is not there.
fn without_directory(path: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let directory = directory(path).display();
            let why = format!("there is no directory {directory}: make it first");
            io::Error::new(error.kind(), why)
        }
        _ => error,
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| naming(path, error))
}

fn naming(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sha256_hex;

    #[test]
    fn a_file_appears_whole_with_the_hash_of_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        let mut file = DescribedFile::create(&path).unwrap();
        file.write_all(b"one,").unwrap();
        file.write_all(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let sha256 = file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one,two");
        assert_eq!(sha256, sha256_hex(b"one,two"));
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&dir.path().join("a.csv")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_error_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/a.csv");
        let error = AtomicFile::create(&path).err().unwrap().to_string();
        let directory = dir.path().join("missing");
        let (path, directory) = (path.display(), directory.display());
        let expected = format!("{path}: there is no directory {directory}: make it first");
        assert_eq!(error, expected);
    }
}
