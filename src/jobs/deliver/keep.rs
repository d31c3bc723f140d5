//! Keeping what came of messages.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;

use super::Run;
use super::sessions::Answered;
use super::settle::{given_back, settled};
use crate::mail::Delivery;
use crate::policy::Instant;
use crate::store::{self, Ahead, Message, MessageState, StoreError, Try};

/// How long a database that cannot be written is left alone.
const WAIT: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// What came of messages leaves of them; `false`: nothing more is to be
    /// handed over, as the transport is gone or nobody was asked.
    pub(super) fn tries(&self, answered: Vec<Answered>) -> (Vec<(Message, Try)>, bool) {
        let mut goes_on = true;
        let mut all = Vec::with_capacity(answered.len());
        for (message, delivery) in answered {
            let (tried, fault) = match delivery {
                Some(delivery) => {
                    self.health().learn(&delivery);
                    self.shop.tally.tried(&delivery);
                    self.settled(&message, delivery)
                }
                None => (given_back(&message), None),
            };
            goes_on &= tried.counts;
            if let Some(cause) = fault {
                let why = format!("the mail server cannot be used: {cause}; messages wait");
                self.outcome().problem.get_or_insert(why);
            }
            all.push((message, tried));
        }
        (all, goes_on)
    }

    /// Keeps what tries left.
    pub(super) async fn keep(&self, all: &[(Message, Try)]) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let mut kept = self.write(all).await;
        if kept.is_err() && all.len() > 1 {
            // One that cannot be written keeps no other from it.
            kept = Ok(());
            for one in all {
                kept = kept.and(self.write(std::slice::from_ref(one)).await);
            }
        }
        kept
    }

    fn settled(&self, message: &Message, delivery: Delivery) -> (Try, Option<String>) {
        let (mut tried, fault) = settled(self.mail, message, delivery, self.now);
        if self.is_doubted && tried.state == MessageState::Failed && !tried.refused {
            (tried.state, tried.next_try_at) = (MessageState::Ready, Some(self.now));
        }
        (tried, fault)
    }

    async fn write(&self, all: &[(Message, Try)]) -> Result<()> {
        let written = insist(&self.ahead, all, self.now).await?;
        self.kept(all, &written);
        Ok(())
    }

    /// Counts what was kept.
    pub(super) fn kept(&self, all: &[(Message, Try)], written: &HashSet<i64>) {
        for (message, tried) in all {
            let header = &message.draft.message_id;
            if !written.contains(&message.id) {
                tracing::warn!(
                    message_id = header,
                    "another node has it by now: nothing kept"
                );
                self.count("lost", 1);
            } else if tried.counts {
                tracing::info!(message_id = header, state = %tried.state, "tried");
                let counted = match tried.state {
                    MessageState::Ready => "later",
                    state => state.into(),
                };
                self.count(counted, 1);
            }
        }
    }
}

/// Writes what tries left. The server has answered: this must be written,
/// however long another process holds the database or its server is away.
async fn insist(
    ahead: &Ahead,
    all: &[(Message, Try)],
    now: Instant,
) -> Result<HashSet<i64>, StoreError> {
    loop {
        match tried(ahead, all, now).await {
            Err(
                error @ (StoreError::Locked
                | StoreError::Full
                | StoreError::Again(_)
                | StoreError::Gone(_)),
            ) => {
                tracing::error!(%error, "what became of messages cannot be written yet");
                tokio::time::sleep(WAIT).await;
            }
            written => return written,
        }
    }
}

async fn tried(
    ahead: &Ahead,
    all: &[(Message, Try)],
    now: Instant,
) -> Result<HashSet<i64>, StoreError> {
    let mut tx = ahead.write_beside().await?;
    let written = store::messages_tried(&mut tx, all, now).await?;
    ahead.commit(tx).await?;
    Ok(written)
}
