//! The configuration: one TOML file, overridden key by key by the environment.
//!
//! May touch: the configuration file, the password file, the calendar of
//! `policy`, the names of facts in `case`. No clock, no SQL, no network.
//!
//! Invariant: a [`Config`] that exists is meant. A key that is unknown,
//! missing or out of its range was refused by [`Config::load`] with the file
//! and line, or the variable, that it stands in.

mod alarms;
mod database;
mod dialect;
mod job;
mod mail;
mod reader;
mod settings;
mod starter;
#[cfg(test)]
mod tests;
mod value;

pub use alarms::{Alarms, MonitorUrl};
pub use database::Database;
pub use job::{CatchUp, Expression, ExpressionError, JobName, JobSettings};
pub use mail::{Login, Mail, OnUncertain, SendingHours, Transport};
pub use settings::{Business, Config, Contacts, Notices, Reports};
pub use starter::{starter, starter_below};
pub use value::delimiter;

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// `file:line: key`, `file: key` where there is no line, or the
    /// environment variable.
    pub place: String,
    /// What was found and what is expected.
    pub problem: String,
}
