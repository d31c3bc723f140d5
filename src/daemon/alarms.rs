//! Looks for what is wrong once a minute, beside the jobs: also while one of
//! them hangs, and while the database is away.

use std::time::Duration;

use super::planner::schedule_of;
use crate::clock;
use crate::jobs::{self, Shop};

pub(super) const EVERY: Duration = Duration::from_secs(60);

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// Looks and tells, for ever.
pub(super) async fn watch(shop: Shop, every: Duration) {
    loop {
        // First the jobs make up for what was missed while nothing ran.
        tokio::time::sleep(every).await;
        let looking = tokio::time::timeout(PATIENCE, look(&shop));
        let is_well = match looking.await {
            Ok(Ok(is_well)) => is_well,
            Ok(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "cannot look for alarms");
                false
            }
            Err(_) => {
                tracing::error!("cannot look for alarms: the database does not answer");
                false
            }
        };
        jobs::tell_alarms(&shop, is_well).await;
    }
}

/// Whether nothing is wrong.
async fn look(shop: &Shop) -> anyhow::Result<bool> {
    let now = clock::now();
    let late_since = |job: &jobs::Job, last_run| {
        let schedule = schedule_of(&shop.config, job)?;
        schedule.late_since(last_run, now)
    };
    Ok(jobs::alarms(shop, now, late_since).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;
    use crate::config::Config;

    /// Opens a shop whose monitor is at an address.
    async fn shop(dir: &std::path::Path, monitor: &str) -> Shop {
        let file = dir.join("warrantyd.toml");
        let text = format!(
            "[database]\nurl = \"sqlite://shop.db\"\n[business]\nname = \"Shop\"\n\
             timezone = \"UTC\"\n[alarms]\nping_url = \"http://{monitor}/ping/{{job}}\"\n\
             fail_url = \"http://{monitor}/fail/{{job}}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), std::iter::empty()).unwrap();
        Shop::open(config).await.unwrap()
    }

    #[tokio::test]
    async fn the_monitor_hears_that_all_is_well_until_the_database_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let monitor = TcpListener::bind("127.0.0.1:0").unwrap();
        let shop = shop(dir.path(), &monitor.local_addr().unwrap().to_string()).await;
        let watching = tokio::spawn(watch(shop.clone(), Duration::from_millis(1)));
        let asked = move || {
            let (stream, _) = monitor.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            (monitor, line)
        };
        let (monitor, line) = tokio::task::spawn_blocking(asked).await.unwrap();
        assert!(line.starts_with("GET /ping/alarms "), "{line}");
        shop.store.close().await;
        // One more may have been on its way.
        let fails = move || {
            monitor.incoming().any(|stream| {
                let mut line = String::new();
                BufReader::new(stream.unwrap())
                    .read_line(&mut line)
                    .unwrap();
                line.starts_with("GET /fail/alarms ")
            })
        };
        assert!(tokio::task::spawn_blocking(fails).await.unwrap());
        watching.abort();
    }
}
