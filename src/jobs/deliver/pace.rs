//! How fast messages are handed over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MINUTE: Duration = Duration::from_secs(60);

/// So many messages a minute and no more, by all sessions and runs of a
/// process. Fewer than that wait for nothing.
#[derive(Debug, Clone)]
pub struct Pace(Option<Arc<Semaphore>>);

/// Leave to hand one message over.
pub(super) struct Turn(Option<OwnedSemaphorePermit>);

impl Pace {
    /// At most so many; `None`: any number.
    pub fn per_minute(most: Option<usize>) -> Self {
        Self(most.map(|most| Arc::new(Semaphore::new(most))))
    }

    /// Waits until one more message may be handed over.
    pub(super) async fn turn(&self) -> Turn {
        let Some(left) = &self.0 else {
            return Turn(None);
        };
        // Nobody closes it.
        Turn(Arc::clone(left).acquire_owned().await.ok())
    }
}

impl Turn {
    /// The message was handed over: a minute later another may be.
    pub(super) fn used(self) {
        if let Some(permit) = self.0 {
            tokio::spawn(async move {
                tokio::time::sleep(MINUTE).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// How many turns are to be had at once.
    async fn turns(pace: &Pace) -> usize {
        // Those that give turns back wait beside.
        tokio::task::yield_now().await;
        let mut turns = 0;
        while turns < 100 {
            match timeout(Duration::ZERO, pace.turn()).await {
                Ok(turn) => turn.used(),
                Err(_) => break,
            }
            turns += 1;
        }
        tokio::task::yield_now().await;
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn in_no_minute_are_there_more_and_fewer_never_wait() {
        assert_eq!(turns(&Pace::per_minute(None)).await, 100);
        let pace = Pace::per_minute(Some(3));
        let one = pace.turn().await;
        advance(Duration::from_secs(30)).await;
        // Handing it over took half a minute.
        one.used();
        assert_eq!(turns(&pace).await, 2);
        for (seconds, expected) in [(59, 0), (2, 3), (58, 0), (3, 3)] {
            advance(Duration::from_secs(seconds)).await;
            assert_eq!(turns(&pace.clone()).await, expected, "after {seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_was_not_used_is_another_s_at_once() {
        let pace = Pace::per_minute(Some(1));
        drop(pace.turn().await);
        assert_eq!(turns(&pace).await, 1);
        assert_eq!(turns(&pace).await, 0);
    }
}
