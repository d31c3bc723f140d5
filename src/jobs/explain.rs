//! Everything about one case, for a person to follow.

use anyhow::{Result, anyhow};

use super::Shop;
use super::book::rules_known;
use super::page::load_page;
use super::report::Known;
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

/// Looks up the order, unit or claim of a name as of a time; what was recorded
/// after `known_at` does not count. `None`: there is none, or it was not known.
pub async fn explain(
    shop: &Shop,
    name: &str,
    at: Instant,
    known_at: Option<Instant>,
) -> Result<Option<Explained>> {
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
    let known = Known::by(&mut tx, known_at).await?;
    let mut loaded = load_page(&mut tx, &[order_id], known.map(Known::cut)).await?;
    let Some(loaded) = loaded.pop() else {
        return Ok(None);
    };
    let found = loaded.evaluate(&rules, at).found;
    let (case, evaluation) = found.map_err(|error| anyhow!("{name}: {error}"))?;
    let told_by = known_at.map_or(at, |known_at| known_at.min(at));
    let mut holds = store::holds_past(&mut tx, order_id, &case.order.customer_ref).await?;
    let is_known = |change_set| known.is_none_or(|known| change_set <= known.change_set);
    holds.retain(|past| past.hold.held_at <= at && is_known(past.began_in));
    for past in &mut holds {
        past.lifted.take_if(|lifted| !is_known(lifted.ended_in));
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
