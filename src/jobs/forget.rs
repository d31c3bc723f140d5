//! Erasing a customer's name and address (GDPR, article 17).

use anyhow::{Context, Result};

use super::{Refused, Shop};
use crate::policy::Instant;
use crate::store::{self, Forgotten};

/// Erases what is known of a customer as a person; deadlines and notices stay.
pub async fn forget(shop: &Shop, customer_ref: &str, now: Instant) -> Result<Forgotten> {
    let mut tx = shop.store.write_erasing().await?;
    store::customer_exists(&mut tx, customer_ref)
        .await?
        .then_some(())
        .with_context(|| Refused(format!("there is no customer `{customer_ref}`")))?;
    let forgotten = store::customer_forget(&mut tx, customer_ref, now).await?;
    tx.commit().await?;
    // What was erased stands in SQLite's log until it is emptied.
    shop.store.tidy().await?;
    Ok(forgotten)
}
