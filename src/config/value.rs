//! What a value of the configuration may be: from TOML to the program's types.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::{NaiveDate, TimeDelta, Weekday};
use email_address::{EmailAddress, Options};
use toml::Value;

use super::Database;

/// Days of the longest span: longer ones are slips of the pen.
const MAX_SPAN_DAYS: i64 = 3_660;

/// Why a value was refused.
pub(super) struct Problem {
    /// What was found and what is expected.
    pub(super) text: String,
    /// The value is of another TOML kind, or a string where a list belongs:
    /// read in another way it might do.
    pub(super) wrong_kind: bool,
}

pub(super) type Read<T> = Result<T, Problem>;

/// A value as a message shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Table(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn wrong_kind(value: &Value, expected: &str) -> Problem {
    Problem {
        wrong_kind: true,
        ..refused(value, expected)
    }
}

fn refused(value: &Value, expected: &str) -> Problem {
    Problem {
        text: format!("found {}, expected {expected}", shown(value)),
        wrong_kind: false,
    }
}

/// A string that `parse` understands.
pub(super) fn parsed<T>(
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> impl Fn(&Value) -> Read<T> {
    move |value| {
        let text = value.as_str().ok_or_else(|| wrong_kind(value, expected))?;
        parse(text).ok_or_else(|| refused(value, expected))
    }
}

/// A string of a type that reads itself.
pub(super) fn named<T: FromStr>(expected: &str) -> impl Fn(&Value) -> Read<T> {
    parsed(expected, |text| text.parse().ok())
}

/// One line of text that is not empty.
pub(super) fn text(value: &Value) -> Read<String> {
    parsed("one line of text", |text| {
        let text = text.trim();
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
    })(value)
}

/// A whole number in a range.
pub(super) fn number(range: RangeInclusive<usize>) -> impl Fn(&Value) -> Read<usize> {
    move |value| {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let found = value.as_integer();
        let found = found.ok_or_else(|| wrong_kind(value, &expected))?;
        let found = usize::try_from(found).ok();
        let found = found.filter(|found| range.contains(found));
        found.ok_or_else(|| refused(value, &expected))
    }
}

/// What may stand between the fields of CSV; `tab` is a tab.
pub fn delimiter(text: &str) -> Option<u8> {
    match text {
        "," => Some(b','),
        ";" => Some(b';'),
        "\t" | "tab" => Some(b'\t'),
        _ => None,
    }
}

/// A path, as written.
pub(super) fn path(value: &Value) -> Read<PathBuf> {
    text(value).map(PathBuf::from)
}

/// A list of values, each of which `item` understands.
pub(super) fn list<T>(
    expected: &str,
    item: impl Fn(&Value) -> Read<T>,
) -> impl Fn(&Value) -> Read<Vec<T>> {
    move |value| match value {
        Value::Array(items) => items.iter().map(&item).collect(),
        other => Err(wrong_kind(other, expected)),
    }
}

pub(super) fn lines(value: &Value) -> Read<Vec<String>> {
    list("a list of lines in square brackets", text)(value)
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    value
        .as_bool()
        .ok_or_else(|| wrong_kind(value, "true or false"))
}

/// A TOML date, or the same as a string.
pub(super) fn date(value: &Value) -> Read<NaiveDate> {
    let expected = "a date such as 2026-12-25";
    match value {
        Value::Datetime(found) => found.to_string().parse().ok(),
        Value::String(found) => found.parse().ok(),
        other => return Err(wrong_kind(other, expected)),
    }
    .ok_or_else(|| refused(value, expected))
}

pub(super) fn dates(value: &Value) -> Read<BTreeSet<NaiveDate>> {
    let dates = list("a list of dates such as [2026-12-25]", date)(value)?;
    Ok(dates.into_iter().collect())
}

/// Elapsed time, in the words of humantime.
pub(super) fn span(value: &Value) -> Read<TimeDelta> {
    parsed("a span such as \"3 days\", at most 10 years", |text| {
        let span = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
        (span <= TimeDelta::days(MAX_SPAN_DAYS)).then_some(span)
    })(value)
}

/// The same of a length that is at least `least`, in words.
pub(super) fn span_of(least: TimeDelta, words: &str, value: &Value) -> Read<TimeDelta> {
    let found = span(value)?;
    match found >= least {
        true => Ok(found),
        false => Err(refused(value, &format!("a span of at least {words}"))),
    }
}

pub(super) fn weekdays(value: &Value) -> Read<Vec<Weekday>> {
    let expected = "a list of days such as [\"sat\", \"sun\"]";
    list(expected, named("a day such as \"sat\""))(value)
}

/// An e-mail address without a display name.
pub(super) fn address(value: &Value) -> Read<String> {
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    parsed(
        "an e-mail address such as \"ops@example.com\"",
        move |text| {
            EmailAddress::parse_with_options(text, options)
                .ok()
                .map(|address| address.as_str().to_owned())
        },
    )(value)
}

pub(super) fn addresses(value: &Value) -> Read<Vec<String>> {
    let expected = "a list of e-mail addresses such as [\"ops@example.com\"]";
    list(expected, address)(value)
}

/// The URL of a database. One that cannot be used is not shown: it may hold a
/// password.
pub(super) fn database(value: &Value) -> Read<Database> {
    let url = value
        .as_str()
        .ok_or_else(|| wrong_kind(value, Database::EXPECTED))?;
    match url.split_once("://") {
        Some(("sqlite", path))
            if !path.is_empty() && !path.starts_with(':') && !path.contains('?') =>
        {
            Ok(Database::Sqlite(PathBuf::from(path)))
        }
        Some(("postgres" | "postgresql", address)) if !address.is_empty() => {
            Ok(Database::Postgres(url.to_owned()))
        }
        Some((scheme, _)) if scheme != "sqlite" => Err(Problem {
            text: format!("found {scheme}://: expected {}", Database::EXPECTED),
            wrong_kind: false,
        }),
        _ => Err(refused(value, Database::EXPECTED)),
    }
}

/// A port of this machine that nobody else can reach.
pub(super) fn loopback(value: &Value) -> Read<SocketAddr> {
    let address = named::<SocketAddr>("an address with a port such as \"127.0.0.1:9464\"")(value)?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(refused(
            value,
            "a loopback address such as \"127.0.0.1:9464\": what is served there is for \
             everybody who can reach it, so put a proxy with TLS and a login in front of it",
        )),
    }
}

/// The URL of a mail server. What stands behind the host is the mail room's to
/// read; a login in it is refused, and not shown.
pub(super) fn smtp_url(value: &Value) -> Read<String> {
    let expected = "smtp://HOST[:PORT] or smtps://HOST[:PORT]";
    let url = value.as_str().ok_or_else(|| wrong_kind(value, expected))?;
    if url.contains('@') {
        return Err(Problem {
            text: "found a login in the URL, expected it in mail.username and mail.password_file"
                .to_owned(),
            wrong_kind: false,
        });
    }
    match url.split_once("://") {
        Some(("smtp" | "smtps", rest))
            if !rest.is_empty() && !rest.contains(char::is_whitespace) =>
        {
            Ok(url.to_owned())
        }
        _ => Err(refused(value, expected)),
    }
}

/// Domains of addresses, in ASCII; at least one.
pub(super) fn domains(value: &Value) -> Read<Vec<String>> {
    let expected = "a list of domains such as [\"example.com\"]";
    let domain = parsed("a domain such as \"example.com\"", |text| {
        let domain = idna::domain_to_ascii(text).ok()?;
        EmailAddress::is_valid(&format!("a@{domain}")).then_some(domain)
    });
    let domains = list(expected, domain)(value)?;
    match domains.is_empty() {
        true => Err(refused(value, expected)),
        false => Ok(domains),
    }
}

/// The template of a page's address, with a place for what names a message.
pub(super) fn unsubscribe_url(value: &Value) -> Read<String> {
    let expected = "a page with a place for the message, such as \"https://example.com/stop/{id}\"";
    parsed(expected, |text| {
        let url = url::Url::parse(&text.replace("{id}", "id")).ok()?;
        let is_plain = text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
        (url.scheme() == "https" && is_plain && text.contains("{id}")).then(|| text.to_owned())
    })(value)
}
