//! From a cell's text to the fact that it holds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::GapInfo;
use email_address::{EmailAddress, Options};

use super::header::Header;
use super::own;
use crate::case::{ClaimType, FactType, Finding, Kind, Value, words};
use crate::policy::{Calendar, Currency, Instant};

/// The longest name of the shop's own, in characters.
const MAX_REF: usize = 200;
/// The longest e-mail address (RFC 5321, 4.5.3.1.3, less the brackets).
const MAX_EMAIL: usize = 254;

/// What cells are read by.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The zone of local times.
    pub calendar: &'a Calendar,
    /// The names that a unit may give as its policy.
    pub policies: &'a BTreeSet<String>,
}

/// Reads a cell of the column at a place that is neither empty nor `null`. The
/// error says what was found and what is expected.
///
/// `currency` is that of the order; an amount without one is not looked at,
/// as the row is refused for the currency already.
pub(super) fn parse(
    header: &Header,
    place: usize,
    text: &str,
    rules: Rules<'_>,
    currency: Option<Currency>,
) -> Result<Option<Value>, String> {
    let Some(field) = header.entity.fields().get(place) else {
        return Ok(None);
    };
    let dialect = &*header.dialect;
    let expected = |what: &str| format!("found {}, expected {what}", found(text));
    let value = match field.fact_type {
        FactType::Ref => Value::Text(name(text)?),
        FactType::Text if field.name == "policy" && !rules.policies.contains(text) => {
            let names: Vec<&str> = rules.policies.iter().map(String::as_str).collect();
            return Err(format!(
                "there is no policy {}: expected one of {}",
                found(text),
                names.join(", ")
            ));
        }
        FactType::Text => Value::Text(text.to_owned()),
        FactType::Email => Value::Text(
            email(text).ok_or_else(|| expected("an e-mail address such as anna@example.com"))?,
        ),
        FactType::Time => {
            let at = parse_time(text, rules.calendar)
                .or_else(|| own::parse_time(text, dialect, rules.calendar))
                .ok_or_else(|| expected(&own::times(dialect)))?;
            Value::Number(at.timestamp_micros())
        }
        FactType::Money => match currency {
            Some(currency) => {
                let plain = match dialect.has_decimal_comma {
                    false => Cow::Borrowed(text),
                    true => own::with_decimal_point(text)
                        .ok_or_else(|| expected("an amount such as 1234,50 or 1.234,50"))?,
                };
                let amount = currency.parse_amount(&plain);
                Value::Number(amount.map_err(|e| e.to_string())?)
            }
            None => return Ok(None),
        },
        FactType::Currency => {
            let currency: Currency = text
                .parse()
                .map_err(|_| expected("an ISO 4217 code of a currency, such as EUR"))?;
            Value::Text(currency.to_string())
        }
        FactType::Flag => Value::Flag(text.parse().map_err(|_| expected("`true` or `false`"))?),
        FactType::Kind => {
            Value::Text(word::<Kind>(text).ok_or_else(|| expected(&words::<Kind>()))?)
        }
        FactType::ClaimType => {
            Value::Text(word::<ClaimType>(text).ok_or_else(|| expected(&words::<ClaimType>()))?)
        }
        FactType::Findings => Value::Text(findings(text, |code| header.meant(place, code))?),
    };
    Ok(Some(value))
}

/// Reads a time: RFC 3339, or a local date with or without a time of day, in
/// the years 1970 to 2200. A local time that does not exist is the first
/// instant after the gap; of one that occurs twice it is the earlier one
/// (spec, section 2).
pub fn parse_time(text: &str, calendar: &Calendar) -> Option<Instant> {
    if let Some(local) = parse_local(text) {
        return is_in_range(local.year()).then(|| local_instant(local, calendar));
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    is_in_range(at.year()).then(|| at.with_timezone(&Utc))
}

pub(super) fn is_in_range(year: i32) -> bool {
    (1970..=2200).contains(&year)
}

/// Reads `YYYY-MM-DD[ HH:MM[:SS]]`, with a `T` for the space too.
fn parse_local(text: &str) -> Option<NaiveDateTime> {
    let number = |from: usize, digits: usize| -> Option<u32> {
        let part = text.get(from..from + digits)?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        part.parse().ok()
    };
    let is = |place: usize, signs: &[u8]| {
        let byte = text.as_bytes().get(place);
        byte.is_some_and(|byte| signs.contains(byte))
    };
    if !is(4, b"-") || !is(7, b"-") {
        return None;
    }
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 2)?, number(8, 2)?)?;
    let (hour, minute, second) = match text.len() {
        10 => (0, 0, 0),
        16 if is(10, b" T") && is(13, b":") => (number(11, 2)?, number(14, 2)?, 0),
        19 if is(10, b" T") && is(13, b":") && is(16, b":") => {
            (number(11, 2)?, number(14, 2)?, number(17, 2)?)
        }
        _ => return None,
    };
    date.and_hms_opt(hour, minute, second)
}

pub(super) fn local_instant(local: NaiveDateTime, calendar: &Calendar) -> Instant {
    match calendar.zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.with_timezone(&Utc),
        LocalResult::None => GapInfo::new(&local, &calendar.zone)
            .and_then(|gap| gap.end)
            .map_or_else(|| local.and_utc(), |end| end.with_timezone(&Utc)),
    }
}

/// A name of the shop's own.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_REF {
        return Err(format!(
            "found a name of more than {MAX_REF} characters, expected a shorter one"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!(
            "found {}, expected a name without line ends or control characters",
            found(text)
        ));
    }
    Ok(text.to_owned())
}

fn email(text: &str) -> Option<String> {
    let options = Options::default()
        .with_required_tld()
        .without_display_text()
        .without_domain_literal();
    let is_plain =
        text.len() <= MAX_EMAIL && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (is_plain && EmailAddress::parse_with_options(text, options).is_ok()).then(|| text.to_owned())
}

/// Codes as they are kept: each once, in the order of the cell.
fn findings<'a>(text: &'a str, meant: impl Fn(&'a str) -> &'a str) -> Result<String, String> {
    let mut codes: Vec<&'static str> = Vec::new();
    for code in text
        .split(';')
        .map(str::trim)
        .filter(|code| !code.is_empty())
    {
        let finding = Finding::from_str(meant(code)).map_err(|_| {
            let known = words::<Finding>();
            format!(
                "found {}, expected codes separated by `;`: {known}",
                found(code)
            )
        })?;
        if !codes.contains(&finding.into()) {
            codes.push(finding.into());
        }
    }
    if codes.is_empty() {
        return Err(format!("found {}, expected codes, or `null`", found(text)));
    }
    Ok(codes.join(";"))
}

fn word<T: FromStr + Into<&'static str>>(text: &str) -> Option<String> {
    T::from_str(text).ok().map(|word| word.into().to_owned())
}

/// A cell as messages show it: on one line, and not too long of it.
pub(super) fn found(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Entity;

    fn read(entity: Entity, name: &str, text: &str) -> Result<Option<Value>, String> {
        let calendar = Calendar::new(chrono_tz::Europe::Berlin, vec![], BTreeSet::new()).unwrap();
        let policies = ["gold".to_owned(), "standard".to_owned()].into();
        let header = Header::of(entity, Vec::new()).unwrap();
        let rules = Rules {
            calendar: &calendar,
            policies: &policies,
        };
        parse(
            &header,
            entity.field(name).unwrap(),
            text,
            rules,
            "EUR".parse().ok(),
        )
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn cells_are_read_by_their_type() {
        use Entity::{Claims, Orders, Units};
        let long = "é".repeat(MAX_REF);
        let at = |text: &str| Value::Number(text.parse::<Instant>().unwrap().timestamp_micros());
        for (entity, field, cell, expected) in [
            (Orders, "order_ref", "O 1", text("O 1")),
            (Orders, "order_ref", &long, text(&long)),
            (Orders, "customer_name", "An\nna", text("An\nna")),
            (
                Orders,
                "customer_email",
                "a+b@shop.example.com",
                text("a+b@shop.example.com"),
            ),
            (Orders, "currency", "EUR", text("EUR")),
            (Orders, "total", "12.5", Value::Number(1_250)),
            (Orders, "withdrawn", "true", Value::Flag(true)),
            (Units, "kind", "software", text("software")),
            (Units, "policy", "gold", text("gold")),
            (Claims, "type", "exchange", text("exchange")),
            (
                Claims,
                "findings",
                "seal_broken; box_damaged;;seal_broken",
                text("seal_broken;box_damaged"),
            ),
            (
                Claims,
                "opened_at",
                "2026-01-31",
                at("2026-01-30T23:00:00Z"),
            ),
            (
                Claims,
                "opened_at",
                "2026-01-31 09:30",
                at("2026-01-31T08:30:00Z"),
            ),
            (
                Claims,
                "opened_at",
                "2026-01-31T09:30:15",
                at("2026-01-31T08:30:15Z"),
            ),
            (
                Claims,
                "opened_at",
                "2026-01-31T09:30:15Z",
                at("2026-01-31T09:30:15Z"),
            ),
            (
                Claims,
                "opened_at",
                "2026-01-31T09:30:15.25+02:00",
                at("2026-01-31T07:30:15.25Z"),
            ),
            // In the gap: the first instant after it. Twice: the earlier one.
            (
                Claims,
                "opened_at",
                "2026-03-29 02:30",
                at("2026-03-29T01:00:00Z"),
            ),
            (
                Claims,
                "opened_at",
                "2026-10-25 02:30",
                at("2026-10-25T00:30:00Z"),
            ),
            (
                Claims,
                "opened_at",
                "1970-01-01",
                at("1969-12-31T23:00:00Z"),
            ),
            (
                Claims,
                "opened_at",
                "2200-12-31",
                at("2200-12-30T23:00:00Z"),
            ),
        ] {
            assert_eq!(
                read(entity, field, cell),
                Ok(Some(expected)),
                "{field} {cell}"
            );
        }
    }

    #[test]
    fn a_cell_that_is_not_of_its_type_is_refused_with_what_is_expected() {
        use Entity::{Claims, Orders, Units};
        let long = "é".repeat(MAX_REF + 1);
        let long_email = format!("a@{}example.com", "a.".repeat(MAX_EMAIL / 2));
        for (entity, field, cell, expected) in [
            (
                Orders,
                "order_ref",
                "O\n1",
                "found `O\\n1`, expected a name without",
            ),
            (Orders, "order_ref", &long, "more than 200 characters"),
            (
                Orders,
                "customer_email",
                "anna",
                "expected an e-mail address",
            ),
            (
                Orders,
                "customer_email",
                "anna@example",
                "expected an e-mail address",
            ),
            (
                Orders,
                "customer_email",
                "Anna <anna@example.com>",
                "expected an e-mail",
            ),
            (
                Orders,
                "customer_email",
                "a@example.com,b@example.com",
                "expected an e-mail",
            ),
            (
                Orders,
                "customer_email",
                "a@example.com\r\nBcc: x@example.com",
                "expected an e-",
            ),
            (
                Orders,
                "customer_email",
                "\"a b\"@example.com",
                "expected an e-mail",
            ),
            (Orders, "customer_email", &long_email, "expected an e-mail"),
            (
                Orders,
                "currency",
                "euro",
                "found `euro`, expected an ISO 4217 code",
            ),
            (Orders, "total", "12,50", "`12,50` is no amount"),
            (Orders, "total", "-1", "`-1` is negative"),
            (Orders, "total", "1.005", "more decimals than EUR has"),
            (
                Orders,
                "withdrawn",
                "yes",
                "found `yes`, expected `true` or `false`",
            ),
            (Units, "kind", "Hardware", "expected hardware, software"),
            (
                Units,
                "policy",
                "silver",
                "no policy `silver`: expected one of gold, standard",
            ),
            (
                Claims,
                "type",
                "broken",
                "expected repair, return, refund, exchange",
            ),
            (
                Claims,
                "findings",
                "seal_broken;wet",
                "found `wet`, expected codes",
            ),
            (Claims, "findings", ";", "expected codes, or `null`"),
            (
                Claims,
                "opened_at",
                "31.01.2026",
                "found `31.01.2026`, expected a time such as",
            ),
            (Claims, "opened_at", "2026-02-30", "expected a time"),
            (Claims, "opened_at", "2026-01-31 24:00", "expected a time"),
            (Claims, "opened_at", "2026-01-31 9:30", "expected a time"),
            (Claims, "opened_at", "2026-1-31", "expected a time"),
            (Claims, "opened_at", "+026-01-31", "expected a time"),
            (Claims, "opened_at", "2026-01-é1", "expected a time"),
            (Claims, "opened_at", "1969-12-31", "expected a time"),
            (
                Claims,
                "opened_at",
                "2201-01-01T00:00:00Z",
                "expected a time",
            ),
        ] {
            let problem = read(entity, field, cell).unwrap_err();
            assert!(problem.contains(expected), "{field} {cell}: {problem}");
        }
    }

    #[test]
    fn what_was_found_is_shown_on_one_line_and_cut() {
        assert_eq!(found("a\r\n\u{1b}b"), "`a\\r\\n\\u{1b}b`");
        assert_eq!(found(&"x".repeat(100)), format!("`{}…`", "x".repeat(60)));
    }
}
