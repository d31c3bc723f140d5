//! Whether all is in place for the jobs to go well. Nothing is changed, and
//! one thing that is broken keeps no other from being looked at.

mod database;
mod files;
mod guards;
mod letters;
mod zone;

use super::Shop;
use super::book::{book, rules};
use crate::config::Config;
use crate::policy::Instant;

/// How well one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found of one thing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// How well it stands.
    pub health: Health,
    /// A sentence.
    pub found: String,
}

impl Check {
    /// All is well.
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Health::Ok, found)
    }

    /// Somebody should look at it.
    pub fn warn(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Health::Warn, found)
    }

    /// It does not work.
    pub fn fail(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Health::Fail, found)
    }

    fn new(what: &'static str, health: Health, found: impl Into<String>) -> Self {
        let found = found.into();
        Self {
            what,
            health,
            found,
        }
    }
}

/// Looks at everything that can be looked at without doing anything.
pub async fn doctor(config: Config, now: Instant) -> Vec<Check> {
    let mut checks = files::config(&config);
    let (database, store) = database::database(&config, now).await;
    checks.extend(database);
    checks.extend(files::directories(&config));
    checks.push(zone::zone(config.calendar.zone, now));
    match store {
        Some(store) => {
            let shop = Shop::of(store, config.clone());
            checks.push(policies(&shop).await);
            checks.extend(guards::guards(&shop, now).await);
            shop.store.close().await;
        }
        None => checks.push(policy_files(&config)),
    }
    checks.extend(letters::templates(&config));
    checks.push(letters::mail(&config).await);
    checks.push(letters::contacts(&config.contacts));
    checks
}

/// The files, and whether they are what was used.
async fn policies(shop: &Shop) -> Check {
    let found = async {
        let mut tx = shop.store.read().await?;
        let rules = rules(shop, &mut tx).await?.rules;
        anyhow::Ok(rules.policies.versions().count())
    };
    match found.await {
        Ok(count) => Check::ok("policies", format!("versions: {count}")),
        Err(error) => Check::fail("policies", format!("{error:#}")),
    }
}

/// The same, where nobody knows what was used.
fn policy_files(config: &Config) -> Check {
    match book(config.policy_dir.as_deref()) {
        Ok(book) => {
            let count = book.versions().count();
            let found = format!("versions: {count}; which of them were used was not looked at");
            Check::ok("policies", found)
        }
        Err(error) => Check::fail("policies", format!("{error:#}")),
    }
}
