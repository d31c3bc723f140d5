//! Opens the database, however long that takes: a server may come up later
//! than the daemon, and be gone when it starts.

use std::time::Duration;

use anyhow::Result;

use super::Signals;
use super::service::Service;
use crate::config::Config;
use crate::jobs::{self, Shop};

/// Before a database that cannot be opened is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// A try that takes longer than a look does more than to connect: it
/// migrates, and has to be let.
const LOOK: Duration = Duration::from_secs(60);

/// Opens the database of a config and migrates it, again and again if what is
/// wrong may pass. `None`: a signal came first.
pub(super) async fn open(
    config: Config,
    service: &Service,
    signals: &mut Signals,
) -> Result<Option<Shop>> {
    tokio::select! {
        opened = opened(config, service) => opened.map(Some),
        _ = signals.next() => Ok(None),
    }
}

async fn opened(config: Config, service: &Service) -> Result<Shop> {
    let mut said = String::new();
    loop {
        match with_patience(Shop::open(config.clone()), |time| service.needs(time)).await {
            Err(error) if jobs::may_pass(&error) => {
                let why = format!("{error:#}");
                service.wrong("cannot start", &why);
                if said != why {
                    tracing::error!(error = why, "cannot start: tried again every 2 seconds");
                    said = why;
                }
            }
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for a try; asks for more time at each look.
async fn with_patience<T>(tried: impl Future<Output = T>, needs: impl Fn(Duration)) -> T {
    let mut tried = std::pin::pin!(tried);
    loop {
        match tokio::time::timeout(LOOK, &mut tried).await {
            Ok(done) => return done,
            Err(_) => needs(2 * LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_migration_is_let_and_a_try_that_fails_is_not() {
        for (minutes, expected) in [(0, 0), (1, 0), (3, 2)] {
            let asked = Cell::new(0);
            let tried = tokio::time::sleep(Duration::from_secs(60 * minutes));
            with_patience(tried, |_| asked.set(asked.get() + 1)).await;
            assert_eq!(asked.get(), expected, "{minutes}");
        }
    }
}
