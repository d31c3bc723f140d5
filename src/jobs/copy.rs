//! A shop's database, moved to another engine.

use anyhow::{Context, Result};

use super::{Refused, Shop};
use crate::config::Database;
use crate::store::{Copied, Lock, Store, copy};

/// Copies the shop's SQLite database into an empty one of PostgreSQL, at its
/// address, and compares every row. Nobody may work on it meanwhile.
pub async fn copy_to(
    shop: &Shop,
    url: &str,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Copied>> {
    if let Database::Postgres(_) = shop.config.database {
        let why = "database.url: found one of PostgreSQL, expected one of SQLite to copy from";
        return Err(Refused(why.to_owned()).into());
    }
    let _alone = alone(shop).await?;
    let _session = shop.store.session().await?;
    let target = Store::postgres(url).await?;
    let copied = copied(shop, &target, progress).await;
    target.close().await;
    copied
}

/// Keeps the daemon and `deliver` from a file of SQLite; refused while one is at
/// work on it.
pub(super) async fn alone(shop: &Shop) -> Result<[Lock; 2]> {
    let in_use = || Refused("the database is in use: stop the daemon first".to_owned());
    let daemon = shop.store.file_lock("daemon").await?;
    let deliver = shop.store.file_lock("deliver").await?;
    Ok([daemon.with_context(in_use)?, deliver.with_context(in_use)?])
}

async fn copied(
    shop: &Shop,
    target: &Store,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Copied>> {
    let mut from = shop.store.read().await?;
    let mut to = target.write().await?;
    let copied = copy(&mut from, &mut to, progress).await?;
    to.commit().await?;
    target.tidy().await?;
    Ok(copied)
}
