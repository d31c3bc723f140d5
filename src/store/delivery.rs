//! Messages on their way: who has them at hand, and what came of it.
//!
//! Several nodes may send at once. One takes a message with a lease that it
//! renews while it has it at hand, and a fence that each taking raises: what a
//! node writes of a message that is no longer its own changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use super::StoreError;
use super::engine::{Cell, Kind, Page, Tx, select, write};
use super::messages::{MESSAGE, Message, MessageState, message};
use crate::policy::Instant;

/// What a try left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Where the message is now.
    pub state: MessageState,
    /// Whether the try counts: a fault of the server uses none up.
    pub counts: bool,
    /// When it is tried next.
    pub next_try_at: Option<Instant>,
    /// The server's answer, or what went wrong; `None`: nobody was asked.
    pub answer: Option<String>,
    /// Whether it was refused for good.
    pub refused: bool,
    /// Whether the server may have it all the same.
    pub maybe_taken: bool,
}

/// The next messages to be tried by `now`, oldest first, after one of them;
/// those that another node is at are left to it. Without their bytes.
pub async fn messages_due(
    tx: &mut Tx<'_>,
    now: Instant,
    customers_too: bool,
    after: Option<(Instant, i64)>,
    at_most: i64,
) -> Result<Vec<Message>, StoreError> {
    let rest = "FROM messages WHERE state = 'ready' AND next_try_at <= $1 \
                AND (audience <> 'customer' OR $2) AND (next_try_at, id) > ($3, $4) \
                ORDER BY next_try_at, id LIMIT $5 {lock free}";
    let (at, id) = after.map_or((i64::MIN, 0), |(at, id)| (at.timestamp_micros(), id));
    let query = select("messages", MESSAGE, rest).bind(now);
    let query = query.bind(customers_too).bind(at).bind(id).bind(at_most);
    query.rows(tx).await?.into_iter().map(message).collect()
}

/// Messages that were taken to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Their numbers.
    pub ids: Vec<i64>,
    /// How long the lease holds; zero: nobody else can take them.
    pub lease: Duration,
}

/// Takes messages that were found due in this transaction, which holds them.
/// Left out are those in which a notice is no longer what it was; of those that
/// the server may have, only what somebody holds.
pub async fn messages_take(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Taken, StoreError> {
    let sql = "UPDATE messages SET state = 'sending', fence = fence + 1, lease_until = {lease} \
         WHERE id IN (SELECT id FROM {page} AS page) \
           AND NOT EXISTS ( \
               SELECT 1 FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
                WHERE c.message_id = messages.id AND (n.cause = 'hold' \
                   OR NOT messages.maybe_taken AND n.disposition NOT IN ('queued', 'sent')))";
    let taking = write(sql).page(Page::of_ints("id", ids));
    let columns = ["id", "lease_until - {clock} AS lease"];
    let mut taken = Taken {
        ids: Vec::with_capacity(ids.len()),
        lease: Duration::ZERO,
    };
    for mut row in taking.returning("messages", &columns).rows(tx).await? {
        taken.ids.push(row.get("id")?);
        let lease: i64 = row.get("lease")?;
        taken.lease = Duration::from_micros(lease.try_into().unwrap_or(0));
    }
    Ok(taken)
}

/// Renews the lease of messages, each with the fence that it was taken with;
/// gives how many of them are still this node's.
pub async fn messages_renew(
    tx: &mut Tx<'_>,
    held: impl IntoIterator<Item = (i64, i64)>,
) -> Result<u64, StoreError> {
    let mut page = Page::new(&[("id", Kind::Int), ("fence", Kind::Int)]);
    for (id, fence) in held {
        page.push([id.into(), fence.into()]);
    }
    // The expression keeps the plan off the index of what is being sent, which
    // fills and empties faster than anything is known of it.
    let sql = "UPDATE messages SET lease_until = {lease} FROM {page} AS page \
         WHERE messages.id = page.id AND messages.fence = page.fence \
           AND messages.state || '' = 'sending'";
    write(sql).page(page).execute(tx).await
}

/// Messages that a node had taken when it died, or was stopped for too long.
pub async fn messages_interrupted(
    tx: &mut Tx<'_>,
    at_most: i64,
) -> Result<Vec<Message>, StoreError> {
    let rest = "FROM messages WHERE state = 'sending' AND lease_until < {clock} \
                ORDER BY id LIMIT $1 {lock free}";
    let query = select("messages", MESSAGE, rest).bind(at_most);
    query.rows(tx).await?.into_iter().map(message).collect()
}

/// Writes what tries left of messages, and what it means for their notices.
/// Gives the numbers of those that it was written of: a message that this node
/// no longer has is not changed.
pub async fn messages_tried(
    tx: &mut Tx<'_>,
    tried: &[(Message, Try)],
    now: Instant,
) -> Result<HashSet<i64>, StoreError> {
    let mut page = Page::new(&[
        ("id", Kind::Int),
        ("fence", Kind::Int),
        ("state", Kind::Text),
        ("counts", Kind::Int),
        ("next_try_at", Kind::Int),
        ("answer", Kind::Text),
        ("refused", Kind::Flag),
        ("maybe_taken", Kind::Flag),
    ]);
    for (message, tried) in tried {
        page.push([
            message.id.into(),
            message.fence.into(),
            tried.state.to_string().into(),
            i64::from(tried.counts).into(),
            tried.next_try_at.into(),
            tried.answer.as_ref().map_or(Cell::Null, Cell::from),
            tried.refused.into(),
            tried.maybe_taken.into(),
        ]);
    }
    // The expression: as above.
    let sql = "UPDATE messages SET state = page.state, tries = tries + page.counts, \
           next_try_at = page.next_try_at, \
           first_try_at = CASE WHEN page.counts > 0 THEN coalesce(messages.first_try_at, $1) \
                               ELSE messages.first_try_at END, \
           answer = coalesce(page.answer, messages.answer), refused = page.refused, \
           maybe_taken = messages.maybe_taken OR page.maybe_taken, lease_until = 0, \
           sent_at = CASE WHEN page.state = 'sent' THEN $1 END \
          FROM {page} AS page WHERE messages.id = page.id AND messages.fence = page.fence \
           AND messages.state || '' = 'sending'";
    let writing = write(sql).bind(now).page(page);
    let writing = writing.returning("messages", &["messages.id"]);
    let ids: HashSet<i64> = writing.values(tx).await?.into_iter().collect();
    let ended = |states: &[MessageState]| -> Vec<i64> {
        let ended = tried
            .iter()
            .filter(|(message, tried)| states.contains(&tried.state) && ids.contains(&message.id));
        ended.map(|(message, _)| message.id).collect()
    };
    notices_sent(tx, &ended(&[MessageState::Sent])).await?;
    let others = [MessageState::Failed, MessageState::Uncertain];
    notices_follow(tx, &ended(&others)).await?;
    Ok(ids)
}

/// A notice is sent if one of its messages was taken.
async fn notices_sent(tx: &mut Tx<'_>, message_ids: &[i64]) -> Result<(), StoreError> {
    if message_ids.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE notices SET disposition = 'sent', cause = NULL WHERE disposition <> 'sent' \
         AND id IN (SELECT c.notice_id FROM {page} AS page \
                      {then} message_notices AS c ON c.message_id = page.id)";
    let page = Page::of_ints("id", message_ids);
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// What messages that were not taken mean for their notices: one stays sent if
/// another message took it; it is held if none is under way any more and one
/// may have been taken; it failed if all of them have.
async fn notices_follow(tx: &mut Tx<'_>, message_ids: &[i64]) -> Result<(), StoreError> {
    if message_ids.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE notices SET disposition = told.disposition, \
           cause = CASE WHEN told.disposition = 'held' THEN 'uncertain' END FROM ( \
           SELECT c.notice_id, CASE \
                    WHEN count(*) FILTER (WHERE m.state = 'sent') > 0 THEN 'sent' \
                    WHEN count(*) FILTER (WHERE m.state IN ('ready', 'sending', 'held')) > 0 \
                    THEN NULL \
                    WHEN count(*) FILTER (WHERE m.state = 'uncertain') > 0 THEN 'held' \
                    ELSE 'failed' END AS disposition \
             FROM message_notices AS c JOIN messages AS m ON m.id = c.message_id \
            WHERE c.notice_id IN (SELECT own.notice_id FROM {page} AS page \
                    {then} message_notices AS own ON own.message_id = page.id) \
            GROUP BY c.notice_id) AS told \
         WHERE notices.id = told.notice_id \
           AND notices.disposition IN ('queued', 'held', 'sent') \
           AND told.disposition IS NOT NULL";
    let page = Page::of_ints("id", message_ids);
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Keeps that a message did not arrive after all, though the server took it
/// over or may have, and what it means for its notices.
pub async fn message_came_back(
    tx: &mut Tx<'_>,
    id: i64,
    answer: &str,
    refused: bool,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = 'failed', answer = $2, refused = $3, \
               next_try_at = NULL, maybe_taken = FALSE WHERE id = $1";
    let writing = write(sql).bind(id).bind(answer).bind(refused);
    writing.execute(tx).await?;
    notices_follow(tx, &[id]).await
}
