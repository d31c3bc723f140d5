//! The job `deliver`: looks at the reasons again, groups, composes and sends.
//! It decides nothing about deadlines.
//!
//! First goes what is due in the outbox ([`due`]). Then what is ready is
//! composed page by page ([`compose`]), each page beside the sending of those
//! before and, on SQLite, read and written beside their way into the outbox.
//! The sessions ([`sessions`]) hand over what is taken, and what came of it is
//! kept in batches ([`keep`]).

mod admit;
mod compose;
mod due;
mod group;
mod keep;
mod ops;
mod pace;
mod pause;
mod sessions;
mod settle;
mod standing;
mod writer;

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use self::compose::{Composed, PAGES_AHEAD, stages};
use self::due::Due;
pub use self::pace::Pace;
use self::pause::{Health, is_left_alone};
use self::sessions::{Answered, Belt, Lease};
use self::settle::uncertain;
use self::writer::Writer;
use super::book::rules;
use super::guard::{guarded, plan_context};
use super::postbox::transport;
use super::{Outcome, Refused, Shop, When};
use crate::case::{PlanContext, Rules};
use crate::clock::Stopwatch;
use crate::config::{Mail, OnUncertain};
use crate::mail::{Blame, Delivery};
use crate::policy::Instant;
use crate::store::{self, Ahead, MailPause, Message, MessageState, Try};

/// Interrupted messages that are settled in one transaction.
const SETTLED_A_PAGE: i64 = 500;

/// A run ends after this, so that the next looks at hours, holds and facts
/// anew.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// Delivers what is ready.
pub async fn deliver(shop: &Shop, when: When) -> Result<Outcome> {
    let mail = shop.config.mail.as_ref().with_context(|| {
        Refused("mail.transport is not set: expected \"smtp\" or \"file\"".to_owned())
    })?;
    let mut outcome = Outcome::default();
    let Some(_lock) = shop.store.file_lock("deliver").await? else {
        // The run that is at work does what this one would.
        outcome.count("skipped", 1);
        return Ok(outcome);
    };
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let pause = store::mail_pause_load(&mut tx).await?;
    let rules = rules(shop, &mut tx).await?.rules;
    tx.commit().await?;
    let guarded = guarded(&guard, when, rules.calendar.zone)?;
    // Nothing is known of what comes after the last enforced time.
    let now = guarded.at;
    let is_paused = |pause: &MailPause| when.is_daemons && is_left_alone(pause, now);
    if pause.as_ref().is_some_and(is_paused) {
        outcome.count("paused", 1);
        return Ok(outcome);
    }
    let is_doubted = guarded.guard.held_since.is_some();
    let customers_too = !is_doubted && in_hours(mail, &rules, now);
    let today = rules.calendar.date_of(now);
    let run = Run {
        shop,
        mail,
        rules,
        writer: Writer::new(&shop.config, mail, today, now)?,
        ahead: shop.store.ahead(shop.store.write().await?).await?,
        now,
        context: plan_context(&shop.config, &guarded),
        is_doubted,
        customers_too,
        ends_after: if when.is_named {
            Duration::MAX
        } else {
            LONGEST_RUN
        },
        started: Stopwatch::start(),
        health: Mutex::default(),
        outcome: Mutex::new(outcome),
    };
    run.settle_interrupted().await?;
    run.tell_of_guard(&guard).await?;
    run.tell_of_feed(&guard).await?;
    run.tell_of_restore(&guard).await?;
    run.let_go().await?;
    run.foretell().await?;
    let newest = run.hold_surge().await?;
    let sent = run.send(newest).await;
    run.keep_health().await?;
    sent?;
    Ok(mem::take(&mut *run.outcome()))
}

fn in_hours(mail: &Mail, rules: &Rules, now: Instant) -> bool {
    let time = now.with_timezone(&rules.calendar.zone).time();
    mail.send_between.from <= time && time < mail.send_between.until
}

struct Run<'s> {
    shop: &'s Shop,
    mail: &'s Mail,
    rules: Rules,
    writer: Writer,
    /// What is composed is read ahead of what is written.
    ahead: Ahead,
    now: Instant,
    context: PlanContext,
    /// Whether nobody has confirmed the time: then nothing is given up, and
    /// nothing that was recorded changes.
    is_doubted: bool,
    customers_too: bool,
    ends_after: Duration,
    started: Stopwatch,
    health: Mutex<Health>,
    outcome: Mutex<Outcome>,
}

impl Run<'_> {
    fn count(&self, name: &'static str, by: u64) {
        self.outcome().count(name, by);
        self.shop.watch.count(name, by);
    }

    /// Counts what there is to send, for whoever watches.
    async fn foretell(&self) -> Result<()> {
        let watch = &self.shop.watch;
        if !watch.is_watched() {
            return Ok(());
        }
        let mut tx = self.shop.store.read().await?;
        let (waiting, ready) =
            store::messages_expected(&mut tx, self.now, self.customers_too).await?;
        tx.commit().await?;
        // What was composed for ops is among those that wait.
        watch.count("waiting", waiting.saturating_sub(watch.so_far("composed")));
        watch.count("ready", ready);
        Ok(())
    }

    /// Whether the run was told to end; then it is kept that it did.
    fn is_ending(&self) -> bool {
        let is_ending = self.shop.watch.is_ending();
        self.outcome().ended_early |= is_ending;
        is_ending
    }

    /// Whether the run has gone on for long enough.
    fn is_at_limit(&self) -> bool {
        self.started.elapsed() > self.ends_after
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that a node died over: the server may have them.
    async fn settle_interrupted(&self) -> Result<()> {
        loop {
            let mut tx = self.shop.store.write().await?;
            let found = store::messages_interrupted(&mut tx, SETTLED_A_PAGE).await?;
            if found.is_empty() {
                return Ok(());
            }
            let settled = found.into_iter().map(|message| {
                let tried = self.interrupted(&message);
                (message, tried)
            });
            let settled: Vec<(Message, Try)> = settled.collect();
            let written = store::messages_tried(&mut tx, &settled, self.now).await?;
            tx.commit().await?;
            self.count("uncertain", written.len() as u64);
        }
    }

    fn interrupted(&self, message: &Message) -> Try {
        let cause = "the program ended before the answer came";
        let mut tried = uncertain(self.mail, message, cause, self.now);
        if self.mail.on_uncertain == OnUncertain::Resend {
            // Not given up: nobody has answered.
            tried.state = MessageState::Ready;
            tried.next_try_at = Some(self.now);
        }
        tried
    }

    /// Hands over what was composed before, then what is ready, which is
    /// composed beside it; the surge guard has counted the messages up to
    /// `newest`.
    async fn send(&self, newest: i64) -> Result<()> {
        let transport = match transport(self.mail) {
            Ok(transport) => transport,
            // Such as a file that cannot be read. With nothing to send that is
            // `doctor`'s to say.
            Err(_) if !self.has_work().await? => return Ok(()),
            Err(error) => {
                self.health().learn(&Delivery::NotSent {
                    cause: format!("{error:#}"),
                    blame: Blame::Transport,
                });
                return Err(error);
            }
        };
        let mut belt = Belt::start(&transport, self.mail.sessions, self.shop);
        let mut due = Due::default();
        // These come first as some of them are composed anew: the numbers of
        // messages must not hang on how fast the server answers. Nobody
        // composes beside them.
        let (_, nothing) = mpsc::channel(1);
        let before = self.hand_over(&mut belt, &mut due, nothing).await;
        if !matches!(before, Ok(true)) {
            let ended = self.wind_down(belt).await;
            return before.map(drop).and(ended);
        }
        let (pages, composed) = mpsc::channel(PAGES_AHEAD);
        // The sessions are stopped and their answers kept at once when it ends,
        // however long composing waits for somebody.
        let sending = async move {
            let sent = self.hand_over(&mut belt, &mut due, composed).await;
            let ended = self.wind_down(belt).await;
            sent.map(drop).and(ended)
        };
        let (composed, sent) = tokio::join!(self.compose_ready(pages, newest), sending);
        if let (Err(error), Err(_)) = (&composed, &sent) {
            tracing::error!("composing ended, too: {error:#}");
        }
        sent.and(composed)
    }

    /// Whether anything is due or ready.
    async fn has_work(&self) -> Result<bool> {
        let (now, customers_too) = (self.now, self.customers_too);
        let mut tx = self.shop.store.read().await?;
        let (waiting, _) = store::messages_expected(&mut tx, now, customers_too).await?;
        let mut has_work = waiting > 0;
        for stage in stages(&self.shop.config.contacts, customers_too) {
            has_work |= stage.is_ready(&mut tx, now).await?;
        }
        Ok(has_work)
    }

    /// Hands over what is due, and what is composed meanwhile; `false`: the run
    /// ends before all of it was.
    async fn hand_over(
        &self,
        belt: &mut Belt,
        due: &mut Due,
        mut composed: mpsc::Receiver<Composed>,
    ) -> Result<bool> {
        loop {
            if self.is_ending() {
                return Ok(false);
            }
            if self.is_at_limit() {
                self.count("at_limit", 1);
                return Ok(false);
            }
            due.receive(&mut composed, belt.room());
            if due.is_over() && belt.at_hand().is_empty() {
                match composed.recv().await {
                    Some(page) => due.add(page),
                    None => return Ok(true),
                }
            }
            if belt.room() > 0 && !due.is_over() {
                let (messages, lease) = self.take(due, &mut composed, belt.room()).await?;
                belt.put(messages, lease);
            }
            if belt.at_hand().is_empty() {
                continue;
            }
            let answered = belt.collect().await;
            if !self.exchange(answered, belt, due, &mut composed).await?
                || !self.renew(belt).await?
            {
                return Ok(false);
            }
        }
    }

    /// Keeps what came of messages, and on SQLite takes the next in their place;
    /// `false`: nothing more is to be handed over, as the transport or the lease
    /// is gone.
    async fn exchange(
        &self,
        answered: Vec<Answered>,
        belt: &mut Belt,
        due: &mut Due,
        composed: &mut mpsc::Receiver<Composed>,
    ) -> Result<bool> {
        let (tried, goes_on) = self.tries(answered);
        due.receive(composed, belt.room());
        let room = belt.room();
        let has_next = room > 0 && !due.is_over();
        let may_take = goes_on && !self.is_ending() && !self.is_at_limit();
        // Elsewhere it would hold the messages while it waits for the cases that
        // the next are about, and who has those may wait for the messages.
        if has_next && may_take && self.ahead.reads_snapshots() {
            match self.keep_and_take(&tried, due, composed, room).await {
                Ok((messages, lease)) => {
                    belt.put(messages, lease);
                    return Ok(true);
                }
                // What is to be kept does not depend on what comes next.
                Err(error) => tracing::warn!("keeping answers alone: {error:#}"),
            }
        }
        self.keep(&tried).await?;
        Ok(goes_on)
    }

    /// Renews the lease when it is time. `false`: something at hand is another
    /// node's by now, as this one was stopped for too long.
    async fn renew(&self, belt: &mut Belt) -> Result<bool> {
        let Some(lease) = belt.to_renew() else {
            return Ok(true);
        };
        let since = Stopwatch::start();
        let mut tx = self.ahead.write_beside().await?;
        let held = belt.at_hand().iter().map(|(id, fence)| (*id, *fence));
        let renewed = store::messages_renew(&mut tx, held).await?;
        self.ahead.commit(tx).await?;
        belt.renewed(Lease { since, ..lease });
        Ok(renewed == belt.at_hand().len() as u64)
    }

    /// Hands nothing more over, and keeps what came of what was.
    async fn wind_down(&self, mut belt: Belt) -> Result<()> {
        belt.stop();
        let mut ended = Ok(());
        while !belt.at_hand().is_empty() {
            let (tried, _) = self.tries(belt.collect().await);
            ended = ended.and(self.keep(&tried).await);
        }
        belt.close().await;
        ended
    }
}
