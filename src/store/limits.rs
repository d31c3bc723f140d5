//! Messages that are due and must not go out: to whom nothing is sent, or not
//! today.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::StoreError;
use super::engine::{Kind, Page, Row, Tx, select, write};
use super::messages::Message;
use crate::policy::Instant;

/// Holds messages that were found due in this transaction.
pub async fn messages_hold(tx: &mut Tx<'_>, ids: &[i64], why: &str) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = 'held', next_try_at = NULL, answer = $1 \
               WHERE id IN (SELECT id FROM {page} AS page)";
    let page = Page::of_ints("id", ids);
    write(sql).bind(why).page(page).execute(tx).await?;
    Ok(())
}

/// The messages that are held, each with its recipient.
pub async fn messages_held(
    tx: &mut Tx<'_>,
    customers_too: bool,
) -> Result<Vec<(i64, String)>, StoreError> {
    let rest = "FROM messages WHERE state = 'held' AND (audience <> 'customer' OR $1) ORDER BY id";
    let query = select("messages", ["id", "recipient"], rest).bind(customers_too);
    let pair = |mut row: Row| Ok((row.get("id")?, row.get("recipient")?));
    query.rows(tx).await?.into_iter().map(pair).collect()
}

/// Lets messages go that are held: they are due now.
pub async fn messages_let_go(
    tx: &mut Tx<'_>,
    ids: &[i64],
    now: Instant,
) -> Result<u64, StoreError> {
    let sql = "UPDATE messages SET state = 'ready', next_try_at = $1 \
               WHERE state = 'held' AND id IN (SELECT id FROM {page} AS page)";
    let page = Page::of_ints("id", ids);
    write(sql).bind(now).page(page).execute(tx).await
}

/// Puts messages off that were found due in this transaction.
pub async fn messages_put_off(
    tx: &mut Tx<'_>,
    ids: &[i64],
    until: Instant,
    why: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET next_try_at = $1, answer = $2 \
               WHERE id IN (SELECT id FROM {page} AS page)";
    let page = Page::of_ints("id", ids);
    write(sql)
        .bind(until)
        .bind(why)
        .page(page)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many others were counted on a day for the recipients of messages, by
/// the messages' numbers; none: no line.
pub async fn messages_beside<'m>(
    tx: &mut Tx<'_>,
    day: NaiveDate,
    messages: impl IntoIterator<Item = &'m Message>,
) -> Result<HashMap<i64, i64>, StoreError> {
    let mut page = Page::new(&[("id", Kind::Int), ("recipient", Kind::Text)]);
    for message in messages {
        page.push([message.id.into(), (&message.draft.recipient).into()]);
    }
    let rest = "FROM {page} AS page {then} messages AS m ON m.recipient = page.recipient \
         WHERE m.counted_on = $1 AND m.id <> page.id GROUP BY page.id";
    let query = select("messages", ["page.id", "count(*) AS n"], rest);
    let pair = |mut row: Row| Ok((row.get("id")?, row.get("n")?));
    let rows = query.bind(day.to_string()).page(page).rows(tx).await?;
    rows.into_iter().map(pair).collect()
}

/// Counts messages for their recipients on a day.
pub async fn messages_count(
    tx: &mut Tx<'_>,
    day: NaiveDate,
    ids: &[i64],
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET counted_on = $1 WHERE id IN (SELECT id FROM {page} AS page)";
    let page = Page::of_ints("id", ids);
    write(sql)
        .bind(day.to_string())
        .page(page)
        .execute(tx)
        .await?;
    Ok(())
}
