//! Everything about one case, for a person to follow.

use anyhow::{Result, anyhow};

use super::Shop;
use super::book::rules_known;
use super::page::load_page;
use super::report::AsOf;
use crate::case::{Case, Evaluation, RecordedNotice, Rules};
use crate::store::{self, Cut, Given, PastHold};

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

/// Looks up the order, unit or claim of a name, under the rules that were known.
/// `None`: there is none, or it was not known.
pub async fn explain(shop: &Shop, name: &str, as_of: AsOf) -> Result<Option<Explained>> {
    let AsOf { at, known_at } = as_of;
    let mut tx = shop.store.read().await?;
    let rules = rules_known(shop, &mut tx, known_at).await?.rules;
    let Some(order_id) = store::order_of(&mut tx, name).await? else {
        return Ok(None);
    };
    let mut recorded = store::recorded_load(&mut tx, &[order_id]).await?;
    let mut notices = recorded.remove(&order_id).unwrap_or_default().notices;
    if let Some(known_at) = known_at {
        let known = store::notices_recorded_by(&mut tx, order_id, known_at).await?;
        notices.retain(|notice| known.contains(&notice.id));
    }
    let mut loaded = load_page(&mut tx, &[order_id], known_at.map(Cut::at)).await?;
    let Some(loaded) = loaded.pop() else {
        return Ok(None);
    };
    let found = loaded.evaluate(&rules, at).found;
    let (case, evaluation) = found.map_err(|error| anyhow!("{name}: {error}"))?;
    let told_by = known_at.map_or(at, |known_at| known_at.min(at));
    let mut holds = store::holds_past(&mut tx, order_id, &case.order.customer_ref).await?;
    holds.retain(|past| past.hold.held_at <= told_by);
    for past in &mut holds {
        past.lifted
            .take_if(|(lifted_at, _)| known_at.is_some_and(|known_at| known_at < *lifted_at));
    }
    let mut commands = store::commands_on_order(&mut tx, order_id).await?;
    commands.retain(|(_, given)| given.at <= told_by);
    Ok(Some(Explained {
        case,
        evaluation,
        notices,
        commands,
        holds,
        rules,
    }))
}
