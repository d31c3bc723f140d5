//! How the rules of two times differ.

use std::collections::BTreeSet;

use chrono::Weekday;

use super::super::book::Kept;

/// Each rule that differs: what is said of it, and the rules of now with that
/// one as it was then.
pub(super) fn differences(now: &Kept, then: &Kept) -> Vec<(Vec<String>, Kept)> {
    let mut found = Vec::new();
    if now.policies != then.policies {
        let (policies, mut trial) = (then.policies.clone(), now.clone());
        trial.policies = policies;
        found.push((policy_lines(now, then), trial));
    }
    if now.timezone != then.timezone {
        let line = format!("business.timezone: {} → {}", then.timezone, now.timezone);
        let mut trial = now.clone();
        trial.timezone = then.timezone;
        found.push((vec![line], trial));
    }
    if now.weekend != then.weekend {
        let line = format!(
            "business.weekend: {} → {}",
            list(&then.weekend),
            list(&now.weekend)
        );
        let mut trial = now.clone();
        trial.weekend = then.weekend.clone();
        found.push((vec![line], trial));
    }
    if now.holidays != then.holidays {
        let gone = then.holidays.difference(&now.holidays);
        let gone = gone.map(|day| format!("business.holidays: {day} was one"));
        let added = now.holidays.difference(&then.holidays);
        let added = added.map(|day| format!("business.holidays: {day} is one now"));
        let mut trial = now.clone();
        trial.holidays = then.holidays.clone();
        found.push((gone.chain(added).collect(), trial));
    }
    if now.stuck_after != then.stuck_after {
        let days = |kept: &Kept| kept.stuck_after.unwrap_or_default().as_seconds_f64() / 86_400.0;
        let line = format!("business.stuck_after: {} → {} days", days(then), days(now));
        let mut trial = now.clone();
        trial.stuck_after = then.stuck_after;
        found.push((vec![line], trial));
    }
    found
}

fn policy_lines(now: &Kept, then: &Kept) -> Vec<String> {
    let ids: BTreeSet<&String> = now.policies.keys().chain(then.policies.keys()).collect();
    let shown = |kept: &Kept, id| kept.policies.get(id).cloned().unwrap_or("none".to_owned());
    let differs = ids
        .into_iter()
        .filter(|id| now.policies.get(*id) != then.policies.get(*id));
    differs
        .map(|id| format!("policy {id}: {} → {}", shown(then, id), shown(now, id)))
        .collect()
}

fn list(days: &[Weekday]) -> String {
    let days: Vec<String> = days.iter().map(ToString::to_string).collect();
    days.join(", ")
}
