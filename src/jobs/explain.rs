//! Everything about one case, for a person to follow.

use anyhow::{Result, anyhow};

use super::Shop;
use super::book::rules;
use super::page::evaluate_page;
use crate::case::{Case, Evaluation, RecordedNotice, Rules};
use crate::policy::Instant;
use crate::store::{self, Given, PastHold};

/// A case with what follows from it and what was recorded of it.
#[derive(Debug)]
pub struct Explained {
    /// The facts.
    pub case: Case,
    /// What follows from them.
    pub evaluation: Evaluation,
    /// Its notices.
    pub notices: Vec<RecordedNotice>,
    /// What people did to which of them.
    pub commands: Vec<(i64, Given)>,
    /// The holds that it was under by then, on the order, a part of it or the
    /// customer, the first first.
    pub holds: Vec<PastHold>,
    /// What it was evaluated under.
    pub rules: Rules,
}

/// Looks up the order, unit or claim of a name. `None`: there is none.
pub async fn explain(shop: &Shop, name: &str, at: Instant) -> Result<Option<Explained>> {
    let mut tx = shop.store.read().await?;
    let rules = rules(shop, &mut tx).await?.rules;
    let Some(order_id) = store::order_of(&mut tx, name).await? else {
        return Ok(None);
    };
    let mut recorded = store::recorded_load(&mut tx, &[order_id]).await?;
    let notices = recorded.remove(&order_id).unwrap_or_default().notices;
    let found = evaluate_page(&mut tx, &[order_id], &rules, at).await?.pop();
    let Some(found) = found else { return Ok(None) };
    let (case, evaluation) = found.found.map_err(|error| anyhow!("{name}: {error}"))?;
    let mut holds = store::holds_past(&mut tx, order_id, &case.order.customer_ref).await?;
    holds.retain(|past| past.hold.held_at <= at);
    let mut commands = store::commands_on_order(&mut tx, order_id).await?;
    commands.retain(|(_, given)| given.at <= at);
    Ok(Some(Explained {
        case,
        evaluation,
        notices,
        commands,
        holds,
        rules,
    }))
}
