//! Messages: what was composed, and what the mail server made of it.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::StoreError;
use super::rows::{Reader, micros, set};
use crate::policy::Instant;

/// Why there is a message.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MessageKind {
    /// It carries notices.
    Notices,
    /// The daily report.
    Report,
    /// Something that ops must know.
    Ops,
}

/// Where a message is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MessageState {
    /// To be sent.
    Ready,
    /// Handed over, no answer yet.
    Sending,
    /// Taken over by the server.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// Handed over, and the answer never came.
    Uncertain,
    /// Not sent: a notice in it lost its reason. The others go into another.
    Dropped,
}

/// A message that was composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDraft {
    /// The header, the same at every try.
    pub message_id: String,
    /// Why there is a message.
    pub kind: MessageKind,
    /// To whom: an audience, `managers` or `ops`.
    pub audience: String,
    /// The addresses, separated by `, `.
    pub recipient: String,
    /// The subject line.
    pub subject: String,
    /// The bytes, the same at every try.
    pub raw: String,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// What was composed.
    pub draft: MessageDraft,
    /// Where it is.
    pub state: MessageState,
    /// When it was composed.
    pub composed_at: Instant,
    /// How many times the server was asked to take it.
    pub tries: i64,
    /// When it is tried next.
    pub next_try_at: Option<Instant>,
    /// The server's last answer, or what went wrong.
    pub answer: Option<String>,
    /// Whether it was refused for good.
    pub refused: bool,
    /// When the server took it over.
    pub sent_at: Option<Instant>,
}

/// What a try left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Where the message is now.
    pub state: MessageState,
    /// Whether the try counts: a fault of the server uses none up.
    pub counts: bool,
    /// When it is tried next.
    pub next_try_at: Option<Instant>,
    /// The server's answer, or what went wrong.
    pub answer: String,
    /// Whether it was refused for good.
    pub refused: bool,
    /// Whether the server may have it all the same.
    pub maybe_taken: bool,
}

fn message(row: &Reader<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.row,
        draft: MessageDraft {
            message_id: row.get("message_id")?,
            kind: row.parse("kind", "a kind of message")?,
            audience: row.get("audience")?,
            recipient: row.get("recipient")?,
            subject: row.get("subject")?,
            raw: row.get("raw")?,
        },
        state: row.parse("state", "a message's state")?,
        composed_at: row.time("composed_at")?,
        tries: row.get("tries")?,
        next_try_at: row.time_if_known("next_try_at")?,
        answer: row.get("answer")?,
        refused: row.flag("refused")?,
        sent_at: row.time_if_known("sent_at")?,
    })
}

/// Stores a message with the notices that it carries. `None`: one of them is
/// no longer free, and nothing was written.
pub async fn message_add(
    tx: &mut SqliteConnection,
    draft: &MessageDraft,
    notice_ids: &[i64],
    now: Instant,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT count(*) FROM notices WHERE id IN (SELECT value FROM json_each($1)) \
               AND disposition = 'queued' AND message_id IS NULL";
    let free: i64 = sqlx::query_scalar(sql)
        .bind(set(notice_ids))
        .fetch_one(&mut *tx)
        .await?;
    if free != notice_ids.len() as i64 {
        return Ok(None);
    }
    let sql = "INSERT INTO messages \
           (message_id, kind, audience, recipient, subject, raw, state, composed_at, next_try_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'ready', $7, $7) RETURNING id";
    let id: i64 = sqlx::query_scalar(sql)
        .bind(&draft.message_id)
        .bind(draft.kind.to_string())
        .bind(&draft.audience)
        .bind(&draft.recipient)
        .bind(&draft.subject)
        .bind(&draft.raw)
        .bind(micros(now))
        .fetch_one(&mut *tx)
        .await?;
    let sql = "UPDATE notices SET message_id = $2 WHERE id IN (SELECT value FROM json_each($1))";
    sqlx::query(sql)
        .bind(set(notice_ids))
        .bind(id)
        .execute(tx)
        .await?;
    Ok(Some(id))
}

/// The numbers of the messages to be tried by `now`, oldest first.
pub async fn messages_due(
    tx: &mut SqliteConnection,
    now: Instant,
    customers_too: bool,
) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM messages WHERE state = 'ready' AND next_try_at <= $1 \
               AND (audience <> 'customer' OR $2) \
               AND NOT EXISTS (SELECT 1 FROM notices \
                                WHERE notices.message_id = messages.id AND disposition = 'held') \
         ORDER BY id";
    Ok(sqlx::query_scalar(sql)
        .bind(micros(now))
        .bind(customers_too)
        .fetch_all(tx)
        .await?)
}

/// The numbers of the messages that were composed before and wait to be
/// tried by `now`: their reasons must be looked at again. Not those that the
/// server may have: they are sent again byte for byte.
pub async fn messages_to_recheck(
    tx: &mut SqliteConnection,
    now: Instant,
) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM messages WHERE state = 'ready' AND next_try_at <= $1 \
               AND kind = 'notices' AND composed_at < $1 AND NOT maybe_taken ORDER BY id";
    Ok(sqlx::query_scalar(sql)
        .bind(micros(now))
        .fetch_all(tx)
        .await?)
}

/// One message.
pub async fn message_get(
    tx: &mut SqliteConnection,
    id: i64,
) -> Result<Option<Message>, StoreError> {
    let row = sqlx::query("SELECT * FROM messages WHERE id = $1")
        .bind(id)
        .fetch_optional(tx);
    row.await?
        .map(|row| message(&Reader::new("messages", &row)?))
        .transpose()
}

/// The newest messages, without their bytes; only those of a state if one is
/// named.
pub async fn messages_list(
    tx: &mut SqliteConnection,
    state: Option<MessageState>,
    at_most: i64,
) -> Result<Vec<Message>, StoreError> {
    let sql = "SELECT id, message_id, kind, audience, recipient, subject, '' AS raw, state, \
               composed_at, tries, next_try_at, answer, refused, sent_at \
          FROM messages WHERE $1 IS NULL OR state = $1 ORDER BY id DESC LIMIT $2";
    let state = state.map(|state| state.to_string());
    let rows = sqlx::query(sql)
        .bind(state)
        .bind(at_most)
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| message(&Reader::new("messages", row)?))
        .collect()
}

/// Marks a message as handed over, before it is.
pub async fn message_sending(tx: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = 'sending' WHERE id = $1 AND state = 'ready'";
    let changed = sqlx::query(sql).bind(id).execute(tx).await?.rows_affected();
    match changed {
        1 => Ok(()),
        _ => Err(StoreError::Changed {
            what: "message_sending",
            changed,
            expected: 1,
        }),
    }
}

/// Writes what a try left, and what it means for the notices.
pub async fn message_tried(
    tx: &mut SqliteConnection,
    id: i64,
    tried: &Try,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = $2, tries = tries + $3, next_try_at = $4, \
               answer = $5, refused = $6, \
               maybe_taken = maybe_taken OR $8, \
               sent_at = CASE WHEN $2 = 'sent' THEN $7 END WHERE id = $1";
    sqlx::query(sql)
        .bind(id)
        .bind(tried.state.to_string())
        .bind(i64::from(tried.counts))
        .bind(tried.next_try_at.map(micros))
        .bind(&tried.answer)
        .bind(tried.refused)
        .bind(micros(now))
        .bind(tried.maybe_taken)
        .execute(&mut *tx)
        .await?;
    let disposition = match tried.state {
        MessageState::Sent => "sent",
        MessageState::Failed => "failed",
        MessageState::Uncertain => "held",
        _ => return Ok(()),
    };
    let sql = "UPDATE notices SET disposition = $2 WHERE message_id = $1";
    sqlx::query(sql)
        .bind(id)
        .bind(disposition)
        .execute(tx)
        .await?;
    Ok(())
}

/// Takes a message back that was not sent; its notices are free again.
pub async fn message_drop(tx: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = 'dropped', next_try_at = NULL WHERE id = $1";
    sqlx::query(sql).bind(id).execute(&mut *tx).await?;
    let sql = "UPDATE notices SET message_id = NULL WHERE message_id = $1";
    sqlx::query(sql).bind(id).execute(tx).await?;
    Ok(())
}

/// Messages that a run handed over and then died over: `(id)`.
pub async fn messages_interrupted(tx: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM messages WHERE state = 'sending' ORDER BY id";
    Ok(sqlx::query_scalar(sql).fetch_all(tx).await?)
}

/// Lets a failed or uncertain message be tried again; `false`: it is neither.
pub async fn message_retry(
    tx: &mut SqliteConnection,
    id: i64,
    now: Instant,
) -> Result<bool, StoreError> {
    let sql = "UPDATE messages SET state = 'ready', next_try_at = $2, refused = FALSE, \
               composed_at = $2 WHERE id = $1 AND state IN ('failed', 'uncertain')";
    if sqlx::query(sql)
        .bind(id)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?
        .rows_affected()
        == 0
    {
        return Ok(false);
    }
    let sql = "UPDATE notices SET disposition = 'queued' \
               WHERE message_id = $1 AND disposition IN ('failed', 'held')";
    sqlx::query(sql).bind(id).execute(tx).await?;
    Ok(true)
}

/// How many messages there are of each state.
pub async fn message_counts(tx: &mut SqliteConnection) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT state, count(*) FROM messages GROUP BY state ORDER BY state";
    Ok(sqlx::query_as(sql).fetch_all(tx).await?)
}

/// Whether a message of a kind was composed at a time or later.
pub async fn message_since(
    tx: &mut SqliteConnection,
    kind: MessageKind,
    since: Instant,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM messages WHERE kind = $1 AND composed_at >= $2)";
    let query = sqlx::query_scalar(sql)
        .bind(kind.to_string())
        .bind(micros(since));
    Ok(query.fetch_one(tx).await?)
}

/// Whether a message of a kind was composed at exactly that time.
pub async fn message_exists_at(
    tx: &mut SqliteConnection,
    kind: MessageKind,
    at: Instant,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM messages WHERE kind = $1 AND composed_at = $2)";
    Ok(sqlx::query_scalar(sql)
        .bind(kind.to_string())
        .bind(micros(at))
        .fetch_one(tx)
        .await?)
}
