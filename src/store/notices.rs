//! Notices after they were recorded.

use std::collections::BTreeMap;

use super::StoreError;
use super::engine::{Kind, Page, Row, Statement, Tx, select, write};
use crate::case::{Cause, Disposition, Fate, NoticeKey};
use crate::policy::{Audience, Instant};

/// A notice with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeLine {
    /// Its number.
    pub id: i64,
    /// What it tells to whom.
    pub key: NoticeKey,
    /// When its step was due to fire.
    pub fires_at: Instant,
    /// What became of it.
    pub disposition: Disposition,
    /// Why it is held, if it is.
    pub cause: Option<Cause>,
    /// The run's time.
    pub recorded_at: Instant,
    /// The customer of its order.
    pub customer_ref: String,
    /// The assignee of its claim.
    pub assignee: Option<String>,
    /// The message that carries it: the one that was taken, if one was.
    pub message: Option<NoticeMessage>,
}

/// The message that carries a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeMessage {
    /// The header.
    pub message_id: String,
    /// The address.
    pub recipient: String,
    /// When the server took it over.
    pub sent_at: Option<Instant>,
}

pub(super) fn key(row: &mut Row) -> Result<NoticeKey, StoreError> {
    Ok(NoticeKey {
        subject: row.parse("subject", "a subject")?,
        subject_ref: row.get("ref")?,
        window: row.parse_if_given("window", "a window")?,
        last_day: row.date_if_known("last_day")?,
        step: row.parse("step", "a step")?,
        audience: row.parse("audience", "an audience")?,
    })
}

/// What is read of a notice for the report: its key, its fate, its message.
const LINE: [&str; 16] = [
    "n.id",
    "n.subject",
    "n.ref",
    "n.\"window\"",
    "n.last_day",
    "n.step",
    "n.audience",
    "n.fires_at",
    "n.disposition",
    "n.cause",
    "n.recorded_at",
    "o.customer_ref",
    "c.assignee_email",
    "m.message_id AS header",
    "m.recipient",
    "m.sent_at",
];

/// The number of the newest notice; 0: there is none.
pub async fn notice_newest(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let query = select("notices", ["coalesce(max(id), 0) AS id"], "FROM notices");
    Ok(query.value(tx).await?.unwrap_or(0))
}

/// The next notices recorded by `at`, after one of them and up to another.
pub async fn notices_after(
    tx: &mut Tx<'_>,
    at: Instant,
    (after, up_to): (i64, i64),
    at_most: i64,
) -> Result<Vec<NoticeLine>, StoreError> {
    let rest = "FROM notices AS n JOIN orders AS o ON o.id = n.order_id \
          LEFT JOIN claims AS c \
                 ON c.claim_ref = CASE WHEN n.subject = 'claim' THEN n.ref END \
          LEFT JOIN messages AS m ON m.id = ( \
               SELECT x.id FROM message_notices AS c JOIN messages AS x ON x.id = c.message_id \
                WHERE c.notice_id = n.id ORDER BY x.state <> 'sent', x.id LIMIT 1) \
         WHERE n.id > $2 AND n.id <= $3 AND n.recorded_at <= $1 ORDER BY n.id LIMIT $4";
    let query = select("notices", LINE, rest).bind(at);
    let query = query.bind(after).bind(up_to).bind(at_most);
    let rows = query.rows(tx).await?;
    rows.into_iter().map(|mut row| line(&mut row)).collect()
}

fn line(row: &mut Row) -> Result<NoticeLine, StoreError> {
    let message = match row.get::<Option<String>>("header")? {
        None => None,
        Some(message_id) => Some(NoticeMessage {
            message_id,
            recipient: row.get("recipient")?,
            sent_at: row.time_if_known("sent_at")?,
        }),
    };
    Ok(NoticeLine {
        id: row.id(),
        key: key(row)?,
        fires_at: row.time("fires_at")?,
        disposition: row.parse("disposition", "a disposition")?,
        cause: row.parse_if_given("cause", "why a notice is held")?,
        recorded_at: row.time("recorded_at")?,
        customer_ref: row.get("customer_ref")?,
        assignee: row.get("assignee_email")?,
        message,
    })
}

/// A notice that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyNotice {
    /// Its number.
    pub id: i64,
    /// Its order.
    pub order_id: i64,
    /// From when on it may be sent.
    pub ready_at: Instant,
    /// Whether somebody let it go: it is no part of a surge.
    pub is_cleared: bool,
}

const READY: [&str; 4] = ["n.id", "n.order_id", "n.ready_at", "n.cleared_in"];

/// What may be sent by `$1` and is in no message under way.
pub(super) const IS_READY: &str = "n.ready_at <= $1 \
     AND NOT EXISTS (SELECT 1 FROM message_notices AS c \
                       JOIN messages AS m ON m.id = c.message_id \
                      WHERE c.notice_id = n.id \
                        AND m.state IN ('ready', 'sending', 'uncertain', 'held'))";

fn ready_notice(mut row: Row) -> Result<ReadyNotice, StoreError> {
    Ok(ReadyNotice {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        ready_at: row.time("ready_at")?,
        is_cleared: row.get::<Option<i64>>("cleared_in")?.is_some(),
    })
}

/// The next notices that may be sent to some audiences, those that wait
/// longest first, after one of them.
pub async fn notices_ready(
    tx: &mut Tx<'_>,
    now: Instant,
    audiences: &[Audience],
    after: Option<(Instant, i64)>,
    at_most: i64,
) -> Result<Vec<ReadyNotice>, StoreError> {
    // Named in the text: of a single one the index has the order.
    let audiences: Vec<String> = audiences.iter().map(|one| format!("'{one}'")).collect();
    let audiences = audiences.join(", ");
    let rest = format!(
        "FROM notices AS n \
         WHERE n.disposition = 'queued' AND {IS_READY} AND n.audience IN ({audiences}) \
           AND (n.ready_at, n.id) > ($2, $3) ORDER BY n.ready_at, n.id LIMIT $4"
    );
    let (at, id) = after.map_or((i64::MIN, 0), |(at, id)| (at.timestamp_micros(), id));
    let query = select("notices", READY, rest).bind(now);
    let query = query.bind(at).bind(id).bind(at_most);
    query
        .rows(tx)
        .await?
        .into_iter()
        .map(ready_notice)
        .collect()
}

/// All that may be sent to the customers of some orders, be it about others:
/// each customer's.
pub async fn notices_ready_beside(
    tx: &mut Tx<'_>,
    now: Instant,
    order_ids: &[i64],
) -> Result<BTreeMap<String, Vec<ReadyNotice>>, StoreError> {
    // The expressions keep the plan off the index of what is queued: how much
    // that is changes faster than what is known of it.
    let rest = format!(
        "FROM (SELECT DISTINCT p.customer_ref FROM {{page}} AS page \
                 {{then}} orders AS p ON p.id = page.order_id) AS customers \
           {{then}} orders AS o ON o.customer_ref = customers.customer_ref \
           {{then}} notices AS n ON n.order_id = o.id \
         WHERE n.disposition || '' = 'queued' AND n.audience || '' = $2 AND {IS_READY} \
         ORDER BY n.order_id, n.id"
    );
    let columns = READY.into_iter().chain(["o.customer_ref"]);
    let query = select("notices", columns, rest).bind(now);
    let query = query.bind(Audience::Customer.to_string());
    let query = query.page(Page::of_ints("order_id", order_ids));
    let mut customers: BTreeMap<String, Vec<ReadyNotice>> = BTreeMap::new();
    for mut row in query.rows(tx).await? {
        let customer_ref = row.get("customer_ref")?;
        customers
            .entry(customer_ref)
            .or_default()
            .push(ready_notice(row)?);
    }
    Ok(customers)
}

/// A notice that a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedNotice {
    /// The message.
    pub message_id: i64,
    /// The notice's order.
    pub order_id: i64,
    /// The notice.
    pub id: i64,
}

/// The notices that messages carry, order by order.
pub async fn notices_carried(
    tx: &mut Tx<'_>,
    message_ids: &[i64],
) -> Result<Vec<CarriedNotice>, StoreError> {
    let rest = "FROM {page} AS page {then} message_notices AS c ON c.message_id = page.id \
         {then} notices AS n ON n.id = c.notice_id ORDER BY n.order_id, n.id, c.message_id";
    let query = select("notices", ["n.id", "n.order_id", "c.message_id"], rest);
    let carried = |mut row: Row| {
        Ok(CarriedNotice {
            id: row.get("id")?,
            order_id: row.get("order_id")?,
            message_id: row.get("message_id")?,
        })
    };
    let rows = query
        .page(Page::of_ints("id", message_ids))
        .rows(tx)
        .await?;
    rows.into_iter().map(carried).collect()
}

/// Writes what became of notices.
pub async fn notices_write(tx: &mut Tx<'_>, changed: &[(i64, Fate)]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE notices SET disposition = page.disposition, cause = page.cause \
          FROM {page} AS page WHERE notices.id = page.id";
    let page = fates(changed);
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Keeps that notices can be told to nobody: their addresses take no mail. One
/// that another address was told of is sent; one that is under way is left.
pub async fn notices_left_out(tx: &mut Tx<'_>, ids: &[i64]) -> Result<u64, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let sql = "UPDATE notices SET disposition = CASE WHEN EXISTS ( \
               SELECT 1 FROM message_notices AS c JOIN messages AS m ON m.id = c.message_id \
                WHERE c.notice_id = notices.id AND m.state = 'sent') \
             THEN 'sent' ELSE 'failed' END \
         WHERE id IN (SELECT id FROM {page} AS page) AND NOT EXISTS ( \
               SELECT 1 FROM message_notices AS c JOIN messages AS m ON m.id = c.message_id \
                WHERE c.notice_id = notices.id \
                  AND m.state IN ('ready', 'sending', 'uncertain', 'held'))";
    let page = Page::of_ints("id", ids);
    write(sql).page(page).execute(tx).await
}

/// What becomes of notices, as a page.
pub(super) fn fates<'f>(changed: impl IntoIterator<Item = &'f (i64, Fate)>) -> Page {
    let mut page = Page::new(&[
        ("id", Kind::Int),
        ("disposition", Kind::Text),
        ("cause", Kind::Text),
    ]);
    for (id, fate) in changed {
        let cause = fate.cause.map(|cause| cause.to_string());
        page.push([
            (*id).into(),
            fate.disposition.to_string().into(),
            cause.into(),
        ]);
    }
    page
}

/// Holds the notices that wait for customers: nobody believes the clock.
pub async fn notices_hold_customers(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'held', cause = 'clock' \
         WHERE disposition = 'queued' AND audience = $1";
    let audience = Audience::Customer.to_string();
    write(sql).bind(audience).execute(tx).await
}

/// Lets go the notices that were held for a cause.
pub async fn notices_let_go(tx: &mut Tx<'_>, cause: Cause) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'queued', cause = NULL \
         WHERE disposition = 'held' AND cause = $1";
    write(sql).bind(cause.to_string()).execute(tx).await
}

/// Sets from when on notices may be sent that are true again; they are as if
/// no message had failed to carry them.
pub async fn notices_again(tx: &mut Tx<'_>, ready_at: &[(i64, Instant)]) -> Result<(), StoreError> {
    if ready_at.is_empty() {
        return Ok(());
    }
    let mut page = Page::new(&[("id", Kind::Int), ("ready_at", Kind::Int)]);
    for (id, at) in ready_at {
        page.push([(*id).into(), (*at).into()]);
    }
    let sql = "UPDATE notices SET ready_at = page.ready_at \
          FROM {page} AS page WHERE notices.id = page.id";
    write(sql).page(page.clone()).execute(tx).await?;
    let sql = "DELETE FROM message_notices WHERE notice_id IN (SELECT id FROM {page} AS page) \
           AND message_id IN (SELECT id FROM messages WHERE state = 'failed')";
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Forgets what was recorded after a time by runs whose clock was wrong, as
/// far as nobody was told, and wakes every case. Gives the number forgotten.
pub async fn notices_undo(tx: &mut Tx<'_>, after: Instant) -> Result<u64, StoreError> {
    let sql = "DELETE FROM notices WHERE recorded_at > $1 AND disposition <> 'sent' \
         AND NOT EXISTS (SELECT 1 FROM message_notices WHERE notice_id = notices.id)";
    let forgotten = write(sql).bind(after).execute(tx).await?;
    // SQLite gives the number of one that is gone to another.
    let sql = "UPDATE message_retries SET notice_id = NULL \
         WHERE NOT EXISTS (SELECT 1 FROM notices WHERE id = notice_id)";
    write(sql).execute(tx).await?;
    write("UPDATE agenda SET next_at = 0").execute(tx).await?;
    Ok(forgotten)
}

/// What is kept from a customer for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    /// The customer.
    pub customer_ref: String,
    /// Held, or failed because somebody discarded it.
    pub disposition: Disposition,
    /// Why.
    pub cause: Cause,
    /// How many notices.
    pub notices: i64,
}

/// What is kept from customers, those of the newest notices first; without what
/// is in a message.
pub async fn notices_kept_back(tx: &mut Tx<'_>, at_most: i64) -> Result<Vec<KeptBack>, StoreError> {
    let columns = [
        "o.customer_ref",
        "n.disposition",
        "n.cause",
        "count(*) AS notices",
    ];
    let rest = "FROM notices AS n JOIN orders AS o ON o.id = n.order_id \
         WHERE n.cause IN ('clock', 'hold', 'feed', 'surge', 'restored', 'discarded') \
         GROUP BY o.customer_ref, n.disposition, n.cause \
         ORDER BY max(n.id) DESC LIMIT $1";
    let kept = |mut row: Row| {
        Ok(KeptBack {
            customer_ref: row.get("customer_ref")?,
            disposition: row.parse("disposition", "a disposition")?,
            cause: row.parse("cause", "why a notice is held")?,
            notices: row.get("notices")?,
        })
    };
    let rows = select("notices", columns, rest)
        .bind(at_most)
        .rows(tx)
        .await?;
    rows.into_iter().map(kept).collect()
}

/// How many notices there are of each disposition.
pub async fn notice_counts(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let rest = "FROM notices GROUP BY disposition ORDER BY disposition";
    counts(
        select("notices", ["disposition AS name", "count(*) AS n"], rest),
        tx,
    )
    .await
}

/// How many notices are held for each cause.
pub async fn held_counts(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let rest = "FROM notices WHERE cause IS NOT NULL AND disposition = 'held' \
         GROUP BY cause ORDER BY cause";
    let query = select("notices", ["cause AS name", "count(*) AS n"], rest);
    counts(query, tx).await
}

/// Rows of a name and a number.
pub(super) async fn counts(
    query: Statement,
    tx: &mut Tx<'_>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let count = |mut row: Row| Ok((row.get("name")?, row.get("n")?));
    query.rows(tx).await?.into_iter().map(count).collect()
}
