//! The clock against what was enforced, and what is held at present.

use super::Check;
use crate::case::Cause;
use crate::jobs::backlog::{Measured, measure};
use crate::jobs::guard::guarded;
use crate::jobs::{Shop, When};
use crate::policy::Instant;

/// Looks at what the next run will find.
pub(super) async fn guards(shop: &Shop, now: Instant) -> Vec<Check> {
    match measure(shop, now).await {
        Ok(measured) => {
            let mut checks = vec![clock(shop, &measured, now)];
            checks.extend(held(shop, &measured));
            checks.extend(measured.undeliverable.iter().map(|address| {
                let found = format!(
                    "mail to {address} came back: mend the address in the config, or let it be \
                     tried again with `mail retry`"
                );
                Check::warn("contacts", found)
            }));
            checks
        }
        Err(error) => vec![Check::fail("guards", format!("{error:#}"))],
    }
}

fn clock(shop: &Shop, measured: &Measured, now: Instant) -> Check {
    let guard = &measured.guard;
    match guarded(guard, When::new(None, now), shop.config.calendar.zone) {
        Err(refused) => Check::fail("clock", refused.to_string()),
        Ok(next) if next.guard.held_since.is_some() && guard.held_since.is_none() => Check::warn(
            "clock",
            "nothing was enforced for more than 7 days: the next run holds customers' notices \
             until `run enforce --at now` says that the clock is right",
        ),
        Ok(_) => Check::ok("clock", "not before what was enforced"),
    }
}

fn held(shop: &Shop, measured: &Measured) -> Vec<Check> {
    let guard = &measured.guard;
    let local = |at: Instant| {
        at.with_timezone(&shop.config.calendar.zone)
            .format("%Y-%m-%d %H:%M %Z")
            .to_string()
    };
    let count = |cause: Cause| {
        let mut held = measured.backlog.notices_held.iter();
        let found = held.find(|(of, _)| *of == cause.to_string());
        found.map_or(0, |(_, count)| *count)
    };
    let mut checks = Vec::new();
    if let Some(since) = guard.held_since {
        let reason = guard.held_reason.as_deref().unwrap_or_default();
        let found = format!(
            "customers' notices are held since {}: {reason}: `run enforce --at now` lets them go \
             if the clock is right",
            local(since)
        );
        checks.push(Check::warn("guards", found));
    }
    if let Some(since) = guard.feed_died_at {
        let found = format!(
            "customers are not told of delays since {}, as no import was completed for \
             import.max_age: import",
            local(since)
        );
        checks.push(Check::warn("guards", found));
    }
    if let Some(restored) = guard.restored {
        let (at, backup_at) = (local(restored.at), local(restored.backup_at));
        let found = format!(
            "customers' mail is held since the database was restored at {at} from a backup of \
             {backup_at}: `mail list --held` shows it, `mail release` lets it go"
        );
        checks.push(Check::warn("guards", found));
    }
    let surge = count(Cause::Surge);
    if surge > 0 {
        let found = format!(
            "too many notices to customers at once are held ({surge}): `mail list --held` shows \
             them, `mail release` or `mail discard` decides"
        );
        checks.push(Check::warn("guards", found));
    }
    if checks.is_empty() {
        let holds = count(Cause::Hold);
        let found = format!("none is on; notices held by somebody's `hold`: {holds}");
        checks.push(Check::ok("guards", found));
    }
    checks
}
