//! Erasing what is known of a customer as a person, and what messages said.
//!
//! Deadlines, notices and the history of all other facts stay: they are the
//! proof, and name nobody.

use super::StoreError;
use super::engine::{Tx, select, write};
use super::history::change_set_begin;
use crate::policy::Instant;

/// The address of a customer who was forgotten: no mail goes to it.
pub const FORGOTTEN: &str = "";

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Orders that named the customer.
    pub orders: u64,
    /// Messages to them.
    pub messages: u64,
}

/// Messages to a customer (`$1`): those that carry notices of their orders,
/// and those to an address that they have or had, as one that was taken back
/// carries nothing any more.
const THEIR_MESSAGES: &str = "audience = 'customer' AND ( \
       id IN (SELECT c.message_id FROM orders AS o \
                {then} notices AS n ON n.order_id = o.id \
                {then} message_notices AS c ON c.notice_id = n.id \
               WHERE o.customer_ref = $1 AND n.audience || '' = 'customer') \
       OR recipient IN (SELECT customer_email FROM orders WHERE customer_ref = $1) \
       OR recipient IN (SELECT f.old FROM orders AS o \
                          {then} fact_changes AS f ON f.row_id = o.id \
                         WHERE o.customer_ref = $1 AND f.entity = 'orders' \
                           AND f.field = 'customer_email'))";

/// Erases a customer's names and addresses from their orders, these orders'
/// history and all messages to them, and takes back what was not sent; that it
/// was done is recorded as of `source`. Forgetting twice changes nothing. The
/// caller has locked the cases.
pub async fn customer_forget(
    tx: &mut Tx<'_>,
    customer_ref: &str,
    source: &str,
    now: Instant,
) -> Result<Forgotten, StoreError> {
    let messages = messages_forget(tx, customer_ref).await?;
    // That they were forgotten is no secret.
    let sql = "UPDATE fact_changes SET old = NULL, \
           \"new\" = CASE WHEN \"new\" = $2 THEN \"new\" END \
         WHERE entity = 'orders' AND field IN ('customer_name', 'customer_email') \
           AND row_id IN (SELECT id FROM orders WHERE customer_ref = $1)";
    let erased = write(sql).bind(customer_ref).bind(FORGOTTEN);
    erased.execute(tx).await?;
    let known = "customer_ref = $1 AND (customer_name IS NOT NULL OR customer_email <> $2)";
    let rest = format!("FROM orders WHERE {known}");
    let known_orders = select("orders", ["count(*) AS n"], rest);
    let known_orders = known_orders.bind(customer_ref).bind(FORGOTTEN);
    let orders: i64 = known_orders.value(tx).await?.unwrap_or(0);
    if orders > 0 || messages > 0 {
        let change_set = change_set_begin(tx, source, now).await?;
        let sql = format!(
            "INSERT INTO fact_changes (change_set, entity, row_id, field, old, new) \
             SELECT $3, 'orders', id, 'customer_email', NULL, $2 FROM orders WHERE {known}"
        );
        let history = write(sql).bind(customer_ref).bind(FORGOTTEN);
        history.bind(change_set).execute(tx).await?;
        let sql = "UPDATE orders SET customer_name = NULL, customer_email = $2 \
                    WHERE customer_ref = $1";
        let erased = write(sql).bind(customer_ref).bind(FORGOTTEN);
        erased.execute(tx).await?;
    }
    Ok(Forgotten {
        orders: orders.try_into().unwrap_or(0),
        messages,
    })
}

async fn messages_forget(tx: &mut Tx<'_>, customer_ref: &str) -> Result<u64, StoreError> {
    for (table, column) in [("message_bodies", "message_id"), ("bounces", "message_id")] {
        let sql = format!(
            "DELETE FROM {table} WHERE {column} IN \
             (SELECT id FROM messages WHERE {THEIR_MESSAGES})"
        );
        write(sql).bind(customer_ref).execute(tx).await?;
    }
    // Whoever is sending one has an older fence, and writes nothing more of it.
    let sql = format!(
        "UPDATE messages SET recipient = $2, answer = NULL, next_try_at = NULL, \
                fence = fence + 1, maybe_taken = FALSE, \
                state = CASE WHEN state IN ('sent', 'failed') THEN state ELSE 'dropped' END \
          WHERE recipient <> $2 AND {THEIR_MESSAGES}"
    );
    let erased = write(sql).bind(customer_ref).bind(FORGOTTEN);
    let messages = erased.execute(tx).await?;
    let sql = "DELETE FROM message_notices WHERE message_id IN \
               (SELECT id FROM messages WHERE state = 'dropped' AND recipient = $1)";
    write(sql).bind(FORGOTTEN).execute(tx).await?;
    // What an uncertain message held would wait for a message that is gone.
    let sql = "UPDATE notices SET disposition = 'failed', cause = NULL \
         WHERE disposition = 'held' AND cause = 'uncertain' AND audience = 'customer' \
           AND order_id IN (SELECT id FROM orders WHERE customer_ref = $1)";
    write(sql).bind(customer_ref).execute(tx).await?;
    Ok(messages)
}

/// The orders of a customer, in their order.
pub async fn customer_orders(tx: &mut Tx<'_>, customer_ref: &str) -> Result<Vec<i64>, StoreError> {
    let rest = "FROM orders WHERE customer_ref = $1 ORDER BY id";
    let found = select("orders", ["id"], rest).bind(customer_ref);
    found.values(tx).await
}

/// The bytes of which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Of all.
    All,
    /// Of those that carry no notices: they can be made again.
    Inside,
}

/// Erases the bytes of messages that were composed before a time and are never
/// sent again as they are, the oldest first; gives of how many.
pub async fn bodies_forget(
    tx: &mut Tx<'_>,
    of: Bodies,
    before: Instant,
    at_most: i64,
) -> Result<u64, StoreError> {
    let inside = "DELETE FROM message_bodies WHERE message_id IN ( \
           SELECT m.id FROM messages AS m \
             {then} message_bodies AS b ON b.message_id = m.id \
            WHERE m.kind <> 'notices' AND m.composed_at < $1 \
              AND m.state IN ('sent', 'dropped') ORDER BY m.composed_at LIMIT $2)";
    let all = "DELETE FROM message_bodies WHERE message_id IN ( \
           SELECT b.message_id FROM message_bodies AS b \
             {then} messages AS m ON m.id = b.message_id \
            WHERE m.composed_at < $1 \
              AND (m.state IN ('sent', 'dropped') \
                   OR m.state = 'failed' AND m.kind = 'notices' AND NOT m.maybe_taken) \
            ORDER BY b.message_id LIMIT $2)";
    let sql = match of {
        Bodies::All => all,
        Bodies::Inside => inside,
    };
    write(sql).bind(before).bind(at_most).execute(tx).await
}
