//! How a shop's own files say the facts, as data: a dialect of each kind of
//! import file. The default one is that of the manual.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDateTime, NaiveTime, Timelike, Utc};
use encoding_rs::{Encoding, UTF_8};

use super::{ClaimType, Finding, Kind};
use super::{Entity, FactType, Field};
use crate::policy::{Currency, Instant};

/// How files of one kind are written. Columns are named as in
/// [`Entity::fields`].
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// The files' own names; `*` stands for anything. The manual's names hold
    /// too.
    pub files: Vec<String>,
    /// What stands between the cells, an ASCII character.
    pub delimiter: u8,
    /// How characters are bytes.
    pub encoding: &'static Encoding,
    /// How times are written, beside the manual's ways; the first that fits
    /// holds.
    pub dates: Vec<DateFormat>,
    /// Whether `1.234,50` is meant by amounts, and not `1234.50`.
    pub has_decimal_comma: bool,
    /// The files' own header of a column.
    pub columns: BTreeMap<&'static str, String>,
    /// By column, what the files' own words stand for.
    pub values: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// What a column holds that a file does not have.
    pub constants: BTreeMap<&'static str, String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            delimiter: b',',
            encoding: UTF_8,
            dates: Vec::new(),
            has_decimal_comma: false,
            columns: BTreeMap::new(),
            values: BTreeMap::new(),
            constants: BTreeMap::new(),
        }
    }
}

/// The dialects that are not the default one, by kind.
#[derive(Debug, Clone, Default)]
pub struct Dialects(BTreeMap<Entity, Arc<Dialect>>);

impl Dialects {
    /// The dialect of a kind.
    pub fn of(&self, entity: Entity) -> Arc<Dialect> {
        self.0.get(&entity).cloned().unwrap_or_default()
    }

    /// The first kind whose files have names such as this.
    pub fn entity_of(&self, name: &str) -> Option<Entity> {
        let is_named = |dialect: &Dialect| dialect.files.iter().any(|pattern| fits(pattern, name));
        let found = self.0.iter().find(|(_, dialect)| is_named(dialect));
        found.map(|(entity, _)| *entity)
    }
}

impl FromIterator<(Entity, Dialect)> for Dialects {
    fn from_iter<I: IntoIterator<Item = (Entity, Dialect)>>(dialects: I) -> Self {
        let dialects = dialects.into_iter();
        Self(
            dialects
                .map(|(entity, one)| (entity, Arc::new(one)))
                .collect(),
        )
    }
}

/// Whether a name is of a pattern, whatever the case of its ASCII letters.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name
        .strip_prefix(head)
        .and_then(|name| name.strip_suffix(tail));
    let found = inner.and_then(|inner| {
        let mut parts = middle.split('*');
        parts.try_fold(inner, |rest, part| Some(rest.split_once(part)?.1))
    });
    found.is_some()
}

/// A way in which times are written, in the letters of `strftime`.
#[derive(Debug, Clone, PartialEq)]
pub struct DateFormat {
    text: String,
    items: Vec<Item<'static>>,
}

/// What a text in such a way says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A local time; of a date alone its first moment.
    Local(NaiveDateTime),
    /// A time with its offset.
    Exact(Instant),
}

impl DateFormat {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads a time.
    pub fn read(&self, text: &str) -> Option<Moment> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        if parsed.timestamp().is_some() || parsed.offset().is_some() {
            let at = match parsed.offset() {
                Some(_) => parsed.to_datetime().ok()?.with_timezone(&Utc),
                None => parsed.to_datetime_with_timezone(&Utc).ok()?,
            };
            return Some(Moment::Exact(at));
        }
        let has_time = parsed.hour_mod_12().is_some()
            || parsed.hour_div_12().is_some()
            || parsed.minute().is_some();
        let time = match has_time {
            true => parsed.to_naive_time().ok()?,
            false => NaiveTime::MIN,
        };
        // No leap second: the manual's ways have none either.
        (time.nanosecond() < 1_000_000_000).then_some(())?;
        Some(Moment::Local(parsed.to_naive_date().ok()?.and_time(time)))
    }

    /// Whether a time that is written in this way is read as what it was, or
    /// as its date.
    fn is_whole(&self) -> bool {
        let Ok(sample) = DateTime::parse_from_rfc3339("2031-11-29T16:05:07+01:00") else {
            return false;
        };
        let mut written = String::new();
        let wrote = write!(written, "{}", sample.format_with_items(self.items.iter()));
        let minute = sample.naive_local().with_second(0);
        match self.read(&written) {
            _ if wrote.is_err() => false,
            Some(Moment::Local(at)) => {
                let midnight = sample.date_naive().and_time(NaiveTime::MIN);
                at == midnight || at.with_second(0) == minute
            }
            Some(Moment::Exact(at)) => (sample.with_timezone(&Utc) - at).num_seconds().abs() < 60,
            None => false,
        }
    }
}

impl FromStr for DateFormat {
    type Err = ();

    /// Refuses what does not give a date, or an hour without its minute.
    fn from_str(text: &str) -> Result<Self, ()> {
        let items = StrftimeItems::new(text).parse_to_owned().map_err(drop)?;
        let format = Self {
            text: text.to_owned(),
            items,
        };
        format.is_whole().then_some(format).ok_or(())
    }
}

/// All words of a kind, as messages list them.
pub fn words<T: strum::VariantArray + Copy + Into<&'static str>>() -> String {
    let names: Vec<&str> = T::VARIANTS.iter().map(|word| (*word).into()).collect();
    names.join(", ")
}

/// What a cell of a column may be, where it is one of a few words: the error
/// says what is expected.
pub fn is_word(field: &Field, text: &str) -> Result<(), String> {
    let checked = match field.fact_type {
        FactType::Kind => (Kind::from_str(text).is_ok(), words::<Kind>()),
        FactType::ClaimType => (ClaimType::from_str(text).is_ok(), words::<ClaimType>()),
        FactType::Findings => {
            let mut codes = text.split(';').map(str::trim);
            let are = codes.all(|code| Finding::from_str(code).is_ok());
            (are, words::<Finding>())
        }
        FactType::Flag => (bool::from_str(text).is_ok(), "true, false".to_owned()),
        FactType::Currency => {
            let is = text.parse::<Currency>().is_ok();
            (is, "an ISO 4217 code such as EUR".to_owned())
        }
        _ => return Ok(()),
    };
    match checked {
        (true, _) => Ok(()),
        (false, expected) => Err(expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("export.csv", "Export.CSV", true),
            ("export.csv", "export.csv.gz", false),
            ("best_*.csv", "best_2026.csv", true),
            ("best_*.csv", "best_.csv", true),
            ("best_*.csv", "best.csv", false),
            ("*orders*", "my orders.txt", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*a", "a", false),
            ("*", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_way_to_write_times_gives_a_date_and_no_half_of_a_time() {
        for (format, text, expected) in [
            ("%d.%m.%Y", "01.02.2026", Some("2026-02-01T00:00:00")),
            ("%d.%m.%Y", "1.2.2026", Some("2026-02-01T00:00:00")),
            ("%d.%m.%Y", "31.02.2026", None),
            ("%d.%m.%Y", "01.02.2026 10:00", None),
            (
                "%d/%m/%Y %H:%M",
                "01/02/2026 09:30",
                Some("2026-02-01T09:30:00"),
            ),
            ("%d/%m/%Y %H:%M", "01/02/2026", None),
            (
                "%m/%d/%y %I:%M %p",
                "02/01/26 01:30 PM",
                Some("2026-02-01T13:30:00"),
            ),
            (
                "%Y%m%d%H%M%S",
                "20260201093015",
                Some("2026-02-01T09:30:15"),
            ),
            ("%d.%m.%Y %H:%M:%S", "01.02.2026 09:30:60", None),
        ] {
            let format: DateFormat = format.parse().unwrap();
            let expected = expected.map(|text| Moment::Local(text.parse().unwrap()));
            assert_eq!(format.read(text), expected, "{} {text}", format.text());
        }
        for format in ["%d.%m.%Y %H:%M %z", "%s"] {
            let format: DateFormat = format.parse().unwrap();
            assert!(matches!(format.read("0"), None | Some(Moment::Exact(_))));
        }
        for format in [
            "",
            "%H:%M",
            "%d.%m.",
            "%d.%m.%Y %H",
            "%d.%m.%Y %I:%M",
            "%Q",
            "dd.mm.yyyy",
        ] {
            assert_eq!(format.parse::<DateFormat>(), Err(()), "{format}");
        }
    }
}
