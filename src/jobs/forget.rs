//! Erasing a customer's name and address (GDPR, article 17).

use anyhow::Result;

use super::{Refused, Shop};
use crate::policy::Instant;
use crate::store::{self, Forgotten};

/// Erases what is known of a customer as a person; deadlines and notices stay.
pub async fn forget(shop: &Shop, customer_ref: &str, now: Instant) -> Result<Forgotten> {
    let mut tx = shop.store.write_erasing().await?;
    let order_ids = store::customer_orders(&mut tx, customer_ref).await?;
    if order_ids.is_empty() {
        return Err(Refused(format!("there is no customer `{customer_ref}`")).into());
    }
    // Before the cases: a hold locks in this order.
    store::change_sets_lock(&mut tx).await?;
    // Nobody composes a letter to them meanwhile.
    store::agenda_lock(&mut tx, &order_ids).await?;
    let source = shop.given(&format!("forget {customer_ref}"));
    let forgotten = store::customer_forget(&mut tx, customer_ref, &source, now).await?;
    tx.commit().await?;
    // What was erased stands in SQLite's log until it is emptied.
    shop.store.tidy().await?;
    Ok(forgotten)
}
