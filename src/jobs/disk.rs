//! How much room there is where files are written.

use std::path::Path;

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Which disk it is: others have other numbers.
    pub disk: u64,
    /// What can still be written.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

/// The room where a directory is; `None`: the system does not say.
pub fn room(dir: &Path) -> Option<Room> {
    let found = rustix::fs::statvfs(dir).ok()?;
    Some(Room {
        disk: found.f_fsid,
        free: found.f_bavail.saturating_mul(found.f_frsize),
        size: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The directory of a file; of a bare name, the one where we are.
pub fn directory(file: &Path) -> &Path {
    let dir = file.parent().filter(|dir| *dir != Path::new(""));
    dir.unwrap_or(Path::new("."))
}
