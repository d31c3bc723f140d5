//! The job `housekeeping`.

use anyhow::Result;
use chrono::TimeDelta;

use super::{Outcome, Shop, When};
use crate::store;

/// Runs of jobs are kept for so long.
const KEEP_RUNS: TimeDelta = TimeDelta::days(90);

/// Forgets old runs of jobs and tidies the database. Facts, notices and
/// messages stay: they are the proof.
pub async fn housekeeping(shop: &Shop, when: When) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut tx = shop.store.write().await?;
    outcome.count(
        "runs_forgotten",
        store::runs_forget(&mut tx, when.at - KEEP_RUNS).await?,
    );
    tx.commit().await?;
    shop.store.tidy().await?;
    Ok(outcome)
}
