//! The manifest of a set of reports: what it was made from and what it holds.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::file::{AtomicFile, DescribedFile, remove};
use super::table::Scope;
use super::writer::Dialect;
use crate::policy::{Instant, Policy, sha256_hex};

/// The manifest's file. It is written last: where it stands, the set is
/// complete.
pub const MANIFEST_NAME: &str = "manifest.json";

/// The version of this program.
pub const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the time zone data in this program.
pub const TIME_ZONE_DATA: &str = chrono_tz::IANA_TZDB_VERSION;

/// What a set of reports was made from and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The time at which the cases were evaluated, RFC 3339.
    pub as_of: String,
    /// The week or month that the set is of, by its name; absent: it is a
    /// day's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub period: Option<String>,
    /// The program's version.
    pub program_version: String,
    /// The version of its time zone data; absent: it was not said yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_zone_data: Option<String>,
    /// When the last set of changes was recorded that counts, RFC 3339 in UTC;
    /// absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known_at: Option<Instant>,
    /// The number of that set of changes: those with a higher one came later,
    /// whatever their time. 0: there was none; absent: it was not said yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change_set: Option<i64>,
    /// The number of the last notice that counts. 0: there was none; absent: the
    /// set has none, or it was not said yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_notice: Option<i64>,
    /// The zone of all dates.
    pub time_zone: Tz,
    /// The days of the week that are no working days.
    pub weekend: Vec<Weekday>,
    /// The holidays.
    pub holidays: Vec<NaiveDate>,
    /// How long nothing may change while the shop has to act, in seconds.
    #[serde(rename = "stuck_after_seconds", with = "seconds")]
    pub stuck_after: TimeDelta,
    /// The versions of policies that could be followed.
    pub policies: Vec<PolicyEntry>,
    /// The day that was published before; absent: none was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Previous>,
    /// What stands between the fields of the CSV files.
    pub csv_delimiter: char,
    /// Whether they begin with a byte order mark.
    pub csv_bom: bool,
    /// The files, but the manifest.
    pub files: Vec<FileEntry>,
}

/// The latest earlier day that stands beside a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// The name of its directory.
    pub directory: String,
    /// SHA-256 of its manifest, in hex.
    pub sha256: String,
}

impl Previous {
    /// The latest day before a date that was published in a directory.
    pub fn find(reports: &Path, before: NaiveDate) -> io::Result<Option<Self>> {
        let mut latest: Option<NaiveDate> = None;
        for entry in fs::read_dir(reports)? {
            let entry = entry?;
            let name = entry.file_name();
            let day = name
                .to_str()
                .and_then(|name| name.parse::<NaiveDate>().ok());
            let is_later = |day: &NaiveDate| *day < before && latest.is_none_or(|at| at < *day);
            if let Some(day) = day.filter(is_later)
                && entry.path().join(MANIFEST_NAME).exists()
            {
                latest = Some(day);
            }
        }
        let Some(day) = latest else { return Ok(None) };
        let directory = day.to_string();
        let manifest = fs::read(reports.join(&directory).join(MANIFEST_NAME))?;
        Ok(Some(Self {
            directory,
            sha256: sha256_hex(&manifest),
        }))
    }
}

/// What a manifest says of a set beside what it is made from now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The number of the last set of changes, and when it was recorded.
    pub latest: Option<(i64, Instant)>,
    /// The number of the last notice.
    pub last_notice: Option<i64>,
    /// The day before.
    pub previous: Option<Previous>,
    /// The week or month that it is of.
    pub period: Option<String>,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEntry {
    /// Name and first day, `name@date`.
    pub policy: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

/// A file of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    fn new(scope: &Scope<'_>, dialect: Dialect, history: History, files: Vec<FileEntry>) -> Self {
        let calendar = &scope.rules.calendar;
        let zone = scope.rules.calendar.zone;
        let entry = |policy: &Policy| PolicyEntry {
            policy: policy.id.to_string(),
            sha256: policy.sha256.clone(),
        };
        let versions = scope.rules.policies.versions();
        Self {
            as_of: Cell::Time(scope.at).plain(zone),
            period: history.period,
            program_version: PROGRAM_VERSION.to_owned(),
            time_zone_data: Some(TIME_ZONE_DATA.to_owned()),
            known_at: history.latest.map(|(_, recorded_at)| recorded_at),
            change_set: Some(history.latest.map_or(0, |(change_set, _)| change_set)),
            last_notice: history.last_notice,
            time_zone: zone,
            weekend: calendar.weekend().to_vec(),
            holidays: calendar.holidays().collect(),
            stuck_after: scope.rules.stuck_after,
            policies: versions.map(|policy| entry(policy)).collect(),
            previous: history.previous,
            csv_delimiter: char::from(dialect.delimiter),
            csv_bom: dialect.bom,
            files,
        }
    }

    /// Reads a manifest's text.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// How the CSV files are written.
    pub fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: u8::try_from(self.csv_delimiter).unwrap_or(Dialect::default().delimiter),
            bom: self.csv_bom,
        }
    }

    /// The time at which the cases were evaluated; `None`: what stands there
    /// is none.
    pub fn at(&self) -> Option<Instant> {
        let at = DateTime::parse_from_rfc3339(&self.as_of).ok()?;
        Some(at.with_timezone(&Utc))
    }
}

/// Puts the files of a set in their place, and their manifest. One that stood
/// there goes first and this one comes last, so that one is never beside files
/// of another set.
pub(super) fn publish(
    directory: &Path,
    scope: &Scope<'_>,
    dialect: Dialect,
    history: History,
    files: impl IntoIterator<Item = (String, Option<u64>, DescribedFile)>,
) -> io::Result<Manifest> {
    let path = directory.join(MANIFEST_NAME);
    remove(&path)?;
    let committed = files.into_iter().map(|(name, rows, file)| {
        Ok(FileEntry {
            name,
            rows,
            sha256: file.commit()?,
        })
    });
    let files = committed.collect::<io::Result<_>>()?;
    let manifest = Manifest::new(scope, dialect, history, files);
    let mut file = AtomicFile::create(&path)?;
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.commit()?;
    Ok(manifest)
}

/// A span of time as a number of seconds.
mod seconds {
    use chrono::TimeDelta;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(span: &TimeDelta, serializer: S) -> Result<S::Ok, S::Error> {
        span.num_seconds().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<TimeDelta, D::Error> {
        let span = TimeDelta::try_seconds(i64::deserialize(reader)?);
        span.ok_or_else(|| D::Error::custom("expected a number of seconds"))
    }
}
