//! A published set again: whether its files are those that were published, and
//! whether today's database gives the same, and if not, since when.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use strum::Display;

use super::super::book::{InForce, Kept, rules, under};
use super::super::{Refused, Shop};
use super::chain::{Broken, chain};
use super::explaining::{Differing, Explainer, Explaining, HoldChange};
use super::rule_changes::differences;
use super::set::{Hashes, PROMISES, SetKind};
use super::{AsOf, Known, day_scope};
use crate::case::ExceptionCode;
use crate::policy::Instant;
use crate::report::{
    FileEntry, MANIFEST_NAME, Manifest, PROGRAM_VERSION, ReportName, RowDifference, RowDifferences,
    TIME_ZONE_DATA, compare, file_sha256,
};
use crate::store;

/// Rows of a file that are told and explained one by one; all are counted.
const ROWS_TOLD: usize = 1_000;

/// What a delivery changes of a row of `notices`: it has no history.
const OF_DELIVERIES: [&str; 4] = ["recipient", "disposition", "message_id", "sent_at"];

/// Rows of `exceptions` that come and go with what became of notices.
const FROM_NOTICES: [ExceptionCode; 4] = [
    ExceptionCode::OnHold,
    ExceptionCode::NoRecipient,
    ExceptionCode::UndeliverableAddress,
    ExceptionCode::OutcomeWithdrawn,
];

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
    /// Deliveries and holds do, which have no history: no more differs than
    /// they move.
    Deliveries,
    /// Nothing explains it: the database or the program is not the one that
    /// published it.
    NotExplained,
}

/// A file of a published set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Its name.
    pub name: String,
    /// In which report's columns it is; `None`: a page.
    pub report: Option<ReportName>,
    /// Whether it is as it was published; `None`: it is not there.
    pub intact: Option<bool>,
    /// Whether today's database gives what was published.
    pub verdict: Verdict,
    /// The rows that today's database gives otherwise; a page has none.
    pub rows: Option<RowDifferences>,
}

/// What was found of a published set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its files.
    pub files: Vec<FileCheck>,
    /// The days before a day whose manifests are as they were.
    pub days_before: u64,
    /// The first of them that is not.
    pub broken: Option<Broken>,
    /// The changes recorded later at which rows that differ change, in the
    /// order of their recording.
    pub explaining: Vec<Explaining>,
    /// The holds, begun or lifted later, of which rows that differ tell.
    pub holds: Vec<HoldChange>,
    /// What differs between the rules of then and of now and moves a file.
    pub rules: Vec<String>,
    /// The version of the program that published it, where it is another and
    /// something is not explained.
    pub written_by: Option<String>,
    /// The same of the version of the time zone data.
    pub time_zone_data: Option<String>,
}

/// Checks a published set against its manifest, the days before it and the
/// database. Changes nothing.
pub async fn verify(shop: &Shop, dir: &Path) -> Result<Verified> {
    let path = dir.join(MANIFEST_NAME);
    let named = || path.display().to_string();
    let text = std::fs::read(&path).with_context(|| {
        let name = named();
        Refused(format!(
            "{name} cannot be read: expected the directory of a published day, week or month, \
             such as `reports.dir/2026-01-31`"
        ))
    })?;
    let manifest = Manifest::parse(&text).with_context(named)?;
    let kind = SetKind::of(&manifest, &named())?;
    let at = manifest.at().with_context(|| {
        format!(
            "{}: as_of: found `{}`, expected RFC 3339",
            named(),
            manifest.as_of
        )
    })?;
    let (days_before, broken) = chain(dir, &manifest)?;
    let set = Published {
        shop,
        dir,
        manifest: &manifest,
        kind,
        at,
    };
    let mut verified = set.compare().await?;
    verified.days_before = days_before;
    verified.broken = broken;
    Ok(verified)
}

struct Published<'p> {
    shop: &'p Shop,
    dir: &'p Path,
    manifest: &'p Manifest,
    kind: SetKind,
    at: Instant,
}

impl Published<'_> {
    async fn compare(&self) -> Result<Verified> {
        let computed = tempfile::tempdir()?;
        let now = self.in_force(None).await?;
        let today = self.hashes(None, &now, computed.path()).await?;
        let mut verified = Verified {
            files: Vec::new(),
            days_before: 0,
            broken: None,
            explaining: Vec::new(),
            holds: Vec::new(),
            rules: Vec::new(),
            written_by: None,
            time_zone_data: None,
        };
        for published in &self.manifest.files {
            verified
                .files
                .push(self.check(published, &today, computed.path())?);
        }
        if verified
            .files
            .iter()
            .any(|file| file.verdict != Verdict::Equal)
        {
            self.judge(&today, &now, &mut verified).await?;
        }
        Ok(verified)
    }

    /// Compares a file with what was published and with what was computed.
    fn check(&self, published: &FileEntry, today: &Hashes, computed: &Path) -> Result<FileCheck> {
        let name = &published.name;
        let path = self.dir.join(name);
        let sha256 = path.exists().then(|| file_sha256(&path)).transpose()?;
        let is_equal = today.get(name) == Some(&published.sha256);
        let report = self.kind.report_of(name);
        let rows = match report.filter(|_| sha256.is_some() && sha256.as_ref() != today.get(name)) {
            None => None,
            Some(report) => {
                let dialect = self.manifest.dialect();
                let computed = computed.join(name);
                Some(compare(report, dialect, &path, &computed, ROWS_TOLD)?)
            }
        };
        Ok(FileCheck {
            name: name.clone(),
            report,
            intact: sha256.map(|sha256| sha256 == published.sha256),
            verdict: match is_equal {
                true => Verdict::Equal,
                false => Verdict::NotExplained,
            },
            rows,
        })
    }

    /// Why files differ: what was recorded later, other rules, or both.
    async fn judge(&self, today: &Hashes, now: &InForce, verified: &mut Verified) -> Result<()> {
        let known = self.known().await?;
        let kept = self.kept(now, &mut verified.rules);
        let of_then = self.in_force(Some(kept.clone())).await?;
        let (dir_of_then, scratch) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let then = self
            .hashes(Some(known), &of_then, dir_of_then.path())
            .await?;
        let facts_of_now = self.hashes(None, &of_then, scratch.path()).await?;
        for (file, published) in verified.files.iter_mut().zip(&self.manifest.files) {
            let name = &file.name;
            let is = |hashes: &Hashes| hashes.get(name) == Some(&published.sha256);
            let moved_by_rules = facts_of_now.get(name) != today.get(name);
            file.verdict = if is(today) {
                Verdict::Equal
            } else if is(&then) {
                match (is(&facts_of_now), moved_by_rules) {
                    (false, false) => Verdict::RecordedLater,
                    (true, _) => Verdict::OtherRules,
                    (false, true) => Verdict::RecordedLaterAndOtherRules,
                }
            } else if self.is_moved_by_deliveries(file, dir_of_then.path())? {
                Verdict::Deliveries
            } else {
                Verdict::NotExplained
            };
        }
        // The page counts both.
        let is = |file: &FileCheck, verdict| file.verdict == verdict;
        let delivered = verified
            .files
            .iter()
            .any(|file| is(file, Verdict::Deliveries));
        for file in &mut verified.files {
            if file.rows.is_none() && is(file, Verdict::NotExplained) && delivered {
                file.verdict = Verdict::Deliveries;
            }
        }
        if facts_of_now != *today {
            self.rules_that_move(now, &kept, today, &mut verified.rules)
                .await?;
        }
        let is_unexplained = |file: &FileCheck| file.verdict == Verdict::NotExplained;
        if verified.files.iter().any(is_unexplained) {
            let other = |said: &String, own: &str| (said != own).then(|| said.clone());
            let Manifest {
                program_version,
                time_zone_data,
                ..
            } = self.manifest;
            verified.written_by = other(program_version, PROGRAM_VERSION);
            let data = time_zone_data.as_ref();
            verified.time_zone_data = data.and_then(|data| other(data, TIME_ZONE_DATA));
        }
        let (then, now) = (dir_of_then.path(), scratch.path());
        self.explain(known, &of_then, then, now, verified).await
    }

    /// What was known when the set was published. Facts and holds were up to its
    /// last set of changes, notices up to its time and its last notice. Where
    /// its manifest does not name them, or the database has another set of that
    /// number (it was restored since), the time alone says it.
    async fn known(&self) -> Result<Known> {
        let mut tx = self.shop.store.read().await?;
        let Manifest {
            known_at,
            change_set,
            last_notice,
            ..
        } = *self.manifest;
        let notices_by = known_at.map_or(self.at, |known_at| known_at.max(self.at));
        let named = match change_set {
            Some(named) if store::change_set_recorded_at(&mut tx, named).await? == known_at => {
                Some(named)
            }
            _ => None,
        };
        Ok(Known {
            change_set: match named {
                Some(named) => named,
                None => store::change_set_at(&mut tx, notices_by).await?,
            },
            notices_by,
            last_notice: named.and(last_notice).unwrap_or(i64::MAX),
        })
    }

    /// Whether a file differs from what was known then in nothing but what
    /// deliveries and holds move.
    fn is_moved_by_deliveries(&self, file: &FileCheck, dir_of_then: &Path) -> Result<bool> {
        let name = &file.name;
        let published = self.dir.join(name);
        let Some(report) = file.report.filter(|_| published.exists()) else {
            return Ok(false);
        };
        let computed = dir_of_then.join(name);
        let dialect = self.manifest.dialect();
        let rows = compare(report, dialect, &published, &computed, ROWS_TOLD)?;
        let is_moved: fn(&RowDifference) -> bool = match report {
            ReportName::Notices => is_delivered,
            ReportName::Exceptions => is_from_notice,
            _ => return Ok(false),
        };
        Ok(rows.first.iter().all(is_moved))
    }

    /// Names what was recorded later and changes rows that differ. The
    /// directories have the files as known then and now, under the rules of
    /// then.
    async fn explain(
        &self,
        known: Known,
        of_then: &InForce,
        then: &Path,
        now: &Path,
        verified: &mut Verified,
    ) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let mut differing = Differing::default();
        for file in &verified.files {
            let Some(report) = file.report else {
                continue;
            };
            for row in file.rows.iter().flat_map(|rows| &rows.first) {
                differing.add(&mut tx, &file.name, report, row).await?;
            }
        }
        let dialect = self.manifest.dialect();
        let file = "compliance.csv";
        let mut files = verified.files.iter();
        let differs = files.any(|found| found.name == file && found.verdict != Verdict::Equal);
        if matches!(self.kind, SetKind::Period(_)) && differs {
            // Nothing that is published names the promises that were kept.
            let report = ReportName::Deadlines;
            let (then, now) = (then.join(PROMISES), now.join(PROMISES));
            let rows = compare(report, dialect, &then, &now, ROWS_TOLD)?;
            for row in &rows.first {
                differing.add(&mut tx, file, report, row).await?;
            }
        }
        let explainer = Explainer {
            kind: &self.kind,
            dialect,
            scope: day_scope(of_then, self.at),
            known_in: known.change_set,
        };
        verified.explaining = explainer.changes(&mut tx, &differing).await?;
        verified.holds = explainer.holds(&mut tx, &differing).await?;
        Ok(())
    }

    /// The rules of now, or others.
    async fn in_force(&self, kept: Option<Kept>) -> Result<InForce> {
        let mut tx = self.shop.store.read().await?;
        let in_force = rules(self.shop, &mut tx).await?;
        match kept {
            None => Ok(in_force),
            Some(kept) => under(in_force, kept),
        }
    }

    /// The set's files as of then, written to a directory.
    async fn hashes(&self, known: Option<Known>, in_force: &InForce, dir: &Path) -> Result<Hashes> {
        let as_of = AsOf { at: self.at, known };
        let dialect = self.manifest.dialect();
        let written = self.kind.write(self.shop, as_of, in_force, dialect, dir);
        written.await
    }

    /// The rules that the manifest names. A policy whose text is not there any
    /// more is said, and the one of now taken.
    fn kept(&self, now: &InForce, missing: &mut Vec<String>) -> Kept {
        let versions = policies(now);
        let mut kept = BTreeMap::new();
        for entry in &self.manifest.policies {
            match versions.get(&entry.policy) {
                Some(sha256) if *sha256 == entry.sha256 => {
                    kept.insert(entry.policy.clone(), entry.sha256.clone());
                }
                found => {
                    missing.push(format!(
                        "policy {} with SHA-256 {}: its text is not there any more",
                        entry.policy, entry.sha256
                    ));
                    kept.extend(found.map(|sha256| (entry.policy.clone(), sha256.clone())));
                }
            }
        }
        Kept {
            policies: kept,
            timezone: self.manifest.time_zone,
            weekend: self.manifest.weekend.clone(),
            holidays: self.manifest.holidays.iter().copied().collect(),
            stuck_after: Some(self.manifest.stuck_after),
        }
    }

    /// Says which of the rules that differ move a file: today's with that one
    /// as it was then give other bytes.
    async fn rules_that_move(
        &self,
        now: &InForce,
        then: &Kept,
        today: &Hashes,
        moving: &mut Vec<String>,
    ) -> Result<()> {
        let scratch = tempfile::tempdir()?;
        for (lines, kept) in differences(&Kept::of(&now.rules), then) {
            let trial = self.in_force(Some(kept)).await?;
            if self.hashes(None, &trial, scratch.path()).await? != *today {
                moving.extend(lines);
            }
        }
        Ok(())
    }
}

/// Whether a row of `notices` is there as it was, but for what a delivery
/// changes.
fn is_delivered(row: &RowDifference) -> bool {
    let (Some(old), Some(new)) = (&row.published, &row.computed) else {
        return false;
    };
    let columns = ReportName::Notices.columns().iter();
    let mut fields = columns.zip(old.iter().zip(new));
    fields.all(|(column, (old, new))| old == new || OF_DELIVERIES.contains(column))
}

fn is_from_notice(row: &RowDifference) -> bool {
    let code = row.key.first().and_then(|code| code.parse().ok());
    code.is_some_and(|code| FROM_NOTICES.contains(&code))
}

fn policies(in_force: &InForce) -> BTreeMap<String, String> {
    Kept::of(&in_force.rules).policies
}
