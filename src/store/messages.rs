//! Messages: what was composed, and what the mail server made of it.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::StoreError;
use super::engine::{Page, Row, Tx, select, write};
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
    /// When the server was first asked to take it.
    pub first_try_at: Option<Instant>,
    /// When it is tried next.
    pub next_try_at: Option<Instant>,
    /// The server's last answer, or what went wrong.
    pub answer: Option<String>,
    /// Whether it was refused for good.
    pub refused: bool,
    /// Whether the server may have it: it is sent again byte for byte only.
    pub maybe_taken: bool,
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

/// What is read of a message; its bytes come last.
const MESSAGE: [&str; 15] = [
    "id",
    "message_id",
    "kind",
    "audience",
    "recipient",
    "subject",
    "state",
    "composed_at",
    "tries",
    "first_try_at",
    "next_try_at",
    "answer",
    "refused",
    "maybe_taken",
    "sent_at",
];

fn message(mut row: Row, raw: String) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get("id")?,
        draft: MessageDraft {
            message_id: row.get("message_id")?,
            kind: row.parse("kind", "a kind of message")?,
            audience: row.get("audience")?,
            recipient: row.get("recipient")?,
            subject: row.get("subject")?,
            raw,
        },
        state: row.parse("state", "a message's state")?,
        composed_at: row.time("composed_at")?,
        tries: row.get("tries")?,
        first_try_at: row.time_if_known("first_try_at")?,
        next_try_at: row.time_if_known("next_try_at")?,
        answer: row.get("answer")?,
        refused: row.flag("refused")?,
        maybe_taken: row.flag("maybe_taken")?,
        sent_at: row.time_if_known("sent_at")?,
    })
}

/// Stores a message with the notices that it carries. `false`: it was stored
/// before, and nothing was written.
pub async fn message_add(
    tx: &mut Tx<'_>,
    draft: &MessageDraft,
    notice_ids: &[i64],
    now: Instant,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO messages \
           (message_id, kind, audience, recipient, subject, raw, state, composed_at, next_try_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'ready', $7, $7) \
         ON CONFLICT (message_id) DO NOTHING";
    let added = write(sql)
        .bind(&draft.message_id)
        .bind(draft.kind.to_string())
        .bind(&draft.audience)
        .bind(&draft.recipient)
        .bind(&draft.subject)
        .bind(&draft.raw)
        .bind(now)
        .returning("messages", &["id"]);
    let id: Option<i64> = added.value(tx).await?;
    let Some(id) = id else {
        return Ok(false);
    };
    let sql = "INSERT INTO message_notices (message_id, notice_id) \
               SELECT $1, notice_id FROM {page} AS page";
    let page = Page::of_ints("notice_id", notice_ids);
    write(sql).bind(id).page(page).execute(tx).await?;
    Ok(true)
}

/// The numbers of the messages to be tried by `now`, oldest first.
pub async fn messages_due(
    tx: &mut Tx<'_>,
    now: Instant,
    customers_too: bool,
) -> Result<Vec<i64>, StoreError> {
    let rest = "FROM messages WHERE state = 'ready' AND next_try_at <= $1 \
                AND (audience <> 'customer' OR $2) ORDER BY next_try_at, id";
    let query = select("messages", ["id"], rest);
    query.bind(now).bind(customers_too).values(tx).await
}

/// One message.
pub async fn message_get(tx: &mut Tx<'_>, id: i64) -> Result<Option<Message>, StoreError> {
    let columns = MESSAGE.into_iter().chain(["raw"]);
    let query = select("messages", columns, "FROM messages WHERE id = $1");
    let Some(mut row) = query.bind(id).row(tx).await? else {
        return Ok(None);
    };
    let raw = row.get("raw")?;
    message(row, raw).map(Some)
}

/// The newest messages, without their bytes; only those of a state if one is
/// named.
pub async fn messages_list(
    tx: &mut Tx<'_>,
    state: Option<MessageState>,
    at_most: i64,
) -> Result<Vec<Message>, StoreError> {
    let rest = "FROM messages WHERE $1 IS NULL OR state = $1 ORDER BY id DESC LIMIT $2";
    let state = state.map(|state| state.to_string());
    let query = select("messages", MESSAGE, rest).bind(state).bind(at_most);
    let listed = |row| message(row, String::new());
    query.rows(tx).await?.into_iter().map(listed).collect()
}

/// Marks a message as handed over, before it is. `false`: it is not to be
/// sent now, as it, or a notice in it, is no longer what it was.
pub async fn message_sending(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE messages SET state = 'sending' WHERE id = $1 AND state = 'ready' \
           AND (maybe_taken OR NOT EXISTS ( \
               SELECT 1 FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
                WHERE c.message_id = $1 AND n.disposition NOT IN ('queued', 'sent')))";
    Ok(write(sql).bind(id).execute(tx).await? == 1)
}

/// Writes what a try left, and what it means for the notices.
pub async fn message_tried(
    tx: &mut Tx<'_>,
    id: i64,
    tried: &Try,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = $2, tries = tries + $3, next_try_at = $4, \
               first_try_at = CASE WHEN $3 > 0 THEN coalesce(first_try_at, $7) \
                                   ELSE first_try_at END, answer = $5, refused = $6, maybe_taken = maybe_taken OR $8, \
               sent_at = CASE WHEN $2 = 'sent' THEN $7 END WHERE id = $1";
    write(sql)
        .bind(id)
        .bind(tried.state.to_string())
        .bind(i64::from(tried.counts))
        .bind(tried.next_try_at)
        .bind(&tried.answer)
        .bind(tried.refused)
        .bind(now)
        .bind(tried.maybe_taken)
        .execute(tx)
        .await?;
    notices_follow(tx, id).await
}

/// What the messages of notices mean for them: one is sent if one of its
/// messages was taken; it is held if none is under way any more and one may
/// have been taken; it failed if all of them have.
async fn notices_follow(tx: &mut Tx<'_>, message_id: i64) -> Result<(), StoreError> {
    let has = |states: &str| {
        format!(
            "EXISTS (SELECT 1 FROM message_notices AS c JOIN messages AS m ON m.id = c.message_id \
                      WHERE c.notice_id = notices.id AND m.state IN ({states}))"
        )
    };
    let (sent, under_way) = (has("'sent'"), has("'ready', 'sending'"));
    let (uncertain, failed) = (has("'uncertain'"), has("'failed'"));
    let sql = format!(
        "UPDATE notices SET disposition = CASE WHEN {sent} THEN 'sent' \
             WHEN {under_way} THEN disposition WHEN {uncertain} THEN 'held' \
             WHEN {failed} THEN 'failed' ELSE disposition END \
          WHERE id IN (SELECT notice_id FROM message_notices WHERE message_id = $1) \
            AND (disposition IN ('queued', 'held') OR {sent})"
    );
    write(sql).bind(message_id).execute(tx).await?;
    Ok(())
}

/// Takes a message back that was not sent; its notices are free again.
pub async fn message_drop(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = 'dropped', next_try_at = NULL WHERE id = $1";
    write(sql).bind(id).execute(tx).await?;
    let sql = "DELETE FROM message_notices WHERE message_id = $1";
    write(sql).bind(id).execute(tx).await?;
    Ok(())
}

/// Messages that a run handed over and then died over.
pub async fn messages_interrupted(tx: &mut Tx<'_>) -> Result<Vec<i64>, StoreError> {
    let rest = "FROM messages WHERE state = 'sending' ORDER BY id";
    select("messages", ["id"], rest).values(tx).await
}

/// Lets a message be tried again that failed or is uncertain; `false`: it is
/// neither. One that the server may have keeps its bytes; the notices of
/// another are free, to be composed for the address that holds now.
pub async fn message_retry(tx: &mut Tx<'_>, id: i64, now: Instant) -> Result<bool, StoreError> {
    let found = message_get(tx, id).await?.filter(|message| {
        matches!(
            message.state,
            MessageState::Failed | MessageState::Uncertain
        )
    });
    let Some(message) = found else {
        return Ok(false);
    };
    // One that another address was told of is to be told to this one too.
    let sql = "UPDATE notices SET disposition = 'queued' \
         WHERE disposition IN ('failed', 'held', 'sent') \
           AND id IN (SELECT notice_id FROM message_notices WHERE message_id = $1)";
    write(sql).bind(id).execute(tx).await?;
    if message.draft.kind == MessageKind::Notices && !message.maybe_taken {
        message_drop(tx, id).await?;
        return Ok(true);
    }
    // Its time to be given up starts anew.
    let sql = "UPDATE messages SET state = 'ready', next_try_at = $2, refused = FALSE, \
               first_try_at = NULL WHERE id = $1";
    write(sql).bind(id).bind(now).execute(tx).await?;
    Ok(true)
}

/// How many messages there are of each state.
pub async fn message_counts(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let rest = "FROM messages GROUP BY state ORDER BY state";
    super::notices::counts(
        select("messages", ["state AS name", "count(*) AS n"], rest),
        tx,
    )
    .await
}

/// The addresses that messages took or tried to take notices to: a notice is
/// in one message for each address, and not in another.
pub async fn message_recipients(
    tx: &mut Tx<'_>,
    notice_ids: &[i64],
) -> Result<Vec<(i64, String)>, StoreError> {
    let rest = "FROM {page} AS page JOIN message_notices AS c ON c.notice_id = page.notice_id \
          JOIN messages AS m ON m.id = c.message_id";
    let query = select("messages", ["c.notice_id", "m.recipient"], rest);
    let page = Page::of_ints("notice_id", notice_ids);
    let pair = |mut row: Row| Ok((row.get("notice_id")?, row.get("recipient")?));
    query
        .page(page)
        .rows(tx)
        .await?
        .into_iter()
        .map(pair)
        .collect()
}

/// What messages that were refused for good were about: `(notice, audience)`.
pub async fn messages_refused(
    tx: &mut Tx<'_>,
    notice_ids: &[i64],
) -> Result<Vec<(i64, String)>, StoreError> {
    let rest = "FROM {page} AS page {then} message_notices AS c ON c.notice_id = page.id \
          {then} messages AS m ON m.id = c.message_id \
         WHERE m.state = 'failed' AND m.refused GROUP BY c.notice_id, m.audience \
         ORDER BY c.notice_id, m.audience";
    let query = select("messages", ["c.notice_id", "m.audience"], rest);
    let query = query.page(Page::of_ints("id", notice_ids));
    let pair = |mut row: Row| Ok((row.get("notice_id")?, row.get("audience")?));
    query.rows(tx).await?.into_iter().map(pair).collect()
}

/// Brings the outbox back from a time that never was: what waits is tried by
/// `now`, and what ops were to be told of it is not.
pub async fn messages_undo(tx: &mut Tx<'_>, now: Instant) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET \
           next_try_at = CASE WHEN next_try_at > $1 THEN $1 ELSE next_try_at END, \
           first_try_at = CASE WHEN first_try_at > $1 THEN $1 ELSE first_try_at END \
         WHERE state = 'ready'";
    write(sql).bind(now).execute(tx).await?;
    let sql = "UPDATE messages SET state = 'dropped', next_try_at = NULL \
         WHERE kind = 'ops' AND state = 'ready'";
    write(sql).execute(tx).await?;
    Ok(())
}
