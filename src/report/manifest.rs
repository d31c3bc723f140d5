//! The manifest of a set of reports: what it was made from and what it holds.

use chrono_tz::Tz;
use serde::Serialize;

use super::cell::Cell;
use super::table::Scope;
use super::writer::Dialect;
use crate::policy::Policy;

/// The manifest's file. It is written last: where it stands, the set is
/// complete.
pub const MANIFEST_NAME: &str = "manifest.json";

/// What a set of reports was made from and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The time at which the cases were evaluated, RFC 3339.
    pub as_of: String,
    /// The program's version.
    pub program_version: &'static str,
    /// The zone of all dates.
    pub time_zone: Tz,
    /// The versions of policies that could be followed.
    pub policies: Vec<PolicyEntry>,
    /// What stands between the fields of the CSV files.
    pub csv_delimiter: char,
    /// Whether they begin with a byte order mark.
    pub csv_bom: bool,
    /// The files, but the manifest.
    pub files: Vec<FileEntry>,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyEntry {
    /// Name and first day, `name@date`.
    pub policy: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

/// A file of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Its name in the directory.
    pub name: String,
    /// How many rows it has, without the header; `None` for a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

impl Manifest {
    pub(super) fn new(scope: &Scope<'_>, dialect: Dialect, files: Vec<FileEntry>) -> Self {
        let zone = scope.rules.calendar.zone;
        let entry = |policy: &Policy| PolicyEntry {
            policy: policy.id.to_string(),
            sha256: policy.sha256.clone(),
        };
        let versions = scope.rules.policies.versions();
        Self {
            as_of: Cell::Time(scope.at).plain(zone),
            program_version: env!("CARGO_PKG_VERSION"),
            time_zone: zone,
            policies: versions.map(|policy| entry(policy)).collect(),
            csv_delimiter: char::from(dialect.delimiter),
            csv_bom: dialect.bom,
            files,
        }
    }
}
