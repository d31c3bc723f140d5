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

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::super::tests::parse;
    use super::*;

    const LEAST: &str = "database.url = \"sqlite://w.db\"\n\
        business.name = \"Shop\"\n\
        business.timezone = \"Europe/Rome\"\n";

    #[test]
    fn a_dialect_is_of_its_kind_and_the_others_are_the_manual_s() {
        let text = "[import.units]\ndelimiter = \"tab\"\nencoding = \"latin1\"\ndecimal = \",\"\n\
                    files = [\"a_*.txt\"]\nvalues = { kind = { x = \"software\" }, serial = { none = \"null\" } }\n\
                    columns = { unit_ref = \"Nr.\" }\n";
        let dialects = parse(&format!("{LEAST}{text}"), &[]).unwrap().dialects;
        let units = dialects.of(Entity::Units);
        assert_eq!((units.delimiter, units.encoding), (b'\t', WINDOWS_1252));
        assert!(units.has_decimal_comma);
        assert_eq!(units.columns["unit_ref"], "Nr.");
        assert_eq!(units.values["kind"]["x"], "software");
        assert_eq!(dialects.entity_of("A_1.TXT"), Some(Entity::Units));
        assert_eq!(*dialects.of(Entity::Orders), Dialect::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (text, expected) in [
            (
                "delimiter = \"::\"",
                "5: import.units.delimiter: found \"::\", expected \",\", \";\", \"|\" or \"tab\"",
            ),
            (
                "encoding = \"ansi\"",
                "5: import.units.encoding: found \"ansi\", expected the name of an encoding such as",
            ),
            (
                "decimal = \";\"",
                "5: import.units.decimal: found \";\", expected \".\" or \",\"",
            ),
            (
                "dates = [\"dd.mm.yyyy\"]",
                "5: import.units.dates: found \"dd.mm.yyyy\", expected a format with year, month and day",
            ),
            (
                "dates = \"%d.%m.%Y\"",
                "5: import.units.dates: found \"%d.%m.%Y\", expected a list of formats",
            ),
            (
                "files = [\"\"]",
                "5: import.units.files: found \"\", expected one line of text",
            ),
            (
                "columns = { price = 1 }",
                "5: import.units.columns: price: found 1, expected one line of text",
            ),
            (
                "columns = { prize = \"a\" }",
                "5: import.units.columns.prize: unknown column, expected one of unit_ref, order_ref",
            ),
            (
                "[import.units.columns]\n\ntotal = \"a\"",
                "7: import.units.columns.total: unknown column",
            ),
            (
                "columns = \"a\"",
                "5: import.units.columns: found \"a\", expected a table",
            ),
            (
                "constants = { kind = \"toy\" }",
                "5: import.units.constants.kind: found \"toy\", expected hardware, software",
            ),
            (
                "constants = { sku = \"a\" }\ncolumns = { sku = \"b\" }",
                "5: import.units.constants.sku: found a column for it too, in [import.units.columns]",
            ),
            (
                "values = { kind = { a = \"b\" } }",
                "5: import.units.values.kind: found \"b\" for \"a\", expected hardware, software",
            ),
            (
                "values = { kind = { a = \"null\" } }",
                "5: import.units.values.kind: found \"null\" for \"a\", expected hardware",
            ),
            (
                "values = { withdrawn = { a = \"1\" } }",
                "found \"1\" for \"a\", expected true, false",
            ),
            (
                "seperator = \";\"",
                "5: import.units.seperator: unknown key, expected one of files, delimiter",
            ),
        ] {
            let text = format!("{LEAST}[import.units]\n{text}\n");
            let error = parse(&text, &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\nexpected {expected}");
        }
    }
}
