//! How much is read for a piece of work, by PostgreSQL's own count: it must not
//! hang on what is stored beside it.

use crate::crash::{DELIVER, with_notices};
use crate::shop::{Engine, FILE_MAIL, Shop};

/// So many notices, each to a customer of its own.
const NOTICES: usize = 1_500;

/// A row is looked at so many times for a notice, whatever else there is.
const LOOKS: usize = 20;

/// They are sent without asking.
fn mail() -> String {
    format!("{FILE_MAIL}surge_limit = {NOTICES}\n")
}

/// The rows of tables and indexes that were read so far, the most first.
async fn read(shop: &Shop) -> Vec<(String, usize)> {
    let read = "SELECT name, n FROM ( \
                  SELECT relname AS name, seq_tup_read AS n FROM pg_stat_user_tables \
                  UNION ALL \
                  SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes) AS read \
                ORDER BY n DESC, name";
    // What a connection counted is there once it has ended.
    shop.alone().await;
    let rows = shop.rows(read).await.into_iter();
    let counted = rows.map(|row| {
        let (name, n) = row.rsplit_once('|').unwrap();
        (name.to_owned(), n.parse().unwrap())
    });
    counted.collect()
}

async fn forget(shop: &Shop) {
    shop.alone().await;
    shop.rows("SELECT pg_stat_reset()").await;
}

#[tokio::test]
async fn deliver_reads_what_it_delivers() {
    let shop = with_notices(Shop::on(Engine::Postgres, &mail()), NOTICES).await;
    forget(&shop).await;
    shop.run_to(0, &DELIVER);
    let sent = "SELECT count(*) FROM messages WHERE state = 'sent'";
    assert_eq!(shop.rows(sent).await, [NOTICES.to_string()]);
    let read = read(&shop).await;
    assert!(read[0].1 > NOTICES, "nothing was counted: {read:?}");
    assert!(read[0].1 < LOOKS * NOTICES, "{read:?}");
}

#[tokio::test]
async fn with_nothing_due_no_case_is_read() {
    let shop = with_notices(Shop::on(Engine::Postgres, &mail()), NOTICES).await;
    // What the run before left of moved rows is read until it is tidied up.
    shop.execute("VACUUM").await;
    forget(&shop).await;
    shop.run_to(0, &["run", "enforce", "--at", "2025-06-05T09:00:00Z"]);
    for (name, n) in read(&shop).await {
        assert!(n < 100, "{name}: {n}");
    }
}
