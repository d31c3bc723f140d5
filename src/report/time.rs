//! Times and dates as text.
//!
//! A large report is mostly these: what is common is written digit by digit,
//! the rest by chrono.

use std::fmt::{Result, Write};

use chrono::{Datelike, NaiveDate, Offset, SecondsFormat, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::policy::Instant;

/// Appends a time in RFC 3339 with the zone's offset; fractions of a second
/// only where there are any.
pub(super) fn print_time(at: Instant, zone: Tz, out: &mut String) -> Result {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let local = at.with_timezone(&offset);
    let (date, time) = (local.date_naive(), local.time());
    let seconds = offset.local_minus_utc();
    if time.nanosecond() != 0 || seconds % 60 != 0 {
        return out.write_str(&local.to_rfc3339_opts(SecondsFormat::AutoSi, false));
    }
    print_date(date, out)?;
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    for (before, number) in [
        ('T', time.hour()),
        (':', time.minute()),
        (':', time.second()),
        (sign, minutes / 60),
        (':', minutes % 60),
    ] {
        out.push(before);
        two_digits(number, out);
    }
    Ok(())
}

/// Appends a date, year first.
pub(super) fn print_date(date: NaiveDate, out: &mut String) -> Result {
    let Some(year) = u32::try_from(date.year())
        .ok()
        .filter(|year| *year < 10_000)
    else {
        return write!(out, "{date}");
    };
    two_digits(year / 100, out);
    two_digits(year % 100, out);
    for number in [date.month(), date.day()] {
        out.push('-');
        two_digits(number, out);
    }
    Ok(())
}

fn two_digits(number: u32, out: &mut String) {
    for digit in [number / 10, number % 10] {
        out.push(char::from_digit(digit, 10).unwrap_or('?'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates_are_written_as_chrono_does() {
        for zone in [
            "UTC",
            "Europe/Rome",
            "Asia/Kolkata",
            "America/St_Johns",
            "Africa/Monrovia",
        ] {
            let zone: Tz = zone.parse().unwrap();
            for at in [
                "1900-01-01T00:00:00Z",
                "1969-12-31T23:59:59.999999Z",
                "2025-01-31T23:00:00Z",
                "2025-03-30T00:59:59Z",
                "2025-03-30T01:00:00Z",
                "2025-07-01T10:00:00.25Z",
                "9999-12-31T23:59:59Z",
            ] {
                let at: Instant = at.parse().unwrap();
                let local = at.with_timezone(&zone);
                let mut found = String::new();
                print_time(at, zone, &mut found).unwrap();
                assert_eq!(found, local.to_rfc3339_opts(SecondsFormat::AutoSi, false));
                let mut found = String::new();
                print_date(local.date_naive(), &mut found).unwrap();
                assert_eq!(found, local.date_naive().to_string());
            }
        }
        for date in [NaiveDate::MIN, NaiveDate::MAX] {
            let mut found = String::new();
            print_date(date, &mut found).unwrap();
            assert_eq!(found, date.to_string());
        }
    }
}
