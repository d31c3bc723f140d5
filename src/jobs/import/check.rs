//! What an import would do: the same reading and checking, and nothing kept.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::files::{policy_names, rules, told, watched};
use super::open::OpenFile;
use super::spool::take_nothing;
use super::{FileCounts, ImportFile, stage};
use crate::jobs::{Refused, Shop};
use crate::policy::Instant;

/// What would become of files.
#[derive(Debug, Default)]
pub struct Checked {
    /// Of each file that would be read, in that order.
    pub files: Vec<FileCounts>,
    /// What lies in the spool and can never be imported, and why.
    pub hopeless: Vec<(PathBuf, String)>,
    /// How many files of the spool would be left for later.
    pub waiting: u64,
}

impl Checked {
    /// Whether a file, or a row, would be refused.
    pub fn is_partial(&self) -> bool {
        !self.hopeless.is_empty() || self.files.iter().any(|file| file.rejected > 0)
    }
}

/// What an import of files would do. Refused rows are written where the files
/// say, if that is wanted.
pub async fn check_files(
    shop: &Shop,
    files: &[ImportFile],
    keeps_rejects: bool,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Checked> {
    let open = files.iter().map(|file| OpenFile::open(file, keeps_rejects));
    let open = open.collect::<Result<_, _>>()?;
    Ok(Checked {
        files: check(shop, open, progress).await?,
        ..Checked::default()
    })
}

/// What the job would do now.
pub async fn check_spool(
    shop: &Shop,
    now: Instant,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Checked> {
    let dir = shop.config.import_dir.as_ref().with_context(|| {
        Refused("import.dir is not set: expected it, or files to check".to_owned())
    })?;
    let take = take_nothing(shop, dir, now).await?;
    let hopeless = take.hopeless.into_iter();
    Ok(Checked {
        files: check(shop, take.open, progress).await?,
        hopeless: hopeless.map(|(file, why)| (file.path, why)).collect(),
        waiting: take.waiting,
    })
}

async fn check(
    shop: &Shop,
    open: Vec<OpenFile>,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<FileCounts>> {
    let policies = policy_names(shop).await?;
    let rules = rules(shop, &policies);
    let mut session = shop.store.session().await?;
    let mut progress = watched(shop, progress);
    let staged = stage(&mut session, open, rules, &mut progress).await;
    let counts = staged.map_err(told)?.leave().await;
    counts.map_err(told)
}
