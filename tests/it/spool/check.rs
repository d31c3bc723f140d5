//! `import --check` says what would happen, and changes nothing.

use std::fs;

use serde_json::{Value, json};

use super::{put_all_kinds, spool};
use crate::shop::{Engine, Shop, assert_same, stderr};

fn json_of(shop: &Shop, status: i32, args: &[&str]) -> Value {
    let output = shop.run_to(status, args);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What lies in the shop, with the sizes.
fn files(shop: &Shop) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for dir in [shop.dir().to_owned(), shop.path("spool")] {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().display().to_string();
            if !name.contains("shop.db") {
                files.push((name, entry.metadata().unwrap().len()));
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_check_counts_as_the_import_does_and_changes_nothing() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    shop.write("spool/no-orders.csv", "no,orders\n");
    shop.open().await.store.close().await;
    let (rows, before) = (shop.dump(&[]).await, files(&shop));
    let checked = json_of(&shop, 3, &["import", "--check", "--format", "json"]);
    let count = |file: &str, counts: [u64; 5], reasons: Value| {
        let [rows, new, changed, unchanged, rejected] = counts;
        json!({"file": format!("spool/{file}"), "rows": rows, "new": new, "changed": changed,
            "unchanged": unchanged, "rejected": rejected, "reasons": reasons})
    };
    let why = "unit_ref: there is no unit `U-9`: expected one that was imported before, or in \
               this batch";
    let expected = json!([
        count("orders.csv", [3, 3, 0, 0, 0], json!([])),
        count("2025-units.csv", [3, 3, 0, 0, 0], json!([])),
        count("claims.csv", [2, 1, 0, 0, 1], json!([{"line": 3, "error": why}])),
        count("waits.csv", [1, 1, 0, 0, 0], json!([])),
        {"file": "spool/no-orders.csv", "error": "the header has no column `order_ref`, \
          `customer_ref`, `customer_email`, `placed_at`, `currency`, `total`, which every file of \
          orders needs: expected a first row of column names, as CSV in UTF-8"},
    ]);
    assert_eq!(checked, expected);
    assert_same(&shop.dump(&[]).await, &rows, "checked");
    assert_eq!(files(&shop), before);
    // The same of files that are named, with the reasons for people or in a file.
    let claims = [
        "import",
        "--check",
        "spool/orders.csv",
        "spool/2025-units.csv",
        "spool/claims.csv",
    ];
    let output = shop.run_to(3, &claims);
    assert!(stderr(&output).contains(&format!("spool/claims.csv:3: would be refused: {why}\n")));
    let args = [
        "import",
        "--check",
        "spool/claims.csv",
        "--rejects",
        "refused.csv",
    ];
    shop.run_to(3, &args);
    let refused = fs::read_to_string(shop.path("refused.csv")).unwrap();
    assert_eq!(refused.lines().count(), 3);
    assert_same(&shop.dump(&[]).await, &rows, "checked");
    shop.run_to(0, &["import", "--check", "spool/orders.csv"]);
    shop.run_to(2, &["import", "--check", "spool/no-orders.csv"]);
    shop.run_to(2, &["import"]);
}

#[tokio::test]
async fn a_check_tells_changed_from_unchanged() {
    let shop = spool(Engine::of_this_run(), "");
    put_all_kinds(&shop);
    shop.run_to(3, &["run", "import"]);
    put_all_kinds(&shop);
    let orders = fs::read_to_string(shop.path("spool/orders.csv")).unwrap();
    shop.write("spool/orders.csv", orders.replacen("100.00", "90.00", 1));
    let checked = json_of(
        &shop,
        0,
        &["import", "--check", "spool/orders.csv", "--format", "json"],
    );
    assert_eq!(
        (&checked[0]["changed"], &checked[0]["unchanged"]),
        (&json!(1), &json!(2))
    );
    let without = Shop::new("");
    let output = without.run_to(2, &["import", "--check"]);
    assert!(
        stderr(&output).contains("import.dir is not set"),
        "{output:?}"
    );
}
