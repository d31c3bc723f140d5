//! A dead feed must not write to customers (spec, section 5, rule 9).

use warrantyd::jobs;
use warrantyd::jobs::import::{files, import_files};

use crate::shop::{CLAIMS, FILE_MAIL, Shop, at, named, one_unit};

/// A repair that is due on 11 July 2025; its warranty ends on the fifth.
async fn repair() -> Shop {
    let shop = Shop::new(&format!("{FILE_MAIL}[import]\nmax_age = \"1 day\"\n"));
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    for (name, text) in [orders, units] {
        shop.write(name, text);
    }
    shop.write("claims.csv", format!("{CLAIMS}{row}"));
    shop
}

async fn import(shop: &Shop, names: &[&str], now: &str) {
    let paths: Vec<_> = names.iter().map(|name| shop.path(name)).collect();
    let open = shop.open().await;
    let files = files(&open.config.dialects, &paths, None, None).unwrap();
    let imported = import_files(&open, &files, at(now), &mut |_| {}).await;
    imported.unwrap();
    open.store.close().await;
}

const ALL: [&str; 3] = ["orders.csv", "units.csv", "claims.csv"];

async fn run_at(shop: &Shop, time: &str) {
    shop.enforce(named(time)).await.unwrap();
    shop.deliver(named(time)).await.unwrap();
}

const DUE: &str = "SELECT step, audience, disposition, cause FROM notices \
     WHERE ref = 'C-1' AND step = 'due' AND audience IN ('customer', 'lead') ORDER BY audience";

const OPS: &str = "SELECT state FROM messages WHERE audience = 'ops'";

#[tokio::test]
async fn delays_are_held_until_an_import_is_completed() {
    let shop = repair().await;
    import(&shop, &ALL, "2025-06-20T10:00:00Z").await;
    run_at(&shop, "2025-06-21T10:00:00Z").await;
    assert_eq!(shop.rows(OPS).await, [""; 0]);
    run_at(&shop, "2025-07-04T10:00:00Z").await;
    assert_eq!(shop.rows(OPS).await, ["sent"]);
    run_at(&shop, "2025-07-11T10:00:00Z").await;
    let held = ["due|customer|held|feed", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, held);
    assert_eq!(shop.rows(OPS).await, ["sent"]);
    let warranty = "SELECT step, disposition FROM notices WHERE ref = 'U-1' AND step = 'due'";
    run_at(&shop, "2025-07-12T10:00:00Z").await;
    assert_eq!(shop.rows(warranty).await, ["due|stale"]);
    // The same files again: a sign of life.
    import(&shop, &ALL, "2025-07-16T09:00:00Z").await;
    run_at(&shop, "2025-07-16T10:00:00Z").await;
    let told = ["due|customer|sent|-", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, told);
    // It dies once more, and ops are told once more.
    run_at(&shop, "2025-07-17T10:00:00Z").await;
    assert_eq!(shop.rows(OPS).await, ["sent", "sent"]);
}

#[tokio::test]
async fn what_the_import_makes_up_for_is_never_told() {
    let shop = repair().await;
    import(&shop, &ALL, "2025-06-20T10:00:00Z").await;
    run_at(&shop, "2025-07-11T10:00:00Z").await;
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,2025-06-30,\n";
    shop.write("claims.csv", format!("{CLAIMS}{row}"));
    import(&shop, &ALL, "2025-07-12T09:00:00Z").await;
    run_at(&shop, "2025-07-12T10:00:00Z").await;
    let found = ["due|customer|moot|-", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, found);
}

#[tokio::test]
async fn what_was_queued_when_the_feed_died_is_held() {
    let shop = repair().await;
    import(&shop, &ALL, "2025-07-10T10:00:00Z").await;
    // Before the hours in which customers are written to.
    run_at(&shop, "2025-07-11T05:00:00Z").await;
    let queued = ["due|customer|queued|-", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, queued);
    run_at(&shop, "2025-07-11T10:30:00Z").await;
    let held = ["due|customer|held|feed", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, held);
}

#[tokio::test]
async fn an_import_that_fails_is_no_sign_of_life() {
    let shop = repair().await;
    import(&shop, &ALL, "2025-06-20T10:00:00Z").await;
    shop.write("orders.csv", "no,orders\n");
    let open = shop.open().await;
    let files = files(
        &open.config.dialects,
        &[shop.path("orders.csv")],
        None,
        None,
    )
    .unwrap();
    let now = at("2025-07-11T09:00:00Z");
    assert!(import_files(&open, &files, now, &mut |_| {}).await.is_err());
    let status = jobs::status(&open, now).await.unwrap();
    assert_eq!(status.imported_at, Some(at("2025-06-20T10:00:00Z")));
    open.store.close().await;
    run_at(&shop, "2025-07-11T10:00:00Z").await;
    let held = ["due|customer|held|feed", "due|lead|sent|-"];
    assert_eq!(shop.rows(DUE).await, held);
}
