//! The job `deliver`: looks at the reasons again, groups, composes and sends.
//! It decides nothing about deadlines.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;

use super::book::rules;
use super::compose::{about, addresses, notice_text};
use super::enforce::CLOCK_JUMP;
use super::page::{evaluate_page, page_len};
use super::postbox::{Parcel, mailboxes, post, shop as letterhead, transport};
use super::{Outcome, Refused, Shop, When};
use crate::case::{Case, Disposition, Evaluation, RecordedNotice, Rules, overruled};
use crate::config::{Mail, OnUncertain};
use crate::mail::{
    Addressee, Delivery, Envelope, Letters, Mailbox, NOTICES_PER_LETTER, NoticeText, Transport,
};
use crate::policy::{Audience, Instant, sha256_hex};
use crate::store::{self, Guard, Message, MessageKind, MessageState, Try, Tx};

/// Messages that are composed in one transaction.
const MESSAGES_A_PAGE: usize = 100;

/// The first wait before a message is tried again; it doubles up to the last.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(5);
const LAST_WAIT: TimeDelta = TimeDelta::hours(4);

/// Delivers what is ready.
pub async fn deliver(shop: &Shop, when: When) -> Result<Outcome> {
    let mail = shop.config.mail.as_ref().with_context(|| {
        Refused("mail.transport is not set: expected \"smtp\" or \"file\"".to_owned())
    })?;
    let Some(_lock) = shop.store.job_lock("deliver")? else {
        bail!("another run of deliver is at work: nothing was sent by this one");
    };
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let rules = rules(shop, &mut tx).await?.rules;
    tx.commit().await?;
    let customers_too = may_write_to_customers(&guard, mail, &rules, when)?;
    let mut run = Run {
        shop,
        mail,
        rules,
        now: when.at,
        outcome: Outcome::default(),
    };
    run.settle_interrupted().await?;
    run.look_again().await?;
    run.tell_ops(&guard).await?;
    run.compose(customers_too).await?;
    run.send(customers_too).await?;
    Ok(run.outcome)
}

/// Customers are written to within the sending hours, and only while the
/// clock is believed (spec, section 5, rule 8).
fn may_write_to_customers(guard: &Guard, mail: &Mail, rules: &Rules, when: When) -> Result<bool> {
    let When {
        at,
        clock,
        is_named,
    } = when;
    if at > clock {
        let why = format!("--at {at} is in the future: expected a time until now ({clock})");
        return Err(Refused(why).into());
    }
    if let Some(last_at) = guard.last_at.filter(|last_at| at < *last_at) {
        let why = format!("{at} is before {last_at}, up to when was enforced");
        return Err(Refused(format!("{why}: expected a later time")).into());
    }
    let jumped = guard
        .last_at
        .is_some_and(|last_at| !is_named && at - last_at > CLOCK_JUMP);
    let time = at.with_timezone(&rules.calendar.zone).time();
    let hours = mail.send_between;
    let in_hours = hours.from <= time && time < hours.until;
    Ok(in_hours && !jumped && guard.held_since.is_none())
}

struct Run<'s> {
    shop: &'s Shop,
    mail: &'s Mail,
    rules: Rules,
    now: Instant,
    outcome: Outcome,
}

/// Notices for one recipient.
struct Group {
    audience: Audience,
    to: Vec<Mailbox>,
    addressee: Addressee,
    notices: Vec<(i64, NoticeText)>,
}

impl Run<'_> {
    /// Messages that a run died over: the server may have them.
    async fn settle_interrupted(&mut self) -> Result<()> {
        let mut tx = self.shop.store.write().await?;
        for id in store::messages_interrupted(&mut tx).await? {
            let Some(message) = store::message_get(&mut tx, id).await? else {
                continue;
            };
            let mut tried = self.uncertain(&message, "the program ended before the answer came");
            if tried.state == MessageState::Ready {
                tried.next_try_at = Some(self.now);
            }
            store::message_tried(&mut tx, id, &tried, self.now).await?;
            self.outcome.count("uncertain", 1);
        }
        Ok(tx.commit().await?)
    }

    /// Messages that were not taken over are looked at again before each try:
    /// one with a notice that lost its reason is taken apart.
    async fn look_again(&mut self) -> Result<()> {
        let mut tx = self.shop.store.write().await?;
        let waiting = store::messages_to_recheck(&mut tx, self.now).await?;
        for id in waiting {
            let notices = store::notices_of_messages(&mut tx, &[id]).await?;
            let order_ids: BTreeSet<i64> = notices.iter().map(|(order_id, _)| *order_id).collect();
            let own: HashSet<i64> = notices.iter().map(|(_, notice)| *notice).collect();
            let order_ids: Vec<i64> = order_ids.into_iter().collect();
            let mut changed = Vec::new();
            for page in order_ids.chunks(500) {
                for (_, _, recorded) in self.evaluated(&mut tx, page).await?.iter() {
                    changed.extend(recorded.overruled.iter().copied());
                }
            }
            changed.retain(|(notice, _)| own.contains(notice));
            if changed.is_empty() {
                continue;
            }
            store::message_drop(&mut tx, id).await?;
            self.overrule(&mut tx, &changed).await?;
            self.outcome.count("dropped", 1);
        }
        Ok(tx.commit().await?)
    }

    async fn overrule(&mut self, tx: &mut Tx, changed: &[(i64, Disposition)]) -> Result<()> {
        store::notices_write(tx, changed).await?;
        for (_, disposition) in changed {
            self.outcome.count((*disposition).into(), 1);
        }
        Ok(())
    }

    /// Cases with what was recorded of them, and what no longer stands.
    async fn evaluated(
        &mut self,
        tx: &mut Tx,
        order_ids: &[i64],
    ) -> Result<Vec<(Case, Evaluation, Standing)>> {
        let mut recorded = store::recorded_load(tx, order_ids).await?;
        let mut all = Vec::with_capacity(order_ids.len());
        for found in evaluate_page(tx, order_ids, &self.rules, self.now).await? {
            let notices = recorded.remove(&found.order_id).unwrap_or_default().notices;
            match found.found {
                Ok((case, evaluation)) => {
                    let overruled = overruled(&evaluation, &notices, self.now);
                    all.push((case, evaluation, Standing { notices, overruled }));
                }
                // Its notices wait until it can be evaluated again.
                Err(error) => {
                    tracing::warn!(
                        order_id = found.order_id,
                        error,
                        "a case cannot be evaluated"
                    );
                    self.outcome.count("failed", 1);
                }
            }
        }
        Ok(all)
    }

    /// Ops are told once that customers' notices are held.
    async fn tell_ops(&mut self, guard: &Guard) -> Result<()> {
        let Some((since, reason)) = guard.held_since.zip(guard.held_reason.as_ref()) else {
            return Ok(());
        };
        let to = &self.shop.config.contacts.ops;
        let mut tx = self.shop.store.write().await?;
        if to.is_empty() || store::message_since(&mut tx, MessageKind::Ops, since).await? {
            return Ok(());
        }
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
        let parcel = Parcel {
            kind: MessageKind::Ops,
            audience: "ops".to_owned(),
            to: mailboxes(to),
            letter: &letter,
            attachments: &[],
            notice_ids: &[],
        };
        post(&mut tx, &self.shop.config, self.mail, parcel, self.now).await?;
        self.outcome.count("composed", 1);
        Ok(tx.commit().await?)
    }

    /// Turns the notices that are ready into messages, one a recipient.
    async fn compose(&mut self, customers_too: bool) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let ready = store::notices_ready(&mut tx, self.now, customers_too).await?;
        tx.commit().await?;
        let ids: HashSet<i64> = ready.iter().map(|(_, notice)| *notice).collect();
        let mut order_ids: Vec<i64> = ready.into_iter().map(|(order_id, _)| order_id).collect();
        order_ids.dedup();
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        for page in order_ids.chunks(page_len(std::iter::repeat_n(4, order_ids.len()))) {
            let mut tx = self.shop.store.write().await?;
            for (case, evaluation, standing) in self.evaluated(&mut tx, page).await? {
                let mut changed = standing.overruled.clone();
                changed.retain(|(notice, _)| ids.contains(notice));
                self.overrule(&mut tx, &changed).await?;
                let gone: HashSet<i64> = changed.iter().map(|(notice, _)| *notice).collect();
                let stands = |notice: &&RecordedNotice| {
                    ids.contains(&notice.id) && !gone.contains(&notice.id)
                };
                for notice in standing.notices.iter().filter(stands) {
                    self.group(&mut tx, &case, &evaluation, notice, &mut groups)
                        .await?;
                }
            }
            tx.commit().await?;
        }
        self.compose_groups(groups.into_values().collect()).await
    }

    async fn group(
        &mut self,
        tx: &mut Tx,
        case: &Case,
        evaluation: &Evaluation,
        notice: &RecordedNotice,
        groups: &mut BTreeMap<(String, String), Group>,
    ) -> Result<()> {
        let audience = notice.key.audience;
        let (to, addressee) = match audience {
            Audience::Customer => {
                let customer_ref = &case.order.customer_ref;
                let customer = store::customer_load(tx, customer_ref).await?;
                let Some(customer) = customer else {
                    return Ok(());
                };
                let to = Mailbox {
                    name: customer.name.clone(),
                    address: customer.email,
                };
                let customer_ref = customer_ref.clone();
                (
                    vec![to],
                    Addressee::Customer {
                        customer_ref,
                        name: customer.name,
                    },
                )
            }
            _ => {
                let (_, claim) = about(case, &notice.key);
                let assignee = claim.and_then(|claim| claim.assignee_email.as_deref());
                let to = addresses(&self.shop.config.contacts, audience, assignee);
                (mailboxes(&to), Addressee::Inside)
            }
        };
        if to.is_empty() {
            self.outcome.count("no_recipient", 1);
            return Ok(());
        }
        let customer_ref = match &addressee {
            Addressee::Customer { customer_ref, .. } => customer_ref.clone(),
            Addressee::Inside => String::new(),
        };
        let addresses: Vec<&str> = to.iter().map(|to| to.address.as_str()).collect();
        let key = (customer_ref, addresses.join(", "));
        let text = notice_text(case, evaluation, notice, &self.rules.calendar, self.now);
        let group = groups.entry(key).or_insert_with(|| Group {
            audience,
            to,
            addressee,
            notices: Vec::new(),
        });
        group.notices.push((notice.id, text));
        Ok(())
    }

    async fn compose_groups(&mut self, groups: Vec<Group>) -> Result<()> {
        let letters = Letters::new()?;
        let letterhead = letterhead(&self.shop.config);
        let today = self.rules.calendar.date_of(self.now);
        for page in groups.chunks(MESSAGES_A_PAGE) {
            let mut tx = self.shop.store.write().await?;
            for group in page {
                for part in group.notices.chunks(NOTICES_PER_LETTER) {
                    let (notice_ids, texts): (Vec<i64>, Vec<NoticeText>) =
                        part.iter().cloned().unzip();
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
                        audience: group.audience.to_string(),
                        to: group.to.clone(),
                        letter: &letter,
                        attachments: &[],
                        notice_ids: &notice_ids,
                    };
                    let posted = post(&mut tx, &self.shop.config, self.mail, parcel, self.now);
                    self.outcome.count("composed", posted.await?.into());
                }
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Hands the messages over, one after the other.
    async fn send(&mut self, customers_too: bool) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let due = store::messages_due(&mut tx, self.now, customers_too).await?;
        tx.commit().await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut transport = transport(self.mail)?;
        for id in due {
            let mut tx = self.shop.store.write().await?;
            let Some(message) = store::message_get(&mut tx, id).await? else {
                continue;
            };
            store::message_sending(&mut tx, id).await?;
            tx.commit().await?;
            let delivery = self.hand_over(&mut transport, &message).await;
            let (tried, fault) = self.settled(&message, delivery);
            let mut tx = self.shop.store.write().await?;
            store::message_tried(&mut tx, id, &tried, self.now).await?;
            tx.commit().await?;
            tracing::info!(message = message.draft.message_id, state = %tried.state, "tried");
            if let Some(cause) = fault {
                self.outcome.problem = Some(format!(
                    "the mail server cannot be used: {cause}; messages wait"
                ));
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

    async fn hand_over(&self, transport: &mut Transport, message: &Message) -> Delivery {
        let envelope = Envelope {
            from: self.mail.from.clone(),
            to: message
                .draft
                .recipient
                .split(", ")
                .map(str::to_owned)
                .collect(),
        };
        let name = message.draft.message_id.trim_matches(['<', '>']);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let date = self.rules.calendar.date_of(message.composed_at);
        let name = format!("{date}-{:06}-{name}", message.id);
        transport
            .send(&envelope, message.draft.raw.as_bytes(), &name)
            .await
    }

    /// What a delivery leaves of its message, and the fault of the transport,
    /// if it has one.
    fn settled(&self, message: &Message, delivery: Delivery) -> (Try, Option<String>) {
        let tried = |state, answer| Try {
            state,
            counts: true,
            next_try_at: None,
            answer,
            refused: false,
            maybe_taken: false,
        };
        match delivery {
            Delivery::Delivered { answer } => (tried(MessageState::Sent, answer), None),
            Delivery::RefusedForGood { answer } => (
                Try {
                    refused: true,
                    ..tried(MessageState::Failed, answer)
                },
                None,
            ),
            Delivery::RefusedForNow { answer }
            | Delivery::NotSent {
                cause: answer,
                transport_fault: false,
            } => (self.later(message, answer), None),
            // The message is not to blame: it keeps its tries and its turn.
            Delivery::NotSent {
                cause,
                transport_fault: true,
            } => {
                let waits = Try {
                    counts: false,
                    next_try_at: message.next_try_at,
                    ..tried(MessageState::Ready, cause.clone())
                };
                (waits, Some(cause))
            }
            Delivery::Uncertain { cause } => (self.uncertain(message, &cause), None),
        }
    }

    /// The server may have the message: it is sent again byte for byte, or
    /// waits for a person.
    fn uncertain(&self, message: &Message, cause: &str) -> Try {
        let tried = self.later(message, format!("uncertain: {cause}"));
        match self.mail.on_uncertain {
            OnUncertain::Resend => Try {
                maybe_taken: true,
                ..tried
            },
            OnUncertain::Hold => Try {
                state: MessageState::Uncertain,
                next_try_at: None,
                maybe_taken: true,
                ..tried
            },
        }
    }

    /// Another try, after a wait that doubles; or none any more.
    fn later(&self, message: &Message, answer: String) -> Try {
        let next_try_at = self.now + wait(message);
        let gives_up_at = message.composed_at + self.mail.give_up_after;
        let again = next_try_at <= gives_up_at;
        Try {
            state: if again {
                MessageState::Ready
            } else {
                MessageState::Failed
            },
            counts: true,
            next_try_at: again.then_some(next_try_at),
            answer: match again {
                true => answer,
                false => format!("given up after {} tries: {answer}", message.tries + 1),
            },
            refused: false,
            maybe_taken: false,
        }
    }
}

/// What was recorded of a case, and what of it no longer stands.
struct Standing {
    notices: Vec<RecordedNotice>,
    overruled: Vec<(i64, Disposition)>,
}

/// Doubles with each try; up to a fifth longer, so that messages that were
/// refused together are not tried together for ever.
fn wait(message: &Message) -> TimeDelta {
    let doublings = u32::try_from(message.tries).unwrap_or(u32::MAX).min(10);
    let wait = (FIRST_WAIT * 2_i32.pow(doublings)).min(LAST_WAIT);
    let digest = sha256_hex(format!("{} {}", message.draft.message_id, message.tries).as_bytes());
    let jitter = i32::from_str_radix(&digest[..2], 16).unwrap_or(0);
    wait + wait / 5 * jitter / 255
}
