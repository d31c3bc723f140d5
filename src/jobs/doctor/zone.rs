//! The time zone data: the program has its own, of the day that it was built.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{Offset, TimeDelta, TimeZone};
use chrono_tz::{IANA_TZDB_VERSION, Tz};

use super::Check;
use crate::policy::Instant;

/// How far ahead the program's data is held against the system's.
const DAYS: i64 = 2 * 366;

/// Holds the zone's offset of each day to come against what the system says.
pub(super) fn zone(zone: Tz, now: Instant) -> Check {
    let name = zone.name();
    let dir = std::env::var_os("TZDIR").map_or("/usr/share/zoneinfo".into(), PathBuf::from);
    let own = format!("{name}, by data {IANA_TZDB_VERSION} of its own");
    let days: Vec<Instant> = (0..DAYS).map(|day| now + TimeDelta::days(day)).collect();
    let Some(system) = system_offsets(&dir.join(name), &days) else {
        let found = format!("{own}; the system has none to compare");
        return Check::ok("time zone", found);
    };
    let differs = days.iter().zip(system).find(|(day, offset)| {
        let ours = zone.offset_from_utc_datetime(&day.naive_utc()).fix();
        ours.local_minus_utc() / 60 != *offset
    });
    match differs {
        None => Check::ok(
            "time zone",
            format!("{own}, which agrees with the system's for two years"),
        ),
        Some((day, _)) => {
            let (day, theirs) = (day.date_naive(), version(&dir));
            let found = format!(
                "{own}, and the system's{theirs} differ from {day} on: the newer one is right; \
                 update the system's (tzdata), or warrantyd"
            );
            Check::warn("time zone", found)
        }
    }
}

fn version(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("tzdata.zi")).unwrap_or_default();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# version "));
    version.map_or_else(String::new, |version| format!(" of {version}"))
}

/// The offsets of a zone's file at some instants, in minutes east; `None`: the
/// system cannot say.
fn system_offsets(file: &Path, at: &[Instant]) -> Option<Vec<i32>> {
    if !file.exists() {
        return None;
    }
    let mut zone = std::ffi::OsString::from(":");
    zone.push(file);
    let mut date = Command::new("date")
        .args(["-f", "-", "+%z"])
        .env("TZ", zone)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let lines: String = at
        .iter()
        .map(|at| format!("@{}\n", at.timestamp()))
        .collect();
    // What it answers to all of it fits into a pipe.
    let written = date.stdin.take()?.write_all(lines.as_bytes());
    let output = date.wait_with_output().ok()?;
    written.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let offsets: Option<Vec<i32>> = text.lines().map(minutes).collect();
    offsets.filter(|offsets| offsets.len() == at.len())
}

/// `+0530` in minutes.
fn minutes(offset: &str) -> Option<i32> {
    let number: i32 = offset.parse().ok()?;
    Some(number / 100 * 60 + number % 100)
}
