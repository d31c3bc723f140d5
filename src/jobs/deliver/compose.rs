//! Composing what is ready, page by page, beside the sending: while one page is
//! put into the outbox, the next is read and its letters are written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;

use anyhow::{Context, Result};
use tokio::sync::mpsc::{OwnedPermit, Sender};

use super::Run;
use super::standing::{Standing, Standings};
use super::writer::{Writing, Written};
use crate::case::Fate;
use crate::config::Contacts;
use crate::policy::{Audience, Instant};
use crate::store::{self, ReadAhead, ReadyNotice, Tx};

/// Notices to customers that a page begins with; all that is ready for the
/// same customers belongs to it.
const CUSTOMERS_A_PAGE: i64 = 500;

/// Notices inside the shop that are composed together: few addresses get
/// many, in as few messages as they fit into.
const INSIDE_A_PAGE: i64 = 2_000;

/// Notices to customers whose letters are written at once, while the next are
/// read.
const CUSTOMERS_A_PART: usize = 250;

/// Pages that are composed, or wait until those before them were sent.
pub(super) const PAGES_AHEAD: usize = 3;

/// Messages that were composed: their bytes by their numbers.
pub(super) type Composed = HashMap<i64, String>;

/// Notices that are composed page by page.
pub(super) struct Stage {
    audiences: Vec<Audience>,
    at_most: i64,
}

/// Where a page begins.
#[derive(Clone, Default)]
struct Place {
    /// The last notice before it, in the order of times and numbers.
    after: Option<(Instant, i64)>,
    /// What the page before tells: where this one is read it may look as if it
    /// were still to be told.
    told: HashSet<i64>,
}

/// A page that was read.
struct Page {
    end: Place,
    /// Customers of whom nobody has let go what it tells.
    unasked: Vec<String>,
    parts: Vec<Part<Writing>>,
}

/// Letters, and what becomes of notices that are in none.
#[derive(Default)]
pub(super) struct Part<L> {
    letters: L,
    overruled: Vec<(i64, Fate)>,
    left_out: Vec<i64>,
    /// Cases that cannot be evaluated.
    skipped: u64,
}

/// What the surge guard sees while a run is at work.
struct Surge {
    /// Customers of whom nobody has let go what this node composed.
    unasked: HashSet<String>,
    /// Such messages that other nodes composed meanwhile.
    of_others: usize,
    /// The newest message that is counted.
    newest: i64,
}

impl Part<Writing> {
    /// Waits until the letters are written.
    pub async fn written(self) -> Result<Part<Written>> {
        Ok(Part {
            letters: self.letters.await.context("writing letters")?,
            overruled: self.overruled,
            left_out: self.left_out,
            skipped: self.skipped,
        })
    }
}

impl Page {
    /// Waits until all letters are written.
    async fn written(&mut self) -> Result<Part<Written>> {
        let mut all = Part::<Written>::default();
        for part in self.parts.drain(..) {
            let Part {
                letters: Written { messages, failed },
                overruled,
                left_out,
                skipped,
            } = part.written().await?;
            all.letters.messages.extend(messages);
            all.letters.failed += failed;
            all.overruled.extend(overruled);
            all.left_out.extend(left_out);
            all.skipped += skipped;
        }
        Ok(all)
    }
}

impl Stage {
    /// Whether anything is ready.
    pub async fn is_ready(&self, tx: &mut Tx<'_>, now: Instant) -> Result<bool> {
        let found = store::notices_ready(tx, now, &self.audiences, None, 1).await?;
        Ok(!found.is_empty())
    }

    fn is_customers(&self) -> bool {
        self.audiences == [Audience::Customer]
    }
}

/// All that somebody receives.
pub(super) fn stages(contacts: &Contacts, customers_too: bool) -> Vec<Stage> {
    let mut stages = vec![Stage {
        audiences: received_inside(contacts),
        at_most: INSIDE_A_PAGE,
    }];
    if customers_too {
        stages.push(Stage {
            audiences: vec![Audience::Customer],
            at_most: CUSTOMERS_A_PAGE,
        });
    }
    stages
}

/// Customers of whom nobody has let go something that is ready.
fn unasked(customers: &BTreeMap<String, Vec<ReadyNotice>>) -> Vec<String> {
    let is_unasked = |own: &Vec<ReadyNotice>| own.iter().any(|notice| !notice.is_cleared);
    let unasked = customers.iter().filter(|(_, own)| is_unasked(own));
    unasked
        .map(|(customer_ref, _)| customer_ref.clone())
        .collect()
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
    /// page, as long as somebody takes them; messages up to `newest` are
    /// counted.
    pub(super) async fn compose_ready(&self, pages: Sender<Composed>, newest: i64) -> Result<()> {
        for stage in stages(&self.shop.config.contacts, self.customers_too) {
            self.compose_stage(&stage, &pages, newest).await?;
        }
        Ok(())
    }

    async fn compose_stage(
        &self,
        stage: &Stage,
        pages: &Sender<Composed>,
        newest: i64,
    ) -> Result<()> {
        let mut surge = Surge {
            unasked: HashSet::new(),
            of_others: 0,
            newest,
        };
        let mut begin = Place::default();
        let mut read = self.read_page(stage, &begin, pages).await?;
        while !self.is_ending()
            && let Some((room, ahead, page)) = read
        {
            let end = page.end.clone();
            let put = self.put_page(stage, &begin, room, ahead, page, &mut surge);
            let (put, next) = match self.ahead.reads_snapshots() {
                true => tokio::join!(put, self.read_page(stage, &end, pages)),
                false => (put.await, Ok(None)),
            };
            let Some((place, holds)) = put? else {
                return Ok(());
            };
            begin = place;
            read = match next? {
                Some(next) if holds => Some(next),
                // There may be more by now, or what was read does not follow.
                _ => self.read_page(stage, &begin, pages).await?,
            };
        }
        Ok(())
    }

    /// Reads a page and begins to write its letters, once there is room for it;
    /// `None`: there are no more, or nobody takes them.
    async fn read_page(
        &self,
        stage: &Stage,
        begin: &Place,
        pages: &Sender<Composed>,
    ) -> Result<Option<(OwnedPermit<Composed>, ReadAhead, Page)>> {
        let Ok(room) = pages.clone().reserve_owned().await else {
            return Ok(None);
        };
        // From what was committed last: each page needs the one before the last.
        let mut reader = self.ahead.reader();
        let mut reading = reader.begin().await?;
        let page = self.page(&mut reading.tx, stage, begin).await?;
        Ok(page.map(|page| (room, reader.end(reading), page)))
    }

    /// Puts a page into the outbox, and gives it; it is read again if somebody
    /// has written since. Gives the place after it, and whether it was not read
    /// again. `None`: there is nothing to put, or too much.
    async fn put_page(
        &self,
        stage: &Stage,
        begin: &Place,
        room: OwnedPermit<Composed>,
        read: ReadAhead,
        mut page: Page,
        surge: &mut Surge,
    ) -> Result<Option<(Place, bool)>> {
        // Nobody waits for the database meanwhile.
        let mut written = page.written().await?;
        let (mut tx, holds) = self.ahead.write(read).await?;
        if !holds {
            match self.page(&mut tx, stage, begin).await? {
                Some(again) => page = again,
                None => return Ok(None),
            }
            written = page.written().await?;
        }
        if stage.is_customers() && self.is_surge(&mut tx, surge, page.unasked).await? {
            return Ok(None);
        }
        let composed = self.put(&mut tx, written).await?;
        surge.newest = composed.keys().copied().fold(surge.newest, i64::max);
        self.ahead.commit(tx).await?;
        room.send(composed);
        Ok(Some((page.end, holds)))
    }

    /// The next notices that are ready, one letter a recipient; the letters of
    /// one part are written while the next is read. `None`: there are no more.
    async fn page(&self, tx: &mut Tx<'_>, stage: &Stage, begin: &Place) -> Result<Option<Page>> {
        // Two nodes would tell a notice twice.
        tx.alone("compose").await?;
        let (now, audiences) = (self.now, &stage.audiences);
        let found = store::notices_ready(tx, now, audiences, begin.after, stage.at_most);
        let mut found = found.await?;
        let Some(last) = found.last() else {
            return Ok(None);
        };
        let after = Some((last.ready_at, last.id));
        found.retain(|notice| !begin.told.contains(&notice.id));
        let (unasked, notices) = match stage.is_customers() {
            true => {
                let customers = self.customers(tx, &found).await?;
                (unasked(&customers), in_parts(customers))
            }
            false => (Vec::new(), vec![found]),
        };
        // All at once and in order, as others lock them.
        let order_ids = notices.iter().flatten().map(|notice| notice.order_id);
        self.lock(tx, &order_ids.collect()).await?;
        let told = notices.iter().flatten().map(|notice| notice.id).collect();
        let mut parts = Vec::with_capacity(notices.len());
        for part in notices {
            let order_ids = part.iter().map(|notice| notice.order_id).collect();
            let ids = part.iter().map(|notice| notice.id).collect();
            let standings = self.standings(tx, &order_ids).await?;
            parts.push(self.letters(tx, standings, &ids).await?);
        }
        Ok(Some(Page {
            end: Place { after, told },
            unasked,
            parts,
        }))
    }

    /// Whether more customers came while the run was at work, here and on other
    /// nodes, than the surge guard lets pass: then the next run asks.
    async fn is_surge(
        &self,
        tx: &mut Tx<'_>,
        surge: &mut Surge,
        unasked: Vec<String>,
    ) -> Result<bool> {
        let (of_others, newest) = store::surge_composed(tx, surge.newest).await?;
        surge.of_others += of_others;
        surge.newest = newest;
        surge.unasked.extend(unasked);
        let is_surge = surge.unasked.len() + surge.of_others > self.mail.surge_limit;
        self.count("at_limit", is_surge.into());
        Ok(is_surge)
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
        standings: Standings,
        notice_ids: &HashSet<i64>,
    ) -> Result<Part<Writing>> {
        let Standings { cases, skipped } = standings;
        let mut standings: Vec<(i64, Standing)> = cases.into_iter().collect();
        standings.sort_unstable_by_key(|(order_id, _)| *order_id);
        let own = |(_, mut standing): (i64, Standing)| {
            standing
                .notices
                .retain(|notice| notice_ids.contains(&notice.id));
            standing
        };
        let mut standings: Vec<Standing> = standings.into_iter().map(own).collect();
        let overruled = standings.iter_mut().flat_map(Standing::overrule).collect();
        let groups = self.groups(tx, &standings).await?;
        Ok(Part {
            overruled,
            left_out: groups.left_out.clone(),
            letters: self.writer.begin(groups.into_vec()),
            skipped,
        })
    }

    /// Puts letters into the outbox, and keeps what becomes of notices that are
    /// in none.
    pub(super) async fn put(&self, tx: &mut Tx<'_>, part: Part<Written>) -> Result<Composed> {
        self.count("skipped", part.skipped);
        if !self.is_doubted {
            store::notices_write(tx, &part.overruled).await?;
            for (_, fate) in part.overruled {
                self.count(fate.disposition.into(), 1);
            }
            let failed = store::notices_left_out(tx, &part.left_out).await?;
            self.count("failed", failed);
        }
        let mut written = part.letters;
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
