//! The course of an alarm: it is found, told, told again while it lasts, and
//! told to be over once it was away for a while. Values in, values out.

use chrono::TimeDelta;

use super::found::Found;
use crate::policy::Instant;
use crate::store::Alarm;

/// What comes and goes is over if it stays away for so long.
const OVER_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Ops get a mail about alarms at most this often.
const BETWEEN_MAILS: TimeDelta = TimeDelta::minutes(30);

/// Where the alarms are, and what ops are to be told now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// What is to be kept.
    pub kept: Vec<Alarm>,
    /// What lasts and is to be told, for the first time or again.
    pub lasting: Vec<Alarm>,
    /// What is over and is to be told.
    pub over: Vec<Alarm>,
}

/// Holds what was found at `now` against what was kept. A time in the future
/// is one of a clock that was wrong: it counts as long ago.
pub(super) fn course(
    kept: Vec<Alarm>,
    found: Vec<Found>,
    now: Instant,
    repeat: TimeDelta,
) -> Course {
    let is_ago = |at: Instant, span: TimeDelta| at > now || now - at >= span;
    let last_mail = kept.iter().filter_map(|alarm| alarm.told_at).max();
    let may_mail = last_mail.is_none_or(|at| is_ago(at, BETWEEN_MAILS));
    let mut course = Course::default();
    for mut alarm in followed(kept, found, now) {
        // Or before it was over and came again.
        let is_told = alarm.told_at.is_some_and(|at| at >= alarm.since);
        let is_over = alarm.ended_at.is_some_and(|at| is_ago(at, OVER_AFTER));
        if alarm.ended_at.is_none() {
            let is_due = alarm.told_at.is_none_or(|at| is_ago(at, repeat));
            if (is_due || !is_told) && may_mail {
                alarm.told_at = Some(now);
                course.lasting.push(alarm.clone());
            }
        } else if is_over && is_told && !alarm.over_told && may_mail {
            alarm.told_at = Some(now);
            alarm.over_told = true;
            course.over.push(alarm.clone());
        }
        // One that was told is kept until the next mail may go.
        let is_done = is_over
            && match alarm.told_at {
                Some(at) => alarm.over_told && is_ago(at, BETWEEN_MAILS),
                None => true,
            };
        if !is_done {
            course.kept.push(alarm);
        }
    }
    course
}

/// What was kept, found again or not, and what was found for the first time.
fn followed(kept: Vec<Alarm>, mut found: Vec<Found>, now: Instant) -> Vec<Alarm> {
    let mut all = Vec::with_capacity(kept.len() + found.len());
    for mut alarm in kept {
        match found.iter().position(|found| found.name == alarm.name) {
            Some(place) => {
                alarm.detail = found.swap_remove(place).detail;
                if alarm.over_told {
                    alarm.since = now;
                }
                alarm.over_told = false;
                alarm.ended_at = None;
            }
            None => alarm.ended_at = alarm.ended_at.or(Some(now)),
        }
        all.push(alarm);
    }
    all.extend(
        found
            .into_iter()
            .map(|found| begun(found.name, found.detail, now)),
    );
    all
}

fn begun(name: String, detail: String, now: Instant) -> Alarm {
    Alarm {
        name,
        detail,
        since: now,
        ended_at: None,
        told_at: None,
        over_told: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEAT: TimeDelta = TimeDelta::days(1);

    /// Plays minutes, each with what is found, and gives the mails.
    fn mails(played: &[(i64, &[&str])]) -> Vec<String> {
        let start: Instant = "2026-01-01T00:00:00Z".parse().unwrap();
        let (mut kept, mut mails) = (Vec::new(), Vec::new());
        let last = played.last().map_or(0, |(minute, _)| *minute);
        let mut names: &[&str] = &[];
        for minute in 0..=last {
            if let Some((_, found)) = played.iter().find(|(at, _)| *at == minute) {
                names = found;
            }
            let found = names.iter().map(|name| Found {
                name: (*name).to_owned(),
                detail: "why".to_owned(),
            });
            let now = start + TimeDelta::minutes(minute);
            let course = course(kept, found.collect(), now, REPEAT);
            let told = |alarms: &[Alarm]| {
                let names: Vec<&str> = alarms.iter().map(|alarm| alarm.name.as_str()).collect();
                names.join("+")
            };
            if !course.lasting.is_empty() || !course.over.is_empty() {
                let (lasting, over) = (told(&course.lasting), told(&course.over));
                mails.push(format!("{minute}: {lasting} / {over}"));
            }
            kept = course.kept;
        }
        mails
    }

    #[test]
    fn what_lasts_is_told_once_a_day_and_then_that_it_is_over() {
        let played: [(i64, &[&str]); 3] = [(5, &["a"]), (3_000, &[]), (4_000, &[])];
        assert_eq!(
            mails(&played),
            ["5: a / ", "1445: a / ", "2885: a / ", "3015:  / a"]
        );
    }

    #[test]
    fn what_comes_and_goes_is_one_alarm() {
        let played: [(i64, &[&str]); 6] = [
            (0, &["a"]),
            (10, &[]),
            (20, &["a"]),
            (25, &[]),
            (35, &["a"]),
            (100, &["a"]),
        ];
        assert_eq!(mails(&played), ["0: a / "]);
    }

    #[test]
    fn alarms_that_follow_each_other_share_a_mail() {
        let played: [(i64, &[&str]); 4] = [
            (0, &["a"]),
            (1, &["a", "b"]),
            (2, &["a", "b", "c"]),
            (60, &["a", "b", "c"]),
        ];
        assert_eq!(mails(&played), ["0: a / ", "30: b+c / "]);
    }

    #[test]
    fn what_was_over_and_comes_again_is_told_again() {
        let played: [(i64, &[&str]); 5] =
            [(0, &["a"]), (40, &[]), (60, &["a"]), (200, &[]), (400, &[])];
        assert_eq!(
            mails(&played),
            ["0: a / ", "55:  / a", "85: a / ", "215:  / a"]
        );
    }

    #[test]
    fn what_was_gone_before_it_could_be_told_is_forgotten() {
        let played: [(i64, &[&str]); 4] =
            [(0, &["a"]), (1, &["a", "b"]), (2, &["a"]), (100, &["a"])];
        assert_eq!(mails(&played), ["0: a / "]);
    }

    #[test]
    fn a_clock_that_went_back_silences_nothing() {
        let told: Instant = "2026-06-01T00:00:00Z".parse().unwrap();
        let mut alarm = begun("a".to_owned(), "why".to_owned(), told);
        alarm.told_at = Some(told);
        let found = Found {
            name: "a".to_owned(),
            detail: "why".to_owned(),
        };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let course = course(vec![alarm], vec![found], now, REPEAT);
        assert_eq!(course.lasting.len(), 1);
    }
}
