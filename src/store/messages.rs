//! Messages: what was composed, and what the mail server made of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::StoreError;
use super::commands::message_retried;
use super::engine::{Kind, Page, Row, Tx, select, write};
use super::notices::IS_READY;
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
    /// A report to the managers.
    Report,
    /// A list of what its recipient is to do.
    Worklist,
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
    /// Not sent, as nothing is to be sent to its recipient.
    Held,
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
    /// The bytes, the same at every try; empty where they were not read.
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
    /// How many times it was taken to be sent.
    pub fence: i64,
}

/// What is read of a message; its bytes are apart.
pub(super) const MESSAGE: [&str; 16] = [
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
    "fence",
];

pub(super) fn message(mut row: Row) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get("id")?,
        draft: MessageDraft {
            message_id: row.get("message_id")?,
            kind: row.parse("kind", "a kind of message")?,
            audience: row.get("audience")?,
            recipient: row.get("recipient")?,
            subject: row.get("subject")?,
            raw: String::new(),
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
        fence: row.get("fence")?,
    })
}

/// Stores messages, each with the notices that it carries; gives the numbers of
/// those, each with its place among the drafts. One that was stored before is
/// left as it is.
pub async fn messages_add(
    tx: &mut Tx<'_>,
    drafts: &[(MessageDraft, Vec<i64>)],
    now: Instant,
) -> Result<Vec<(i64, usize)>, StoreError> {
    let mut page = Page::new(&[
        ("message_id", Kind::Text),
        ("kind", Kind::Text),
        ("audience", Kind::Text),
        ("recipient", Kind::Text),
        ("subject", Kind::Text),
    ]);
    for (draft, _) in drafts {
        page.push([
            (&draft.message_id).into(),
            draft.kind.to_string().into(),
            (&draft.audience).into(),
            (&draft.recipient).into(),
            (&draft.subject).into(),
        ]);
    }
    let sql = "INSERT INTO messages \
           (message_id, kind, audience, recipient, subject, state, composed_at, next_try_at) \
         SELECT message_id, kind, audience, recipient, subject, 'ready', $1, $1 \
           FROM {page} AS page WHERE true ORDER BY place \
         ON CONFLICT (message_id) DO NOTHING";
    let added = write(sql).bind(now).page(page);
    let added = added.returning("messages", &["id", "message_id"]);
    let headers = drafts.iter().map(|(draft, _)| draft.message_id.as_str());
    let places: HashMap<&str, usize> = headers.zip(0..).collect();
    let mut stored = Vec::with_capacity(drafts.len());
    let mut bodies = Page::new(&[("message_id", Kind::Int), ("raw", Kind::LongText)]);
    let mut carried = Page::new(&[("message_id", Kind::Int), ("notice_id", Kind::Int)]);
    for mut row in added.rows(tx).await? {
        let (id, header): (i64, String) = (row.get("id")?, row.get("message_id")?);
        let Some(place) = places.get(header.as_str()) else {
            return Err(row.bad("message_id", header, "one that was added"));
        };
        stored.push((id, *place));
        let (draft, notice_ids) = &drafts[*place];
        bodies.push([id.into(), (&draft.raw).into()]);
        for notice_id in notice_ids {
            carried.push([id.into(), (*notice_id).into()]);
        }
    }
    let sql = "INSERT INTO message_bodies (message_id, raw) \
               SELECT message_id, raw FROM {page} AS page";
    write(sql).page(bodies).execute(tx).await?;
    let sql = "INSERT INTO message_notices (message_id, notice_id) \
               SELECT message_id, notice_id FROM {page} AS page";
    write(sql).page(carried).execute(tx).await?;
    Ok(stored)
}

/// One message.
pub async fn message_get(tx: &mut Tx<'_>, id: i64) -> Result<Option<Message>, StoreError> {
    let query = select("messages", MESSAGE, "FROM messages WHERE id = $1");
    let Some(row) = query.bind(id).row(tx).await? else {
        return Ok(None);
    };
    let mut found = message(row)?;
    let raw = message_bodies(tx, &[id]).await?.remove(&id);
    found.draft.raw = raw.unwrap_or_default();
    Ok(Some(found))
}

/// The bytes of messages, by their numbers.
pub async fn message_bodies(
    tx: &mut Tx<'_>,
    ids: &[i64],
) -> Result<HashMap<i64, String>, StoreError> {
    let rest = "FROM {page} AS page {then} message_bodies AS b ON b.message_id = page.id";
    let query = select("message_bodies", ["b.message_id", "b.raw"], rest);
    let pair = |mut row: Row| Ok((row.get("message_id")?, row.get("raw")?));
    let rows = query.page(Page::of_ints("id", ids)).rows(tx).await?;
    rows.into_iter().map(pair).collect()
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
    query.rows(tx).await?.into_iter().map(message).collect()
}

/// Takes messages back that were not sent; their notices are free again.
pub async fn messages_drop(tx: &mut Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let page = Page::of_ints("id", ids);
    let sql = "UPDATE messages SET state = 'dropped', next_try_at = NULL \
               WHERE id IN (SELECT id FROM {page} AS page)";
    write(sql).page(page.clone()).execute(tx).await?;
    let sql = "DELETE FROM message_notices WHERE message_id IN (SELECT id FROM {page} AS page)";
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Lets a message be tried again that failed or is uncertain, by a command
/// that is recorded; `false`: it is neither. One that the server may have keeps
/// its bytes; the notices of another are free, to be composed for the address
/// that holds now.
pub async fn message_retry(
    tx: &mut Tx<'_>,
    id: i64,
    change_set: i64,
    now: Instant,
) -> Result<bool, StoreError> {
    let found = message_get(tx, id).await?.filter(|message| {
        matches!(
            message.state,
            MessageState::Failed | MessageState::Uncertain
        )
    });
    let Some(message) = found else {
        return Ok(false);
    };
    message_retried(tx, id, change_set).await?;
    // One that another address was told of is to be told to this one too.
    let sql = "UPDATE notices SET disposition = 'queued', cause = NULL \
         WHERE disposition IN ('failed', 'held', 'sent') \
           AND id IN (SELECT notice_id FROM message_notices WHERE message_id = $1)";
    write(sql).bind(id).execute(tx).await?;
    if message.draft.kind == MessageKind::Notices && !message.maybe_taken {
        messages_drop(tx, &[id]).await?;
        return Ok(true);
    }
    // Its time to be given up starts anew.
    let sql = "UPDATE messages SET state = 'ready', next_try_at = $2, refused = FALSE, \
               first_try_at = NULL WHERE id = $1";
    write(sql).bind(id).bind(now).execute(tx).await?;
    Ok(true)
}

/// How many messages wait for a run at `now`, and for how many customers
/// something is ready that is in no message yet.
pub async fn messages_expected(
    tx: &mut Tx<'_>,
    now: Instant,
    customers_too: bool,
) -> Result<(u64, u64), StoreError> {
    let rest = "FROM messages WHERE state = 'ready' AND next_try_at <= $1 \
                AND (audience <> 'customer' OR $2)";
    let waiting = select("messages", ["count(*) AS n"], rest);
    let waiting: Option<i64> = waiting.bind(now).bind(customers_too).value(tx).await?;
    let rest = format!(
        "FROM notices AS n {{then}} orders AS o ON o.id = n.order_id \
         WHERE n.disposition = 'queued' AND n.audience = 'customer' AND $2 AND {IS_READY}"
    );
    let ready = select("notices", ["count(DISTINCT o.customer_ref) AS n"], rest);
    let ready: Option<i64> = ready.bind(now).bind(customers_too).value(tx).await?;
    let counted = |found: Option<i64>| found.unwrap_or(0).try_into().unwrap_or(0);
    Ok((counted(waiting), counted(ready)))
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
