//! The job `housekeeping`.

use anyhow::Result;
use chrono::TimeDelta;

use super::{Outcome, Shop, When};
use crate::policy::Instant;
use crate::store::{self, Bodies};

/// Runs of jobs are kept for so long.
const KEEP_RUNS: TimeDelta = TimeDelta::days(90);

/// Messages whose bytes are erased in one transaction.
const BODIES_A_PAGE: i64 = 1_000;

/// Forgets old runs of jobs, what old messages said and files that were
/// imported long ago, and tidies the database. Facts, notices and messages
/// stay: they are the proof, and what was recorded of them keeps it from being
/// told again.
pub async fn housekeeping(shop: &Shop, when: When) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut tx = shop.store.write().await?;
    outcome.count(
        "runs_forgotten",
        store::runs_forget(&mut tx, when.at - KEEP_RUNS).await?,
    );
    tx.commit().await?;
    if let Some(mail) = &shop.config.mail {
        for (keep, of) in [
            (mail.keep_days, Bodies::All),
            (mail.keep_inside_days, Bodies::Inside),
        ] {
            if let Some(keep) = keep {
                outcome.count("bodies_forgotten", bodies(shop, of, when.at - keep).await?);
            }
        }
    }
    outcome.count(
        "files_forgotten",
        super::import::done_forget(shop, when.at)?,
    );
    shop.store.tidy().await?;
    Ok(outcome)
}

async fn bodies(shop: &Shop, of: Bodies, before: Instant) -> Result<u64> {
    let mut all = 0;
    loop {
        let mut tx = shop.store.write().await?;
        let erased = store::bodies_forget(&mut tx, of, before, BODIES_A_PAGE).await?;
        tx.commit().await?;
        all += erased;
        shop.watch.beat();
        if erased == 0 {
            return Ok(all);
        }
    }
}
