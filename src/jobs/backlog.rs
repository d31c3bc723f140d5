//! What waits and what guards, for whoever measures it often: each look costs
//! a few reads of an index, however much is stored.

use anyhow::Result;
use strum::VariantArray;

use super::Shop;
use crate::case::Cause;
use crate::config::JobName;
use crate::mail::address_key;
use crate::policy::Instant;
use crate::store::{self, Backlog, Guard, LastDone};

/// What customers' notices are held for.
pub const HELD_FOR: [Cause; 4] = [Cause::Clock, Cause::Feed, Cause::Hold, Cause::Surge];

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
    /// Addresses of `[contacts]` that no mail goes to.
    pub contacts_undeliverable: usize,
}

/// Looks at the database.
pub async fn measure(shop: &Shop, now: Instant) -> Result<Measured> {
    let mut tx = shop.store.look().await?;
    let jobs: Vec<String> = JobName::VARIANTS.iter().map(ToString::to_string).collect();
    let keys: Vec<String> = shop.config.contacts.all().map(address_key).collect();
    let keys = keys.iter().map(String::as_str);
    Ok(Measured {
        backlog: store::backlog(&mut tx, now).await?,
        done: store::runs_last_done(&mut tx, jobs.iter().map(String::as_str)).await?,
        guard: store::guard_load(&mut tx).await?,
        imported_at: store::feed_load(&mut tx).await?,
        mail_is_paused: store::mail_pause_load(&mut tx).await?.is_some(),
        contacts_undeliverable: store::undeliverable(&mut tx, keys).await?.len(),
    })
}

/// Fails where the database cannot be read.
pub async fn reach(shop: &Shop) -> Result<()> {
    let mut tx = shop.store.look().await?;
    store::guard_load(&mut tx).await?;
    Ok(())
}
