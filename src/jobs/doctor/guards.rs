//! The clock against what was enforced, and what is held at present.

use anyhow::Result;

use super::Check;
use crate::case::Cause;
use crate::jobs::backlog::{Measured, measure};
use crate::jobs::guard::guarded;
use crate::jobs::{Shop, When};
use crate::mail::address_key;
use crate::policy::Instant;
use crate::store;

/// Looks at what the next run will find.
pub(super) async fn guards(shop: &Shop, now: Instant) -> Vec<Check> {
    let looked = async {
        let measured = measure(shop, now).await?;
        let gone = undeliverable(shop).await?;
        anyhow::Ok((measured, gone))
    };
    match looked.await {
        Ok((measured, gone)) => {
            let mut checks = vec![clock(shop, &measured, now)];
            checks.extend(held(shop, &measured));
            checks.extend(gone.into_iter().map(|address| {
                let found = format!(
                    "mail to {address} came back: mend the address in [contacts], or let it be \
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
    if let Some(restored) = guard.restored {
        let found = format!(
            "customers' mail is held, as the database was restored at {}: `mail list --held` \
             shows it, `mail release` lets it go",
            local(restored.at)
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

/// Addresses inside the shop that no mail goes to.
async fn undeliverable(shop: &Shop) -> Result<Vec<String>> {
    let mut tx = shop.store.read().await?;
    let contacts = &shop.config.contacts;
    let keys: Vec<String> = contacts.all().map(address_key).collect();
    let gone = store::undeliverable(&mut tx, keys.iter().map(String::as_str)).await?;
    let mut found: Vec<String> = contacts
        .all()
        .filter(|address| gone.contains(&address_key(address)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}
