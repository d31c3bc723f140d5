//! Messages that came back, and addresses that no mail goes to any more.

use std::collections::HashSet;

use strum::{Display, EnumString, IntoStaticStr};

use super::StoreError;
use super::engine::{Page, Row, Tx, select, write};
use super::messages::{MESSAGE, Message, message};
use super::notices::counts;
use crate::policy::{Audience, Instant, Subject};

/// The newest messages, among which one is looked for by its recipient: no
/// index has those.
const NEWEST: i64 = 10_000;

/// Reports of one kind that are kept of a message: mail that goes round in a
/// circle must not fill the database.
const MOST_OF_A_KIND: i64 = 20;

/// What a report changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum BounceKind {
    /// Nothing: the message is late, or nobody knows whose address is meant.
    Noted,
    /// The message failed.
    Soft,
    /// The message failed, and no mail goes to its address any more.
    Hard,
}

/// A report on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BounceDraft {
    /// Of the report and the message.
    pub fingerprint: String,
    /// The message.
    pub message_id: i64,
    /// Its recipient, as addresses are compared.
    pub address: String,
    /// What the report changes.
    pub kind: BounceKind,
    /// The enhanced status code (RFC 3463), if there is one.
    pub status: Option<String>,
    /// The server's words, without addresses.
    pub diagnostic: String,
}

/// The messages with some headers, which nobody else changes until the
/// transaction ends. Without their bytes.
pub async fn messages_of_headers(
    tx: &mut Tx<'_>,
    headers: &[String],
) -> Result<Vec<Message>, StoreError> {
    let rest = "FROM messages WHERE message_id IN (SELECT header FROM {page} AS page) \
                ORDER BY id {lock}";
    let page = Page::of_texts("header", headers.iter().map(String::as_str));
    let query = select("messages", MESSAGE, rest).page(page);
    query.rows(tx).await?.into_iter().map(message).collect()
}

/// The newest message that a server took over since a time for one of some
/// addresses, if it is among the newest of all.
pub async fn message_latest_to(
    tx: &mut Tx<'_>,
    addresses: &[String],
    since: Instant,
) -> Result<Option<Message>, StoreError> {
    let rest = "FROM messages WHERE id = ( \
           SELECT max(recent.id) FROM ( \
                  SELECT id, recipient, sent_at FROM messages ORDER BY id DESC LIMIT $2) AS recent \
            WHERE lower(recent.recipient) IN (SELECT address FROM {page} AS page) \
              AND recent.sent_at >= $1)";
    let page = Page::of_texts("address", addresses.iter().map(String::as_str));
    let query = select("messages", MESSAGE, rest).bind(since).bind(NEWEST);
    query.page(page).row(tx).await?.map(message).transpose()
}

/// Keeps a report; `false`: it is known, or as many of its kind are on its
/// message as are kept.
pub async fn bounce_add(
    tx: &mut Tx<'_>,
    draft: &BounceDraft,
    now: Instant,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO bounces \
           (fingerprint, message_id, address, kind, status, diagnostic, recorded_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7 \
          WHERE (SELECT count(*) FROM bounces WHERE message_id = $2 AND kind = $4) < $8 \
         ON CONFLICT (fingerprint) DO NOTHING";
    let added = write(sql).bind(&draft.fingerprint).bind(draft.message_id);
    let added = added.bind(&draft.address).bind(draft.kind.to_string());
    let added = added.bind(&draft.status).bind(&draft.diagnostic).bind(now);
    let added = added.bind(MOST_OF_A_KIND);
    Ok(added.execute(tx).await? == 1)
}

/// Those of some addresses that no mail goes to. Addresses as they are
/// compared.
pub async fn undeliverable<'a>(
    tx: &mut Tx<'_>,
    addresses: impl IntoIterator<Item = &'a str>,
) -> Result<HashSet<String>, StoreError> {
    let rest = "FROM {page} AS page {then} bounces AS b ON b.address = page.address \
         WHERE b.kind = 'hard' AND b.lifted_at IS NULL";
    let page = Page::of_texts("address", addresses);
    let query = select("bounces", ["b.address"], rest).page(page);
    Ok(query.values(tx).await?.into_iter().collect())
}

/// Lets mail go again to the address of a message. Notices that were left out
/// because of it are queued again: a customer's, or all inside the shop.
pub async fn undeliverable_lift(
    tx: &mut Tx<'_>,
    message: &Message,
    address: &str,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE bounces SET lifted_at = $2 \
         WHERE address = $1 AND kind = 'hard' AND lifted_at IS NULL";
    if write(sql).bind(address).bind(now).execute(tx).await? == 0 {
        return Ok(());
    }
    let is_customers = message.draft.audience == Audience::Customer.to_string();
    // One that failed and is in no message was left out.
    let sql = "UPDATE notices SET disposition = 'queued' WHERE disposition = 'failed' AND cause IS NULL \
           AND NOT EXISTS (SELECT 1 FROM message_notices WHERE notice_id = notices.id) \
           AND (audience = 'customer') = $2 AND (NOT $2 OR order_id IN ( \
               SELECT o.id FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
                 JOIN orders AS own ON own.id = n.order_id \
                 JOIN orders AS o ON o.customer_ref = own.customer_ref \
                WHERE c.message_id = $1))";
    let again = write(sql).bind(message.id).bind(is_customers);
    again.execute(tx).await?;
    Ok(())
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The customer of the order.
    pub customer_ref: String,
    /// What it is about.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
}

/// What a message tells, each subject once.
pub async fn message_tells(tx: &mut Tx<'_>, id: i64) -> Result<Vec<Told>, StoreError> {
    let rest = "FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
          JOIN orders AS o ON o.id = n.order_id WHERE c.message_id = $1";
    let query = select("notices", ["o.customer_ref", "n.subject", "n.ref"], rest);
    let told = |mut row: Row| {
        Ok(Told {
            customer_ref: row.get("customer_ref")?,
            subject: row.parse("subject", "a subject")?,
            subject_ref: row.get("ref")?,
        })
    };
    let rows = query.bind(id).rows(tx).await?;
    let told: Result<Vec<Told>, StoreError> = rows.into_iter().map(told).collect();
    let mut told = told?;
    told.sort();
    told.dedup();
    Ok(told)
}

/// How many reports there are of each kind, and how many addresses no mail
/// goes to.
pub async fn bounce_counts(tx: &mut Tx<'_>) -> Result<(Vec<(String, i64)>, i64), StoreError> {
    let rest = "FROM bounces GROUP BY kind ORDER BY kind";
    let kinds = counts(
        select("bounces", ["kind AS name", "count(*) AS n"], rest),
        tx,
    )
    .await?;
    let rest = "FROM bounces WHERE kind = 'hard' AND lifted_at IS NULL";
    let addresses = select("bounces", ["count(DISTINCT address) AS n"], rest);
    Ok((kinds, addresses.value(tx).await?.unwrap_or(0)))
}
