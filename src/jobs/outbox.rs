//! The outbox, for people to look into.

use anyhow::Result;

use super::{Refused, Shop};
use crate::case::{Cause, Disposition, Fate};
use crate::mail::address_key;
use crate::policy::Instant;
use crate::store::{self, Given, KeptBack, Message, MessageState};

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
        Cause::Restored => "the database was restored, and this may have been sent before: \
             `warrantyd mail release` lets it go, `mail discard` gives it up"
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

/// Lets a failed or uncertain message be tried again, and mail go to its
/// address, should it have come back from there; `false`: it is neither.
pub async fn message_retry(shop: &Shop, id: i64, now: Instant) -> Result<bool> {
    let mut tx = shop.store.write().await?;
    let Some(message) = store::message_get(&mut tx, id).await? else {
        return Ok(false);
    };
    let address = address_key(&message.draft.recipient);
    let command = shop.given(&format!("mail retry {id}"));
    let change_set = store::change_set_begin(&mut tx, &command, now).await?;
    // While it is known whose notices it carries.
    store::undeliverable_lift(&mut tx, &message, &address, now).await?;
    let found = store::message_retry(&mut tx, id, change_set, now).await?;
    if found {
        tx.commit().await?;
    }
    Ok(found)
}

/// What is kept from customers, each with why; the newest first.
pub async fn kept_back(shop: &Shop, at_most: u32) -> Result<Vec<(KeptBack, String)>> {
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let clock_reason = guard.held_reason.unwrap_or_default();
    let kept = store::notices_kept_back(&mut tx, at_most.into()).await?;
    let with_why = kept.into_iter().map(|kept| {
        let why = why_held(kept.cause, &clock_reason);
        (kept, why)
    });
    Ok(with_why.collect())
}

/// What people did to a message, or what it carries: when, and by which
/// command; each once.
pub async fn commands_on(shop: &Shop, id: i64) -> Result<Vec<Given>> {
    let mut tx = shop.store.read().await?;
    Ok(store::commands_on_message(&mut tx, id).await?)
}

/// What a person let go or gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetGo {
    /// How many notices.
    pub notices: u64,
    /// Whether customers' mail was held since the database was restored, and is
    /// no more.
    pub ends_restore: bool,
}

/// Lets go what the surge guard holds, and what is held since the database was
/// restored: all, or what is about the orders of a name.
pub async fn release(shop: &Shop, name: Option<&str>, now: Instant) -> Result<LetGo> {
    end_holding(shop, "mail release", name, Fate::waits(None), now).await
}

/// Gives it up: it is never told.
pub async fn discard(shop: &Shop, name: Option<&str>, now: Instant) -> Result<LetGo> {
    let discarded = Fate {
        disposition: Disposition::Failed,
        cause: Some(Cause::Discarded),
    };
    end_holding(shop, "mail discard", name, discarded, now).await
}

async fn end_holding(
    shop: &Shop,
    command: &str,
    name: Option<&str>,
    becomes: Fate,
    now: Instant,
) -> Result<LetGo> {
    let mut tx = shop.store.write().await?;
    let source = match name {
        Some(name) => format!("{command} --ref {name}"),
        None => command.to_owned(),
    };
    let change_set = store::change_set_begin(&mut tx, &shop.given(&source), now).await?;
    // No run decides meanwhile.
    let mut guard = store::guard_take(&mut tx).await?;
    let order_ids = match name {
        Some(name) => {
            let named = store::named(&mut tx, name).await?;
            if named.is_empty() {
                let why = format!("--ref: there is no order, unit, claim or customer `{name}`");
                return Err(Refused(why).into());
            }
            Some(named.into_values().flatten().collect::<Vec<i64>>())
        }
        None => None,
    };
    let order_ids = order_ids.as_deref();
    if guard.restored.is_some() {
        let go_out = becomes.disposition.is_waiting();
        store::restored_messages_end(&mut tx, order_ids, go_out, now).await?;
    }
    let let_go = LetGo {
        notices: store::held_end(&mut tx, order_ids, becomes, change_set).await?,
        ends_restore: name.is_none() && guard.restored.take().is_some(),
    };
    if let_go.ends_restore {
        store::guard_write(&mut tx, &guard).await?;
    }
    if let_go.notices > 0 || let_go.ends_restore {
        tx.commit().await?;
    }
    Ok(let_go)
}
