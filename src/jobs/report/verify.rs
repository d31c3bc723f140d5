//! A published day again: whether its files are those that were published, and
//! whether today's database gives the same, and if not, since when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate};
use strum::Display;

use super::super::book::{InForce, Kept, rules, under};
use super::super::{Refused, Shop};
use super::{AsOf, day_scope, set_fill};
use crate::policy::{Instant, sha256_hex};
use crate::report::{DailySet, History, MANIFEST_NAME, Manifest, file_sha256};
use crate::store::{self, ChangeSet, FactChange};

/// Sets of changes that are looked at one by one; each costs a day's reports.
const SETS_TRIED: i64 = 100;

/// Changes of a set that are named.
const CHANGES_NAMED: i64 = 1_000;

/// Files that also tell of deliveries and holds, which have no history.
const TELL_OF_DELIVERIES: [&str; 3] = ["notices.csv", "exceptions.csv", "summary.html"];

/// What was found of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Today's database gives the same bytes.
    Equal,
    /// What was recorded later explains why it does not.
    RecordedLater,
    /// Other rules explain it.
    OtherRules,
    /// Both do, together.
    RecordedLaterAndOtherRules,
    /// Only deliveries and holds may explain it: they have no history.
    Deliveries,
    /// Nothing explains it: the database or the program is not the one that
    /// published it.
    NotExplained,
}

/// A file of a published day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Its name.
    pub name: String,
    /// Whether it is as it was published; `None`: it is not there.
    pub intact: Option<bool>,
    /// Whether today's database gives what was published.
    pub verdict: Verdict,
}

/// Where the chain of days ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The day's directory.
    pub directory: String,
    /// What is wrong with its manifest.
    pub why: String,
}

/// A set of changes at which a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explaining {
    /// When it was recorded, and by what.
    pub set: ChangeSet,
    /// The files that change at it.
    pub files: Vec<String>,
    /// What it changed, customers' names and addresses left out.
    pub changes: Vec<FactChange>,
}

/// What was found of a published day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its files.
    pub files: Vec<FileCheck>,
    /// The days before it whose manifests are as they were.
    pub days_before: u64,
    /// The first of them that is not.
    pub broken: Option<Broken>,
    /// The sets recorded later that move its files, in the order of recording.
    pub explaining: Vec<Explaining>,
    /// Whether there are more sets than were looked at.
    pub has_more: bool,
    /// What differs between the rules of then and of now.
    pub rules: Vec<String>,
}

/// SHA-256 of files, by their names.
type Hashes = BTreeMap<String, String>;

/// Checks a published day against its manifest, the days before it and the
/// database. Changes nothing.
pub async fn verify(shop: &Shop, dir: &Path) -> Result<Verified> {
    let path = dir.join(MANIFEST_NAME);
    let named = || path.display().to_string();
    let text = std::fs::read(&path).with_context(|| {
        let name = named();
        Refused(format!(
            "{name} cannot be read: expected the directory of a published day, \
             `reports.dir/YYYY-MM-DD`"
        ))
    })?;
    let manifest = Manifest::parse(&text).with_context(named)?;
    let at = manifest.at().with_context(|| {
        format!(
            "{}: as_of: found `{}`, expected RFC 3339",
            named(),
            manifest.as_of
        )
    })?;
    let (days_before, broken) = chain(dir, &manifest)?;
    let day = Day {
        shop,
        manifest: &manifest,
        at,
    };
    let mut verified = day.compare().await?;
    for file in &mut verified.files {
        let path = dir.join(&file.name);
        if path.exists() {
            let published = manifest.files.iter().find(|entry| entry.name == file.name);
            let sha256 = file_sha256(&path)?;
            file.intact = Some(published.is_some_and(|entry| entry.sha256 == sha256));
        }
    }
    verified.days_before = days_before;
    verified.broken = broken;
    Ok(verified)
}

/// Follows the days back: how many are as they were, and the first that is not.
fn chain(dir: &Path, manifest: &Manifest) -> Result<(u64, Option<Broken>)> {
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

struct Day<'d> {
    shop: &'d Shop,
    manifest: &'d Manifest,
    at: Instant,
}

impl Day<'_> {
    async fn compare(&self) -> Result<Verified> {
        let published = self.manifest.files.iter();
        let published: Hashes = published
            .map(|file| (file.name.clone(), file.sha256.clone()))
            .collect();
        let today = self.hashes(None, false).await?;
        let mut verified = Verified {
            files: Vec::new(),
            days_before: 0,
            broken: None,
            explaining: Vec::new(),
            has_more: false,
            rules: self.rules_that_differ().await?,
        };
        let check = |name: &String, verdict| FileCheck {
            name: name.clone(),
            intact: None,
            verdict,
        };
        if published == today {
            let equal = published.keys().map(|name| check(name, Verdict::Equal));
            verified.files = equal.collect();
            return Ok(verified);
        }
        // Where nothing was known, all was recorded later.
        let known_at = self.manifest.known_at.unwrap_or(DateTime::UNIX_EPOCH);
        let then = self.hashes(Some(known_at), true).await?;
        let facts_of_now = self.hashes(None, true).await?;
        for (name, sha256) in &published {
            let is = |hashes: &Hashes| hashes.get(name) == Some(sha256);
            let moved_by_rules = facts_of_now.get(name) != today.get(name);
            let verdict = if is(&today) {
                Verdict::Equal
            } else if is(&then) {
                match (is(&facts_of_now), moved_by_rules) {
                    (false, false) => Verdict::RecordedLater,
                    (true, _) => Verdict::OtherRules,
                    (false, true) => Verdict::RecordedLaterAndOtherRules,
                }
            } else if TELL_OF_DELIVERIES.contains(&name.as_str()) {
                Verdict::Deliveries
            } else {
                Verdict::NotExplained
            };
            verified.files.push(check(name, verdict));
        }
        self.explain(known_at, then, &mut verified).await?;
        Ok(verified)
    }

    /// Names the sets recorded later at which a file changes, one after
    /// another.
    async fn explain(
        &self,
        known_at: Instant,
        mut before: Hashes,
        verified: &mut Verified,
    ) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let mut sets = store::change_sets_after(&mut tx, Some(known_at), SETS_TRIED + 1).await?;
        drop(tx);
        verified.has_more = sets.len() as i64 > SETS_TRIED;
        sets.truncate(SETS_TRIED as usize);
        for set in sets {
            let after = self.hashes(Some(set.recorded_at), true).await?;
            let moved = after
                .iter()
                .filter(|(name, sha256)| before.get(*name) != Some(*sha256));
            let files: Vec<String> = moved.map(|(name, _)| name.clone()).collect();
            before = after;
            if files.is_empty() {
                continue;
            }
            let mut tx = self.shop.store.read().await?;
            let mut changes = store::changes_of(&mut tx, set.id, CHANGES_NAMED).await?;
            changes.retain(|change| !is_personal(&change.field));
            verified.explaining.push(Explaining {
                set,
                files,
                changes,
            });
        }
        Ok(())
    }

    /// The day's files as of then, under the rules of now or the manifest's.
    async fn hashes(&self, known_at: Option<Instant>, of_manifest: bool) -> Result<Hashes> {
        let mut tx = self.shop.store.read().await?;
        let mut in_force: InForce = rules(self.shop, &mut tx).await?;
        if of_manifest {
            in_force = under(in_force, self.kept())?;
        }
        let dir = tempfile::tempdir()?;
        let as_of = AsOf {
            at: self.at,
            known_at,
        };
        let scope = day_scope(&in_force, self.at);
        let mut set = DailySet::create(dir.path(), scope, self.manifest.dialect())?;
        set_fill(self.shop, tx, &in_force, as_of, &mut set).await?;
        let files = set.finish(History::default())?.manifest.files.into_iter();
        Ok(files.map(|file| (file.name, file.sha256)).collect())
    }

    fn kept(&self) -> Kept {
        let policies = self.manifest.policies.iter();
        Kept {
            policies: policies
                .map(|entry| (entry.policy.clone(), entry.sha256.clone()))
                .collect(),
            timezone: self.manifest.time_zone,
            weekend: self.manifest.weekend.clone(),
            holidays: self.manifest.holidays.iter().copied().collect(),
        }
    }

    async fn rules_that_differ(&self) -> Result<Vec<String>> {
        let mut tx = self.shop.store.read().await?;
        let now = rules(self.shop, &mut tx).await?.rules;
        let then = self.kept();
        let mut differ = Vec::new();
        let versions = now.policies.versions();
        let versions: BTreeMap<String, String> = versions
            .map(|policy| (policy.id.to_string(), policy.sha256.clone()))
            .collect();
        let ids: BTreeSet<&String> = versions.keys().chain(then.policies.keys()).collect();
        for id in ids {
            let shown = |hash: Option<&String>| hash.cloned().unwrap_or("none".to_owned());
            let (old, new) = (then.policies.get(id), versions.get(id));
            if old != new {
                differ.push(format!("policy {id}: {} → {}", shown(old), shown(new)));
            }
        }
        let calendar = &now.calendar;
        let zone = calendar.zone;
        if then.timezone != zone {
            differ.push(format!("business.timezone: {} → {zone}", then.timezone));
        }
        if then.weekend != calendar.weekend() {
            let list = |days: &[chrono::Weekday]| {
                let days = days.iter().map(ToString::to_string);
                days.collect::<Vec<_>>().join(", ")
            };
            let (old, new) = (list(&then.weekend), list(calendar.weekend()));
            differ.push(format!("business.weekend: {old} → {new}"));
        }
        let holidays: BTreeSet<NaiveDate> = calendar.holidays().collect();
        for gone in then.holidays.difference(&holidays) {
            differ.push(format!("business.holidays: {gone} was one"));
        }
        for added in holidays.difference(&then.holidays) {
            differ.push(format!("business.holidays: {added} is one now"));
        }
        let (old, version) = (&self.manifest.program_version, env!("CARGO_PKG_VERSION"));
        if old != version {
            differ.push(format!("program version: {old} → {version}"));
        }
        Ok(differ)
    }
}

/// Whether a field names a person: no report shows it.
fn is_personal(field: &str) -> bool {
    matches!(
        field,
        "customer_name" | "customer_email" | "customer_locale"
    )
}
