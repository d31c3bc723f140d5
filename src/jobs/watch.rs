//! The run at work, seen from beside it: how far it is, and the word to end it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Stopwatch;

/// Work that can be left as it was when it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("told to end before all was done: nothing of it is kept, the next run does it whole")]
pub struct ToldToEnd;

/// What a run tells whoever watches it, and what it is told. All copies are
/// one.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Watched>);

impl Default for Watch {
    fn default() -> Self {
        Self(Arc::new(Watched {
            is_watched: AtomicBool::default(),
            since: Stopwatch::start(),
            beat_at: AtomicU64::default(),
            counts: Mutex::default(),
            told: watch::Sender::default(),
        }))
    }
}

#[derive(Debug)]
struct Watched {
    is_watched: AtomicBool,
    since: Stopwatch,
    /// Microseconds after `since`.
    beat_at: AtomicU64,
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

    /// Work goes on. The planner says so at each ring, jobs at each page, where
    /// they count or ask whether to end.
    pub fn beat(&self) {
        let micros = self.0.since.elapsed().as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.0.beat_at.store(micros, Ordering::Relaxed);
    }

    /// When work went on last: so long after the start.
    pub fn beat_at(&self) -> Duration {
        Duration::from_micros(self.0.beat_at.load(Ordering::Relaxed))
    }

    /// How long ago that was.
    pub fn silent_for(&self) -> Duration {
        self.0.since.elapsed().saturating_sub(self.beat_at())
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
        self.beat();
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
