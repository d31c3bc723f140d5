//! Whom ops are told by besides mail, and how often: `[alarms]`.

use std::fmt;

use chrono::TimeDelta;
use toml::Value;
use url::Url;

use super::ConfigError;
use super::reader::Reader;
use super::value::{Read, parsed, span};

/// Where the job's name goes in a monitor's address.
const JOB: &str = "{job}";

/// What ops are told of, besides the mail to `contacts.ops`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarms {
    /// What is called after a run that went well.
    pub ping_url: Option<MonitorUrl>,
    /// What is called after a run that failed, and while an alarm lasts.
    pub fail_url: Option<MonitorUrl>,
    /// After how long ops are written to again of what lasts.
    pub repeat: TimeDelta,
}

/// The address at which a monitor outside is called. Whoever knows it can call
/// it, so it is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct MonitorUrl(String);

impl MonitorUrl {
    /// The address for a job.
    pub fn of_job(&self, job: &str) -> String {
        self.0.replace(JOB, job)
    }

    /// Whether each job has its own.
    pub fn is_per_job(&self) -> bool {
        self.0.contains(JOB)
    }
}

impl fmt::Debug for MonitorUrl {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("https://…")
    }
}

impl Alarms {
    pub(super) const KEYS: [&str; 3] = ["ping_url", "fail_url", "repeat"];

    pub(super) fn read(reader: &Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            ping_url: reader.optional("alarms.ping_url", monitor_url)?,
            fail_url: reader.optional("alarms.fail_url", monitor_url)?,
            repeat: reader
                .optional("alarms.repeat", span)?
                .unwrap_or(TimeDelta::days(1)),
        })
    }
}

fn monitor_url(value: &Value) -> Read<MonitorUrl> {
    let expected = "an address such as \"https://example.com/ping/{job}\"";
    parsed(expected, |text| {
        let url = Url::parse(&text.replace(JOB, "job")).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| MonitorUrl(text.to_owned()))
    })(value)
}
