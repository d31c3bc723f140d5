//! Which files an import takes, and the import of those that were named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ImportError, ImportFile, Imported, Recording, import, record, source};
use crate::case::{Dialects, Entity};
use crate::intake::{Rules, kind_of};
use crate::jobs::{Refused, Shop, ToldToEnd, policy_texts};
use crate::policy::Instant;
use crate::store::{self, import::Merged};

/// The files that are named, or stand in a directory that is. What a file
/// holds is told by its name, or for all of them by `entity`; how it is
/// written, by `dialects`.
pub fn files<P: AsRef<Path>>(
    dialects: &Dialects,
    paths: &[P],
    entity: Option<Entity>,
    rejects: Option<&Path>,
) -> Result<Vec<ImportFile>> {
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        if path.is_dir() {
            let found = of_dir(path, dialects)?;
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
            files.push((path.to_owned(), entity.or_else(|| kind_of(path, dialects))));
        }
    }
    if rejects.is_some() && files.len() > 1 {
        let why = "--rejects names one file: expected one file to import with it";
        return Err(Refused(why.to_owned()).into());
    }
    files
        .into_iter()
        .map(|(path, entity)| file(dialects, path, entity, rejects))
        .collect()
}

fn file(
    dialects: &Dialects,
    path: PathBuf,
    entity: Option<Entity>,
    rejects: Option<&Path>,
) -> Result<ImportFile> {
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
        dialect: dialects.of(entity),
        rejects,
    })
}

/// The import files of a directory; others are left alone.
fn of_dir(dir: &Path, dialects: &Dialects) -> Result<Vec<(PathBuf, Option<Entity>)>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut paths = read().with_context(|| dir.display().to_string())?;
    paths.sort();
    let known = paths
        .into_iter()
        .map(|path| (kind_of(&path, dialects), path));
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
    let rules = rules(shop, &policies);
    let mut session = shop.store.session().await?;
    let mut progress = watched(shop, progress);
    let source = shop.given(&source(files));
    let imported = import(&mut session, files, rules, &source, now, &mut progress).await;
    let imported = imported.map_err(told)?;
    drop(session);
    let mut tx = shop.store.write().await?;
    store::feed_write(&mut tx, now).await?;
    tx.commit().await?;
    Ok(imported)
}

/// A run that was told to end is known by that, whatever it was at.
pub(super) fn told(error: ImportError) -> anyhow::Error {
    match error {
        ImportError::ToldToEnd(told) => told.into(),
        error => error.into(),
    }
}

/// Records facts of one row.
pub async fn record_fact(shop: &Shop, recording: Recording<'_>, now: Instant) -> Result<Merged> {
    let policies = policy_names(shop).await?;
    let rules = rules(shop, &policies);
    let mut session = shop.store.session().await?;
    Ok(record(&mut session, recording, rules, now).await?)
}

/// What cells are read by.
pub(super) fn rules<'a>(shop: &'a Shop, policies: &'a BTreeSet<String>) -> Rules<'a> {
    Rules {
        calendar: &shop.config.calendar,
        policies,
    }
}

/// Tells of rows for as long as the run may go on.
pub(super) fn watched<'p>(
    shop: &'p Shop,
    progress: &'p mut (dyn FnMut(u64) + Send),
) -> impl FnMut(u64) -> Result<(), ToldToEnd> + Send + 'p {
    |rows| {
        progress(rows);
        shop.watch.go_on()
    }
}

pub(super) async fn policy_names(shop: &Shop) -> Result<BTreeSet<String>> {
    let policies = policy_texts(shop).await?;
    Ok(policies.into_iter().map(|policy| policy.id.name).collect())
}
