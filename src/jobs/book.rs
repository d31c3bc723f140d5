//! The rules in force: built-in policies, the directory of the config, and
//! what was used before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{Refused, Shop};
use crate::case::Rules;
use crate::policy::{Book, Calendar, Instant, Policy, PolicyId, STANDARD, STANDARD_NAME};
use crate::store::{self, StoredPolicy, Tx};

/// All versions of policies: the built-in one, and those of a directory,
/// which replace a built-in one of the same name and date.
pub fn book(dir: Option<&Path>) -> Result<Book> {
    let mut book = Book::default();
    book.add(Policy::parse("standard.toml", STANDARD)?);
    let mut files: BTreeMap<PolicyId, String> = BTreeMap::new();
    for path in policy_files(dir)? {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        let policy = Policy::parse(&name, &text)?;
        if let Some(other) = files.insert(policy.id.clone(), name.clone()) {
            return Err(refused(format!(
                "{name}: policy {} is in {other} too: expected one file a version, give this \
                 one a later effective_from or another name",
                policy.id
            )));
        }
        book.add(policy);
    }
    Ok(book)
}

fn policy_files(dir: Option<&Path>) -> Result<Vec<std::path::PathBuf>> {
    let Some(dir) = dir else {
        return Ok(Vec::new());
    };
    let read = || -> std::io::Result<Vec<_>> {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut files = read().map_err(|error| {
        let dir = dir.display();
        refused(format!(
            "policy.dir: {dir}: {error}: expected a directory with policy files"
        ))
    })?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    Ok(files)
}

/// The rules that cases are evaluated under, and their number in the store.
pub struct InForce {
    /// What cases are evaluated under.
    pub rules: Rules,
    /// The number; `None` if they differ from what the store has seen last.
    pub rules_id: Option<i64>,
    fingerprint: String,
    detail: String,
}

/// The rules in force. Versions that were used are taken from the store;
/// refused are a used version that was edited, and a version that starts
/// before orders that were evaluated under another.
pub async fn rules(shop: &Shop, tx: &mut Tx<'_>) -> Result<InForce> {
    let mut policies = book(shop.config.policy_dir.as_deref())?;
    let used = store::policies_load(tx).await?;
    let calendar = &shop.config.calendar;
    for policy in policies.versions() {
        match used.iter().find(|stored| stored.id == policy.id) {
            Some(stored) => refuse_edited(policy, stored)?,
            // Where no version was used, no order was evaluated.
            None if used.iter().all(|stored| stored.id.name != policy.id.name) => {}
            None => refuse_late(policy, calendar, tx).await?,
        }
    }
    add_used(&mut policies, &used)?;
    let rules = Rules {
        policies,
        calendar: calendar.clone(),
        stuck_after: shop.config.business.stuck_after,
    };
    let detail = detail(&rules);
    let fingerprint = crate::policy::sha256_hex(detail.as_bytes());
    let latest = store::rules_latest(tx).await?;
    let rules_id = latest
        .filter(|(_, known)| *known == fingerprint)
        .map(|(id, _)| id);
    Ok(InForce {
        rules,
        rules_id,
        fingerprint,
        detail,
    })
}

fn refuse_edited(policy: &Policy, stored: &StoredPolicy) -> Result<()> {
    let is_built_in = policy.text == STANDARD;
    if policy.sha256 != stored.sha256 && !is_built_in {
        return Err(refused(format!(
            "policy {} was used and its file was edited since: orders keep the terms under which \
             they were placed. Restore the text (`warrantyd policy show {}` prints it), and put \
             the change into a file of its own with a later effective_from",
            policy.id, policy.id
        )));
    }
    Ok(())
}

async fn refuse_late(policy: &Policy, calendar: &Calendar, tx: &mut Tx<'_>) -> Result<()> {
    let name = &policy.id.name;
    let newest = store::placed_latest(tx, name, name == STANDARD_NAME).await?;
    if let Some(date) = newest.map(|at| calendar.date_of(at))
        && policy.id.effective_from <= date
    {
        return Err(refused(format!(
            "policy {} starts before orders that were evaluated under an earlier version (the \
             newest of {date}): orders keep the terms under which they were placed. Give it an \
             effective_from after {date}",
            policy.id
        )));
    }
    Ok(())
}

fn refused(why: String) -> anyhow::Error {
    Refused(why).into()
}

/// All policies that there are, as they are used.
pub async fn policy_texts(shop: &Shop) -> Result<Vec<Policy>> {
    let mut tx = shop.store.read().await?;
    let mut policies = book(shop.config.policy_dir.as_deref())?;
    add_used(&mut policies, &store::policies_load(&mut tx).await?)?;
    Ok(policies
        .versions()
        .map(|policy| policy.as_ref().clone())
        .collect())
}

fn add_used(policies: &mut Book, used: &[StoredPolicy]) -> Result<()> {
    for stored in used {
        policies.add(Policy::parse(
            &format!("{} as it was used", stored.id),
            &stored.text,
        )?);
    }
    Ok(())
}

/// What of kept rules is needed to evaluate under them again.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    /// SHA-256 of the policies' texts, by `name@date`.
    pub policies: BTreeMap<String, String>,
    /// The zone.
    pub timezone: Tz,
    /// The days of the week that are no working days.
    pub weekend: Vec<Weekday>,
    /// The holidays.
    pub holidays: BTreeSet<NaiveDate>,
    /// How long nothing may change while the shop has to act; where it was not
    /// kept, it is that of now.
    #[serde(skip)]
    pub stuck_after: Option<TimeDelta>,
}

impl Kept {
    /// What is kept of rules.
    pub fn of(rules: &Rules) -> Self {
        let versions = rules.policies.versions();
        let calendar = &rules.calendar;
        Self {
            policies: versions
                .map(|policy| (policy.id.to_string(), policy.sha256.clone()))
                .collect(),
            timezone: calendar.zone,
            weekend: calendar.weekend().to_vec(),
            holidays: calendar.holidays().collect(),
            stuck_after: Some(rules.stuck_after),
        }
    }
}

/// The rules in force at a time, as far as they were kept: the policies with
/// the texts of then, the zone, the weekend and the holidays. Where none were
/// kept by then, or no time is given, those of now. What stands in no kept
/// rules, such as `business.stuck_after`, is that of now.
pub async fn rules_known(
    shop: &Shop,
    tx: &mut Tx<'_>,
    known_at: Option<Instant>,
) -> Result<InForce> {
    let in_force = rules(shop, tx).await?;
    let Some(known_at) = known_at else {
        return Ok(in_force);
    };
    let Some(kept) = store::rules_known(tx, known_at).await? else {
        return Ok(in_force);
    };
    let kept = serde_json::from_str(&kept).context("table rules, column detail")?;
    under(in_force, kept)
}

/// The same under rules that were kept.
pub fn under(mut in_force: InForce, kept: Kept) -> Result<InForce> {
    let mut policies = Book::default();
    for policy in in_force.rules.policies.versions() {
        // A version that nobody had used is known by its file alone: as it is.
        match kept.policies.get(&policy.id.to_string()) {
            Some(sha256) if *sha256 == policy.sha256 => {
                policies.add(policy.as_ref().clone());
            }
            _ => {}
        }
    }
    let missing = kept.policies.keys().find(|id| {
        let mut known = policies.versions();
        !known.any(|policy| policy.id.to_string() == **id)
    });
    if let Some(id) = missing {
        return Err(refused(format!(
            "policy {id} was in force and its text of then is not there: expected its \
             file in policy.dir as it was"
        )));
    }
    in_force.rules.policies = policies;
    in_force.rules.calendar = Calendar::new(kept.timezone, kept.weekend, kept.holidays)?;
    if let Some(stuck_after) = kept.stuck_after {
        in_force.rules.stuck_after = stuck_after;
    }
    in_force.rules_id = None;
    Ok(in_force)
}

/// All that an evaluation depends on beside the facts and the time.
fn detail(rules: &Rules) -> String {
    let policies: BTreeMap<String, &String> = rules
        .policies
        .versions()
        .map(|policy| (policy.id.to_string(), &policy.sha256))
        .collect();
    let calendar = &rules.calendar;
    let weekend: Vec<String> = calendar.weekend().iter().map(ToString::to_string).collect();
    let detail = serde_json::json!({
        "policies": policies,
        "timezone": calendar.zone.name(),
        "weekend": weekend,
        "holidays": calendar.holidays().collect::<Vec<_>>(),
        "time_zone_data": chrono_tz::IANA_TZDB_VERSION,
        "program": env!("CARGO_PKG_VERSION"),
    });
    detail.to_string()
}

impl InForce {
    /// The rules' number; kept from now on if they are not those of before.
    pub async fn number(&self, tx: &mut Tx<'_>, now: Instant) -> Result<i64> {
        match self.rules_id {
            Some(id) => Ok(id),
            None => Ok(store::rules_write(tx, &self.fingerprint, &self.detail, now).await?),
        }
    }
}
