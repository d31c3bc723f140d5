//! The outbox, for people to look into.

use anyhow::Result;

use super::Shop;
use crate::mail::address_key;
use crate::policy::Instant;
use crate::store::{self, Message, MessageState};

/// The newest messages, only those of a state if one is named. Without their
/// bytes.
pub async fn messages(
    shop: &Shop,
    state: Option<MessageState>,
    at_most: u32,
) -> Result<Vec<Message>> {
    let mut tx = shop.store.read().await?;
    Ok(store::messages_list(&mut tx, state, at_most.into()).await?)
}

/// One message.
pub async fn message(shop: &Shop, id: i64) -> Result<Option<Message>> {
    let mut tx = shop.store.read().await?;
    Ok(store::message_get(&mut tx, id).await?)
}

/// Lets a failed or uncertain message be tried again, and mail go to its
/// address, should it have come back from there; `false`: it is neither.
pub async fn message_retry(shop: &Shop, id: i64, now: Instant) -> Result<bool> {
    let mut tx = shop.store.write().await?;
    let Some(message) = store::message_get(&mut tx, id).await? else {
        return Ok(false);
    };
    let address = address_key(&message.draft.recipient);
    // While it is known whose notices it carries.
    store::undeliverable_lift(&mut tx, &message, &address, now).await?;
    let found = store::message_retry(&mut tx, id, now).await?;
    if found {
        tx.commit().await?;
    }
    Ok(found)
}
