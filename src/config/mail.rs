//! How mail leaves the shop: `[mail]`.

use std::path::{Path, PathBuf};

use chrono::{NaiveTime, TimeDelta};
use toml::Value;

use super::ConfigError;
use super::reader::Reader;
use super::value::{
    Read, address, domains, named, number, parsed, path, smtp_url, span, text, unsubscribe_url,
};

/// More connections than this gain nothing.
const MOST_SESSIONS: usize = 32;

/// How many days the bytes of messages are kept.
const KEEP_DAYS: usize = 365;
const KEEP_INSIDE_DAYS: usize = 30;
const MOST_KEEP_DAYS: usize = 36_500;
/// A run never sends more.
const MOST_MESSAGES: usize = 1_000_000_000;

/// Where messages are handed over, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who takes them.
    pub transport: Transport,
    /// The sender's address.
    pub from: String,
    /// Where customers' answers go, if not to the sender.
    pub reply_to: Option<String>,
    /// Where answers from inside the shop go, if not to the sender.
    pub reply_to_inside: Option<String>,
    /// The address at which customers say that they want no reminders.
    pub unsubscribe_to: Option<String>,
    /// The page at which they do, with `{id}` for what names the message.
    pub unsubscribe_url: Option<String>,
    /// When customers may be written to, in the business's zone.
    pub send_between: SendingHours,
    /// The most customers' messages that a run sends without asking.
    pub surge_limit: usize,
    /// How long a message is tried.
    pub give_up_after: TimeDelta,
    /// What follows if the server's answer never came.
    pub on_uncertain: OnUncertain,
    /// How long what a message said is kept; `None`: for ever.
    pub keep_days: Option<TimeDelta>,
    /// How long what a report, a worklist or a message to ops said is kept;
    /// `None`: as long as any message.
    pub keep_inside_days: Option<TimeDelta>,
    /// How many connections to the server are used at once.
    pub sessions: usize,
    /// How many messages a process hands over in a minute at most.
    pub max_per_minute: Option<usize>,
    /// How many messages a customer gets on a local day at most.
    pub max_per_day: Option<usize>,
    /// Who gets all messages in place of their recipients.
    pub redirect_all_to: Option<String>,
    /// The domains, in ASCII, that messages go to; `None`: any.
    pub allow_domains: Option<Vec<String>>,
}

/// Who takes the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A mail server.
    Smtp {
        /// `smtp://` or `smtps://`.
        url: String,
        /// The login, if the server asks for one.
        login: Option<Login>,
        /// An authority that is trusted beside the system's own.
        ca_file: Option<PathBuf>,
    },
    /// A directory that each message is written into.
    File {
        /// The directory.
        dir: PathBuf,
    },
}

/// A login at a mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The file that holds the password.
    pub password_file: PathBuf,
}

/// What follows if the connection broke after a message was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum OnUncertain {
    /// It is sent again, byte for byte.
    Resend,
    /// It waits for a person.
    Hold,
}

/// Hours of the day, from the first up to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingHours {
    /// The first time of day at which a customer may be written to.
    pub from: NaiveTime,
    /// The first at which no longer; for `24:00` the last of the day.
    pub until: NaiveTime,
}

#[derive(Clone, Copy, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
enum TransportName {
    Smtp,
    File,
}

impl Login {
    fn read(reader: &Reader, secrets: &Path) -> Result<Option<Self>, ConfigError> {
        let username = reader.optional("mail.username", text)?;
        let file = reader.optional("mail.password_file", path)?;
        if username.is_none() && file.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            username: reader.required("mail.username", "the login's name", text)?,
            password_file: secrets.join(reader.required(
                "mail.password_file",
                "the file with the login's password",
                path,
            )?),
        }))
    }

    /// Reads the password: the file's text without the line's end.
    pub fn password(&self) -> Result<String, ConfigError> {
        let path = self.password_file.display();
        let error = |problem: String| ConfigError {
            place: "mail.password_file".to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(&self.password_file)
            .map_err(|cause| error(format!("cannot read {path}: {cause}")))?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() || password.contains(['\r', '\n']) {
            let lines = text.lines().count();
            return Err(error(format!(
                "found {lines} lines in {path}, expected one line with the password"
            )));
        }
        Ok(password.to_owned())
    }
}

impl Mail {
    pub(super) const KEYS: [&str; 23] = [
        "transport",
        "url",
        "username",
        "password_file",
        "ca_file",
        "dir",
        "templates",
        "from",
        "reply_to",
        "reply_to_inside",
        "unsubscribe_to",
        "unsubscribe_url",
        "send_between",
        "surge_limit",
        "give_up_after",
        "on_uncertain",
        "keep_days",
        "keep_inside_days",
        "sessions",
        "max_per_minute",
        "max_per_day",
        "redirect_all_to",
        "allow_domains",
    ];

    /// `None` until a transport is set. Paths are relative to `base`, the
    /// password's to `secrets`.
    pub(super) fn read(
        reader: &Reader,
        base: &Path,
        secrets: &Path,
    ) -> Result<Option<Self>, ConfigError> {
        let name = named("\"smtp\" or \"file\"");
        let Some(name) = reader.optional("mail.transport", name)? else {
            return Ok(None);
        };
        let ca_file = reader.optional("mail.ca_file", path)?;
        let transport = match name {
            TransportName::Smtp => Transport::Smtp {
                url: reader.required("mail.url", "the server's, such as smtp://HOST", smtp_url)?,
                login: Login::read(reader, secrets)?,
                ca_file: ca_file.map(|file| base.join(file)),
            },
            TransportName::File => Transport::File {
                dir: base.join(reader.required("mail.dir", "a directory", path)?),
            },
        };
        let uncertain = named("\"resend\" or \"hold\"");
        Ok(Some(Self {
            transport,
            from: reader.required("mail.from", "the sender's address", address)?,
            reply_to: reader.optional("mail.reply_to", address)?,
            reply_to_inside: reader.optional("mail.reply_to_inside", address)?,
            unsubscribe_to: reader.optional("mail.unsubscribe_to", address)?,
            unsubscribe_url: reader.optional("mail.unsubscribe_url", unsubscribe_url)?,
            send_between: reader
                .optional("mail.send_between", hours)?
                .unwrap_or(SendingHours::DEFAULT),
            surge_limit: reader
                .optional("mail.surge_limit", number(0..=MOST_MESSAGES))?
                .unwrap_or(500),
            give_up_after: reader
                .optional("mail.give_up_after", span)?
                .unwrap_or(TimeDelta::days(3)),
            on_uncertain: reader
                .optional("mail.on_uncertain", uncertain)?
                .unwrap_or(OnUncertain::Resend),
            keep_days: keep_days(reader, "mail.keep_days", KEEP_DAYS)?,
            keep_inside_days: keep_days(reader, "mail.keep_inside_days", KEEP_INSIDE_DAYS)?,
            sessions: reader
                .optional("mail.sessions", number(1..=MOST_SESSIONS))?
                .unwrap_or(1),
            max_per_minute: reader.optional("mail.max_per_minute", number(1..=MOST_MESSAGES))?,
            max_per_day: reader.optional("mail.max_per_day", number(1..=MOST_MESSAGES))?,
            redirect_all_to: reader.optional("mail.redirect_all_to", address)?,
            allow_domains: reader.optional("mail.allow_domains", domains)?,
        }))
    }
}

/// Days; 0 is for ever.
pub(super) fn keep_days(
    reader: &Reader,
    key: &str,
    default: usize,
) -> Result<Option<TimeDelta>, ConfigError> {
    let days = reader.optional(key, number(0..=MOST_KEEP_DAYS))?;
    let days = i64::try_from(days.unwrap_or(default)).unwrap_or(0);
    Ok((days > 0).then(|| TimeDelta::days(days)))
}

impl SendingHours {
    // Evaluated by the compiler.
    const DEFAULT: Self = Self {
        from: NaiveTime::from_hms_opt(8, 0, 0).unwrap(),
        until: NaiveTime::from_hms_opt(20, 0, 0).unwrap(),
    };
}

fn hours(value: &Value) -> Read<SendingHours> {
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
    let end_of_day = NaiveTime::from_num_seconds_from_midnight_opt(86_399, 999_999_999);
    parsed("hours such as \"08:00-20:00\"", |text| {
        let (from, until) = text.split_once('-')?;
        let hours = SendingHours {
            from: time(from.trim())?,
            until: match until.trim() {
                "24:00" => end_of_day?,
                until => time(until)?,
            },
        };
        (hours.from < hours.until).then_some(hours)
    })(value)
}
