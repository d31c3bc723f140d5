//! What waits and what guards, for whoever measures it often: each look costs
//! a few reads of an index, however much is stored.

use std::collections::BTreeSet;

use anyhow::Result;
use strum::VariantArray;

use super::Shop;
use crate::case::Cause;
use crate::config::{Config, JobName};
use crate::mail::address_key;
use crate::policy::Instant;
use crate::store::{self, Backlog, Guard, LastDone, Tx};

/// What customers' notices are held for.
pub const HELD_FOR: [Cause; 5] = [
    Cause::Clock,
    Cause::Feed,
    Cause::Hold,
    Cause::Surge,
    Cause::Restored,
];

/// What was read of a database.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What waits.
    pub backlog: Backlog,
    /// The last run of each job that was done.
    pub done: Vec<LastDone>,
    /// Up to when was enforced, and what holds customers' notices.
    pub guard: Guard,
    /// When an import was last completed.
    pub imported_at: Option<Instant>,
    /// Whether the mail server cannot be used.
    pub mail_is_paused: bool,
    /// The shop's own addresses that no mail goes to.
    pub undeliverable: Vec<String>,
}

/// Looks at the database.
pub async fn measure(shop: &Shop, now: Instant) -> Result<Measured> {
    let mut tx = shop.store.look().await?;
    let jobs: Vec<String> = JobName::VARIANTS.iter().map(ToString::to_string).collect();
    Ok(Measured {
        backlog: store::backlog(&mut tx, now).await?,
        done: store::runs_last_done(&mut tx, jobs.iter().map(String::as_str)).await?,
        guard: store::guard_load(&mut tx).await?,
        imported_at: store::feed_load(&mut tx).await?,
        mail_is_paused: store::mail_pause_load(&mut tx).await?.is_some(),
        undeliverable: undeliverable(&mut tx, &shop.config).await?,
    })
}

/// The shop's own addresses that no mail goes to any more, in their order.
pub async fn undeliverable(tx: &mut Tx<'_>, config: &Config) -> Result<Vec<String>> {
    let recipients = config.reports.recipients.iter().map(String::as_str);
    let own: BTreeSet<&str> = config.contacts.all().chain(recipients).collect();
    let keys: Vec<String> = own.iter().map(|address| address_key(address)).collect();
    let gone = store::undeliverable(tx, keys.iter().map(String::as_str)).await?;
    let is_gone = |address: &&str| gone.contains(&address_key(address));
    Ok(own.into_iter().filter(is_gone).map(str::to_owned).collect())
}

/// Fails where the database cannot be read.
pub async fn reach(shop: &Shop) -> Result<()> {
    let mut tx = shop.store.look().await?;
    store::guard_load(&mut tx).await?;
    Ok(())
}
