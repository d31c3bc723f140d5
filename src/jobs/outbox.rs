//! The outbox, for people to look into.

use anyhow::Result;

use super::Shop;
use crate::case::Cause;
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

/// Why a notice is held, and what lets it go; `clock_reason` is what made
/// somebody doubt the clock.
pub fn why_held(cause: Cause, clock_reason: &str) -> String {
    match cause {
        Cause::Clock => clock_reason.to_owned(),
        Cause::Hold => "held by a person: `warrantyd unhold` lets it go".to_owned(),
        Cause::Feed => "no import was completed for too long: the next one lets it go".to_owned(),
        Cause::Surge => "more messages at once than mail.surge_limit: `warrantyd mail release` \
             lets it go, `mail discard` gives it up"
            .to_owned(),
        Cause::Uncertain => "the server's answer never came".to_owned(),
        Cause::Discarded => "discarded by a person".to_owned(),
    }
}

/// One message.
pub async fn message(shop: &Shop, id: i64) -> Result<Option<Message>> {
    let mut tx = shop.store.read().await?;
    Ok(store::message_get(&mut tx, id).await?)
}

/// Lets a failed or uncertain message be tried again; `false`: it is neither.
pub async fn message_retry(shop: &Shop, id: i64, now: Instant) -> Result<bool> {
    let mut tx = shop.store.write().await?;
    let found = store::message_retry(&mut tx, id, now).await?;
    tx.commit().await?;
    Ok(found)
}
