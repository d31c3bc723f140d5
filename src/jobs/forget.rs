//! Erasing a customer's name and address (GDPR, article 17).

use anyhow::Result;

use super::{Refused, Shop};
use crate::config::{Config, Transport};
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

/// Where a customer's name and address may still stand after [`forget`]: the
/// program cannot tell whose those files are by now. For people to read.
pub fn not_forgotten(config: &Config) -> Vec<String> {
    let mut places = Vec::new();
    if let Some(mail) = &config.mail
        && let Transport::File { dir } = &mail.transport
    {
        places.push(format!("messages that were written into {}", dir.display()));
    }
    if let Some(dir) = &config.import_dir {
        let (dir, done, rejected) = (dir.display(), dir.join("done"), dir.join("rejected"));
        let (done, rejected) = (done.display(), rejected.display());
        places.push(format!("import files in {dir}, {done} and {rejected}"));
    }
    places.push("files that were imported by hand, and the rejects files beside them".to_owned());
    places.push("backups and copies of the database".to_owned());
    places.push("reasons of holds, as somebody worded them".to_owned());
    places
}
