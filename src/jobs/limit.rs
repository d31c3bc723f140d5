//! How long a run of the daemon may take: `jobs.NAME.time_limit`.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::{Outcome, Shop, Watch};
use crate::config::JobName;

/// Runs a job. One that takes too long is told to end as by SIGTERM; if it
/// ends before its work is done, it has failed. One that does not end is left
/// at work, and that is logged.
pub(super) async fn within_limit(
    shop: &Shop,
    name: JobName,
    running: impl Future<Output = Result<Outcome>>,
) -> Result<Outcome> {
    let settings = shop.config.jobs.get(&name);
    let limit = settings.and_then(|settings| settings.time_limit?.to_std().ok());
    let Some(limit) = limit else {
        return running.await;
    };
    // Beside it: a run may give the time up rarely.
    let mut limiting = JoinSet::new();
    limiting.spawn(tell_to_end(shop.watch.clone(), name, limit));
    let ran = running.await;
    limiting.shutdown().await;
    let was_told = shop.watch.run_ended();
    ran.map(|mut outcome| {
        if was_told && outcome.ended_early {
            outcome.ended_early = false;
            outcome.problem = Some(format!(
                "took longer than jobs.{name}.time_limit ({}): told to end, and ended where its \
                 work was whole",
                humantime::format_duration(limit)
            ));
        }
        outcome
    })
}

/// Tells the run at work to end once the limit has passed, and says each time
/// it has passed again.
async fn tell_to_end(watch: Watch, name: JobName, limit: Duration) {
    tokio::time::sleep(limit).await;
    watch.end_run();
    let shown = humantime::format_duration(limit);
    tracing::warn!(job = %name, limit = %shown, "takes longer than its time_limit: told to end");
    loop {
        tokio::time::sleep(limit).await;
        let why = "was told to end and is still at work: its step is not broken off";
        tracing::error!(job = %name, limit = %shown, "{why}");
    }
}
