//! Takes keys out of the file and the environment, and knows where each stands.

use std::collections::BTreeMap;

use toml::de::DeTable;
use toml::{Table, Value};

use super::ConfigError;
use super::value::{Problem, Read, shown};
use crate::policy::{place, problem};

/// What the variables that override a key begin with.
const PREFIX: &str = "WARRANTYD_";

/// The text of a configuration and the variables that override it.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    table: Table,
    /// Names and values by the key that they override.
    variables: BTreeMap<String, (&'t str, &'t str)>,
}

impl<'t> Reader<'t> {
    /// Reads the text, and refuses every key and every `WARRANTYD_*__*`
    /// variable that is not among `known`.
    pub(super) fn new(
        file: &'t str,
        text: &'t str,
        env: &'t BTreeMap<String, String>,
        known: &[String],
    ) -> Result<Self, ConfigError> {
        let table = toml::from_str(text).map_err(|error| {
            let (line, key) = place(text, error.span().unwrap_or(0..0).start);
            let place = format!("{file}:{line}: {key}");
            ConfigError {
                place: place.trim_end_matches(": ").to_owned(),
                problem: problem(&error),
            }
        })?;
        let variables = env.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX).filter(|key| key.contains("__"))?;
            let key = key.replace("__", ".").to_lowercase();
            Some((key, (name.as_str(), value.as_str())))
        });
        let reader = Self {
            file,
            text,
            table,
            variables: variables.collect(),
        };
        reader.refuse_unknown("", &reader.table, known)?;
        match reader.variables.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(reader.refuse(key, unknown(key, known))),
            None => Ok(reader),
        }
    }

    fn refuse_unknown(
        &self,
        above: &str,
        table: &Table,
        known: &[String],
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = format!("{above}{name}");
            if known.contains(&key) {
                continue;
            }
            let inside = format!("{key}.");
            if !known.iter().any(|known| known.starts_with(&inside)) {
                return Err(self.refuse(&key, unknown(&key, known)));
            }
            match value {
                Value::Table(table) => self.refuse_unknown(&inside, table, known)?,
                other => {
                    let problem = format!("found {}, expected a table [{key}]", shown(other));
                    return Err(self.refuse(&key, problem));
                }
            }
        }
        Ok(())
    }

    /// The value of a key, if it is given. A variable stands above the file.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Read<T>,
    ) -> Result<Option<T>, ConfigError> {
        let found = match self.variables.get(key) {
            Some((_, value)) => Some(from_variable(value, read)),
            None => self.in_file(key).map(read),
        };
        found
            .transpose()
            .map_err(|problem| self.refuse(key, problem.text))
    }

    /// The value of a key that must be given.
    pub(super) fn required<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Read<T>,
    ) -> Result<T, ConfigError> {
        self.optional(key, read)?
            .ok_or_else(|| self.refuse(key, format!("missing, expected {expected}")))
    }

    fn in_file(&self, key: &str) -> Option<&Value> {
        let (tables, name) = key.rsplit_once('.')?;
        let table = tables.split('.').try_fold(&self.table, |table, name| {
            table.get(name).and_then(Value::as_table)
        })?;
        table.get(name)
    }

    /// An error about a key, with the place that its value comes from.
    pub(super) fn refuse(&self, key: &str, problem: String) -> ConfigError {
        let place = match (self.variables.get(key), self.line(key)) {
            (Some((name, _)), _) => (*name).to_owned(),
            (None, Some(line)) => format!("{}:{line}: {key}", self.file),
            (None, None) => format!("{}: {key}", self.file),
        };
        ConfigError { place, problem }
    }

    /// The line of a key, or of the nearest table above it that is there.
    fn line(&self, key: &str) -> Option<usize> {
        let document = DeTable::parse(self.text).ok()?;
        let mut table = Some(document.get_ref());
        let mut line = None;
        for part in key.split('.') {
            let found =
                table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == part));
            let Some((name, value)) = found else { break };
            line = Some(place(self.text, name.span().start).0);
            table = value.get_ref().as_table();
        }
        line
    }
}

/// A variable's text as TOML, as a list with commas, or as a string, whatever
/// the key takes first.
fn from_variable<T>(text: &str, read: impl Fn(&Value) -> Read<T>) -> Read<T> {
    let string = |part: &str| Value::String(part.to_owned());
    let list = Value::Array(text.split(',').map(|part| string(part.trim())).collect());
    let mut refused: Option<Problem> = None;
    for candidate in text.parse().ok().into_iter().chain([list]) {
        match read(&candidate) {
            Ok(value) => return Ok(value),
            Err(problem) if problem.wrong_kind => {}
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    read(&string(text)).map_err(|problem| refused.unwrap_or(problem))
}

/// What is known beside an unknown key, or else at the top.
fn unknown(key: &str, known: &[String]) -> String {
    let inside = |table: &str| -> Vec<String> {
        let names = known.iter().filter_map(|known| known.strip_prefix(table));
        let mut names: Vec<String> = names
            .filter_map(|rest| rest.split('.').next())
            .map(str::to_owned)
            .collect();
        names.dedup();
        names
    };
    let table = key.rsplit_once('.').map_or("", |(table, _)| table);
    let mut names = inside(&format!("{table}."));
    if names.is_empty() {
        names = inside("");
    }
    format!("unknown key, expected one of {}", names.join(", "))
}
