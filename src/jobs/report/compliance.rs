//! The jobs `compliance_weekly` and `compliance_monthly`: how the promises that
//! fell due in the last whole week or month were kept.

use anyhow::{Context, Result};

use super::super::book::{InForce, rules};
use super::super::postbox::{letters, shop as letterhead};
use super::super::{Outcome, Shop, When};
use super::enclosed::enclosed;
use super::feed::{AsOf, Item, feed};
use super::{day_scope, dialect, directory, post_to_managers};
use crate::mail::{KeptPromise, KeptPromises};
use crate::report::{History, Kept, OrderDeadlines, Period, PeriodSet, Source, Span};
use crate::store::{self, Tx};

/// Writes the set of the last whole period before the run's time, and mails it
/// to the managers.
pub async fn compliance_report(shop: &Shop, when: When, period: Period) -> Result<Outcome> {
    let dir = directory(shop, when)?;
    let calendar = &shop.config.calendar;
    let span = period.before(calendar.date_of(when.at));
    let span = span.context("--at: there is no whole period before")?;
    let dir = dir.join(&span.name);
    let mut tx = shop.store.read().await?;
    let in_force = rules(shop, &mut tx).await?;
    let latest = store::change_set_latest(&mut tx).await?;
    let scope = day_scope(&in_force, when.at);
    let mut set = PeriodSet::create(&dir, scope, dialect(&shop.config), span.clone())?;
    let as_of = AsOf::all_known(when.at);
    let mut outcome = period_fill(shop, tx, &in_force, as_of, &mut set).await?;
    let (kept, manifest) = set.finish(History {
        latest,
        ..History::default()
    })?;
    outcome.count("files", manifest.files.len() as u64 + 1);
    let Some(mail) = &shop.config.mail else {
        return Ok(outcome);
    };
    let set = format!("compliance-{}", span.name);
    let (attachments, files) = enclosed(&manifest.files, &dir, &set)?;
    let kept = told(period, span, kept);
    let letter = letters(&shop.config)?.compliance(&letterhead(&shop.config), &kept, &files)?;
    let key = format!("{} at {}", kept.name, when.at);
    let posted = post_to_managers(shop, mail, &key, &letter, &attachments, when).await?;
    outcome.count("composed", posted);
    Ok(outcome)
}

/// Hands the deadlines of all cases to a period's files.
pub(super) async fn period_fill(
    shop: &Shop,
    tx: Tx<'static>,
    in_force: &InForce,
    as_of: AsOf,
    set: &mut PeriodSet<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let source = Source::Deadlines;
    feed(shop, tx, in_force, as_of, source, |item| match item {
        Item::Recorded(order) => {
            outcome.count("found", 1);
            set.add(&order.deadlines())
        }
        Item::Case(found) => {
            outcome.count("found", 1);
            set.add(&OrderDeadlines::of(&found.0, &found.1))
        }
        Item::Failed(..) => {
            outcome.count("failed", 1);
            Ok(())
        }
        Item::Notice(_) | Item::Exception(_) => Ok(()),
    })
    .await?;
    Ok(outcome)
}

fn told(period: Period, span: Span, kept: Vec<Kept>) -> KeptPromises {
    let figures = kept.into_iter().map(|kept| KeptPromise {
        window: kept.window,
        decided: kept.now.0,
        percent: kept.now.1.map(|percent| percent.to_string()),
        decided_before: kept.before.0,
        percent_before: kept.before.1.map(|percent| percent.to_string()),
    });
    KeptPromises {
        period: period.into(),
        name: span.name,
        from: span.from,
        to: span.to,
        figures: figures.collect(),
    }
}
