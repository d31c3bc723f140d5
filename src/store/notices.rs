//! Notices after they were recorded.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::rows::{Reader, micros};
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

pub(super) fn key(row: &Reader<'_>) -> Result<NoticeKey, StoreError> {
    Ok(NoticeKey {
        subject: row.parse("subject", "a subject")?,
        subject_ref: row.get("ref")?,
        window: row.parse_if_given("window", "a window")?,
        last_day: row.parse_if_given("last_day", "a date")?,
        step: row.parse("step", "a step")?,
        audience: row.parse("audience", "an audience")?,
    })
}

/// Reads all notices recorded by `at`, in the order of the report `notices`.
pub async fn notices_stream<E: From<StoreError>>(
    tx: &mut SqliteConnection,
    at: Instant,
    mut take: impl FnMut(NoticeLine) -> Result<(), E>,
) -> Result<(), E> {
    let sql = "SELECT n.*, o.customer_ref, c.assignee_email, m.message_id AS header, \
               m.recipient, m.sent_at \
          FROM notices AS n JOIN orders AS o ON o.id = n.order_id \
          LEFT JOIN claims AS c ON n.subject = 'claim' AND c.claim_ref = n.ref \
          LEFT JOIN messages AS m ON m.id = ( \
               SELECT x.id FROM message_notices AS c JOIN messages AS x ON x.id = c.message_id \
                WHERE c.notice_id = n.id ORDER BY x.state <> 'sent', x.id LIMIT 1) \
         WHERE n.recorded_at <= $1 \
         ORDER BY n.fires_at, n.subject, n.ref, n.\"window\" = '', n.\"window\", n.step, \
                  n.audience, n.last_day";
    let mut rows = sqlx::query(sql).bind(micros(at)).fetch(tx);
    while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
        take(line(&Reader::new("notices", &row)?)?)?;
    }
    Ok(())
}

fn line(row: &Reader<'_>) -> Result<NoticeLine, StoreError> {
    let message = match row.get::<Option<String>>("header")? {
        None => None,
        Some(message_id) => Some(NoticeMessage {
            message_id,
            recipient: row.get("recipient")?,
            sent_at: row.time_if_known("sent_at")?,
        }),
    };
    Ok(NoticeLine {
        id: row.row,
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
    tx: &mut SqliteConnection,
    now: Instant,
    audiences: &[Audience],
) -> Result<Vec<(i64, i64)>, StoreError> {
    // The `+` keeps the plan on the index of what is queued.
    let sql = "SELECT order_id, id FROM notices \
         WHERE disposition = 'queued' AND ready_at <= $1 \
           AND +audience IN (SELECT value FROM json_each($2)) \
           AND NOT EXISTS (SELECT 1 FROM message_notices AS c \
                            JOIN messages AS m ON m.id = c.message_id \
                           WHERE c.notice_id = notices.id \
                             AND m.state IN ('ready', 'sending', 'uncertain')) \
         ORDER BY +order_id, id";
    let audiences = serde_json::json!(audiences).to_string();
    let query = sqlx::query_as(sql).bind(micros(now)).bind(audiences);
    Ok(query.fetch_all(tx).await?)
}

/// The notices that a message carries: `(order, notice)`, order by order.
pub async fn notices_of_message(
    tx: &mut SqliteConnection,
    message_id: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let sql = "SELECT n.order_id, n.id FROM message_notices AS c \
          JOIN notices AS n ON n.id = c.notice_id \
         WHERE c.message_id = $1 ORDER BY n.order_id, n.id";
    Ok(sqlx::query_as(sql).bind(message_id).fetch_all(tx).await?)
}

/// Writes what became of notices.
pub async fn notices_write(
    tx: &mut SqliteConnection,
    changed: &[(i64, Disposition)],
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE notices SET disposition = page.value ->> 1 \
          FROM json_each($1) AS page WHERE notices.id = page.value ->> 0";
    sqlx::query(sql)
        .bind(serde_json::json!(changed).to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Holds the notices that wait for customers.
pub async fn notices_hold_customers(tx: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'held' \
         WHERE disposition = 'queued' AND audience = $1";
    let audience = Audience::Customer.to_string();
    Ok(sqlx::query(sql)
        .bind(audience)
        .execute(tx)
        .await?
        .rows_affected())
}

/// Lets held notices go, but those in a message that the server may have.
pub async fn notices_let_go(tx: &mut SqliteConnection) -> Result<u64, StoreError> {
    let sql = "UPDATE notices SET disposition = 'queued' WHERE disposition = 'held' \
         AND NOT EXISTS (SELECT 1 FROM message_notices AS c \
                          JOIN messages AS m ON m.id = c.message_id \
                         WHERE c.notice_id = notices.id AND m.state = 'uncertain')";
    Ok(sqlx::query(sql).execute(tx).await?.rows_affected())
}

/// Sets from when on notices may be sent that are true again; they are as if
/// no message had failed to carry them.
pub async fn notices_again(
    tx: &mut SqliteConnection,
    ready_at: &[(i64, Instant)],
) -> Result<(), StoreError> {
    let page: Vec<(i64, i64)> = ready_at.iter().map(|(id, at)| (*id, micros(*at))).collect();
    let page = serde_json::json!(page).to_string();
    let sql = "UPDATE notices SET ready_at = page.value ->> 1 \
          FROM json_each($1) AS page WHERE notices.id = page.value ->> 0";
    sqlx::query(sql).bind(&page).execute(&mut *tx).await?;
    let sql = "DELETE FROM message_notices \
         WHERE notice_id IN (SELECT value ->> 0 FROM json_each($1)) \
           AND message_id IN (SELECT id FROM messages WHERE state = 'failed')";
    sqlx::query(sql).bind(&page).execute(tx).await?;
    Ok(())
}

/// Forgets what was recorded after a time by runs whose clock was wrong, as
/// far as nobody was told, and wakes every case. Gives the number forgotten.
pub async fn notices_undo(tx: &mut SqliteConnection, after: Instant) -> Result<u64, StoreError> {
    let sql = "DELETE FROM notices WHERE recorded_at > $1 AND disposition <> 'sent' \
         AND NOT EXISTS (SELECT 1 FROM message_notices WHERE notice_id = notices.id)";
    let forgotten = sqlx::query(sql)
        .bind(micros(after))
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE agenda SET next_at = 0")
        .execute(tx)
        .await?;
    Ok(forgotten.rows_affected())
}

/// How many notices there are of each disposition.
pub async fn notice_counts(tx: &mut SqliteConnection) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT disposition, count(*) FROM notices GROUP BY disposition ORDER BY disposition";
    Ok(sqlx::query_as(sql).fetch_all(tx).await?)
}
