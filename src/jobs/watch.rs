//! The run at work, seen from beside it: how far it is, and the word to end it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Work that can be left as it was when it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("told to end before all was done: nothing of it is kept, the next run does it whole")]
pub struct ToldToEnd;

/// What a run tells whoever watches it, and what it is told. All copies are
/// one.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    is_watched: AtomicBool,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    told: watch::Sender<Told>,
}

/// What jobs were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    #[default]
    GoOn,
    /// The run at work is to end: it takes too long.
    EndRun,
    /// Whatever is at work is to end, and nothing more to begin.
    EndAll,
}

impl Watch {
    /// Somebody watches from now on: what there is to do is counted for them.
    pub fn begin(&self) {
        self.0.is_watched.store(true, Ordering::Relaxed);
    }

    /// Whether somebody watches.
    pub(super) fn is_watched(&self) -> bool {
        self.0.is_watched.load(Ordering::Relaxed)
    }

    /// Adds to what is shown.
    pub(super) fn count(&self, name: &'static str, by: u64) {
        *self.counts().entry(name).or_default() += by;
    }

    /// What was counted of a name so far.
    pub fn so_far(&self, name: &str) -> u64 {
        self.counts().get(name).copied().unwrap_or(0)
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        let counts = self.0.counts.lock();
        counts.unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells jobs to end where their work is whole, and to begin nothing more.
    pub fn end(&self) {
        self.0.told.send_replace(Told::EndAll);
    }

    /// Tells the run at work to end where its work is whole.
    pub(super) fn end_run(&self) {
        self.0.told.send_if_modified(|told| {
            let goes_on = *told == Told::GoOn;
            if goes_on {
                *told = Told::EndRun;
            }
            goes_on
        });
    }

    /// Lets the next run begin. Whether the one before had been told to end,
    /// and only that one.
    pub(super) fn run_ended(&self) -> bool {
        self.0.told.send_if_modified(|told| {
            let was_told = *told == Told::EndRun;
            if was_told {
                *told = Told::GoOn;
            }
            was_told
        })
    }

    /// Whether jobs were told to end.
    pub(super) fn is_ending(&self) -> bool {
        *self.0.told.borrow() != Told::GoOn
    }

    /// Fails once jobs were told to end.
    pub(super) fn go_on(&self) -> Result<(), ToldToEnd> {
        match self.is_ending() {
            true => Err(ToldToEnd),
            false => Ok(()),
        }
    }

    /// Waits until jobs are told to end.
    pub(super) async fn ending(&self) {
        let mut told = self.0.told.subscribe();
        // Its other end is this.
        let _told = told.wait_for(|told| *told != Told::GoOn).await;
    }
}
