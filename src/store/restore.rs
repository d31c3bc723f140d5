//! What is held since the database was restored: what the backup says is to be
//! sent to customers may have been sent after it was taken.

use super::StoreError;
use super::engine::{Page, Tx, select, write};
use super::limits::messages_let_go;
use super::messages::messages_drop;
use crate::policy::Instant;

/// Holds all that waits for customers; messages keep their bytes. Gives the
/// number of notices.
pub async fn restored_hold(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    // Whoever was sending one is no more; the server may have it.
    let sql = "UPDATE messages SET state = 'held', next_try_at = NULL, \
               maybe_taken = maybe_taken OR state = 'sending', fence = fence + 1, \
               lease_until = 0, answer = 'held: the database was restored' \
         WHERE audience = 'customer' AND state IN ('ready', 'sending', 'uncertain', 'held')";
    write(sql).execute(tx).await?;
    let sql = "UPDATE notices SET disposition = 'held', cause = 'restored' \
         WHERE audience = 'customer' AND disposition IN ('queued', 'held')";
    write(sql).execute(tx).await
}

/// Lets the messages to customers go that are held since the restore, all or
/// those about some orders; or takes them back. One in which a notice is no
/// longer what it was is taken back in any case, though the server may have it.
pub async fn restored_messages_end(
    tx: &mut Tx<'_>,
    order_ids: Option<&[i64]>,
    go_out: bool,
    now: Instant,
) -> Result<(), StoreError> {
    let of = match order_ids {
        Some(_) => {
            "AND m.id IN (SELECT c.message_id FROM {page} AS page \
               {then} notices AS n ON n.order_id = page.order_id \
               {then} message_notices AS c ON c.notice_id = n.id)"
        }
        None => "",
    };
    let stands = "NOT EXISTS (SELECT 1 FROM message_notices AS c \
           JOIN notices AS n ON n.id = c.notice_id \
          WHERE c.message_id = m.id AND (n.cause IS NULL OR n.cause <> 'restored')) AS stands";
    let rest =
        format!("FROM messages AS m WHERE m.state = 'held' AND m.audience = 'customer' {of}");
    let held = select("messages", ["m.id", stands], rest);
    let held = match order_ids {
        Some(ids) => held.page(Page::of_ints("order_id", ids)),
        None => held,
    };
    let (mut go, mut stay) = (Vec::new(), Vec::new());
    for mut row in held.rows(tx).await? {
        let id: i64 = row.get("id")?;
        match go_out && row.flag("stands")? {
            true => go.push(id),
            false => stay.push(id),
        }
    }
    messages_let_go(tx, &go, now).await?;
    messages_drop(tx, &stay).await
}
