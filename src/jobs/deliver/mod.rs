//! The job `deliver`: looks at the reasons again, groups, composes and sends.
//! It decides nothing about deadlines.

mod group;
mod settle;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};

use self::group::{Group, Groups};
use self::settle::{settled, uncertain};
use super::book::rules;
use super::guard::guarded;
use super::page::evaluate_page;
use super::postbox::{Parcel, post, shop as letterhead, transport};
use super::{Outcome, Refused, Shop, When};
use crate::case::{Case, Disposition, Evaluation, RecordedNotice, Rules, overruled};
use crate::clock::Stopwatch;
use crate::config::{Contacts, Mail, OnUncertain};
use crate::mail::{Delivery, Envelope, Letters, Mailbox, NOTICES_PER_LETTER, Transport};
use crate::policy::{Audience, Instant};
use crate::store::{self, Guard, Message, MessageKind, MessageState, StoreError, Try, Tx};

/// Orders that are evaluated in one transaction.
const ORDERS_A_PAGE: usize = 500;

/// Messages that are composed in one transaction.
const MESSAGES_A_PAGE: usize = 100;

/// A run ends after this, so that the next looks at hours, holds and facts
/// anew.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// Delivers what is ready.
pub async fn deliver(shop: &Shop, when: When) -> Result<Outcome> {
    let mail = shop.config.mail.as_ref().with_context(|| {
        Refused("mail.transport is not set: expected \"smtp\" or \"file\"".to_owned())
    })?;
    let mut outcome = Outcome::default();
    let Some(_lock) = shop.store.job_lock("deliver").await? else {
        // The run that is at work does what this one would.
        outcome.count("skipped", 1);
        return Ok(outcome);
    };
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let rules = rules(shop, &mut tx).await?.rules;
    tx.commit().await?;
    let guarded = guarded(&guard, when, rules.calendar.zone)?;
    // Nothing is known of what comes after the last enforced time.
    let now = guarded.at;
    let is_doubted = guarded.guard.held_since.is_some();
    let customers_too = !is_doubted && in_hours(mail, &rules, now);
    let mut run = Run {
        shop,
        mail,
        rules,
        now,
        is_doubted,
        customers_too,
        ends_after: if when.is_named {
            Duration::MAX
        } else {
            LONGEST_RUN
        },
        started: Stopwatch::start(),
        outcome,
    };
    run.settle_interrupted().await?;
    run.tell_ops(&guard).await?;
    // First what was composed before; what is taken apart is composed again.
    run.send().await?;
    if run.outcome.problem.is_none() {
        run.compose().await?;
        run.send().await?;
    }
    Ok(run.outcome)
}

fn in_hours(mail: &Mail, rules: &Rules, now: Instant) -> bool {
    let time = now.with_timezone(&rules.calendar.zone).time();
    mail.send_between.from <= time && time < mail.send_between.until
}

struct Run<'s> {
    shop: &'s Shop,
    mail: &'s Mail,
    rules: Rules,
    now: Instant,
    /// Whether nobody has confirmed the time: then nothing is given up, and
    /// nothing that was recorded changes.
    is_doubted: bool,
    customers_too: bool,
    ends_after: Duration,
    started: Stopwatch,
    outcome: Outcome,
}

/// A case, what was recorded of it, and what of that no longer stands.
struct Standing {
    case: Case,
    evaluation: Evaluation,
    notices: Vec<RecordedNotice>,
    overruled: Vec<(i64, Disposition)>,
}

/// Whether a message may be sent as it is.
enum Look {
    Stands,
    /// Something in it lost its reason or cannot be told, or the address is no
    /// longer that of the recipient. What still stands is composed again.
    Falls(Vec<Standing>),
    /// Nobody can tell now.
    Waits,
}

impl Run<'_> {
    /// Messages that a run died over: the server may have them.
    async fn settle_interrupted(&mut self) -> Result<()> {
        let mut tx = self.shop.store.write().await?;
        for id in store::messages_interrupted(&mut tx).await? {
            let Some(message) = store::message_get(&mut tx, id).await? else {
                continue;
            };
            let cause = "the program ended before the answer came".to_owned();
            let mut tried = uncertain(self.mail, &message, &cause, self.now);
            if self.mail.on_uncertain == OnUncertain::Resend {
                // Not given up: nobody has answered.
                tried.state = MessageState::Ready;
                tried.next_try_at = Some(self.now);
            }
            store::message_tried(&mut tx, id, &tried, self.now).await?;
            self.outcome.count("uncertain", 1);
        }
        Ok(tx.commit().await?)
    }

    /// Ops are told once that customers' notices are held.
    async fn tell_ops(&mut self, guard: &Guard) -> Result<()> {
        let Some((since, reason)) = guard.held_since.zip(guard.held_reason.as_ref()) else {
            return Ok(());
        };
        let lines = [
            format!("Why: {reason}."),
            "Customers' messages are held; those inside the shop go out.".to_owned(),
            "If the clock is right, run `warrantyd run enforce --at now`: it lets them go. If it \
             is wrong, set it first."
                .to_owned(),
        ];
        let letter = Letters::new()?.ops(
            &letterhead(&self.shop.config),
            "Customers' messages are held: the clock has jumped",
            &lines,
        )?;
        let mut tx = self.shop.store.write().await?;
        for address in &self.shop.config.contacts.ops {
            let parcel = Parcel {
                kind: MessageKind::Ops,
                audience: "ops",
                key: format!("held since {since}"),
                to: Mailbox {
                    name: None,
                    address: address.clone(),
                },
                letter: &letter,
                attachments: &[],
                notice_ids: &[],
            };
            let posted = post(&mut tx, &self.shop.config, self.mail, parcel, self.now).await?;
            self.outcome.count("composed", posted.into());
        }
        Ok(tx.commit().await?)
    }

    /// Cases with what was recorded of them. One that cannot be evaluated is
    /// left out: its notices wait until it can.
    async fn standings(&mut self, tx: &mut Tx<'_>, order_ids: &[i64]) -> Result<Vec<Standing>> {
        let mut recorded = store::recorded_load(tx, order_ids).await?;
        let mut all = Vec::with_capacity(order_ids.len());
        for found in evaluate_page(tx, order_ids, &self.rules, self.now).await? {
            let notices = recorded.remove(&found.order_id).unwrap_or_default();
            match found.found {
                Ok((case, evaluation)) => all.push(Standing {
                    overruled: overruled(&evaluation, &notices.notices, self.now),
                    notices: notices.notices,
                    case,
                    evaluation,
                }),
                Err(error) => {
                    tracing::warn!(
                        order_id = found.order_id,
                        error,
                        "a case cannot be evaluated"
                    );
                    // `enforce` counts it as failed, and says so.
                    self.outcome.count("skipped", 1);
                }
            }
        }
        Ok(all)
    }

    /// Keeps what became of notices of a case that wait and no longer stand;
    /// leaves those that stand.
    async fn overrule(&mut self, tx: &mut Tx<'_>, standing: &mut Standing) -> Result<()> {
        let gone: HashMap<i64, Disposition> = standing.overruled.drain(..).collect();
        let waiting = standing.notices.iter();
        let waiting = waiting.filter(|notice| notice.disposition.is_waiting());
        let changed: Vec<(i64, Disposition)> = waiting
            .filter_map(|notice| Some((notice.id, *gone.get(&notice.id)?)))
            .collect();
        standing
            .notices
            .retain(|notice| !gone.contains_key(&notice.id));
        if self.is_doubted {
            return Ok(());
        }
        store::notices_write(tx, &changed).await?;
        for (_, disposition) in changed {
            self.outcome.count(disposition.into(), 1);
        }
        Ok(())
    }

    /// Turns the notices that are ready into messages, one a recipient.
    async fn compose(&mut self) -> Result<()> {
        let audiences = received(&self.shop.config.contacts, self.customers_too);
        let mut tx = self.shop.store.read().await?;
        let ready = store::notices_ready(&mut tx, self.now, &audiences).await?;
        tx.commit().await?;
        let ids: HashSet<i64> = ready.iter().map(|(_, notice)| *notice).collect();
        let mut order_ids: Vec<i64> = ready.into_iter().map(|(order_id, _)| order_id).collect();
        order_ids.dedup();
        let mut groups = Groups::default();
        for page in order_ids.chunks(ORDERS_A_PAGE) {
            let mut tx = self.shop.store.write().await?;
            for mut standing in self.standings(&mut tx, page).await? {
                standing.notices.retain(|notice| ids.contains(&notice.id));
                self.overrule(&mut tx, &mut standing).await?;
                self.group(&mut tx, &standing, &mut groups).await?;
            }
            tx.commit().await?;
        }
        let groups = groups.into_vec();
        for page in groups.chunks(MESSAGES_A_PAGE) {
            let mut tx = self.shop.store.write().await?;
            self.compose_groups(&mut tx, page).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Groups what is to be composed of a case.
    async fn group(&self, tx: &mut Tx<'_>, standing: &Standing, groups: &mut Groups) -> Result<()> {
        let ids: Vec<i64> = standing.notices.iter().map(|notice| notice.id).collect();
        let told = store::message_recipients(tx, &ids).await?;
        let told = told.into_iter().collect();
        self.addressed(tx, standing, &told, groups).await
    }

    async fn addressed(
        &self,
        tx: &mut Tx<'_>,
        standing: &Standing,
        told: &HashSet<(i64, String)>,
        groups: &mut Groups,
    ) -> Result<()> {
        let contacts = &self.shop.config.contacts;
        let calendar = &self.rules.calendar;
        groups
            .add(tx, standing, contacts, calendar, self.now, told)
            .await
    }

    async fn compose_groups(&mut self, tx: &mut Tx<'_>, groups: &[Group]) -> Result<()> {
        let letters = Letters::new()?;
        let letterhead = letterhead(&self.shop.config);
        let today = self.rules.calendar.date_of(self.now);
        for group in groups {
            for part in group.notices.chunks(NOTICES_PER_LETTER) {
                let (notice_ids, texts): (Vec<i64>, Vec<_>) = part.iter().cloned().unzip();
                let letter = letters.compose(&letterhead, &group.addressee, today, &texts);
                let letter = match letter {
                    Ok(letter) => letter,
                    Err(error) => {
                        tracing::error!(%error, ?notice_ids, "a letter cannot be composed");
                        self.outcome.count("failed", 1);
                        continue;
                    }
                };
                let parcel = Parcel {
                    kind: MessageKind::Notices,
                    audience: group.audience.into(),
                    key: format!("{notice_ids:?} at {}", self.now),
                    to: group.to.clone(),
                    letter: &letter,
                    attachments: &[],
                    notice_ids: &notice_ids,
                };
                let posted = post(tx, &self.shop.config, self.mail, parcel, self.now).await?;
                self.outcome.count("composed", posted.into());
            }
        }
        Ok(())
    }

    /// Hands the messages over, one after the other.
    async fn send(&mut self) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let due = store::messages_due(&mut tx, self.now, self.customers_too).await?;
        tx.commit().await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut transport = transport(self.mail)?;
        for id in due {
            if self.started.elapsed() > self.ends_after {
                self.outcome.count("at_limit", 1);
                break;
            }
            let Some(message) = self.take(id).await? else {
                continue;
            };
            let delivery = self.hand_over(&mut transport, &message).await;
            let (mut tried, fault) = settled(self.mail, &message, delivery, self.now);
            if self.is_doubted && tried.state == MessageState::Failed && !tried.refused {
                (tried.state, tried.next_try_at) = (MessageState::Ready, Some(self.now));
            }
            self.keep(id, &tried).await?;
            tracing::info!(message = message.draft.message_id, state = %tried.state, "tried");
            if let Some(cause) = fault {
                let why = format!("the mail server cannot be used: {cause}; messages wait");
                self.outcome.problem = Some(why);
                break;
            }
            let counted = match tried.state {
                MessageState::Ready => "later",
                state => state.into(),
            };
            self.outcome.count(counted, 1);
        }
        transport.close().await;
        Ok(())
    }

    /// Takes a message to be handed over, after its reasons were looked at
    /// again. `None`: it is not to be sent now.
    async fn take(&mut self, id: i64) -> Result<Option<Message>> {
        let mut tx = self.shop.store.write().await?;
        let Some(message) = store::message_get(&mut tx, id).await? else {
            return Ok(None);
        };
        match self.look(&mut tx, &message).await? {
            Look::Stands if store::message_sending(&mut tx, id).await? => {
                tx.commit().await?;
                Ok(Some(message))
            }
            Look::Stands | Look::Waits => Ok(None),
            Look::Falls(standings) => {
                store::message_drop(&mut tx, id).await?;
                self.outcome.count("dropped", 1);
                let mut groups = Groups::default();
                for mut standing in standings {
                    self.overrule(&mut tx, &mut standing).await?;
                    self.group(&mut tx, &standing, &mut groups).await?;
                }
                self.compose_groups(&mut tx, &groups.into_vec()).await?;
                tx.commit().await?;
                Ok(None)
            }
        }
    }

    /// Looks at a message's reasons and at its address again. What the server
    /// may have is sent again byte for byte, and what was composed in this
    /// run was looked at.
    async fn look(&mut self, tx: &mut Tx<'_>, message: &Message) -> Result<Look> {
        let is_notices = message.draft.kind == MessageKind::Notices;
        if !is_notices || message.maybe_taken || message.composed_at == self.now {
            return Ok(Look::Stands);
        }
        let carried = store::notices_of_message(tx, message.id).await?;
        let own: HashSet<i64> = carried.iter().map(|(_, notice)| *notice).collect();
        let mut order_ids: Vec<i64> = carried.into_iter().map(|(order_id, _)| order_id).collect();
        order_ids.dedup();
        let mut standings = self.standings(tx, &order_ids).await?;
        // Notices of a case that cannot be evaluated wait, but not the others.
        let mut falls = standings.len() < order_ids.len();
        for standing in &mut standings {
            standing.notices.retain(|notice| own.contains(&notice.id));
            standing.overruled.retain(|(id, _)| own.contains(id));
            falls |= !standing.overruled.is_empty();
            falls |= standing.notices.iter().any(|notice| {
                !notice.disposition.is_waiting() && notice.disposition != Disposition::Sent
            });
            let mut now_at = Groups::default();
            self.addressed(tx, standing, &HashSet::new(), &mut now_at)
                .await?;
            let carried = now_at.notices_for(&message.draft.recipient);
            falls |= carried < standing.notices.len();
        }
        Ok(match (falls, self.is_doubted) {
            (false, _) => Look::Stands,
            (true, true) => Look::Waits,
            (true, false) => Look::Falls(standings),
        })
    }

    /// Keeps what a try left. The server has answered: this must be written,
    /// however long another process holds the database.
    async fn keep(&self, id: i64, tried: &Try) -> Result<()> {
        loop {
            match self.write(id, tried).await {
                Err(error @ (StoreError::Locked | StoreError::Full)) => {
                    tracing::error!(%error, "what became of a message cannot be written yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                written => return Ok(written?),
            }
        }
    }

    async fn write(&self, id: i64, tried: &Try) -> Result<(), StoreError> {
        let mut tx = self.shop.store.write().await?;
        store::message_tried(&mut tx, id, tried, self.now).await?;
        tx.commit().await
    }

    async fn hand_over(&self, transport: &mut Transport, message: &Message) -> Delivery {
        let envelope = Envelope {
            from: self.mail.from.clone(),
            to: message.draft.recipient.clone(),
        };
        let name = message.draft.message_id.trim_matches(['<', '>']);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let date = self.rules.calendar.date_of(message.composed_at);
        let name = format!("{date}-{:06}-{name}", message.id);
        let raw = message.draft.raw.as_bytes();
        transport.send(&envelope, raw, &name).await
    }
}

/// The audiences that somebody receives.
fn received(contacts: &Contacts, customers_too: bool) -> Vec<Audience> {
    let inside = [
        (Audience::Lead, &contacts.lead),
        (Audience::Finance, &contacts.finance),
        (Audience::Manager, &contacts.manager),
        (Audience::Director, &contacts.director),
    ];
    let inside = inside.into_iter().filter(|(_, list)| !list.is_empty());
    let mut audiences: Vec<Audience> = inside.map(|(audience, _)| audience).collect();
    audiences.push(Audience::Assignee);
    audiences.extend(customers_too.then_some(Audience::Customer));
    audiences
}
