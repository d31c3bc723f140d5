//! The job `housekeeping`.

use anyhow::Result;
use chrono::TimeDelta;

use super::{Outcome, Shop, When};
use crate::policy::Instant;
use crate::store;

/// Runs of jobs are kept for so long.
const KEEP_RUNS: TimeDelta = TimeDelta::days(90);

/// Messages whose bytes are erased in one transaction.
const BODIES_A_PAGE: i64 = 1_000;

/// Forgets old runs of jobs and what old messages said, and tidies the
/// database. Facts, notices and messages stay: they are the proof.
pub async fn housekeeping(shop: &Shop, when: When) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut tx = shop.store.write().await?;
    outcome.count(
        "runs_forgotten",
        store::runs_forget(&mut tx, when.at - KEEP_RUNS).await?,
    );
    tx.commit().await?;
    if let Some(keep) = shop.config.mail.as_ref().and_then(|mail| mail.keep_days) {
        outcome.count("bodies_forgotten", bodies(shop, when.at - keep).await?);
    }
    shop.store.tidy().await?;
    Ok(outcome)
}

async fn bodies(shop: &Shop, before: Instant) -> Result<u64> {
    let mut all = 0;
    loop {
        let mut tx = shop.store.write().await?;
        let erased = store::bodies_forget(&mut tx, before, BODIES_A_PAGE).await?;
        tx.commit().await?;
        all += erased;
        shop.watch.beat();
        if erased == 0 {
            return Ok(all);
        }
    }
}
