//! Composing what is ready, page by page, beside the sending.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use super::Run;
use super::standing::Standing;
use super::writer::Writing;
use crate::config::Contacts;
use crate::policy::{Audience, Instant};
use crate::store::{self, ReadyNotice, Tx};

/// Notices to customers that a page begins with; all that is ready for the
/// same customers belongs to it.
const CUSTOMERS_A_PAGE: i64 = 500;

/// Notices inside the shop that are composed together: few addresses get
/// many, in as few messages as they fit into.
const INSIDE_A_PAGE: i64 = 2_000;

/// Notices to customers whose letters are written at once.
const CUSTOMERS_A_PART: usize = 100;

/// Pages that wait until those before them were sent, beside one that waits to
/// be given.
pub(super) const PAGES_AHEAD: usize = 1;

/// Messages that were composed: their bytes by their numbers.
pub(super) type Composed = HashMap<i64, String>;

/// Notices that are composed page by page.
pub(super) struct Stage {
    audiences: Vec<Audience>,
    at_most: i64,
    /// The last one that was composed, in the order of times and numbers.
    after: Option<(Instant, i64)>,
    /// Customers of whom nobody has let go what this node composed.
    unasked: HashSet<String>,
    /// Such messages that other nodes composed meanwhile.
    of_others: usize,
    /// The newest message that is counted.
    newest: i64,
}

impl Stage {
    /// Whether anything is ready.
    pub async fn is_ready(&self, tx: &mut Tx<'_>, now: Instant) -> Result<bool> {
        let found = store::notices_ready(tx, now, &self.audiences, None, 1).await?;
        Ok(!found.is_empty())
    }
}

/// All that somebody receives; messages up to `newest` are counted.
pub(super) fn stages(contacts: &Contacts, customers_too: bool, newest: i64) -> Vec<Stage> {
    let stage = |audiences, at_most| Stage {
        audiences,
        at_most,
        after: None,
        unasked: HashSet::new(),
        of_others: 0,
        newest,
    };
    let mut stages = vec![stage(received_inside(contacts), INSIDE_A_PAGE)];
    if customers_too {
        stages.push(stage(vec![Audience::Customer], CUSTOMERS_A_PAGE));
    }
    stages
}

/// What is ready for customers, in parts that no customer is in two of.
fn in_parts(customers: BTreeMap<String, Vec<ReadyNotice>>) -> Vec<Vec<ReadyNotice>> {
    let mut parts: Vec<Vec<ReadyNotice>> = Vec::new();
    for own in customers.into_values() {
        match parts.last_mut() {
            Some(part) if part.len() < CUSTOMERS_A_PART => part.extend(own),
            _ => parts.push(own),
        }
    }
    parts
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

impl Run<'_> {
    /// Turns all notices that are ready into messages, and gives them page by
    /// page, as long as somebody takes them.
    pub(super) async fn compose_ready(
        &self,
        pages: mpsc::Sender<Composed>,
        newest: i64,
    ) -> Result<()> {
        for mut stage in stages(&self.shop.config.contacts, self.customers_too, newest) {
            while !self.is_ending()
                && let Some(page) = self.compose_page(&mut stage).await?
            {
                if pages.send(page).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Turns the next notices that are ready into messages, one a recipient;
    /// `None`: there are no more.
    async fn compose_page(&self, stage: &mut Stage) -> Result<Option<Composed>> {
        let mut tx = self.shop.store.write().await?;
        // Two nodes would tell a notice twice.
        tx.alone("compose").await?;
        let (now, audiences) = (self.now, &stage.audiences);
        let found = store::notices_ready(&mut tx, now, audiences, stage.after, stage.at_most);
        let found = found.await?;
        let Some(last) = found.last() else {
            return Ok(None);
        };
        stage.after = Some((last.ready_at, last.id));
        let parts = match *audiences == [Audience::Customer] {
            true => {
                let customers = self.customers(&mut tx, &found).await?;
                if self.is_surge(&mut tx, stage, &customers).await? {
                    return Ok(None);
                }
                in_parts(customers)
            }
            false => vec![found],
        };
        let composed = self.compose_parts(&mut tx, parts).await?;
        stage.newest = composed.keys().copied().fold(stage.newest, i64::max);
        tx.commit().await?;
        Ok(Some(composed))
    }

    /// Whether more customers came while the run was at work, here and on other
    /// nodes, than the surge guard lets pass: then the next run asks.
    async fn is_surge(
        &self,
        tx: &mut Tx<'_>,
        stage: &mut Stage,
        customers: &BTreeMap<String, Vec<ReadyNotice>>,
    ) -> Result<bool> {
        let (of_others, newest) = store::surge_composed(tx, stage.newest).await?;
        stage.of_others += of_others;
        stage.newest = newest;
        let is_unasked = |own: &Vec<ReadyNotice>| own.iter().any(|notice| !notice.is_cleared);
        let here = customers.iter().filter(|(_, own)| is_unasked(own));
        let here = here.map(|(customer_ref, _)| customer_ref.clone());
        stage.unasked.extend(here);
        let is_surge = stage.unasked.len() + stage.of_others > self.mail.surge_limit;
        self.count("at_limit", is_surge.into());
        Ok(is_surge)
    }

    /// Composes notices; the letters of one part are written while the next is
    /// read.
    async fn compose_parts(
        &self,
        tx: &mut Tx<'_>,
        parts: Vec<Vec<ReadyNotice>>,
    ) -> Result<Composed> {
        // All at once and in order, as others lock them.
        let order_ids = parts.iter().flatten().map(|notice| notice.order_id);
        self.lock(tx, &order_ids.collect()).await?;
        let mut composed = Composed::new();
        let mut before = None;
        for part in parts {
            let order_ids = part.iter().map(|notice| notice.order_id).collect();
            let ids = part.iter().map(|notice| notice.id).collect();
            let standings = self.standings(tx, &order_ids).await?;
            let letters = self.letters(tx, standings, &ids).await?;
            if let Some(before) = before.replace(letters) {
                composed.extend(self.put(tx, before).await?);
            }
        }
        if let Some(last) = before {
            composed.extend(self.put(tx, last).await?);
        }
        Ok(composed)
    }

    /// All that is ready for the customers of some notices.
    async fn customers(
        &self,
        tx: &mut Tx<'_>,
        found: &[ReadyNotice],
    ) -> Result<BTreeMap<String, Vec<ReadyNotice>>> {
        let order_ids: BTreeSet<i64> = found.iter().map(|notice| notice.order_id).collect();
        let order_ids: Vec<i64> = order_ids.into_iter().collect();
        Ok(store::notices_ready_beside(tx, self.now, &order_ids).await?)
    }

    /// Lets the letters be written for those of some notices that still stand.
    pub(super) async fn letters(
        &self,
        tx: &mut Tx<'_>,
        standings: HashMap<i64, Standing>,
        notice_ids: &HashSet<i64>,
    ) -> Result<Writing> {
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
        let groups = self.groups(tx, &standings).await?;
        Ok(self.writer.begin(groups))
    }

    /// Puts letters into the outbox as soon as they are written.
    pub(super) async fn put(&self, tx: &mut Tx<'_>, letters: Writing) -> Result<Composed> {
        let mut written = letters.await.context("writing letters")?;
        let added = store::messages_add(tx, &written.messages, self.now).await?;
        self.count("failed", written.failed);
        self.count("composed", added.len() as u64);
        let bytes = |(id, place): (i64, usize)| {
            let (draft, _) = &mut written.messages[place];
            (id, mem::take(&mut draft.raw))
        };
        Ok(added.into_iter().map(bytes).collect())
    }
}
