//! Where messages to be sent come from: those that are due, then those that
//! are composed of what is ready.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc;

use super::Run;
use super::sessions::{Lease, Outgoing};
use super::standing::Standing;
use crate::case::Disposition;
use crate::clock::Stopwatch;
use crate::config::Contacts;
use crate::jobs::Outcome;
use crate::mail::Envelope;
use crate::policy::{Audience, Instant};
use crate::store::{self, Added, CarriedNotice, Message, MessageKind, ReadyNotice, StoreError, Tx};

/// Notices inside the shop that are composed together: few addresses get
/// many, in as few messages as they fit into.
const INSIDE_A_PAGE: usize = 1_000;

/// How many times a page is tried that the database takes back in favour of
/// another transaction.
const TRIES: usize = 5;

/// A place in the order of times and numbers.
type Place = Option<(Instant, i64)>;

/// See the module.
pub(super) struct Supply<'r> {
    pub(super) run: &'r Run<'r>,
    pub(super) outcome: Outcome,
    /// The last due message that was looked at.
    due: Place,
    /// What is still to be composed, the last first.
    stages: Vec<Stage>,
}

/// Notices that are composed page by page.
struct Stage {
    audiences: Vec<Audience>,
    after: Place,
}

/// The audiences inside the shop that somebody receives.
fn received_inside(contacts: &Contacts) -> Vec<Audience> {
    let inside = [
        (Audience::Lead, &contacts.lead),
        (Audience::Finance, &contacts.finance),
        (Audience::Manager, &contacts.manager),
        (Audience::Director, &contacts.director),
    ];
    let received = inside.into_iter().filter(|(_, list)| !list.is_empty());
    let received = received.map(|(audience, _)| audience);
    std::iter::once(Audience::Assignee)
        .chain(received)
        .collect()
}

/// Messages that were taken, and the lease that they are held under.
pub(super) struct Page {
    pub messages: Vec<Outgoing>,
    pub lease: Lease,
}

impl<'r> Supply<'r> {
    /// All that somebody receives.
    pub fn new(run: &'r Run<'r>) -> Self {
        let stage = |audiences| Stage {
            audiences,
            after: None,
        };
        let customers = stage(vec![Audience::Customer]);
        let customers = run.customers_too.then_some(customers);
        let mut stages: Vec<Stage> = customers.into_iter().collect();
        stages.push(stage(received_inside(&run.shop.config.contacts)));
        Self {
            run,
            outcome: Outcome::default(),
            due: None,
            stages,
        }
    }

    /// Gets pages ready as they are asked for, until nobody asks any more.
    pub async fn serve(
        &mut self,
        mut rooms: mpsc::UnboundedReceiver<usize>,
        pages: mpsc::UnboundedSender<Page>,
    ) -> Result<()> {
        while let Some(room) = rooms.recv().await {
            let page = self.next(room).await?;
            // Whoever asked waits for it.
            let _sent = pages.send(page);
        }
        Ok(())
    }

    /// The next messages, about as many as there is room for. Empty: there are
    /// no more.
    pub async fn next(&mut self, room: usize) -> Result<Page> {
        let mut tries = 1;
        loop {
            let before = self.outcome.clone();
            match self.page(room).await {
                Err(error) if tries < TRIES && is_taken_back(&error) => tries += 1,
                page => return page,
            }
            self.outcome = before;
        }
    }

    async fn page(&mut self, room: usize) -> Result<Page> {
        let mut page = self.take(room).await?;
        while page.messages.is_empty() && !self.stages.is_empty() {
            page = self.compose_page(room).await?;
        }
        Ok(page)
    }

    /// Takes the next messages that are due, after their reasons were looked at
    /// again. Empty: no more are due.
    async fn take(&mut self, room: usize) -> Result<Page> {
        let Run {
            now, customers_too, ..
        } = *self.run;
        loop {
            let since = Stopwatch::start();
            let mut tx = self.run.shop.store.write().await?;
            let limit = room as i64;
            let due = store::messages_due(&mut tx, now, customers_too, self.due, limit).await?;
            let last = due
                .last()
                .and_then(|last| Some((last.next_try_at?, last.id)));
            // What was taken apart is due again.
            let is_last = due.is_empty();
            let standing = self.look(&mut tx, due).await?;
            let ids: Vec<i64> = standing.iter().map(|message| message.id).collect();
            let taken = store::messages_take(&mut tx, &ids).await?;
            let mut bodies = store::message_bodies(&mut tx, &taken.ids).await?;
            tx.commit().await?;
            self.due = last.or(self.due);
            let messages = standing.into_iter().filter_map(|mut message| {
                message.draft.raw = bodies.remove(&message.id)?;
                message.fence += 1;
                Some(message)
            });
            let page = self.run.page(messages, since, taken.lease);
            if is_last || !page.messages.is_empty() {
                return Ok(page);
            }
        }
    }

    /// Looks at the reasons and the addresses of messages again; gives those
    /// that may be sent as they are. What the server may have is sent again
    /// byte for byte, and what was composed in this run was looked at.
    async fn look(&mut self, tx: &mut Tx<'_>, mut due: Vec<Message>) -> Result<Vec<Message>> {
        let is_old = |message: &&Message| {
            let is_notices = message.draft.kind == MessageKind::Notices;
            is_notices && !message.maybe_taken && message.composed_at != self.run.now
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
        let standings = self.standings(tx, &order_ids).await?;
        let recipients = self.recipients(tx, standings.values()).await?;
        due.retain(|message| {
            let notices = carried.remove(&message.id).unwrap_or_default();
            let stands = notices.iter().all(|notice| {
                let standing = standings.get(&notice.order_id);
                standing.is_some_and(|standing| {
                    stands(standing, notice.id, |recorded| {
                        let to = recipients.of(standing, recorded);
                        let recipient = &message.draft.recipient;
                        to.iter().any(|(to, _)| to.address == *recipient)
                    })
                })
            });
            if !stands {
                own.insert(message.id, notices);
            }
            stands
        });
        // Nobody can tell now.
        if !self.run.is_doubted && !own.is_empty() {
            self.take_apart(tx, standings, own).await?;
        }
        Ok(due)
    }

    /// Takes back messages in which something lost its reason or cannot be
    /// told, or whose address is no longer that of the recipient. What still
    /// stands is composed again.
    async fn take_apart(
        &mut self,
        tx: &mut Tx<'_>,
        standings: HashMap<i64, Standing>,
        fallen: HashMap<i64, Vec<CarriedNotice>>,
    ) -> Result<()> {
        let ids: Vec<i64> = fallen.keys().copied().collect();
        store::messages_drop(tx, &ids).await?;
        self.outcome.count("dropped", ids.len() as u64);
        let own = fallen.into_values().flatten().map(|notice| notice.id);
        let own = own.collect();
        self.compose_of(tx, standings, &own, false).await.map(drop)
    }

    /// Composes those of some notices that still stand.
    async fn compose_of(
        &mut self,
        tx: &mut Tx<'_>,
        standings: HashMap<i64, Standing>,
        notice_ids: &HashSet<i64>,
        taken: bool,
    ) -> Result<Added> {
        let mut standings: Vec<(i64, Standing)> = standings.into_iter().collect();
        standings.sort_unstable_by_key(|(order_id, _)| *order_id);
        let own = |(_, mut standing): (i64, Standing)| {
            standing
                .notices
                .retain(|notice| notice_ids.contains(&notice.id));
            standing
        };
        let mut standings: Vec<Standing> = standings.into_iter().map(own).collect();
        self.overrule(tx, &mut standings).await?;
        self.compose(tx, &standings, taken).await
    }

    /// Turns the next notices that are ready into messages, one a recipient,
    /// which are at hand.
    async fn compose_page(&mut self, room: usize) -> Result<Page> {
        let Run { shop, now, .. } = self.run;
        let Some(stage) = self.stages.last() else {
            return Ok(self.run.page([], Stopwatch::start(), Duration::ZERO));
        };
        let is_customers = stage.audiences == [Audience::Customer];
        let at_most = if is_customers { room } else { INSIDE_A_PAGE };
        let since = Stopwatch::start();
        let mut tx = shop.store.write().await?;
        // Two nodes would tell a notice twice.
        tx.alone("compose").await?;
        let (audiences, limit) = (&stage.audiences, at_most as i64);
        let found = store::notices_ready(&mut tx, *now, audiences, stage.after, limit).await?;
        let last = found.last().map(|last| (last.ready_at, last.id));
        let is_last = found.len() < at_most;
        let added = self.compose_ready(&mut tx, found, is_customers).await?;
        tx.commit().await?;
        match self.stages.last_mut() {
            Some(stage) if !is_last => stage.after = last,
            _ => drop(self.stages.pop()),
        }
        Ok(self.run.page(added.messages, since, added.lease))
    }

    async fn compose_ready(
        &mut self,
        tx: &mut Tx<'_>,
        mut found: Vec<ReadyNotice>,
        is_customers: bool,
    ) -> Result<Added> {
        if found.is_empty() {
            return Ok(Added::default());
        }
        let mut order_ids: BTreeSet<i64> = found.iter().map(|notice| notice.order_id).collect();
        if is_customers {
            // All that is ready for the same customers belongs to the page.
            let of_page: Vec<i64> = order_ids.into_iter().collect();
            found = store::notices_ready_beside(tx, self.run.now, &of_page).await?;
            order_ids = found.iter().map(|notice| notice.order_id).collect();
        }
        let ids = found.iter().map(|notice| notice.id).collect();
        let standings = self.standings(tx, &order_ids).await?;
        self.compose_of(tx, standings, &ids, true).await
    }
}

impl Run<'_> {
    /// Messages that are at hand from a time on.
    fn page(
        &self,
        messages: impl IntoIterator<Item = Message>,
        since: Stopwatch,
        holds: Duration,
    ) -> Page {
        Page {
            messages: messages.into_iter().map(|one| self.outgoing(one)).collect(),
            lease: Lease { since, holds },
        }
    }

    fn outgoing(&self, message: Message) -> Outgoing {
        let name = message.draft.message_id.trim_matches(['<', '>']);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let date = self.rules.calendar.date_of(message.composed_at);
        Outgoing {
            envelope: Envelope {
                from: self.mail.from.clone(),
                to: message.draft.recipient.clone(),
            },
            name: format!("{date}-{:06}-{name}", message.id),
            message,
        }
    }
}

fn is_taken_back(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Again(_)))
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
            let is_live =
                notice.disposition.is_waiting() || notice.disposition == Disposition::Sent;
            is_live && is_told(notice)
        })
}
