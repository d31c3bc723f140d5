//! What lies in the spool, and what of it is complete.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use rustix::fs::OFlags;

use super::shelf::{DONE, REJECTED};
use crate::case::{Dialects, Entity};
use crate::intake::kind_of;
use crate::policy::Instant;

/// Names that end so are somebody else's: files on their way, and what an
/// import by hand refused.
const OTHERS: [&str; 5] = [".part", ".partial", ".filepart", ".tmp", ".rejects.csv"];

/// So long a file waits for files that it may refer to and that are not yet
/// complete.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

/// A file that lies in the spool.
#[derive(Debug, Clone)]
pub struct Spooled {
    pub name: OsString,
    pub path: PathBuf,
    /// What its name says that it is.
    pub entity: Entity,
    pub stamp: Stamp,
}

/// By what it is seen that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    content: [u64; 3],
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            content: [metadata.dev(), metadata.ino(), metadata.size()],
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When the file last changed, was renamed or was put here: no program can
    /// give it another time, as it can that of its content.
    pub fn changed_at(&self) -> Instant {
        let (seconds, nanos) = self.changed;
        let micros = seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanos / 1_000);
        Instant::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// Whether a file is the same but for its place.
    pub fn is_moved(&self, metadata: &Metadata) -> bool {
        let other = Self::of(metadata);
        (self.content, self.modified) == (other.content, other.modified)
    }
}

impl Spooled {
    /// Whether the file is there as it was seen.
    pub fn is_same(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| Stamp::of(&found) == self.stamp)
    }

    /// Opens the file, whatever was put in its place: no link is followed, and
    /// no pipe waited for.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(flags.bits().cast_signed());
        let file = options.open(&self.path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("is no file")),
        }
    }
}

/// What a look into the spool found: by name, and what is ready by kind before
/// that, so that no file comes before one that it may refer to.
#[derive(Debug, Default)]
pub struct Look {
    /// Files that are complete.
    pub ready: Vec<Spooled>,
    /// What can never be imported, and why.
    pub hopeless: Vec<(Spooled, String)>,
    /// How many are not complete, or wait for others.
    pub waiting: u64,
}

/// Looks at what is in a directory and says by its name that it is to be
/// imported. A file is complete if it has not changed for a time (`settle`).
pub fn look(dir: &Path, dialects: &Dialects, settle: TimeDelta, now: Instant) -> Result<Look> {
    let mut look = Look::default();
    let mut incomplete: Option<Entity> = None;
    let read = || -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    };
    let mut names = read().with_context(|| dir.display().to_string())?;
    names.sort();
    for name in names {
        let path = dir.join(&name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // Another took it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context(path.display().to_string()),
        };
        let Some((entity, is_named)) = claim(&path, &metadata, dialects) else {
            continue;
        };
        let stamp = Stamp::of(&metadata);
        let is_settled = settle.is_zero() || now - stamp.changed_at() >= settle;
        let file = Spooled {
            name,
            path,
            entity,
            stamp,
        };
        match hopeless(&metadata, is_named) {
            _ if !is_settled => {
                look.waiting += 1;
                incomplete = Some(incomplete.map_or(entity, |first| first.min(entity)));
            }
            Some(why) => look.hopeless.push((file, why)),
            None => look.ready.push(file),
        }
    }
    let waits = |file: &Spooled| {
        incomplete.is_some_and(|first| first < file.entity)
            && now - file.stamp.changed_at() < PATIENCE
    };
    let (waiting, ready) = look.ready.into_iter().partition(waits);
    look.waiting += Vec::len(&waiting) as u64;
    look.ready = ready;
    look.ready.sort_by_key(|file| file.entity);
    Ok(look)
}

/// What a name says that a file is, and whether it is a name to import; `None`:
/// it is none of ours.
fn claim(path: &Path, metadata: &Metadata, dialects: &Dialects) -> Option<(Entity, bool)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let is_others = |name: &str| OTHERS.iter().any(|end| name.ends_with(end));
    if name.starts_with('.') || is_others(&name.to_ascii_lowercase()) {
        return None;
    }
    if metadata.is_dir() && [DONE, REJECTED].contains(&name.as_str()) {
        return None;
    }
    if let Some(entity) = kind_of(path, dialects) {
        return Some((entity, true));
    }
    if metadata.is_dir() {
        return None;
    }
    // Such as orders.csv.gz and orders.xlsx.
    let stems = std::iter::successors(Some(name.as_str()), |name| {
        name.rsplit_once('.').map(|(stem, _)| stem)
    });
    let mut kinds = stems.filter_map(|stem| {
        let kind = |name: &str| kind_of(Path::new(name), dialects);
        kind(stem).or_else(|| kind(&format!("{stem}.csv")))
    });
    Some((kinds.next()?, false))
}

/// Why something can never be imported, if that is so.
fn hopeless(metadata: &Metadata, is_named: bool) -> Option<String> {
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if !kind.is_file() {
        "a socket or a device"
    } else if !is_named {
        return Some(
            "has no name of an import file: expected CSV, and a name that ends with orders.csv, \
             units.csv, claims.csv or waits.csv, or is one of `files` in the config"
                .to_owned(),
        );
    } else {
        return None;
    };
    Some(format!("is {what}: expected a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: TimeDelta = TimeDelta::minutes(1);
    const MOMENT: TimeDelta = TimeDelta::microseconds(1);

    /// Writes a file, later than another by the file system's clock.
    fn write_after(dir: &Path, name: &str, earlier: Instant) -> Instant {
        loop {
            fs::write(dir.join(name), name).unwrap();
            let metadata = fs::metadata(dir.join(name)).unwrap();
            let at = Stamp::of(&metadata).changed_at();
            if at > earlier {
                return at;
            }
        }
    }

    fn found(dir: &Path, settle: TimeDelta, now: Instant) -> (Vec<String>, u64) {
        let look = look(dir, &Dialects::default(), settle, now).unwrap();
        let ready = look.ready.into_iter();
        let names = ready.map(|file| file.name.into_string().unwrap());
        (names.collect(), look.waiting)
    }

    #[test]
    fn a_file_is_complete_when_it_has_not_changed_for_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let at = write_after(dir.path(), "orders.csv", Instant::default());
        let waits = (vec![], 1);
        let ready = (vec!["orders.csv".to_owned()], 0);
        // A clock that is behind that of the file system is no reason to take it.
        for (now, expected) in [
            (at - TimeDelta::days(1), &waits),
            (at + SETTLE - MOMENT, &waits),
            (at + SETTLE, &ready),
        ] {
            assert_eq!(found(dir.path(), SETTLE, now), *expected);
        }
        assert_eq!(found(dir.path(), TimeDelta::zero(), at - MOMENT), ready);
    }

    #[test]
    fn a_file_waits_for_one_that_it_may_refer_to_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let first = write_after(dir.path(), "claims.csv", Instant::default());
        let second = write_after(dir.path(), "orders.csv", first);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let now = second + SETTLE - MOMENT;
        assert_eq!(found(dir.path(), SETTLE, now), (vec![], 2));
        let all = (names(&["orders.csv", "claims.csv"]), 0);
        assert_eq!(found(dir.path(), SETTLE, now + MOMENT), all);
        // Orders do not wait for claims.
        let claims = write_after(dir.path(), "claims.csv", second);
        let only = |name| (names(&[name]), 1);
        assert_eq!(
            found(dir.path(), SETTLE, second + SETTLE),
            only("orders.csv")
        );
        // An hour is enough.
        let orders = write_after(dir.path(), "orders.csv", claims);
        let settle = PATIENCE + SETTLE;
        assert_eq!(
            found(dir.path(), settle, orders + settle - MOMENT),
            only("claims.csv")
        );
    }
}
