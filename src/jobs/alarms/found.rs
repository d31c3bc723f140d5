//! What is wrong, seen from the database and the disks: values in, values out.

use std::path::PathBuf;

use chrono::TimeDelta;

use super::LocalTime;
use crate::jobs::disk::Room;
use crate::jobs::number_of;
use crate::policy::Instant;
use crate::store::{JobStanding, MailPause};

/// A single failure may be a database that was started anew: a job is in
/// trouble if it fails for longer.
const FAILS_FOR: TimeDelta = TimeDelta::minutes(10);

/// A slot that waits for longer than this is late.
const LATE_FOR: TimeDelta = TimeDelta::minutes(15);

/// A mail server that is away for longer than this is missed.
const PAUSED_FOR: TimeDelta = TimeDelta::minutes(15);

/// How long a message inside the shop may wait.
pub(super) const WAITS_FOR: TimeDelta = TimeDelta::hours(1);

/// A disk with less room than both of these, or than the last, is nearly full.
const LITTLE_SHARE: u64 = 20;
const LITTLE_ROOM: u64 = 5 << 30;
const NO_ROOM: u64 = 100 << 20;

/// What is looked at.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How the jobs fare.
    pub jobs: Vec<JobStanding>,
    /// Jobs with a slot that has waited since.
    pub late: Vec<(String, Instant)>,
    /// Since when the mail server cannot be used.
    pub pause: Option<MailPause>,
    /// Messages inside the shop that have waited for [`WAITS_FOR`], and since
    /// when the oldest does.
    pub waiting: Option<(i64, Instant)>,
    /// The shop's own addresses that mail comes back from.
    pub undeliverable: Vec<String>,
    /// Windows that have no start: in the last daily report, and in that
    /// before.
    pub without_start: (u64, u64),
    /// The disks on which something is written: a directory of each.
    pub disks: Vec<(PathBuf, Room)>,
}

/// Something that is wrong: what, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What, in a few words; the same words are the same alarm.
    pub name: String,
    /// Why, and what to do.
    pub detail: String,
}

/// All that is wrong at `now`.
pub(super) fn found(seen: &Seen, now: Instant, shown: LocalTime) -> Vec<Found> {
    let mut all = Vec::new();
    let mut add = |name: String, detail: String| all.push(Found { name, detail });
    for standing in &seen.jobs {
        let (job, Some((since, error))) = (&standing.job, &standing.failing) else {
            continue;
        };
        if now - *since >= FAILS_FOR {
            let since = shown.of(*since);
            add(
                format!("{job} fails"),
                format!(
                    "Its runs have failed since {since}: {error}. `warrantyd status` shows whether \
                     they still do."
                ),
            );
        }
    }
    for (job, since) in &seen.late {
        if now - *since >= LATE_FOR {
            add(
                format!("{job} is late"),
                format!(
                    "It should have run at {}. See with `warrantyd status` which job is at work.",
                    shown.of(*since)
                ),
            );
        }
    }
    if let Some(pause) = &seen.pause
        && now - pause.since >= PAUSED_FOR
    {
        add(
            "the mail server cannot be used".to_owned(),
            format!(
                "It has not been usable since {}: {}. `warrantyd doctor` tries it.",
                shown.of(pause.since),
                pause.cause
            ),
        );
    }
    if let Some((count, since)) = seen.waiting {
        add(
            "mail inside the shop waits".to_owned(),
            format!(
                "{}, the oldest since {}. See `warrantyd mail list --state ready`.",
                number_of(count, "message"),
                shown.of(since)
            ),
        );
    }
    for address in &seen.undeliverable {
        add(
            format!("mail to {address} comes back"),
            "Nothing is sent there any more. Mend the address in the config, or let mail go again \
             with `warrantyd mail retry`."
                .to_owned(),
        );
    }
    let (newest, before) = seen.without_start;
    if newest > before {
        add(
            "windows have no start".to_owned(),
            format!(
                "{newest} of them, {before} in the report before: a receipt or a confirmation was \
                 not entered. `warrantyd report exceptions` names them."
            ),
        );
    }
    for (dir, room) in seen.disks.iter().filter(|(_, room)| is_nearly_full(room)) {
        add(
            format!("the disk of {} is nearly full", dir.display()),
            format!(
                "{} MiB of {} MiB are free.",
                room.free >> 20,
                room.size >> 20
            ),
        );
    }
    all
}

fn is_nearly_full(room: &Room) -> bool {
    room.free < NO_ROOM || room.free < LITTLE_ROOM && room.free < room.size / LITTLE_SHARE
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn time(text: &str) -> Instant {
        format!("2026-01-01T{text}:00Z").parse().unwrap()
    }

    fn names(seen: &Seen) -> Vec<String> {
        let found = found(seen, time("10:00"), LocalTime(Tz::UTC));
        found.into_iter().map(|found| found.name).collect()
    }

    fn job(failing_since: Option<&str>) -> JobStanding {
        JobStanding {
            job: "enforce".to_owned(),
            last_run: Some(time("09:55")),
            failing: failing_since.map(|since| (time(since), "no room".to_owned())),
        }
    }

    fn disk(free: u64, size: u64) -> (PathBuf, Room) {
        let disk = 1;
        ("/srv".into(), Room { disk, free, size })
    }

    #[test]
    fn each_thing_has_its_alarm_from_its_limit_on() {
        let pause = |since| MailPause {
            since: time(since),
            cause: "down".to_owned(),
            refusals: 3,
            next_try_at: time("10:05"),
        };
        let late = |since| vec![("report".to_owned(), time(since))];
        let seen = Seen::default;
        let mega = 1 << 20;
        #[rustfmt::skip]
        let table: [(Seen, &[&str]); 14] = [
            (seen(), &[]),
            (Seen { jobs: vec![job(None), job(Some("09:51"))], ..seen() }, &[]),
            (Seen { jobs: vec![job(Some("09:50"))], ..seen() }, &["enforce fails"]),
            (Seen { late: late("09:46"), ..seen() }, &[]),
            (Seen { late: late("09:45"), ..seen() }, &["report is late"]),
            (Seen { pause: Some(pause("09:46")), ..seen() }, &[]),
            (Seen { pause: Some(pause("09:45")), ..seen() }, &["the mail server cannot be used"]),
            (Seen { waiting: Some((2, time("08:00"))), ..seen() }, &["mail inside the shop waits"]),
            (
                Seen { undeliverable: vec!["boss@example.com".to_owned()], ..seen() },
                &["mail to boss@example.com comes back"],
            ),
            (Seen { without_start: (3, 3), ..seen() }, &[]),
            (Seen { without_start: (3, 2), ..seen() }, &["windows have no start"]),
            // 4 %, but 40 GB; 6 % of a small one.
            (
                Seen { disks: vec![disk(40 << 30, 1000 << 30), disk(600 * mega, 10_000 * mega)], ..seen() },
                &[],
            ),
            (Seen { disks: vec![disk(400 * mega, 10_000 * mega)], ..seen() }, &["the disk of /srv is nearly full"]),
            (Seen { disks: vec![disk(99 * mega, 200 * mega)], ..seen() }, &["the disk of /srv is nearly full"]),
        ];
        for (seen, expected) in table {
            assert_eq!(names(&seen), expected, "{seen:?}");
        }
    }
}
