//! Notices after they were recorded.

use super::StoreError;
use super::engine::{Kind, Page, Row, Statement, Tx, select, write};
use crate::case::{Disposition, NoticeKey};
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
        last_day: row.parse_if_given("last_day", "a date")?,
        step: row.parse("step", "a step")?,
        audience: row.parse("audience", "an audience")?,
    })
}

/// What is read of a notice for the report: its key, its fate, its message.
const LINE: [&str; 15] = [
    "n.id",
    "n.subject",
    "n.ref",
    "n.\"window\"",
    "n.last_day",
    "n.step",
    "n.audience",
    "n.fires_at",
    "n.disposition",
    "n.recorded_at",
    "o.customer_ref",
    "c.assignee_email",
    "m.message_id AS header",
    "m.recipient",
    "m.sent_at",
];

/// The next notices recorded by `at`, after one of them.
pub async fn notices_after(
    tx: &mut Tx<'_>,
    at: Instant,
    after: i64,
    at_most: i64,
) -> Result<Vec<NoticeLine>, StoreError> {
    let rest = "FROM notices AS n JOIN orders AS o ON o.id = n.order_id \
          LEFT JOIN claims AS c \
                 ON c.claim_ref = CASE WHEN n.subject = 'claim' THEN n.ref END \
          LEFT JOIN messages AS m ON m.id = ( \
               SELECT x.id FROM message_notices AS c JOIN messages AS x ON x.id = c.message_id \
                WHERE c.notice_id = n.id ORDER BY x.state <> 'sent', x.id LIMIT 1) \
         WHERE n.id > $2 AND n.recorded_at <= $1 ORDER BY n.id LIMIT $3";
    let query = select("notices", LINE, rest).bind(at);
    let rows = query.bind(after).bind(at_most).rows(tx).await?;
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
        recorded_at: row.time("recorded_at")?,
        customer_ref: row.get("customer_ref")?,
        assignee: row.get("assignee_email")?,
        message,
    })
}

/// Notices that may be sent and are in no message under way, for audiences
/// that somebody receives: `(order, notice)`, order by order.
pub async fn notices_ready(
    tx: &mut Tx<'_>,
    now: Instant,
    audiences: &[Audience],
) -> Result<Vec<(i64, i64)>, StoreError> {
    // The expression keeps the plan on the index of what is queued.
    let rest = "FROM notices WHERE disposition = 'queued' AND ready_at <= $1 \
           AND audience || '' IN (SELECT audience FROM {page} AS page) \
           AND NOT EXISTS (SELECT 1 FROM message_notices AS c \
                            JOIN messages AS m ON m.id = c.message_id \
                           WHERE c.notice_id = notices.id \
                             AND m.state IN ('ready', 'sending', 'uncertain')) \
         ORDER BY order_id + 0, id";
    let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
    let page = Page::of_texts("audience", audiences.iter().map(String::as_str));
    let query = select("notices", ["order_id", "id"], rest);
    pairs(query.bind(now).page(page), tx).await
}

/// The notices that a message carries: `(order, notice)`, order by order.
pub async fn notices_of_message(
    tx: &mut Tx<'_>,
    message_id: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let rest = "FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
         WHERE c.message_id = $1 ORDER BY n.order_id, n.id";
    let query = select("notices", ["n.order_id", "n.id"], rest);
    pairs(query.bind(message_id), tx).await
}

async fn pairs(query: Statement, tx: &mut Tx<'_>) -> Result<Vec<(i64, i64)>, StoreError> {
    let pair = |mut row: Row| Ok((row.get("order_id")?, row.get("id")?));
    query.rows(tx).await?.into_iter().map(pair).collect()
}

/// Writes what became of notices.
pub async fn notices_write(
    tx: &mut Tx<'_>,
    changed: &[(i64, Disposition)],
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut page = Page::new(&[("id", Kind::Int), ("disposition", Kind::Text)]);
    for (id, disposition) in changed {
        page.push([(*id).into(), disposition.to_string().into()]);
    }
    let sql = "UPDATE notices SET disposition = page.disposition \
          FROM {page} AS page WHERE notices.id = page.id";
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Holds the notices that wait for customers.
pub async fn notices_hold_customers(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'held' \
         WHERE disposition = 'queued' AND audience = $1";
    let audience = Audience::Customer.to_string();
    write(sql).bind(audience).execute(tx).await
}

/// Lets held notices go, but those in a message that the server may have.
pub async fn notices_let_go(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'queued' WHERE disposition = 'held' \
         AND NOT EXISTS (SELECT 1 FROM message_notices AS c \
                          JOIN messages AS m ON m.id = c.message_id \
                         WHERE c.notice_id = notices.id AND m.state = 'uncertain')";
    write(sql).execute(tx).await
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
    write("UPDATE agenda SET next_at = 0").execute(tx).await?;
    Ok(forgotten)
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

/// Rows of a name and a number.
pub(super) async fn counts(
    query: Statement,
    tx: &mut Tx<'_>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let count = |mut row: Row| Ok((row.get("name")?, row.get("n")?));
    query.rows(tx).await?.into_iter().map(count).collect()
}
