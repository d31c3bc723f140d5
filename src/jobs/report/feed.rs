//! What reports are made of, from one state of the database. One task reads
//! ahead, a few pages; each is evaluated beside it, while the caller writes.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::super::book::InForce;
use super::super::page::{Evaluated, Loaded, load_page, page_len};
use super::super::{Shop, compose::addresses, outbox::why_held};
use crate::case::{
    Case, Cause, Deadline, Disposition, Evaluation, Exception, ExceptionCode, Rules,
};
use crate::policy::{Audience, Instant, Step, Subject};
use crate::report::{NoticeRow, OrderDeadlines, Source};
use crate::store::{
    self, Cut, DuplicateSerial, NoticeLine, ReportDeadline, ReportDeadlines, ReportOrder, Tx,
};

/// Orders, and notices, in a page.
const ROWS_A_PAGE: i64 = 1_000;

/// Deadlines in a page, if it is not of a single order.
const DEADLINES_A_PAGE: usize = 20_000;

/// Pages that are read ahead.
const PAGES_AHEAD: usize = 2;

/// What reports are made of, in the order in which it comes.
#[derive(Debug)]
pub enum Item {
    /// The deadlines of an order, as an evaluation would find them.
    Recorded(RecordedOrder),
    /// A case and its evaluation.
    Case(Box<(Case, Evaluation)>),
    /// An order that cannot be evaluated, and why.
    Failed(String, String),
    /// A notice.
    Notice(NoticeRow),
    /// What only the store knows.
    Exception(Exception),
}

/// An order whose record holds.
#[derive(Debug)]
pub struct RecordedOrder {
    order: ReportOrder,
    /// Each with the assignee of its claim.
    deadlines: Vec<(Deadline, Option<String>)>,
}

impl RecordedOrder {
    /// The deadlines as a report takes them.
    pub fn deadlines(&self) -> OrderDeadlines<'_> {
        let found = self.deadlines.iter();
        let found = found.map(|(deadline, assignee)| (deadline, assignee.as_deref()));
        let ReportOrder {
            order_ref,
            customer_ref,
            ..
        } = &self.order;
        OrderDeadlines::new(order_ref, customer_ref, found.collect())
    }
}

/// As of when, and what was known.
#[derive(Debug, Clone, Copy)]
pub struct AsOf {
    /// The time at which cases are evaluated.
    pub at: Instant,
    /// What was recorded later does not count; `None`: all counts.
    pub known: Option<Known>,
}

/// How far what was recorded counts.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The number of the last set of changes of facts and holds.
    pub change_set: i64,
    /// When the last notices were recorded: they are in no set of changes.
    pub notices_by: Instant,
    /// The number of the last of them that was there.
    pub last_notice: i64,
}

impl Known {
    /// What was recorded by a time, if one is given.
    pub async fn by(tx: &mut Tx<'_>, time: Option<Instant>) -> Result<Option<Self>> {
        let Some(time) = time else { return Ok(None) };
        Ok(Some(Self {
            change_set: store::change_set_at(tx, time).await?,
            notices_by: time,
            last_notice: i64::MAX,
        }))
    }

    /// The place in the history of the facts.
    pub fn cut(self) -> Cut {
        Cut::after(self.change_set)
    }
}

impl AsOf {
    /// As of a time, whenever it was recorded.
    pub fn all_known(at: Instant) -> Self {
        let known = None;
        Self { at, known }
    }
}

/// Reads all that a source gives as of a time, and hands it to `take`, unless
/// jobs are told to end.
pub async fn feed(
    shop: &Shop,
    tx: Tx<'static>,
    in_force: &InForce,
    as_of: AsOf,
    source: Source,
    mut take: impl FnMut(Item) -> std::io::Result<()>,
) -> Result<()> {
    let (pages, mut read) = mpsc::channel(PAGES_AHEAD);
    let reader = Reader {
        shop: shop.clone(),
        tx,
        rules: Arc::new(in_force.rules.clone()),
        rules_id: in_force.rules_id,
        as_of,
        pages,
    };
    let reading = tokio::spawn(reader.read(source));
    while let Some(page) = read.recv().await {
        shop.watch.go_on()?;
        page.await??.into_iter().try_for_each(&mut take)?;
    }
    reading.await.context("reading for a report")?
}

struct Reader {
    shop: Shop,
    tx: Tx<'static>,
    rules: Arc<Rules>,
    rules_id: Option<i64>,
    as_of: AsOf,
    pages: mpsc::Sender<Page>,
}

/// Which orders are read, with the rules under which their records hold.
#[derive(Clone, Copy)]
enum Which {
    /// All of them, by their records where these hold.
    All(Option<i64>),
    /// All but those whose record holds and says that nothing is left to be done.
    Open(Option<i64>),
}

/// A page, as soon as it is made.
type Page = JoinHandle<Result<Vec<Item>>>;

impl Reader {
    async fn read(mut self, source: Source) -> Result<()> {
        match source {
            Source::Deadlines => {
                let holding = self.holding().await?;
                self.orders(Which::All(holding)).await
            }
            Source::Cases => self.orders(Which::All(None)).await,
            Source::OpenCases => {
                let holding = self.holding().await?;
                self.orders(Which::Open(holding)).await
            }
            Source::Notices => self.notices(false).await,
            Source::Everything => {
                self.orders(Which::All(None)).await?;
                self.notices(true).await?;
                self.serials().await
            }
        }
    }

    /// The rules under which what was recorded holds at the time of the
    /// report, unless anything was recorded at a later time, or less was known.
    async fn holding(&mut self) -> Result<Option<i64>> {
        let guard = store::guard_load(&mut self.tx).await?;
        let enforced_at = guard.last_at.max(guard.doubted_at);
        let AsOf { at, known } = self.as_of;
        let is_past = enforced_at.is_some_and(|enforced_at| at < enforced_at);
        let is_past = is_past || known.is_some();
        Ok(self.rules_id.filter(|_| !is_past))
    }

    async fn send(&self, make: impl FnOnce() -> Result<Vec<Item>> + Send + 'static) -> Result<()> {
        match self.pages.send(spawn_blocking(make)).await {
            Ok(()) => Ok(()),
            // Whoever wrote has failed and says why.
            Err(_) => bail!("nobody writes the report any more"),
        }
    }

    /// All orders in the order of their names: what was recorded where it
    /// holds, the others evaluated. The next are looked up beside.
    async fn orders(&mut self, which: Which) -> Result<()> {
        let at = self.as_of.at;
        let mut beside = self.shop.store.read_beside(&mut self.tx).await?;
        let mut orders = orders_after(&mut self.tx, "", which, at).await?;
        while let Some(last) = orders.last() {
            let guess = last.order_ref.clone();
            let recorded = recorded(&mut self.tx, &mut orders);
            let (recorded, ahead) = match &mut beside {
                Some(beside) => {
                    let ahead = orders_after(beside, &guess, which, at);
                    let (recorded, ahead) = tokio::join!(recorded, ahead);
                    (recorded?, Some(ahead?))
                }
                None => (recorded.await?, None),
            };
            let after = orders.last().map(|last| last.order_ref.clone());
            let after = after.unwrap_or_default();
            let loaded = self.loaded(&orders).await?;
            let rules = Arc::clone(&self.rules);
            let as_of = self.as_of;
            self.send(move || items(orders, recorded, loaded, &rules, as_of))
                .await?;
            orders = match ahead {
                Some(ahead) if after == guess => ahead,
                _ => orders_after(&mut self.tx, &after, which, at).await?,
            };
        }
        Ok(())
    }

    /// The orders whose records do not hold.
    async fn loaded(&mut self, orders: &[ReportOrder]) -> Result<Vec<Loaded>> {
        let due = orders.iter().filter(|order| order.units.is_some());
        let due: Vec<i64> = due.map(|order| order.order_id).collect();
        match due.is_empty() {
            true => Ok(Vec::new()),
            false => load_page(&mut self.tx, &due, self.as_of.known.map(Known::cut)).await,
        }
    }

    /// All notices, and what their fate makes somebody look at.
    async fn notices(&mut self, with_exceptions: bool) -> Result<()> {
        let guard = store::guard_load(&mut self.tx).await?;
        let clock_reason = guard.held_reason.unwrap_or_default();
        let AsOf { at, known } = self.as_of;
        let recorded_by = known.map_or(at, |known| known.notices_by.min(at));
        let last = known.map_or(i64::MAX, |known| known.last_notice);
        let mut after = 0;
        loop {
            let (tx, range) = (&mut self.tx, (after, last));
            let lines = store::notices_after(tx, recorded_by, range, ROWS_A_PAGE).await?;
            let Some(last) = lines.last() else {
                return Ok(());
            };
            after = last.id;
            let mut page = Vec::with_capacity(lines.len());
            for line in &lines {
                let row = notice_row(&self.shop, line);
                if with_exceptions {
                    page.extend(exception_of(line, &row, &clock_reason).map(Item::Exception));
                }
                page.push(Item::Notice(row));
            }
            if with_exceptions {
                page.extend(self.refused(&lines).await?);
            }
            self.send(move || Ok(page)).await?;
        }
    }

    /// Those of notices that a server refused for good.
    async fn refused(&mut self, lines: &[NoticeLine]) -> Result<Vec<Item>> {
        let ids: Vec<i64> = lines.iter().map(|line| line.id).collect();
        let mut refused: HashMap<i64, Vec<String>> = HashMap::new();
        for (notice, audience) in store::messages_refused(&mut self.tx, &ids).await? {
            refused.entry(notice).or_default().push(audience);
        }
        let of_line = |line: &NoticeLine| {
            let audiences = refused.remove(&line.id).unwrap_or_default();
            let (subject, subject_ref) = (line.key.subject, line.key.subject_ref.clone());
            audiences.into_iter().map(move |audience| {
                Item::Exception(Exception {
                    code: ExceptionCode::UndeliverableAddress,
                    subject,
                    subject_ref: subject_ref.clone(),
                    detail: format!("mail for the {audience} was refused for good"),
                })
            })
        };
        Ok(lines.iter().flat_map(of_line).collect())
    }

    /// Units that share a serial.
    async fn serials(&mut self) -> Result<()> {
        let AsOf { at, known } = self.as_of;
        let found = match known {
            None => store::duplicate_serials(&mut self.tx, at).await?,
            Some(known) => store::duplicate_serials_known(&mut self.tx, at, known.cut()).await?,
        };
        let exception = |found| Item::Exception(duplicate_serial(found));
        let page = found.into_iter().map(exception).collect();
        self.send(move || Ok(page)).await
    }
}

/// A serial that is not a unit's own.
pub(super) fn duplicate_serial(found: DuplicateSerial) -> Exception {
    Exception {
        code: ExceptionCode::DuplicateSerial,
        subject: Subject::Unit,
        subject_ref: found.unit_ref,
        detail: format!("the same serial as {}", found.first),
    }
}

/// The next orders after a name, as many as make a page.
async fn orders_after(
    tx: &mut Tx<'_>,
    after: &str,
    which: Which,
    at: Instant,
) -> Result<Vec<ReportOrder>> {
    let mut orders = match which {
        Which::All(holding) => store::report_orders(tx, after, holding, at, ROWS_A_PAGE).await?,
        Which::Open(holding) => {
            store::report_orders_open(tx, after, holding, at, ROWS_A_PAGE).await?
        }
    };
    let units = orders.iter().map(|order| order.units.unwrap_or(0));
    orders.truncate(page_len(units));
    Ok(orders)
}

/// What was recorded of orders. Where that is too much for a page, fewer of
/// them are left.
async fn recorded(tx: &mut Tx<'_>, orders: &mut Vec<ReportOrder>) -> Result<ReportDeadlines> {
    loop {
        let holds = orders.iter().filter(|order| order.units.is_none());
        let ids: Vec<i64> = holds.map(|order| order.order_id).collect();
        let at_most = match ids.len() {
            0 => return Ok(ReportDeadlines::default()),
            1 => i64::MAX,
            _ => DEADLINES_A_PAGE as i64 + 1,
        };
        let found = store::report_deadlines(tx, &ids, at_most).await?;
        if ids.len() == 1 || !found.exceed(DEADLINES_A_PAGE) {
            return Ok(found);
        }
        orders.truncate(orders.len().div_ceil(2));
    }
}

/// The orders of a page: what was recorded where it holds, the others
/// evaluated.
fn items(
    orders: Vec<ReportOrder>,
    recorded: ReportDeadlines,
    loaded: Vec<Loaded>,
    rules: &Rules,
    as_of: AsOf,
) -> Result<Vec<Item>> {
    let at = as_of.at;
    let mut recorded = recorded.by_order()?;
    let mut loaded = loaded.into_iter().peekable();
    let items = orders.into_iter().filter_map(|order| match order.units {
        None => {
            let found = recorded.remove(&order.order_id).unwrap_or_default();
            Some(standing(order, found, rules, at).map(Item::Recorded))
        }
        // Those that were not known then are not among them.
        Some(_) => match loaded.next_if(|loaded| loaded.order_id == order.order_id) {
            Some(loaded) => Some(Ok(item(order, loaded.evaluate(rules, at)))),
            None if as_of.known.is_some() => None,
            None => Some(Err(anyhow!("order {}: not loaded", order.order_ref))),
        },
    });
    items.collect()
}

fn standing(
    order: ReportOrder,
    found: Vec<ReportDeadline>,
    rules: &Rules,
    at: Instant,
) -> Result<RecordedOrder> {
    let standing = found.into_iter().map(|found| {
        let id = &found.recorded.policy;
        let policy = rules.policies.get(id);
        let policy = policy.with_context(|| {
            format!(
                "order {}: a deadline follows policy {id}, which is unknown",
                order.order_ref
            )
        })?;
        let (placed_at, calendar) = (order.placed_at, &rules.calendar);
        let deadline = Deadline::of_recorded(found.recorded, policy, placed_at, calendar, at);
        Ok((deadline, found.assignee))
    });
    let deadlines = standing.collect::<Result<_>>()?;
    Ok(RecordedOrder { order, deadlines })
}

fn item(order: ReportOrder, evaluated: Evaluated) -> Item {
    match evaluated.found {
        Ok(found) => Item::Case(Box::new(found)),
        Err(error) => Item::Failed(order.order_ref, error),
    }
}

fn notice_row(shop: &Shop, line: &NoticeLine) -> NoticeRow {
    let key = &line.key;
    let message = line.message.as_ref();
    let recipient = match key.audience {
        Audience::Customer => Some(line.customer_ref.clone()),
        audience => message
            .map(|message| message.recipient.clone())
            .or_else(|| {
                let to = addresses(&shop.config.contacts, audience, line.assignee.as_deref());
                (!to.is_empty()).then(|| to.join(", "))
            }),
    };
    NoticeRow {
        fires_at: line.fires_at,
        subject: key.subject,
        subject_ref: key.subject_ref.clone(),
        window: key.window,
        step: key.step,
        audience: key.audience,
        recipient,
        disposition: line.disposition,
        recorded_at: line.recorded_at,
        message_id: message.map(|message| message.message_id.clone()),
        sent_at: message.and_then(|message| message.sent_at),
    }
}

/// What a notice's fate makes somebody look at.
fn exception_of(line: &NoticeLine, row: &NoticeRow, clock_reason: &str) -> Option<Exception> {
    let key = &line.key;
    let (code, detail) = match line.disposition {
        Disposition::Held => {
            let why = match line.cause {
                // Its case says so.
                Some(Cause::Hold) => return None,
                Some(cause) => why_held(cause, clock_reason),
                None => String::new(),
            };
            (ExceptionCode::OnHold, why)
        }
        Disposition::Queued if row.recipient.is_none() => {
            let detail = format!("nobody receives what the {} must be told", key.audience);
            (ExceptionCode::NoRecipient, detail)
        }
        // Nobody was left to put it into a message for.
        Disposition::Failed if line.message.is_none() && line.cause.is_none() => {
            let detail = format!("no address of the {} takes mail: not sent", key.audience);
            (ExceptionCode::UndeliverableAddress, detail)
        }
        Disposition::Queued | Disposition::Sent => match key.step {
            Step::Withdrawn(outcome) => {
                let detail = format!("{outcome} was told and is no longer true");
                (ExceptionCode::OutcomeWithdrawn, detail)
            }
            _ => return None,
        },
        _ => return None,
    };
    let (subject, subject_ref) = (key.subject, key.subject_ref.clone());
    Some(Exception {
        code,
        subject,
        subject_ref,
        detail,
    })
}
