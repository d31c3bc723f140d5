//! Work that a signal ends early.

use std::fmt::Display;
use std::pin::pin;

use anyhow::{Result, bail};
use indicatif::ProgressBar;

use crate::daemon::Signals;
use crate::jobs::Watch;

/// Does some work. A signal tells it to end where it is whole, which is said
/// under its bar; a second one ends it at once.
pub async fn until_told<T>(
    what: impl Display,
    watch: &Watch,
    bar: &ProgressBar,
    working: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut signals = Signals::listen()?;
    let mut working = pin!(working);
    let signal = tokio::select! {
        done = &mut working => return done,
        signal = signals.next() => signal,
    };
    watch.end();
    bar.suspend(|| eprintln!("{what}: told to end by {signal}, a second one ends it at once"));
    tokio::select! {
        done = working => done,
        signal = signals.next() => bail!("{what}: ended at once by a second {signal}"),
    }
}
