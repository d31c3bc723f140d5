//! The surge guard: how many messages a run would send to customers, and what
//! is held because they are too many (spec, section 5).

use super::StoreError;
use super::engine::{Page, Statement, Tx, select, write};
use super::messages::messages_drop;
use super::notices::IS_READY;
use crate::case::Fate;
use crate::policy::Instant;

/// What a run would put into messages to customers, once it is ready, and nobody
/// has let go.
const NOTICES: &str =
    "n.disposition = 'queued' AND n.audience = 'customer' AND n.cleared_in IS NULL";

/// What waits for a run at `$1` of messages to customers. What the server may
/// have was counted when it was first sent.
const MESSAGES: &str = "FROM messages AS m WHERE m.state = 'ready' AND m.next_try_at <= $1 \
     AND m.audience = 'customer' AND NOT m.maybe_taken \
     AND NOT EXISTS (SELECT 1 FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
                      WHERE c.message_id = m.id AND n.cleared_in IS NOT NULL)";

/// How many messages a run would send to customers that nobody has let go,
/// counted up to so many: one for each that waits, and one for each customer
/// of whom something is ready.
pub async fn surge_count(tx: &mut Tx<'_>, now: Instant, at_most: i64) -> Result<i64, StoreError> {
    let counted = counted(now, at_most).value(tx).await?;
    Ok(counted.unwrap_or(0))
}

/// The number of the newest message; 0: there is none.
pub async fn message_newest(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let query = select("messages", ["coalesce(max(id), 0) AS id"], "FROM messages");
    Ok(query.value(tx).await?.unwrap_or(0))
}

/// How many messages to customers that nobody has let go were composed after a
/// message, and the newest message.
pub async fn surge_composed(tx: &mut Tx<'_>, after: i64) -> Result<(usize, i64), StoreError> {
    let columns = [
        "count(*) FILTER (WHERE m.audience = 'customer' AND NOT EXISTS ( \
             SELECT 1 FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
              WHERE c.message_id = m.id AND n.cleared_in IS NOT NULL)) AS n",
        "coalesce(max(m.id), $1) AS newest",
    ];
    let query = select("messages", columns, "FROM messages AS m WHERE m.id > $1");
    let mut row = query.bind(after).one(tx).await?;
    let found: i64 = row.get("n")?;
    Ok((found.try_into().unwrap_or(0), row.get("newest")?))
}

fn counted(now: Instant, at_most: i64) -> Statement {
    let rest = format!(
        "FROM (SELECT 1 FROM (SELECT DISTINCT o.customer_ref \
                   FROM notices AS n {{then}} orders AS o ON o.id = n.order_id \
                  WHERE {NOTICES} AND {IS_READY} LIMIT $2) AS customers \
         UNION ALL SELECT 1 FROM (SELECT m.id {MESSAGES} LIMIT $2) AS waiting) AS found"
    );
    let query = select("notices", ["count(*) AS n"], rest);
    query.bind(now).bind(at_most)
}

/// Holds what [`surge_count`] counts; messages that wait are taken back. Gives
/// the number of notices.
pub async fn surge_hold(tx: &mut Tx<'_>, now: Instant) -> Result<u64, StoreError> {
    // What another node has at hand is left to it.
    let waiting = select("messages", ["m.id"], format!("{MESSAGES} {{lock free}}"));
    let waiting: Vec<i64> = waiting.bind(now).values(tx).await?;
    messages_drop(tx, &waiting).await?;
    let sql = format!(
        "UPDATE notices AS n SET disposition = 'held', cause = 'surge' \
          WHERE {NOTICES} AND {IS_READY}"
    );
    write(sql).bind(now).execute(tx).await
}

/// Writes what becomes of notices that the surge guard holds, or that are held
/// since the database was restored, of all or of some orders, and in which
/// change set; the guard counts them no more. Gives their number.
pub async fn held_end(
    tx: &mut Tx<'_>,
    order_ids: Option<&[i64]>,
    becomes: Fate,
    change_set: i64,
) -> Result<u64, StoreError> {
    let of = match order_ids {
        Some(_) => "AND order_id IN (SELECT order_id FROM {page} AS page)",
        None => "",
    };
    let sql = format!(
        "UPDATE notices SET disposition = $1, cause = $2, cleared_in = $3 \
          WHERE cause IN ('surge', 'restored') AND disposition = 'held' {of}"
    );
    let ending = write(sql).bind(becomes.disposition.to_string());
    let ending = ending.bind(becomes.cause.map(|cause| cause.to_string()));
    let ending = ending.bind(change_set);
    let ending = match order_ids {
        Some(ids) => ending.page(Page::of_ints("order_id", ids)),
        None => ending,
    };
    ending.execute(tx).await
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[tokio::test]
    async fn what_is_ready_is_counted_by_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let plan = counted(now, 501).plan(&mut tx).await.unwrap();
        for index in ["notices_queued (audience", "messages_ready (next_try_at"] {
            let is_probed = |line: &String| line.starts_with("SEARCH") && line.contains(index);
            assert!(plan.iter().any(is_probed), "{plan:?}");
        }
        let is_whole = |line: &String| line.starts_with("SCAN n") || line.starts_with("SCAN m");
        assert!(!plan.iter().any(is_whole), "{plan:?}");
    }
}
