//! `policy try`: history under another policy.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use super::feed::{AsOf, Item, feed};
use crate::case::{Case, Evaluation, Rules, evaluate};
use crate::jobs::book::rules;
use crate::jobs::{Shop, number_of};
use crate::policy::{Instant, Policy, Subject};
use crate::report::Source;

/// What would have been different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The order.
    pub order_ref: String,
    /// What the deadline or the handling hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// The window; `claim` for how a claim is handled.
    pub what: String,
    /// How it is; `None`: it is not.
    pub is: Option<String>,
    /// How it would be.
    pub would_be: Option<String>,
}

/// What a trial found.
#[derive(Debug, Default)]
pub struct Trial {
    /// How many orders were placed in the period.
    pub orders: u64,
    /// How many orders cannot be evaluated, under what is in force of any day.
    pub failed: u64,
    /// What differs, order by order.
    pub differences: Vec<Difference>,
}

/// Evaluates the orders that were placed from one local date to another as of
/// a time, under what is in force and as if another policy had been instead of
/// the versions of its name. Changes nothing.
pub async fn policy_try(
    shop: &Shop,
    policy: Policy,
    from: NaiveDate,
    to: NaiveDate,
    at: Instant,
) -> Result<Trial> {
    let mut tx = shop.store.read().await?;
    let in_force = rules(shop, &mut tx).await?;
    let tried = Rules {
        policies: in_force.rules.policies.instead(policy, from, to),
        ..in_force.rules.clone()
    };
    let calendar = &in_force.rules.calendar;
    let mut trial = Trial::default();
    let as_of = AsOf::all_known(at);
    feed(shop, tx, &in_force, as_of, Source::Cases, |item| {
        match item {
            Item::Case(found) => {
                let (case, is) = *found;
                let placed_on = calendar.date_of(case.order.placed_at);
                if from <= placed_on && placed_on <= to && !case.order.withdrawn {
                    trial.orders += 1;
                    match evaluate(&case, &tried, at) {
                        Ok(would_be) => trial.compare(&case, &is, &would_be),
                        Err(_) => trial.failed += 1,
                    }
                }
            }
            Item::Failed(..) => trial.failed += 1,
            _ => {}
        }
        Ok(())
    })
    .await
    .context("trying a policy")?;
    Ok(trial)
}

impl Trial {
    fn compare(&mut self, case: &Case, is: &Evaluation, would_be: &Evaluation) {
        let (is, would_be) = (shown(is), shown(would_be));
        let mut keys: Vec<&Key> = is.keys().chain(would_be.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (is, would_be) = (is.get(key), would_be.get(key));
            if is != would_be {
                let (subject, subject_ref, what) = key.clone();
                self.differences.push(Difference {
                    order_ref: case.order.order_ref.clone(),
                    subject,
                    subject_ref,
                    what,
                    is: is.cloned(),
                    would_be: would_be.cloned(),
                });
            }
        }
    }
}

/// A subject, its name, and the window or `claim`.
type Key = (Subject, String, String);

/// What a person would compare of an evaluation.
fn shown(evaluation: &Evaluation) -> BTreeMap<Key, String> {
    let deadlines = evaluation.deadlines.iter().map(|deadline| {
        let window = deadline.window.to_string();
        let key = (deadline.subject, deadline.subject_ref.clone(), window);
        let mut text = deadline.state.to_string();
        if let Some(last_day) = deadline.last_day {
            text += &format!(", last day {last_day}");
        }
        if deadline.late_days > 0 {
            text += &format!(", {} late", number_of(deadline.late_days, "day"));
        }
        if deadline.level > 0 {
            text += &format!(", level {}", deadline.level);
        }
        (key, text)
    });
    let claims = evaluation.claims.iter().map(|claim| {
        let key = (Subject::Claim, claim.claim_ref.clone(), "claim".to_owned());
        let mut text = format!("handled as {}, {}", claim.handling, claim.stage);
        if let Some(refund) = &claim.refund {
            text += &format!(", refund {} {}", refund.money(), refund.currency);
        }
        (key, text)
    });
    deadlines.chain(claims).collect()
}
