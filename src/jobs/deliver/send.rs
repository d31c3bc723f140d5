//! Sending: the sessions hand over what is at hand, what came of it is kept,
//! and the next page is got ready, all at the same time.

use anyhow::Result;
use tokio::sync::mpsc;

use super::Run;
use super::keep::Keeper;
use super::sessions::{Belt, Lease};
use super::supply::{Page, Supply};
use crate::clock::Stopwatch;
use crate::jobs::Outcome;
use crate::jobs::postbox::transport;
use crate::store;

/// Hands over what is due, and what is composed of what is ready.
pub(super) async fn send(run: &Run<'_>, outcome: &mut Outcome) -> Result<()> {
    let sessions = run.mail.sessions;
    let mut supply = Supply::new(run);
    let mut keeper = Keeper {
        run,
        outcome: Outcome::default(),
    };
    let sent = match supply.next(Belt::least(sessions)).await {
        Ok(first) if first.messages.is_empty() => Ok(()),
        Ok(first) => match transport(run.mail) {
            Ok(transport) => {
                let (room, rooms) = mpsc::unbounded_channel();
                let (page, pages) = mpsc::unbounded_channel();
                let sender = Sender {
                    keeper: &mut keeper,
                    belt: Belt::start(&transport, sessions),
                    room,
                    pages,
                    is_asked: false,
                };
                let (supplied, sent) = tokio::join!(supply.serve(rooms, page), sender.sends(first));
                supplied.and(sent)
            }
            Err(error) => {
                let unsent = first.messages.into_iter();
                let unsent = unsent.map(|outgoing| (outgoing.message, None)).collect();
                keeper.keep(unsent).await.and(Err(error))
            }
        },
        Err(error) => Err(error),
    };
    outcome.add(&supply.outcome.counts);
    outcome.add(&keeper.outcome.counts);
    outcome.problem = keeper.outcome.problem;
    sent
}

/// The sessions, and where their messages come from.
struct Sender<'k, 'r> {
    keeper: &'k mut Keeper<'r>,
    belt: Belt,
    /// Asks for a page: how many messages there is room for.
    room: mpsc::UnboundedSender<usize>,
    pages: mpsc::UnboundedReceiver<Page>,
    /// Whether a page is under way.
    is_asked: bool,
}

impl Sender<'_, '_> {
    async fn sends(mut self, first: Page) -> Result<()> {
        self.belt.put(first);
        let mut ended = self.until_done().await;
        self.belt.stop();
        if self.is_asked
            && let Some(page) = self.pages.recv().await
        {
            self.belt.put(page);
        }
        // What was handed over is kept; what was not is given back.
        while !self.belt.is_empty() {
            let answered = self.belt.collect().await;
            ended = ended.and(self.keeper.keep(answered).await.map(drop));
        }
        self.belt.close().await;
        ended
    }

    /// Sends until there is nothing more, or nothing more is to be sent.
    async fn until_done(&mut self) -> Result<()> {
        let mut is_last = false;
        loop {
            if !is_last && !self.is_asked && self.belt.room() > 0 {
                self.is_asked = self.room.send(self.belt.room()).is_ok();
            }
            if self.belt.is_empty() && !self.is_asked {
                return Ok(());
            }
            tokio::select! {
                page = self.pages.recv(), if self.is_asked => {
                    self.is_asked = false;
                    match page.filter(|page| !page.messages.is_empty()) {
                        Some(page) => self.belt.put(page),
                        None => is_last = true,
                    }
                }
                answered = self.belt.collect(), if !self.belt.is_empty() => {
                    if !self.keeper.keep(answered).await? || !self.renew().await? {
                        return Ok(());
                    }
                    let Run { started, ends_after, .. } = self.keeper.run;
                    if started.elapsed() > *ends_after {
                        self.keeper.outcome.count("at_limit", 1);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Renews the lease when it is time. `false`: something at hand is another
    /// node's by now, as this one was stopped for too long.
    async fn renew(&mut self) -> Result<bool> {
        let Some(lease) = self.belt.to_renew() else {
            return Ok(true);
        };
        let since = Stopwatch::start();
        let mut tx = self.keeper.run.shop.store.write().await?;
        let held = self.belt.at_hand().iter().map(|(id, fence)| (*id, *fence));
        let renewed = store::messages_renew(&mut tx, held).await?;
        tx.commit().await?;
        self.belt.renewed(Lease { since, ..lease });
        Ok(renewed == self.belt.at_hand().len() as u64)
    }
}
