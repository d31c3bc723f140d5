//! How the shop's own files are written: `[import.orders]` and its like.

use std::collections::BTreeMap;

use encoding_rs::{Encoding, UTF_8};
use strum::VariantArray;
use toml::{Table, Value};

use super::ConfigError;
use super::reader::Reader;
use super::value::{Problem, Read, delimiter, list, named, parsed, shown, text};
use crate::case::{Dialect, Dialects, Entity, Field, is_word};

/// What each section may hold.
pub(super) const KEYS: [&str; 8] = [
    "files",
    "delimiter",
    "encoding",
    "decimal",
    "dates",
    "columns",
    "values",
    "constants",
];

/// The dialect of each kind of file.
pub(super) fn read(reader: &Reader) -> Result<Dialects, ConfigError> {
    let dialects = Entity::VARIANTS.iter();
    dialects
        .map(|entity| Ok((*entity, dialect(reader, *entity)?)))
        .collect()
}

fn dialect(reader: &Reader, entity: Entity) -> Result<Dialect, ConfigError> {
    let key = |key: &str| format!("import.{entity}.{key}");
    let files = list("a list of names such as [\"export_*.csv\"]", text);
    let dates = list(
        "a list of formats such as [\"%d.%m.%Y %H:%M\"]",
        named(
            "a format with year, month and day, and no hour without its minute, such as \
             \"%d.%m.%Y %H:%M\"",
        ),
    );
    let dialect = Dialect {
        files: reader.optional(&key("files"), files)?.unwrap_or_default(),
        delimiter: reader
            .optional(&key("delimiter"), separator)?
            .unwrap_or(b','),
        encoding: reader
            .optional(&key("encoding"), encoding)?
            .unwrap_or(UTF_8),
        dates: reader.optional(&key("dates"), dates)?.unwrap_or_default(),
        has_decimal_comma: reader.optional(&key("decimal"), decimal)?.unwrap_or(false),
        columns: words(reader, entity, &key("columns"), |_, _| Ok(()))?,
        values: values(reader, entity, &key("values"))?,
        constants: words(reader, entity, &key("constants"), is_word)?,
    };
    match dialect
        .constants
        .keys()
        .find(|name| dialect.columns.contains_key(*name))
    {
        Some(name) => {
            let problem = format!("found a column for it too, in [{}]", key("columns"));
            Err(reader.refuse(&format!("{}.{name}", key("constants")), problem))
        }
        None => Ok(dialect),
    }
}

fn separator(value: &Value) -> Read<u8> {
    parsed("\",\", \";\", \"|\" or \"tab\"", |text| match text {
        "|" => Some(b'|'),
        other => delimiter(other),
    })(value)
}

fn encoding(value: &Value) -> Read<&'static Encoding> {
    parsed(
        "the name of an encoding such as \"utf-8\", \"windows-1252\" or \"utf-16le\"",
        |label| Encoding::for_label_no_replacement(label.as_bytes()),
    )(value)
}

fn decimal(value: &Value) -> Read<bool> {
    parsed("\".\" or \",\"", |text| match text {
        "," => Some(true),
        "." => Some(false),
        _ => None,
    })(value)
}

/// A table of texts by column, each of which `check` takes: its error says
/// what is expected.
fn words(
    reader: &Reader,
    entity: Entity,
    key: &str,
    check: impl Fn(&Field, &str) -> Result<(), String>,
) -> Result<BTreeMap<&'static str, String>, ConfigError> {
    let texts = reader.optional(key, texts)?.unwrap_or_default();
    let texts = texts.into_iter().map(|(name, text)| {
        let field = field(reader, entity, key, &name)?;
        check(field, &text).map_err(|expected| {
            let problem = format!("found {text:?}, expected {expected}");
            reader.refuse(&format!("{key}.{name}"), problem)
        })?;
        Ok((field.name, text))
    });
    texts.collect()
}

/// By column, what the files' own words stand for.
fn values(
    reader: &Reader,
    entity: Entity,
    key: &str,
) -> Result<BTreeMap<&'static str, BTreeMap<String, String>>, ConfigError> {
    let columns = reader.optional(key, |value| table(value).cloned())?;
    let columns = columns
        .unwrap_or_default()
        .into_iter()
        .map(|(name, words)| {
            let field = field(reader, entity, key, &name)?;
            let column = format!("{key}.{name}");
            let words = texts(&words).map_err(|problem| reader.refuse(&column, problem.text))?;
            for (word, meant) in &words {
                let is_nothing = meant == "null" && !field.required;
                if let (false, Err(expected)) = (is_nothing, is_word(field, meant)) {
                    let problem = format!("found {meant:?} for {word:?}, expected {expected}");
                    return Err(reader.refuse(&column, problem));
                }
            }
            Ok((field.name, words))
        });
    columns.collect()
}

/// The column of a name, which must be one.
fn field(
    reader: &Reader,
    entity: Entity,
    key: &str,
    name: &str,
) -> Result<&'static Field, ConfigError> {
    let place = entity.field(name);
    place
        .and_then(|place| entity.fields().get(place))
        .ok_or_else(|| {
            let known: Vec<&str> = entity.fields().iter().map(|field| field.name).collect();
            let problem = format!("unknown column, expected one of {}", known.join(", "));
            reader.refuse(&format!("{key}.{name}"), problem)
        })
}

fn table(value: &Value) -> Read<&Table> {
    value.as_table().ok_or_else(|| Problem {
        text: format!("found {}, expected a table", shown(value)),
        wrong_kind: true,
    })
}

/// A table of texts, none of them empty.
fn texts(value: &Value) -> Read<BTreeMap<String, String>> {
    let texts = table(value)?.iter().map(|(name, value)| {
        let found = text(value).map_err(|problem| Problem {
            text: format!("{name}: {}", problem.text),
            ..problem
        })?;
        Ok((name.clone(), found))
    });
    texts.collect()
}
