//! The whole configuration, and where it is looked for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::{NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use strum::VariantArray;

use super::dialect;
use super::job::timezone;
use super::mail::keep_days;
use super::reader::Reader;
use super::value::{
    addresses, database, date, dates, delimiter, flag, lines, loopback, parsed, path, span, text,
    weekdays,
};
use super::{Alarms, ConfigError, Database, JobName, JobSettings, Mail};
use crate::case::{Dialects, Entity};
use crate::policy::Calendar;

/// Where a configuration is looked for if none is named.
const PLACES: [&str; 2] = ["warrantyd.toml", "/etc/warrantyd/warrantyd.toml"];

/// The directory of systemd's credentials (systemd.exec, `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// How many days files that were imported are kept.
const KEEP_DONE_DAYS: usize = 90;

/// What `reports.csv_delimiter` may be.
const DELIMITER: &str = "\",\", \";\" or \"tab\"";

/// All settings (spec, section 6). Relative paths have been joined to the
/// directory of the configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// Where the database is.
    pub database: Database,
    /// Who the shop is.
    pub business: Business,
    /// The days of the business: zone, weekend, holidays.
    pub calendar: Calendar,
    /// The directory of the shop's own policies.
    pub policy_dir: Option<PathBuf>,
    /// Who is told inside the shop.
    pub contacts: Contacts,
    /// What becomes of notices that are late or early.
    pub notices: Notices,
    /// Whom ops are told by of what is wrong, besides mail.
    pub alarms: Alarms,
    /// The directory of the shop's own letters.
    pub templates: Option<PathBuf>,
    /// How mail leaves the shop; `None` until a transport is set.
    pub mail: Option<Mail>,
    /// The directory that the job `import` looks into.
    pub import_dir: Option<PathBuf>,
    /// How long a file there must not have changed before it is taken.
    pub import_settle: TimeDelta,
    /// How long the shop may go without an import that is completed.
    pub import_max_age: Option<TimeDelta>,
    /// How long files are kept that were imported; `None` is for ever.
    pub import_keep_done: Option<TimeDelta>,
    /// How the shop's own files are written.
    pub dialects: Dialects,
    /// The daily reports.
    pub reports: Reports,
    /// Where the daemon answers those who measure it.
    pub metrics_listen: Option<SocketAddr>,
    /// Every job, as written or as left to itself.
    pub jobs: BTreeMap<JobName, JobSettings>,
}

/// Who the shop is, as its letters say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// The name that customers know.
    pub name: String,
    /// The postal address, line by line.
    pub address: Vec<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// What the law wants under a letter, line by line.
    pub legal: Vec<String>,
    /// The language of letters inside the shop, and of customers of whom none
    /// is known.
    pub locale: String,
    /// How long a claim may stay in a stage in which the shop has to act.
    pub stuck_after: TimeDelta,
}

/// Addresses inside the shop, by audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contacts {
    /// Team leads.
    pub lead: Vec<String>,
    /// Finance.
    pub finance: Vec<String>,
    /// Managers.
    pub manager: Vec<String>,
    /// Directors.
    pub director: Vec<String>,
    /// Those who run this service.
    pub ops: Vec<String>,
}

/// What becomes of notices that are late or early (spec, section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// The first local date about which anybody is told.
    pub live_from: Option<NaiveDate>,
    /// The age from which a customer is no longer told of a step.
    pub stale_after: TimeDelta,
    /// How long a customer's outcome waits for a forgotten entry.
    pub outcome_delay: TimeDelta,
}

/// The daily reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// The directory that they are written into.
    pub dir: Option<PathBuf>,
    /// Who gets the summary by mail.
    pub recipients: Vec<String>,
    /// Whether the daily CSV files begin with a byte order mark.
    pub csv_bom: bool,
    /// What stands between their fields, an ASCII character.
    pub csv_delimiter: u8,
}

impl Config {
    /// Reads the file that is named, or else the first of `warrantyd.toml` and
    /// `/etc/warrantyd/warrantyd.toml` that exists. `env` overrides it key by
    /// key: `WARRANTYD_SECTION__KEY`, with a TOML value, a list with commas or
    /// plain text.
    pub fn load(
        explicit: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (file, text) = match explicit {
            Some(file) => first_of(&[file])?,
            None => first_of(&PLACES.map(Path::new))?,
        };
        Self::parse(file, &text, env)
    }

    /// The settings in a text; `file` is how messages name it, and where
    /// relative paths start.
    pub(super) fn parse(
        file: &Path,
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let env: BTreeMap<String, String> = env.collect();
        let base = file.parent().unwrap_or(Path::new(""));
        let credentials = env.get(CREDENTIALS).map(PathBuf::from);
        let secrets = credentials.as_deref().unwrap_or(base);
        let name = file.display().to_string();
        let reader = Reader::new(&name, text, &env, &known_keys())?;
        Self::read(&reader, file, secrets)
    }

    fn read(reader: &Reader, file: &Path, secrets: &Path) -> Result<Self, ConfigError> {
        let base = file.parent().unwrap_or(Path::new(""));
        let directory = |key| {
            let found = reader.optional(key, path)?;
            Ok(found.map(|dir| base.join(dir)))
        };
        let zone = "an IANA name such as \"Europe/Rome\"";
        let zone = reader.required("business.timezone", zone, timezone)?;
        let database = reader.required("database.url", Database::EXPECTED, database)?;
        let jobs = JobName::VARIANTS.iter();
        let jobs = jobs.map(|job| Ok((*job, JobSettings::read(reader, *job, zone)?)));
        Ok(Self {
            file: file.to_owned(),
            database: database.below(base),
            business: Business::read(reader)?,
            calendar: calendar(reader, zone)?,
            policy_dir: directory("policy.dir")?,
            contacts: Contacts::read(reader)?,
            notices: Notices::read(reader)?,
            alarms: Alarms::read(reader)?,
            templates: directory("mail.templates")?,
            mail: Mail::read(reader, base, secrets)?,
            import_dir: directory("import.dir")?,
            import_settle: reader
                .optional("import.settle", span)?
                .unwrap_or(TimeDelta::minutes(1)),
            import_max_age: reader.optional("import.max_age", span)?,
            import_keep_done: keep_days(reader, "import.keep_done_days", KEEP_DONE_DAYS)?,
            dialects: dialect::read(reader)?,
            reports: Reports {
                dir: directory("reports.dir")?,
                recipients: list_of(reader, "reports.recipients")?,
                csv_bom: reader.optional("reports.csv_bom", flag)?.unwrap_or(false),
                csv_delimiter: reader
                    .optional("reports.csv_delimiter", parsed(DELIMITER, delimiter))?
                    .unwrap_or(b','),
            },
            metrics_listen: reader.optional("metrics.listen", loopback)?,
            jobs: jobs.collect::<Result<_, ConfigError>>()?,
        })
    }
}

/// The first file that exists, and its text.
pub(super) fn first_of<'p>(places: &[&'p Path]) -> Result<(&'p Path, String), ConfigError> {
    for file in places {
        match std::fs::read_to_string(file) {
            Ok(text) => return Ok((file, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(ConfigError {
                    place: file.display().to_string(),
                    problem: format!("cannot be read: {error}"),
                });
            }
        }
    }
    let places = places.iter().map(|file| file.display().to_string());
    Err(ConfigError {
        place: places.collect::<Vec<_>>().join(", "),
        problem: "found no such file, expected a configuration: write one with \
                  `warrantyd init`, or name one with --config FILE"
            .to_owned(),
    })
}

impl Business {
    const KEYS: [&str; 9] = [
        "name",
        "address",
        "phone",
        "legal",
        "locale",
        "timezone",
        "weekend",
        "holidays",
        "stuck_after",
    ];

    fn read(reader: &Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            name: reader.required("business.name", "the name that customers know", text)?,
            address: reader
                .optional("business.address", lines)?
                .unwrap_or_default(),
            phone: reader.optional("business.phone", text)?,
            legal: reader
                .optional("business.legal", lines)?
                .unwrap_or_default(),
            locale: reader
                .optional("business.locale", text)?
                .unwrap_or_else(|| "en".to_owned()),
            stuck_after: reader
                .optional("business.stuck_after", span)?
                .unwrap_or(TimeDelta::days(14)),
        })
    }
}

fn calendar(reader: &Reader, zone: Tz) -> Result<Calendar, ConfigError> {
    let weekend = reader.optional("business.weekend", weekdays)?;
    let holidays = reader.optional("business.holidays", dates)?;
    Calendar::new(
        zone,
        weekend.unwrap_or_else(|| vec![Weekday::Sat, Weekday::Sun]),
        holidays.unwrap_or_default(),
    )
    .map_err(|error| reader.refuse("business.weekend", error.to_string()))
}

impl Contacts {
    /// Every address, some perhaps twice.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let lists = [
            &self.lead,
            &self.finance,
            &self.manager,
            &self.director,
            &self.ops,
        ];
        lists.into_iter().flatten().map(String::as_str)
    }

    const KEYS: [&str; 5] = ["lead", "finance", "manager", "director", "ops"];

    fn read(reader: &Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            lead: list_of(reader, "contacts.lead")?,
            finance: list_of(reader, "contacts.finance")?,
            manager: list_of(reader, "contacts.manager")?,
            director: list_of(reader, "contacts.director")?,
            ops: list_of(reader, "contacts.ops")?,
        })
    }
}

/// Addresses; none if the key is not given.
fn list_of(reader: &Reader, key: &str) -> Result<Vec<String>, ConfigError> {
    Ok(reader.optional(key, addresses)?.unwrap_or_default())
}

impl Notices {
    const KEYS: [&str; 3] = ["live_from", "stale_after", "outcome_delay"];

    fn read(reader: &Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            live_from: reader.optional("notices.live_from", date)?,
            stale_after: reader
                .optional("notices.stale_after", span)?
                .unwrap_or(TimeDelta::days(3)),
            outcome_delay: reader
                .optional("notices.outcome_delay", span)?
                .unwrap_or(TimeDelta::days(1)),
        })
    }
}

/// Every key, in the order of the starter file.
pub(super) fn known_keys() -> Vec<String> {
    let sections: [(&str, &[&str]); 8] = [
        ("database", &["url"]),
        ("business", &Business::KEYS),
        ("policy", &["dir"]),
        ("contacts", &Contacts::KEYS),
        ("notices", &Notices::KEYS),
        ("alarms", &Alarms::KEYS),
        ("mail", &Mail::KEYS),
        ("import", &["dir", "settle", "max_age", "keep_done_days"]),
    ];
    let sections = sections.map(|(section, keys)| (section.to_owned(), keys));
    let dialects = Entity::VARIANTS.iter();
    let dialects = dialects.map(|entity| (format!("import.{entity}"), dialect::KEYS.as_slice()));
    let others: [(&str, &[&str]); 2] = [
        (
            "reports",
            &["dir", "recipients", "csv_bom", "csv_delimiter"],
        ),
        ("metrics", &["listen"]),
    ];
    let others = others.map(|(section, keys)| (section.to_owned(), keys));
    let jobs = JobName::VARIANTS
        .iter()
        .map(|job| (format!("jobs.{job}"), JobSettings::KEYS.as_slice()));
    sections
        .into_iter()
        .chain(dialects)
        .chain(others)
        .chain(jobs)
        .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")))
        .collect()
}
