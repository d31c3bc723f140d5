//! A shop's database, taken from a backup.

use std::path::Path;

use anyhow::{Context, Result};

use super::copy::alone;
use super::{Refused, Shop};
use crate::config::{Config, Database};
use crate::policy::Instant;
use crate::store::{self, Backup, Copied, Manifest, Restored, StoreError, copy};

/// Takes all of a backup into the database that a config names, which must be
/// empty or missing, in one transaction; every row is read back. What waits for
/// customers is held, and what comes due for them, until a person lets it go.
/// Gives what the backup said of itself, and how many notices are held.
pub async fn restore(
    config: Config,
    person: Option<String>,
    from: &Path,
    now: Instant,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(Manifest, u64)> {
    let backup = Backup::open(from).await?;
    let is_file = matches!(config.database, Database::Sqlite(_));
    let opened = Shop::open(config).await;
    let mut shop = opened.with_context(|| make_room(is_file))?;
    shop.person = person;
    let _alone = alone(&shop).await?;
    let restored = taken(&shop, &backup, now, progress).await;
    shop.store.close().await;
    let held = restored.map_err(|error| match error {
        error @ StoreError::Copy(_) => anyhow::Error::from(error).context(make_room(is_file)),
        error => error.into(),
    })?;
    Ok((backup.manifest, held))
}

/// What to do about a database that is not empty.
fn make_room(is_file: bool) -> Refused {
    let how = match is_file {
        true => {
            "stop the daemon and move the file of database.url away, with those beside it that \
                 end in -wal and -shm"
        }
        false => "stop the daemons and make an empty database",
    };
    Refused(format!(
        "nothing was restored: expected an empty database, or none; {how}"
    ))
}

async fn taken(
    shop: &Shop,
    backup: &Backup,
    now: Instant,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, StoreError> {
    let mut source = backup.source().await?;
    let mut tx = shop.store.write().await?;
    let _: Vec<Copied> = copy(&mut source.tx, &mut tx, progress).await?;
    let backup_at = backup.manifest.taken_at;
    let mut guard = store::guard_take(&mut tx).await?;
    // A backup that was taken before the last restore was let go.
    guard.restored = Some(Restored { at: now, backup_at });
    store::guard_write(&mut tx, &guard).await?;
    let held = store::restored_hold(&mut tx).await?;
    let source = shop.given(&format!(
        "restore of a backup of {}",
        backup_at.to_rfc3339()
    ));
    store::change_set_begin(&mut tx, &source, now).await?;
    tx.commit().await?;
    shop.store.tidy().await?;
    Ok(held)
}
