//! Cells as a shop's own files write them.

use std::borrow::Cow;

use chrono::Datelike;

use super::cell::{is_in_range, local_instant};
use crate::case::{Dialect, Moment};
use crate::policy::{Calendar, Instant};

/// Reads a time in a way of the shop's own.
pub(super) fn parse_time(text: &str, dialect: &Dialect, calendar: &Calendar) -> Option<Instant> {
    match dialect.dates.iter().find_map(|format| format.read(text))? {
        Moment::Local(at) => is_in_range(at.year()).then(|| local_instant(at, calendar)),
        Moment::Exact(at) => is_in_range(at.year()).then_some(at),
    }
}

/// What is expected of a time.
pub(super) fn times(dialect: &Dialect) -> String {
    let own = dialect.dates.iter();
    let own: Vec<String> = own.map(|format| format!("`{}`", format.text())).collect();
    let own = match own.is_empty() {
        true => String::new(),
        false => format!(", or one written as {}", own.join(" or ")),
    };
    format!(
        "a time such as 2026-01-31T09:30:00+01:00, or a local one such as 2026-01-31 or \
         2026-01-31 09:30{own}, in the years 1970 to 2200"
    )
}

/// `1234,50` or `1.234,50` with a point for the comma, and no other sign.
pub(super) fn with_decimal_point(text: &str) -> Option<Cow<'_, str>> {
    let (whole, decimals) = match text.split_once(',') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let mut groups = whole.trim_start_matches('-').split('.');
    let first = groups.next()?;
    let others: Vec<&str> = groups.collect();
    let is_grouped = others.is_empty() || (1..=3).contains(&first.len());
    if !is_grouped || others.iter().any(|group| group.len() != 3) {
        return None;
    }
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !decimals.is_none_or(is_number) {
        return None;
    }
    let whole = whole.replace('.', "");
    Some(match decimals {
        Some(decimals) => format!("{whole}.{decimals}").into(),
        None => whole.into(),
    })
}
