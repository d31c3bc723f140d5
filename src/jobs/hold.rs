//! Holding and lifting, opting out and in. What changes is looked at again by
//! the next `enforce`; `deliver` sends nothing that is held meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Refused, Shop};
use crate::case::{Hold, HoldKind};
use crate::policy::Instant;
use crate::store::{self, StoredHold, Tx};

/// What somebody holds, or no longer holds.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, where several things have the name.
    pub kind: Option<HoldKind>,
}

/// Holds customers' notices from now on, until somebody lifts the hold or
/// `until`. A hold of before is replaced. Gives what is held; `None`: it was,
/// for the same reason and as long.
pub async fn hold(
    shop: &Shop,
    holding: Holding<'_>,
    reason: &str,
    until: Option<Instant>,
    now: Instant,
) -> Result<Option<HoldKind>> {
    let reason = reason.trim();
    if reason.is_empty() || reason.contains(char::is_control) {
        let why = format!("--reason: found {reason:?}, expected one line of text");
        return Err(Refused(why).into());
    }
    if until.is_some_and(|until| until <= now) {
        let why = "--until: found a time that has passed, expected one to come";
        return Err(Refused(why.to_owned()).into());
    }
    let mut tx = begin(shop).await?;
    let (kind, order_ids) = holding.found(&mut tx).await?;
    let before = held(&mut tx, holding.name).await?.remove(&kind);
    let is_same = |before: &StoredHold| before.hold.reason == reason && before.hold.until == until;
    if before.as_ref().is_some_and(is_same) {
        return Ok(None);
    }
    let source = shop.given(&format!("hold {kind} {}", holding.name));
    let change_set = store::change_set_begin(&mut tx, &source, now).await?;
    if let Some(before) = before {
        store::hold_end(&mut tx, before.id, change_set).await?;
    }
    let hold = Hold {
        kind,
        name: holding.name.to_owned(),
        reason: reason.to_owned(),
        held_at: now,
        until,
    };
    let order_id = order_ids.first().copied();
    let order_id = order_id.filter(|_| kind != HoldKind::Customer);
    store::hold_begin(&mut tx, &hold, order_id, change_set).await?;
    store::agenda_wake(&mut tx, &order_ids).await?;
    tx.commit().await?;
    Ok(Some(kind))
}

/// Lifts a hold. Gives what was held; `None`: nothing was.
pub async fn unhold(shop: &Shop, holding: Holding<'_>, now: Instant) -> Result<Option<HoldKind>> {
    let mut tx = begin(shop).await?;
    let mut holds = held(&mut tx, holding.name).await?;
    let kind = match holding.kind {
        Some(kind) => kind,
        None if holds.is_empty() => {
            holding.found(&mut tx).await?;
            return Ok(None);
        }
        None => one_of(holds.keys().copied().collect(), holding.name)?,
    };
    let Some(found) = holds.remove(&kind) else {
        return Ok(None);
    };
    let source = shop.given(&format!("unhold {kind} {}", holding.name));
    let change_set = store::change_set_begin(&mut tx, &source, now).await?;
    store::hold_end(&mut tx, found.id, change_set).await?;
    let order_ids = store::named(&mut tx, holding.name).await?.remove(&kind);
    store::agenda_wake(&mut tx, &order_ids.unwrap_or_default()).await?;
    tx.commit().await?;
    Ok(Some(kind))
}

/// Sends a customer no reminders any more; `false`: they got none.
pub async fn opt_out(shop: &Shop, customer_ref: &str, now: Instant) -> Result<bool> {
    choose(shop, customer_ref, now, false).await
}

/// Sends a customer reminders again; `false`: they got them.
pub async fn opt_in(shop: &Shop, customer_ref: &str, now: Instant) -> Result<bool> {
    choose(shop, customer_ref, now, true).await
}

async fn choose(shop: &Shop, customer_ref: &str, now: Instant, wanted: bool) -> Result<bool> {
    let mut tx = begin(shop).await?;
    let order_ids = store::named(&mut tx, customer_ref).await?;
    let order_ids = order_ids.get(&HoldKind::Customer).with_context(|| {
        Refused(format!(
            "there is no customer `{customer_ref}`: expected a customer_ref of an order"
        ))
    })?;
    let command = if wanted { "opt-in" } else { "opt-out" };
    let source = shop.given(&format!("{command} {customer_ref}"));
    let change_set = store::change_set_begin(&mut tx, &source, now).await?;
    let has_changed = match wanted {
        true => store::opt_out_end(&mut tx, customer_ref, change_set).await?,
        false => store::opt_out_begin(&mut tx, customer_ref, change_set).await?,
    };
    if has_changed {
        store::agenda_wake(&mut tx, order_ids).await?;
        tx.commit().await?;
    }
    Ok(has_changed)
}

/// The customer that a message was written to: `name` is its Message-ID, or
/// the part before the `@`.
pub async fn customer_of_message(shop: &Shop, name: &str) -> Result<String> {
    let own = name.trim().trim_matches(['<', '>']);
    let own = own.split_once('@').map_or(own, |(own, _)| own);
    let mut tx = shop.store.read().await?;
    let found = store::customer_of_message(&mut tx, own).await?;
    found.with_context(|| {
        Refused(format!(
            "--message: there is no message to a customer with the Message-ID `{own}@…`"
        ))
    })
}

/// What one command does after the other.
async fn begin(shop: &Shop) -> Result<Tx<'static>> {
    let mut tx = shop.store.write().await?;
    tx.alone("hold").await?;
    Ok(tx)
}

impl Holding<'_> {
    /// What it is, and the orders that it touches.
    async fn found(&self, tx: &mut Tx<'_>) -> Result<(HoldKind, Vec<i64>)> {
        let name = self.name;
        let mut named = store::named(tx, name).await?;
        let kind = match self.kind {
            Some(kind) => kind,
            None if named.is_empty() => {
                let why = format!("there is no order, unit, claim or customer `{name}`");
                return Err(Refused(why).into());
            }
            None => one_of(named.keys().copied().collect(), name)?,
        };
        let order_ids = named.remove(&kind);
        let order_ids =
            order_ids.with_context(|| Refused(format!("there is no {kind} `{name}`")))?;
        Ok((kind, order_ids))
    }
}

fn one_of(kinds: Vec<HoldKind>, name: &str) -> Result<HoldKind, Refused> {
    match kinds.as_slice() {
        [kind] => Ok(*kind),
        _ => {
            let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
            let (all, or) = (kinds.join(", "), kinds.join(" or --kind "));
            let why = format!("`{name}` names several things ({all}): expected --kind {or}");
            Err(Refused(why))
        }
    }
}

async fn held(tx: &mut Tx<'_>, name: &str) -> Result<BTreeMap<HoldKind, StoredHold>> {
    let holds = store::holds_of(tx, name).await?.into_iter();
    Ok(holds.map(|found| (found.hold.kind, found)).collect())
}
