//! The chain of days: each one's manifest names the SHA-256 of the one before.

use std::path::Path;

use anyhow::Result;
use chrono::NaiveDate;

use crate::policy::sha256_hex;
use crate::report::{MANIFEST_NAME, Manifest};

/// Where the chain of days ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The day's directory.
    pub directory: String,
    /// What is wrong with its manifest.
    pub why: String,
}

/// Follows the days back: how many are as they were, and the first that is not.
pub(super) fn chain(dir: &Path, manifest: &Manifest) -> Result<(u64, Option<Broken>)> {
    // `.` has no parent of its own.
    let dir = dir.canonicalize()?;
    let reports = dir.parent().unwrap_or(&dir);
    let mut before = manifest.previous.clone();
    let mut days = 0;
    while let Some(previous) = before {
        let directory = previous.directory;
        let broken = |why: &str| {
            Some(Broken {
                directory: directory.clone(),
                why: why.to_owned(),
            })
        };
        if directory.parse::<NaiveDate>().is_err() {
            return Ok((days, broken("is not named as a day")));
        }
        let Ok(text) = std::fs::read(reports.join(&directory).join(MANIFEST_NAME)) else {
            return Ok((days, broken("its manifest is missing")));
        };
        if sha256_hex(&text) != previous.sha256 {
            return Ok((
                days,
                broken("its manifest was changed after it was published"),
            ));
        }
        let Ok(found) = Manifest::parse(&text) else {
            return Ok((days, broken("its manifest cannot be read")));
        };
        days += 1;
        before = found.previous;
    }
    Ok((days, None))
}
