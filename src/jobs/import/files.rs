//! Which files an import takes, and the job `import`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ImportError, ImportFile, Imported, Recording, import, record, source};
use crate::case::Entity;
use crate::intake::{Rules, entity_of};
use crate::jobs::{Outcome, Refused, Shop, When, policy_texts};
use crate::policy::Instant;
use crate::store::{self, import::Merged};

/// The job: takes the files of `import.dir`. What did not change since costs
/// a reading and writes nothing.
pub async fn import_dir(shop: &Shop, when: When) -> Result<Outcome> {
    let Some(dir) = &shop.config.import_dir else {
        return Ok(Outcome::default());
    };
    if dir.is_dir() && of_dir(dir)?.is_empty() {
        return Ok(Outcome::default());
    }
    let files = files(&[dir.as_path()], None, None)?;
    let imported = import_files(shop, &files, when.clock, &mut |_| {}).await?;
    let mut outcome = Outcome::default();
    for file in &imported.files {
        for warning in &file.warnings {
            tracing::warn!(file = %file.path.display(), warning, "import");
        }
        outcome.count("found", file.rows);
        outcome.count("new", file.new);
        outcome.count("changed", file.changed);
        outcome.count("already", file.unchanged);
        outcome.count("rejected", file.rejected);
    }
    Ok(outcome)
}

/// The files that are named, or stand in a directory that is. What a file
/// holds is told by its name, or for all of them by `entity`.
pub fn files<P: AsRef<Path>>(
    paths: &[P],
    entity: Option<Entity>,
    rejects: Option<&Path>,
) -> Result<Vec<ImportFile>> {
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        if path.is_dir() {
            let found = of_dir(path)?;
            if found.is_empty() {
                let why = format!(
                    "{}: no import file in it: expected orders.csv, units.csv, claims.csv or \
                     waits.csv",
                    path.display()
                );
                return Err(Refused(why).into());
            }
            files.extend(found);
        } else if !path.exists() {
            let why = format!("{}: no such file or directory", path.display());
            return Err(Refused(why).into());
        } else {
            files.push((path.to_owned(), entity.or_else(|| entity_of(path))));
        }
    }
    if rejects.is_some() && files.len() > 1 {
        let why = "--rejects names one file: expected one file to import with it";
        return Err(Refused(why.to_owned()).into());
    }
    files
        .into_iter()
        .map(|(path, entity)| file(path, entity, rejects))
        .collect()
}

fn file(path: PathBuf, entity: Option<Entity>, rejects: Option<&Path>) -> Result<ImportFile> {
    let shown = path.display();
    let entity = entity.with_context(|| {
        Refused(format!(
            "{shown}: what is in it? Expected a name that ends with orders.csv, units.csv, \
             claims.csv or waits.csv, or --as"
        ))
    })?;
    let rejects = rejects.map_or_else(
        || PathBuf::from(format!("{shown}.rejects.csv")),
        Path::to_owned,
    );
    Ok(ImportFile {
        path,
        entity,
        rejects,
    })
}

/// The import files of a directory; others are left alone.
fn of_dir(dir: &Path) -> Result<Vec<(PathBuf, Option<Entity>)>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut paths = read().with_context(|| dir.display().to_string())?;
    paths.sort();
    let known = paths.into_iter().map(|path| (entity_of(&path), path));
    Ok(known
        .filter_map(|(entity, path)| Some((path, Some(entity?))))
        .collect())
}

/// Imports files as one batch. Completed, it is a sign of life, whatever it
/// found.
pub async fn import_files(
    shop: &Shop,
    files: &[ImportFile],
    now: Instant,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Imported> {
    let policies = policy_names(shop).await?;
    let rules = Rules {
        calendar: &shop.config.calendar,
        policies: &policies,
    };
    let mut session = shop.store.session().await?;
    let mut progress = |rows| {
        progress(rows);
        shop.watch.go_on()
    };
    // The daemon imports in nobody's name.
    let source = shop.given(&source(files));
    let imported = import(&mut session, files, rules, &source, now, &mut progress).await;
    let imported = imported.map_err(|error| match error {
        ImportError::ToldToEnd(told) => told.into(),
        error => anyhow::Error::from(error),
    })?;
    drop(session);
    let mut tx = shop.store.write().await?;
    store::feed_write(&mut tx, now).await?;
    tx.commit().await?;
    Ok(imported)
}

/// Records facts of one row.
pub async fn record_fact(shop: &Shop, recording: Recording<'_>, now: Instant) -> Result<Merged> {
    let policies = policy_names(shop).await?;
    let rules = Rules {
        calendar: &shop.config.calendar,
        policies: &policies,
    };
    let mut session = shop.store.session().await?;
    Ok(record(&mut session, recording, rules, now).await?)
}

async fn policy_names(shop: &Shop) -> Result<BTreeSet<String>> {
    let policies = policy_texts(shop).await?;
    Ok(policies.into_iter().map(|policy| policy.id.name).collect())
}
