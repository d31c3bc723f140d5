//! The database: whether it can be reached, is this program's and is whole,
//! and whether its disk and its clock can be relied on.

use std::path::Path;

use chrono::TimeDelta;
use rustix::fs::Access;

use super::Check;
use crate::clock;
use crate::config::{Config, Database};
use crate::jobs::disk;
use crate::policy::Instant;
use crate::store::{About, Schema, Store, StoreError};

/// Larger files are not looked through: it would take minutes.
const LOOKED_THROUGH: u64 = 256 << 20;

/// With less room than this nothing can be written soon.
const FULL: u64 = 16 << 20;

/// With less room than this, or than a tenth of the database, somebody has to
/// make some.
const SCARCE: u64 = 256 << 20;

/// Clocks may differ by so much.
const MAY_DIFFER: TimeDelta = TimeDelta::seconds(5);

/// What file systems over a network are called, and their magic numbers
/// (statfs(2)).
const NETWORKS: [(&str, u32); 5] = [
    ("NFS", 0x6969),
    ("SMB", 0x517b),
    ("CIFS", 0xff53_4d42),
    ("SMB", 0xfe53_4d42),
    ("FUSE", 0x6573_5546),
];

/// Looks at the database; gives it if its schema is this program's.
pub(super) async fn database(config: &Config, now: Instant) -> (Vec<Check>, Option<Store>) {
    let (store, file) = match &config.database {
        Database::Sqlite(path) => match Store::look_sqlite(path).await {
            Ok(None) => {
                let found = format!(
                    "{}: there is no such file: the next start makes an empty database there; if \
                     there was one, find out where it went (a disk that is not mounted?)",
                    path.display()
                );
                return (vec![Check::warn("database", found)], None);
            }
            Ok(Some(store)) => (Ok(store), Some(path.as_path())),
            Err(error) => (Err(error), Some(path.as_path())),
        },
        Database::Postgres(url) => (Store::look_postgres(url).await, None),
    };
    match looked(store, file, now).await {
        Ok(found) => found,
        Err(error) => {
            let expected = match file {
                Some(_) => {
                    "expected a file of warrantyd that this user can read, in a directory \
                            that it can write"
                }
                None => "start the server, or mend database.url",
            };
            let found = format!("{error}: {expected}");
            (vec![Check::fail("database", found)], None)
        }
    }
}

async fn looked(
    store: Result<Store, StoreError>,
    file: Option<&Path>,
    now: Instant,
) -> Result<(Vec<Check>, Option<Store>), StoreError> {
    let store = store?;
    let about = store.about().await?;
    let schema = store.schema().await?;
    let standby = match about.is_standby {
        true => ", a standby: reports only",
        false => "",
    };
    let (name, size) = (store.name(), mib(about.bytes));
    let found = format!("{name}: {}, {size}{standby}", about.engine);
    let mut checks = vec![Check::ok("database", found), migrations(schema)];
    if file.is_some_and(|file| rustix::fs::access(file, Access::WRITE_OK).is_err()) {
        let found = format!("{name}: this user may not write the file: give it the right to");
        checks[0] = Check::fail("database", found);
    }
    match file {
        Some(file) => {
            checks.push(integrity(&store, &about).await);
            checks.extend(disk(file, &about));
        }
        None => checks.push(clocks(&about, now)),
    }
    let is_ours = matches!(schema, Schema::Current(_));
    Ok((checks, is_ours.then_some(store)))
}

fn migrations(schema: Schema) -> Check {
    match schema {
        Schema::Current(version) => Check::ok("migrations", format!("schema {version}")),
        Schema::None => Check::warn(
            "migrations",
            "the database is empty: the next start of the daemon or any command makes the tables",
        ),
        Schema::Older(version) => Check::warn(
            "migrations",
            format!(
                "schema {version} is older than this program's: the next start of the daemon or \
                 any command migrates it; take a backup before"
            ),
        ),
        Schema::Newer(version) => Check::fail(
            "migrations",
            format!(
                "schema {version} is from a newer version of warrantyd: install that version, or \
                 restore a backup"
            ),
        ),
    }
}

async fn integrity(store: &Store, about: &About) -> Check {
    if about.bytes > LOOKED_THROUGH {
        let found = format!(
            "not looked through, as it has {}: `sqlite3 FILE \"PRAGMA quick_check\"` does",
            mib(about.bytes)
        );
        return Check::ok("integrity", found);
    }
    let broken = |what: String| {
        Check::fail(
            "integrity",
            format!("the file is broken: {what}: stop the daemon and restore a backup"),
        )
    };
    match store.quick_check().await {
        Ok(None) => Check::ok("integrity", "looked through: it is whole"),
        Ok(Some(what)) => broken(what.replace('\n', " ")),
        Err(error) => broken(error.to_string()),
    }
}

/// Whether there is room beside a file, and whether its locks can be relied
/// on.
fn disk(file: &Path, about: &About) -> Vec<Check> {
    let dir = disk::directory(file);
    let mut checks = Vec::new();
    if let Some(found) = disk::room(dir) {
        checks.push(room(found.free, about.bytes));
    }
    if let Ok(found) = rustix::fs::statfs(dir) {
        // As wide as the machine's words, but a number of 32 bits.
        let magic = found.f_type as u32;
        let network = NETWORKS.iter().find(|(_, of)| *of == magic);
        checks.extend(network.map(|(name, _)| {
            let found = format!(
                "{}: {name}: SQLite cannot rely on locks there: move the database to a local disk",
                dir.display()
            );
            Check::warn("disk", found)
        }));
    }
    checks
}

fn room(free: u64, bytes: u64) -> Check {
    let found = format!("{} free beside a database of {}", mib(free), mib(bytes));
    match free {
        _ if free < FULL => Check::fail("disk", format!("{found}: make room")),
        _ if free < SCARCE.max(bytes / 10) => Check::warn("disk", format!("{found}: make room")),
        _ => Check::ok("disk", found),
    }
}

/// Whether the server's clock is that of this machine. Leases go by the
/// server's, everything else by the machine's.
fn clocks(about: &About, before: Instant) -> Check {
    let after = clock::now();
    let apart = match about.clock {
        at if at < before => before - at,
        at if at > after => at - after,
        _ => TimeDelta::zero(),
    };
    let seconds = apart.as_seconds_f64();
    let found = format!("the clocks of the database and of this machine differ by {seconds:.1} s");
    match apart > MAY_DIFFER {
        true => Check::warn("clock", format!("{found}: synchronise both (NTP)")),
        false => Check::ok("clock", found),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn room_is_measured_by_the_database() {
        for (free, bytes, expected) in [
            (10 << 20, 0, Health::Fail),
            (20 << 20, 0, Health::Warn),
            (300 << 20, 0, Health::Ok),
            (300 << 20, 4 << 30, Health::Warn),
        ] {
            assert_eq!(room(free, bytes).health, expected, "{free} {bytes}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let now = clock::now();
        for (ahead, expected) in [(0, Health::Ok), (60, Health::Warn), (-60, Health::Warn)] {
            let about = About {
                engine: String::new(),
                bytes: 0,
                clock: now + TimeDelta::seconds(ahead),
                is_standby: false,
            };
            assert_eq!(clocks(&about, now).health, expected, "{ahead}");
        }
    }
}
