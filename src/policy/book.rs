//! All versions of all policies, and which one an order follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use super::{Policy, PolicyId};

/// All versions of all policies, each valid.
#[derive(Debug, Clone, Default)]
pub struct Book {
    versions: BTreeMap<PolicyId, Arc<Policy>>,
}

/// Why no version, or no single one, could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// A policy that nobody wrote.
    #[error("there is no policy `{name}`: expected one of {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The first version starts later.
    #[error("policy `{name}` has no version in force on {date}: its first starts on {first}")]
    NotYet {
        /// The policy's name.
        name: String,
        /// The date asked for.
        date: NaiveDate,
        /// When the first version starts.
        first: NaiveDate,
    },
}

impl Book {
    /// Adds a version; gives back the one of the same name and first day that
    /// it displaced.
    pub fn add(&mut self, policy: Policy) -> Option<Arc<Policy>> {
        self.versions.insert(policy.id.clone(), Arc::new(policy))
    }

    /// The same, as if another policy had been in force from one local date to
    /// another instead of the versions of its name.
    pub fn instead(&self, policy: Policy, from: NaiveDate, to: NaiveDate) -> Self {
        let mut versions = self.versions.clone();
        let name = &policy.id.name;
        if let Some(next) = to.succ_opt()
            && let Ok(then) = self.in_force(name, next)
        {
            let id = PolicyId {
                name: name.clone(),
                effective_from: next,
            };
            versions.insert(id, Arc::clone(then));
        }
        versions
            .retain(|id, _| id.name != *name || id.effective_from < from || to < id.effective_from);
        let id = PolicyId {
            effective_from: from,
            ..policy.id.clone()
        };
        versions.insert(id, Arc::new(policy));
        Self { versions }
    }

    /// The version of a policy in force on a local date.
    pub fn in_force(&self, name: &str, date: NaiveDate) -> Result<&Arc<Policy>, BookError> {
        let of_name = |id: &PolicyId| id.name == name;
        let until = PolicyId {
            name: name.to_owned(),
            effective_from: date,
        };
        if let Some((_, policy)) = self
            .versions
            .range(..=until)
            .next_back()
            .filter(|(id, _)| of_name(id))
        {
            return Ok(policy);
        }
        match self.versions.keys().find(|id| of_name(id)) {
            Some(first) => Err(BookError::NotYet {
                name: name.to_owned(),
                date,
                first: first.effective_from,
            }),
            None => Err(BookError::Unknown {
                name: name.to_owned(),
                known: self.names().join(", "),
            }),
        }
    }

    /// The version of that name and first day.
    pub fn get(&self, id: &PolicyId) -> Option<&Arc<Policy>> {
        self.versions.get(id)
    }

    /// All versions, by name and first day.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.versions.values()
    }

    /// The names of the policies, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.versions.keys().map(|id| id.name.as_str()).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::STANDARD;

    fn version(from: &str, days: u32) -> Policy {
        let from = format!("effective_from = {from}");
        let text = STANDARD.replace("effective_from = 2000-01-01", &from);
        let text = text.replace("days = 20", &format!("days = {days}"));
        Policy::parse("terms.toml", &text).unwrap()
    }

    #[test]
    fn another_policy_takes_the_place_of_all_versions_of_its_days() {
        let mut book = Book::default();
        for (from, days) in [("2000-01-01", 1), ("2020-03-01", 2), ("2020-06-01", 3)] {
            assert!(book.add(version(from, days)).is_none());
        }
        let day = |text: &str| text.parse().unwrap();
        let tried = version("2030-01-01", 9);
        let book = book.instead(tried, day("2020-02-01"), day("2020-05-15"));
        for (date, expected) in [
            ("2020-01-31", 1),
            ("2020-02-01", 9),
            ("2020-05-15", 9),
            ("2020-05-16", 2),
            ("2020-06-01", 3),
        ] {
            let policy = book.in_force("standard", day(date)).unwrap();
            let days = policy.window(crate::policy::Window::HardwareRepair).days;
            assert_eq!(i64::from(days), expected, "{date}");
        }
    }
}
