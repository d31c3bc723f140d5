//! The run at work, seen from beside it: how far it is, and the word to end it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    beats: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    is_ending: watch::Sender<bool>,
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

    /// Work goes on. Jobs say so at each page, where they count or ask
    /// whether to end.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often work went on: a number that stands still is no progress.
    pub fn beats(&self) -> u64 {
        self.0.beats.load(Ordering::Relaxed)
    }

    /// Adds to what is shown.
    pub(super) fn count(&self, name: &'static str, by: u64) {
        self.beat();
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
        self.0.is_ending.send_replace(true);
    }

    /// Whether jobs were told to end.
    pub(super) fn is_ending(&self) -> bool {
        self.beat();
        *self.0.is_ending.borrow()
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
        let mut is_ending = self.0.is_ending.subscribe();
        // Its other end is this.
        let _told = is_ending.wait_for(|is_ending| *is_ending).await;
    }
}
