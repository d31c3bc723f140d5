//! What people did to notices and messages: by which command, and when.

use super::StoreError;
use super::engine::{Row, Tx, select, write};
use crate::policy::Instant;

/// A command that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// When.
    pub at: Instant,
    /// The command, and who gave it if that is known.
    pub source: String,
}

fn given(row: &mut Row) -> Result<Given, StoreError> {
    Ok(Given {
        at: row.time("recorded_at")?,
        source: row.get("source")?,
    })
}

/// The commands on notices of an order, each with its notice, in the order in
/// which they were given.
pub async fn commands_on_order(
    tx: &mut Tx<'_>,
    order_id: i64,
) -> Result<Vec<(i64, Given)>, StoreError> {
    let rest = "FROM (SELECT id AS notice_id, cleared_in AS change_set FROM notices \
                       WHERE order_id = $1 AND cleared_in IS NOT NULL \
                UNION ALL SELECT n.id, r.change_set FROM notices AS n \
                            JOIN message_retries AS r ON r.notice_id = n.id \
                           WHERE n.order_id = $1) AS found \
         JOIN change_sets AS s ON s.id = found.change_set ORDER BY s.id, found.notice_id";
    let columns = ["found.notice_id", "s.recorded_at", "s.source"];
    let query = select("change_sets", columns, rest).bind(order_id);
    let pair = |mut row: Row| Ok((row.get("notice_id")?, given(&mut row)?));
    query.rows(tx).await?.into_iter().map(pair).collect()
}

/// The commands on a message, and on notices that it carries, in the order in
/// which they were given.
pub async fn commands_on_message(
    tx: &mut Tx<'_>,
    message_id: i64,
) -> Result<Vec<Given>, StoreError> {
    let rest = "FROM (SELECT n.cleared_in AS change_set FROM message_notices AS c \
                        JOIN notices AS n ON n.id = c.notice_id \
                       WHERE c.message_id = $1 AND n.cleared_in IS NOT NULL \
                UNION SELECT change_set FROM message_retries WHERE message_id = $1 \
                UNION SELECT r.change_set FROM message_notices AS c \
                        JOIN message_retries AS r ON r.notice_id = c.notice_id \
                       WHERE c.message_id = $1) AS found \
         JOIN change_sets AS s ON s.id = found.change_set ORDER BY s.id";
    let query = select("change_sets", ["s.recorded_at", "s.source"], rest);
    let rows = query.bind(message_id).rows(tx).await?.into_iter();
    rows.map(|mut row| given(&mut row)).collect()
}

/// Records that a message, with what it carries, is tried again.
pub(super) async fn message_retried(
    tx: &mut Tx<'_>,
    message_id: i64,
    change_set: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO message_retries (change_set, message_id, notice_id) \
               SELECT $2, m.id, c.notice_id FROM messages AS m \
                 LEFT JOIN message_notices AS c ON c.message_id = m.id WHERE m.id = $1";
    let adding = write(sql).bind(message_id).bind(change_set);
    adding.execute(tx).await?;
    Ok(())
}
