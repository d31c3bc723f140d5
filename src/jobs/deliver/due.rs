//! Messages that are due: taken to be sent, after their reasons were looked at
//! again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc::Receiver;

use super::Run;
use super::compose::Composed;
use super::sessions::{Lease, Outgoing};
use super::standing::{Standing, Standings};
use crate::case::Disposition;
use crate::clock::Stopwatch;
use crate::mail::{Envelope, redirected};
use crate::policy::Instant;
use crate::store::{self, CarriedNotice, Message, MessageKind, Try, Tx};

/// How far a run has come.
#[derive(Default)]
pub(super) struct Due {
    /// The last message that was looked at, in the order of times and numbers.
    after: Option<(Instant, i64)>,
    /// The bytes of those that were composed by this run and not taken yet.
    composed: Composed,
    is_over: bool,
}

/// What a transaction takes, once it is committed.
struct Taking {
    messages: Vec<Outgoing>,
    holds: Duration,
    after: Option<(Instant, i64)>,
    is_last: bool,
}

impl Due {
    /// Whether nothing more is due.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Receives what was composed, as far as its bytes are soon to be sent.
    pub fn receive(&mut self, pages: &mut Receiver<Composed>, at_most: usize) {
        while self.composed.len() < at_most
            && let Ok(page) = pages.try_recv()
        {
            self.add(page);
        }
    }

    /// Messages that were composed are due. All are looked for anew: another
    /// node's may have lower numbers and come later.
    pub fn add(&mut self, composed: Composed) {
        if self.is_over {
            // What is left of those before is not to be sent by this run.
            self.composed.clear();
        }
        self.composed.extend(composed);
        self.after = None;
        self.is_over = false;
    }

    /// The run has come as far as a transaction took.
    fn took(&mut self, taking: Taking) -> (Vec<Outgoing>, Duration) {
        self.after = taking.after;
        self.is_over = taking.is_last;
        (taking.messages, taking.holds)
    }

    /// The bytes of messages; only those are read that were not composed just
    /// now.
    async fn bodies(&mut self, tx: &mut Tx<'_>, ids: &[i64]) -> Result<Composed> {
        let (here, unread): (Vec<i64>, Vec<i64>) =
            ids.iter().partition(|id| self.composed.contains_key(id));
        let mut bodies = match unread.is_empty() {
            true => Composed::new(),
            false => store::message_bodies(tx, &unread).await?,
        };
        bodies.extend(here.iter().filter_map(|id| self.composed.remove_entry(id)));
        Ok(bodies)
    }
}

impl Run<'_> {
    /// Takes the next messages that are due, after their reasons were looked at
    /// again, with the lease that they are held under.
    pub(super) async fn take(
        &self,
        due: &mut Due,
        pages: &mut Receiver<Composed>,
        at_most: usize,
    ) -> Result<(Vec<Outgoing>, Lease)> {
        loop {
            let since = Stopwatch::start();
            let mut tx = self.ahead.write_beside().await?;
            let taking = self.take_within(&mut tx, due, pages, at_most).await?;
            self.ahead.commit(tx).await?;
            let (messages, holds) = due.took(taking);
            if due.is_over || !messages.is_empty() {
                return Ok((messages, Lease { since, holds }));
            }
        }
    }

    /// Keeps what tries left and takes the next messages in one transaction:
    /// each waits for the disk.
    pub(super) async fn keep_and_take(
        &self,
        tried: &[(Message, Try)],
        due: &mut Due,
        pages: &mut Receiver<Composed>,
        at_most: usize,
    ) -> Result<(Vec<Outgoing>, Lease)> {
        let since = Stopwatch::start();
        let mut tx = self.ahead.write_beside().await?;
        let written = store::messages_tried(&mut tx, tried, self.now).await?;
        let taking = self.take_within(&mut tx, due, pages, at_most).await?;
        self.ahead.commit(tx).await?;
        self.kept(tried, &written);
        let (messages, holds) = due.took(taking);
        Ok((messages, Lease { since, holds }))
    }

    async fn take_within(
        &self,
        tx: &mut Tx<'_>,
        due: &mut Due,
        pages: &mut Receiver<Composed>,
        at_most: usize,
    ) -> Result<Taking> {
        // Before anything is found: no bytes are read back of what was composed.
        due.receive(pages, at_most);
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        let (now, after) = (self.now, due.after);
        let found = store::messages_due(tx, now, self.customers_too, after, limit).await?;
        let last = found.last();
        let last = last.and_then(|last| Some((last.next_try_at?, last.id)));
        let all = found.len();
        let standing = self.look(tx, found).await?;
        let standing = self.admit(tx, standing).await?;
        // What has fallen may have been composed anew.
        let is_last = all < at_most && standing.len() == all;
        let ids: Vec<i64> = standing.iter().map(|message| message.id).collect();
        let taken = store::messages_take(tx, &ids).await?;
        let mut bodies = due.bodies(tx, &taken.ids).await?;
        let messages = standing.into_iter().filter_map(|mut message| {
            message.draft.raw = bodies.remove(&message.id)?;
            message.fence += 1;
            Some(self.outgoing(message))
        });
        Ok(Taking {
            messages: messages.collect(),
            holds: taken.lease,
            after: last.or(after),
            is_last,
        })
    }

    fn outgoing(&self, mut message: Message) -> Outgoing {
        let name = message.draft.message_id.trim_matches(['<', '>']);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let date = self.rules.calendar.date_of(message.composed_at);
        let to = self.goes_to(&message.draft.recipient).to_owned();
        if self.mail.redirect_all_to.is_some() {
            let line = redirected(&message.draft.recipient);
            message.draft.raw.insert_str(0, &line);
        }
        Outgoing {
            envelope: Envelope {
                from: self.mail.from.clone(),
                to,
            },
            name: format!("{date}-{:06}-{name}", message.id),
            message,
        }
    }

    /// Looks at the reasons and the addresses of messages again; gives those
    /// that may be sent as they are. What the server may have is sent again
    /// byte for byte, and what was composed in this run was looked at.
    async fn look(&self, tx: &mut Tx<'_>, mut due: Vec<Message>) -> Result<Vec<Message>> {
        let is_old = |message: &&Message| {
            let is_notices = message.draft.kind == MessageKind::Notices;
            is_notices && !message.maybe_taken && message.composed_at != self.now
        };
        let old: Vec<i64> = due
            .iter()
            .filter(is_old)
            .map(|message| message.id)
            .collect();
        if old.is_empty() {
            return Ok(due);
        }
        let mut carried: HashMap<i64, Vec<CarriedNotice>> = HashMap::new();
        let (mut order_ids, mut own) = (BTreeSet::new(), HashMap::new());
        for notice in store::notices_carried(tx, &old).await? {
            order_ids.insert(notice.order_id);
            carried.entry(notice.message_id).or_default().push(notice);
        }
        self.lock(tx, &order_ids).await?;
        let standings = self.standings(tx, &order_ids).await?;
        let cases = &standings.cases;
        let recipients = self.recipients(tx, cases.values()).await?;
        due.retain(|message| {
            let notices = carried.remove(&message.id).unwrap_or_default();
            let stands = notices.iter().all(|notice| {
                let standing = cases.get(&notice.order_id);
                standing.is_some_and(|standing| {
                    stands(standing, notice.id, |recorded| {
                        let to = recipients.of(standing, recorded);
                        let recipient = &message.draft.recipient;
                        recipients.takes_mail(recipient)
                            && to.iter().any(|(to, _)| to.address == *recipient)
                    })
                })
            });
            if !stands {
                own.insert(message.id, notices);
            }
            stands
        });
        // Nobody can tell now.
        if self.is_doubted || own.is_empty() {
            self.count("skipped", standings.skipped);
        } else {
            self.take_apart(tx, standings, own).await?;
        }
        Ok(due)
    }

    /// Takes back messages in which something lost its reason or cannot be
    /// told, or whose address is no longer that of the recipient. What still
    /// stands is composed again.
    async fn take_apart(
        &self,
        tx: &mut Tx<'_>,
        standings: Standings,
        fallen: HashMap<i64, Vec<CarriedNotice>>,
    ) -> Result<()> {
        let ids: Vec<i64> = fallen.keys().copied().collect();
        store::messages_drop(tx, &ids).await?;
        self.count("dropped", ids.len() as u64);
        let own = fallen.into_values().flatten().map(|notice| notice.id);
        let letters = self.letters(tx, standings, &own.collect()).await?;
        let letters = letters.written().await?;
        self.put(tx, letters).await.map(drop)
    }
}

/// Whether a notice of a case is still true and to be told, to whom it was.
fn stands(
    standing: &Standing,
    id: i64,
    is_told: impl Fn(&crate::case::RecordedNotice) -> bool,
) -> bool {
    let is_overruled = standing.overruled.iter().any(|(other, _)| *other == id);
    let notice = standing.notices.iter().find(|notice| notice.id == id);
    !is_overruled
        && notice.is_some_and(|notice| {
            let is_live = matches!(notice.disposition, Disposition::Queued | Disposition::Sent);
            is_live && is_told(notice)
        })
}
