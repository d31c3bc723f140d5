//! A backup of a shop's database.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Refused, Shop};
use crate::policy::Instant;
use crate::store::Manifest;

/// Writes a backup, while jobs are at work. In a directory it is named by the
/// time. Gives where it is; no file is ever replaced.
pub async fn backup(
    shop: &Shop,
    to: &Path,
    now: Instant,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(PathBuf, Manifest)> {
    let file = match to.is_dir() {
        true => to.join(format!("warrantyd-{}.db", now.format("%Y%m%dT%H%M%SZ"))),
        false => to.to_owned(),
    };
    if file.exists() {
        let why = format!(
            "{}: found a file, expected a name that is free, or a directory: no backup is replaced",
            file.display()
        );
        return Err(Refused(why).into());
    }
    let program = env!("CARGO_PKG_VERSION");
    let manifest = shop.store.backup(&file, program, now, progress).await?;
    Ok((file, manifest))
}
