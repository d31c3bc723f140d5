//! Where messages to be sent come from: those that are due, then those that
//! are composed of what is ready.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Result;

use super::Run;
use super::sessions::{Lease, Outgoing};
use super::standing::Standing;
use crate::case::Disposition;
use crate::clock::Stopwatch;
use crate::config::Contacts;
use crate::mail::Envelope;
use crate::policy::{Audience, Instant};
use crate::store::{self, CarriedNotice, Message, MessageKind, ReadyNotice, Tx};

/// Notices to customers that a page begins with; all that is ready for the
/// same customers belongs to it.
const CUSTOMERS_A_PAGE: i64 = 500;

/// Notices inside the shop that are composed together: few addresses get
/// many, in as few messages as they fit into.
const INSIDE_A_PAGE: i64 = 2_000;

/// A place in the order of times and numbers.
type Place = Option<(Instant, i64)>;

/// How far a run has come.
pub(super) struct Supply {
    /// The last due message that was looked at.
    due: Place,
    /// What is still to be composed, the last first.
    stages: Vec<Stage>,
}

/// Notices that are composed page by page.
struct Stage {
    audiences: Vec<Audience>,
    at_most: i64,
    after: Place,
}

impl Supply {
    /// All that somebody receives.
    pub fn new(contacts: &Contacts, customers_too: bool) -> Self {
        let stage = |audiences, at_most| Stage {
            audiences,
            at_most,
            after: None,
        };
        let customers = stage(vec![Audience::Customer], CUSTOMERS_A_PAGE);
        let mut stages: Vec<Stage> = customers_too.then_some(customers).into_iter().collect();
        stages.push(stage(received_inside(contacts), INSIDE_A_PAGE));
        Self { due: None, stages }
    }
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

impl Run<'_> {
    /// Takes the next messages, and composes until there are some. Empty: there
    /// are no more.
    pub(super) async fn supply(&mut self, supply: &mut Supply, at_most: usize) -> Result<Page> {
        loop {
            let page = self.take(&mut supply.due, at_most).await?;
            if !page.messages.is_empty() || !self.compose_page(supply).await? {
                return Ok(page);
            }
        }
    }

    /// Takes the next messages that are due, after their reasons were looked at
    /// again. Empty: no more are due.
    async fn take(&mut self, place: &mut Place, at_most: usize) -> Result<Page> {
        loop {
            let since = Stopwatch::start();
            let mut tx = self.shop.store.write().await?;
            let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
            let due =
                store::messages_due(&mut tx, self.now, self.customers_too, *place, limit).await?;
            let last = due
                .last()
                .and_then(|last| Some((last.next_try_at?, last.id)));
            let is_last = due.len() < at_most;
            let standing = self.look(&mut tx, due).await?;
            let ids: Vec<i64> = standing.iter().map(|message| message.id).collect();
            let taken = store::messages_take(&mut tx, &ids).await?;
            let mut bodies = store::message_bodies(&mut tx, &taken.ids).await?;
            tx.commit().await?;
            *place = last.or(*place);
            let messages = standing.into_iter().filter_map(|mut message| {
                message.draft.raw = bodies.remove(&message.id)?;
                message.fence += 1;
                Some(self.outgoing(message))
            });
            let messages: Vec<Outgoing> = messages.collect();
            if is_last || !messages.is_empty() {
                let lease = Lease {
                    since,
                    holds: taken.lease,
                };
                return Ok(Page { messages, lease });
            }
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

    /// Looks at the reasons and the addresses of messages again; gives those
    /// that may be sent as they are. What the server may have is sent again
    /// byte for byte, and what was composed in this run was looked at.
    async fn look(&mut self, tx: &mut Tx<'_>, mut due: Vec<Message>) -> Result<Vec<Message>> {
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
        if !self.is_doubted && !own.is_empty() {
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
        self.compose_of(tx, standings, &own.collect()).await
    }

    /// Composes those of some notices that still stand.
    async fn compose_of(
        &mut self,
        tx: &mut Tx<'_>,
        standings: HashMap<i64, Standing>,
        notice_ids: &HashSet<i64>,
    ) -> Result<()> {
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
        self.compose(tx, &standings).await
    }

    /// Turns the next notices that are ready into messages, one a recipient;
    /// `false`: there are no more.
    async fn compose_page(&mut self, supply: &mut Supply) -> Result<bool> {
        let Some(stage) = supply.stages.last_mut() else {
            return Ok(false);
        };
        let mut tx = self.shop.store.write().await?;
        // Two nodes would tell a notice twice.
        tx.alone("compose").await?;
        let found = store::notices_ready(
            &mut tx,
            self.now,
            &stage.audiences,
            stage.after,
            stage.at_most,
        );
        let found = found.await?;
        stage.after = found.last().map(|last| (last.ready_at, last.id));
        let is_last = (found.len() as i64) < stage.at_most;
        let is_customers = stage.audiences == [Audience::Customer];
        if is_last {
            supply.stages.pop();
        }
        self.compose_ready(&mut tx, found, is_customers).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn compose_ready(
        &mut self,
        tx: &mut Tx<'_>,
        mut found: Vec<ReadyNotice>,
        is_customers: bool,
    ) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        if is_customers {
            let order_ids: BTreeSet<i64> = found.iter().map(|notice| notice.order_id).collect();
            let order_ids: Vec<i64> = order_ids.into_iter().collect();
            found = store::notices_ready_beside(tx, self.now, &order_ids).await?;
        }
        let order_ids = found.iter().map(|notice| notice.order_id).collect();
        let ids = found.iter().map(|notice| notice.id).collect();
        let standings = self.standings(tx, &order_ids).await?;
        self.compose_of(tx, standings, &ids).await
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
            let is_live =
                notice.disposition.is_waiting() || notice.disposition == Disposition::Sent;
            is_live && is_told(notice)
        })
}
