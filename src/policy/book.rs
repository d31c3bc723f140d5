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
        versions.retain(|id, _| {
            id.name != policy.id.name || id.effective_from < from || to < id.effective_from
        });
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
