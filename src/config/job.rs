//! When the jobs run: `[jobs.NAME]`.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Year};
use toml::Value;

use super::ConfigError;
use super::reader::Reader;
use super::value::{Problem, Read, flag, named, parsed, shown, span, span_of};

/// The jobs that have a `[jobs.NAME]` of their own.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum JobName {
    /// Takes in the files of the import directory.
    Import,
    /// Decides deadlines and records notices.
    Enforce,
    /// Composes and sends messages.
    Deliver,
    /// Writes the daily reports.
    Report,
    /// Mails everybody what they are to do.
    Worklists,
    /// Writes how the promises of a week were kept.
    ComplianceWeekly,
    /// Writes how the promises of a month were kept.
    ComplianceMonthly,
    /// Keeps the database tidy.
    Housekeeping,
}

/// What is made up for of the slots that passed while nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum CatchUp {
    /// The newest one: for jobs that find their work in the database.
    Latest,
    /// Each of them, within bounds: for dated reports.
    All,
}

/// What the configuration says of one job; `None` leaves it to the job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSettings {
    /// When it runs.
    pub schedule: Option<Expression>,
    /// The zone that the schedule is read in.
    pub timezone: Tz,
    /// Whether the daemon runs it at all.
    pub enabled: bool,
    /// What it does about missed slots.
    pub catch_up: Option<CatchUp>,
    /// How old a missed slot may be that is made up for; `None`: any age.
    pub catch_up_within: Option<TimeDelta>,
    /// Runs begin within this span after their slot, each at a time of its
    /// own.
    pub jitter: TimeDelta,
    /// How long a run of the daemon may take before it is told to end.
    pub time_limit: Option<TimeDelta>,
}

impl JobSettings {
    pub(super) const KEYS: [&str; 7] = [
        "schedule",
        "timezone",
        "enabled",
        "catch_up",
        "catch_up_within",
        "jitter",
        "time_limit",
    ];

    /// `zone` is that of the business, for jobs that name none.
    pub(super) fn read(reader: &Reader, job: JobName, zone: Tz) -> Result<Self, ConfigError> {
        let key = |key: &str| format!("jobs.{job}.{key}");
        Ok(Self {
            schedule: reader.optional(&key("schedule"), expression)?,
            timezone: reader.optional(&key("timezone"), timezone)?.unwrap_or(zone),
            enabled: reader.optional(&key("enabled"), flag)?.unwrap_or(true),
            catch_up: reader.optional(&key("catch_up"), named("\"latest\" or \"all\""))?,
            catch_up_within: reader.optional(&key("catch_up_within"), |value| {
                span_of(TimeDelta::minutes(1), "1 minute", value)
            })?,
            jitter: reader.optional(&key("jitter"), span)?.unwrap_or_default(),
            time_limit: reader.optional(&key("time_limit"), |value| {
                span_of(TimeDelta::seconds(1), "1 second", value)
            })?,
        })
    }
}

/// An IANA name of a zone.
pub(super) fn timezone(value: &Value) -> Read<Tz> {
    named("an IANA name such as \"Europe/Rome\"")(value)
}

fn expression(value: &Value) -> Read<Expression> {
    let text = parsed("a cron expression such as \"*/5 * * * *\"", |text| {
        Some(text.to_owned())
    })(value)?;
    text.parse().map_err(|error: ExpressionError| Problem {
        text: error.to_string(),
        wrong_kind: false,
    })
}

/// A cron expression of five fields, or of six with the seconds first.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Cron);

/// A text that is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {found}, expected a cron expression of 5 or 6 fields such as \"*/5 * * * *\" ({reason})"
)]
pub struct ExpressionError {
    found: String,
    reason: String,
}

impl Expression {
    /// The parsed expression, for searching.
    pub fn cron(&self) -> &Cron {
        &self.0
    }

    /// Whether it runs in every hour of the days that it runs on.
    pub fn is_hourly(&self) -> bool {
        self.0.pattern.hours.values().len() == 24
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| ExpressionError {
            found: shown(&Value::from(text)),
            reason: reason.trim_end_matches('.').to_owned(),
        };
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|e| error(e.to_string()))?;
        // A day such as 30 February: the search ends without one.
        cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false)
            .map_err(|_| error("it never comes".to_owned()))?;
        Ok(Self(cron))
    }
}
