//! Import and record, against a database and real files.

mod rejects;
mod replacements;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use warrantyd::case::Entity;
use warrantyd::intake::{PAGE_ROWS, Rules, entity_of};
use warrantyd::jobs::import::{
    FileCounts, ImportError, ImportFile, Imported, Recording, import, record, source,
};
use warrantyd::policy::{Calendar, Instant};
use warrantyd::store::Session;
use warrantyd::store::import::Merged;

use crate::shop;

struct Shop {
    session: Session,
    shop: shop::Shop,
    calendar: Calendar,
    policies: BTreeSet<String>,
}

const NOW: &str = "2026-06-01T10:00:00Z";
const ORDERS: &str = "order_ref,customer_ref,customer_email,placed_at,currency,total\n";
const UNITS: &str = "unit_ref,order_ref,product_name,kind,replaces_unit_ref\n";
const CLAIMS: &str = "claim_ref,unit_ref,type,opened_at\n";

fn now() -> Instant {
    NOW.parse().unwrap()
}

impl Shop {
    async fn open() -> Self {
        let shop = shop::Shop::new("");
        let store = shop.open().await.store;
        let session = store.session().await.unwrap();
        Self {
            session,
            shop,
            calendar: Calendar::new(chrono_tz::Europe::Berlin, vec![], BTreeSet::new()).unwrap(),
            policies: ["standard".to_owned()].into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shop.path(name)
    }

    /// Writes files, imports them, and removes them.
    async fn try_import(&mut self, files: &[(&str, &str)]) -> Result<Imported, ImportError> {
        let mut batch = Vec::new();
        for (name, text) in files {
            fs::write(self.path(name), text).unwrap();
            batch.push(ImportFile {
                path: self.path(name),
                entity: entity_of(&self.path(name)).unwrap(),
                dialect: Arc::default(),
                rejects: self.path(&format!("{name}.rejects.csv")),
            });
        }
        let rules = Rules {
            calendar: &self.calendar,
            policies: &self.policies,
        };
        import(
            &mut self.session,
            &batch,
            rules,
            &source(&batch),
            now(),
            &mut |_| Ok(()),
        )
        .await
    }

    async fn import(&mut self, files: &[(&str, &str)]) -> Imported {
        self.try_import(files).await.unwrap()
    }

    async fn record(
        &mut self,
        entity: Entity,
        name: &str,
        facts: &[&str],
    ) -> Result<Merged, String> {
        let facts: Vec<String> = facts.iter().map(|fact| (*fact).to_owned()).collect();
        let recording = Recording {
            entity,
            name,
            facts: &facts,
            at: now(),
            person: None,
        };
        let rules = Rules {
            calendar: &self.calendar,
            policies: &self.policies,
        };
        record(&mut self.session, recording, rules, now())
            .await
            .map_err(|error| error.to_string())
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        self.shop.rows(sql).await
    }

    fn rejects(&self, name: &str) -> Vec<Vec<String>> {
        let path = self.path(&format!("{name}.rejects.csv"));
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_path(path)
            .unwrap();
        let row = |row: csv::StringRecord| row.iter().map(str::to_owned).collect();
        reader.records().map(|found| row(found.unwrap())).collect()
    }

    /// All that an import writes to.
    async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in [
            "change_sets",
            "orders",
            "units",
            "claims",
            "waits",
            "fact_changes",
            "agenda",
        ] {
            all.extend(
                self.rows(&format!("SELECT * FROM {table} ORDER BY 1"))
                    .await,
            );
        }
        all
    }
}

fn order(name: &str) -> String {
    format!("{name},K-1,anna@example.com,2026-03-01 12:00,EUR,100\n")
}

fn counts(file: &FileCounts) -> [u64; 5] {
    [
        file.rows,
        file.new,
        file.changed,
        file.unchanged,
        file.rejected,
    ]
}

const CLEAN: [u64; 5] = [1, 1, 0, 0, 0];

#[tokio::test]
async fn a_batch_is_read_in_dependency_order_and_stored_whole() {
    let mut shop = Shop::open().await;
    let waits = "claim_ref,from,until\nC-1,2026-05-03 10:00,\n";
    let claims = "claim_ref,unit_ref,type,opened_at,inspected_at,findings,accessories_missing\n\
        C-1,U-1,return,2026-05-02 09:00,2026-05-04,box_damaged;seal_broken,true\n";
    let units = "unit_ref,order_ref,product_name,kind,serial,price,policy\n\
        U-1,O-1,\"Lamp, \"\"big\"\"\",hardware, Ab 12 ,50.5,standard\n";
    let done = shop
        .import(&[
            ("waits.csv", waits),
            ("claims.csv", claims),
            ("units.csv", units),
            (
                "2026-05-orders.csv",
                &format!("\u{feff}{ORDERS}{}", order("O-1")).replace('\n', "\r\n"),
            ),
        ])
        .await;
    let all: Vec<_> = done.files.iter().map(counts).collect();
    assert_eq!(all, [CLEAN; 4]);
    assert_eq!((done.change_set, done.orders_woken), (Some(1), 1));
    for (sql, expected) in [
        (
            "SELECT order_ref, customer_email, placed_at, paid_at, currency, total, withdrawn, created_in, changed_at FROM orders",
            "O-1|anna@example.com|1772362800000000|-|EUR|10000|-|1|1780308000000000",
        ),
        (
            "SELECT unit_ref, order_id, product_name, kind, serial, serial_key, price, policy FROM units",
            "U-1|1|Lamp, \"big\"|hardware|Ab 12|ab 12|5050|standard",
        ),
        (
            "SELECT claim_ref, unit_id, type, findings, accessories_missing FROM claims",
            "C-1|1|return|box_damaged;seal_broken|1",
        ),
        (
            "SELECT claim_id, \"from\", until FROM waits",
            "1|1777795200000000|-",
        ),
        ("SELECT order_id, next_at, is_open FROM agenda", "1|0|1"),
        (
            "SELECT recorded_at, source FROM change_sets",
            "1780308000000000|import waits.csv, claims.csv, units.csv, 2026-05-orders.csv",
        ),
    ] {
        assert_eq!(shop.rows(sql).await, [expected], "{sql}");
    }
    assert_eq!(shop.rows("SELECT * FROM fact_changes").await, [""; 0]);
}

#[tokio::test]
async fn twice_changes_nothing_and_takes_no_lock() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}{}", order("O-1"), order("O-2"));
    let files = [
        ("orders.csv", orders.as_str()),
        (
            "units.csv",
            &format!("{UNITS}U-1,O-1,Lamp,hardware,\nU-2,O-2,Lamp,hardware,U-1\n"),
        ),
        (
            "claims.csv",
            &format!("{CLAIMS}C-1,U-1,repair,2026-05-02 09:00\n"),
        ),
        (
            "waits.csv",
            "claim_ref,from,until,withdrawn\nC-1,2026-05-03,2026-05-04,false\n",
        ),
    ];
    shop.import(&files).await;
    let before = shop.everything().await;
    // A writer elsewhere would make a write here wait, and fail.
    let mut writer = shop.shop.connection().await;
    writer.rows(shop.shop.take_all()).await;
    match &mut shop.session {
        Session::Sqlite(conn, _) => sqlx::query("PRAGMA busy_timeout = 0")
            .execute(&mut **conn)
            .await
            .map(drop),
        Session::Postgres(conn) => sqlx::query("SET lock_timeout = 1")
            .execute(&mut **conn)
            .await
            .map(drop),
    }
    .unwrap();
    let again = shop.import(&files).await;
    assert_eq!((again.change_set, again.orders_woken), (None, 0));
    let unchanged: Vec<_> = again
        .files
        .iter()
        .map(|file| (file.rows, file.unchanged))
        .collect();
    assert_eq!(unchanged, [(2, 2), (2, 2), (1, 1), (1, 1)]);
    writer.close().await;
    assert_eq!(shop.everything().await, before);
}

#[tokio::test]
async fn a_change_is_kept_with_what_it_replaced() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}{}", order("O-1"), order("O-2"));
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,\nU-2,O-1,Lamp,hardware,U-1\n");
    shop.import(&[("orders.csv", &orders), ("units.csv", &units)])
        .await;
    shop.rows("UPDATE agenda SET next_at = 77, failures = 3, error = 'x'")
        .await;
    let orders = "order_ref,customer_ref,customer_email,customer_name,placed_at,currency,total,withdrawn\n\
        O-1,,,Anna,,,99.50,true\nO-2,K-1,,,,,100.00,\n";
    let units = "unit_ref,order_ref,product_name,kind,serial,replaces_unit_ref\n\
        U-2,,,,X1,null\n";
    let done = shop
        .import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    assert_eq!(counts(&done.files[0]), [2, 0, 1, 1, 0]);
    assert_eq!(counts(&done.files[1]), [1, 0, 1, 0, 0]);
    assert_eq!(
        shop.rows(
            "SELECT change_set, entity, row_id, field, old, new FROM fact_changes ORDER BY id"
        )
        .await,
        [
            "2|orders|1|customer_name|-|Anna",
            "2|orders|1|total|10000|9950",
            "2|orders|1|withdrawn|-|true",
            "2|units|2|serial|-|X1",
            "2|units|2|replaces_unit_ref|U-1|-",
        ]
    );
    assert_eq!(
        shop.rows(
            "SELECT unit_ref, serial_key, replaces_unit_id, created_in FROM units ORDER BY id"
        )
        .await,
        ["U-1|-|-|1", "U-2|x1|-|1"]
    );
    assert_eq!(
        shop.rows("SELECT order_id, next_at, failures, error FROM agenda ORDER BY 1")
            .await,
        ["1|0|0|-", "2|77|3|x"]
    );
}

#[tokio::test]
async fn later_rows_of_a_file_lie_over_earlier_ones() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}O-1,,,,,200\nO-1,,,,,200\n", order("O-1"));
    let done = shop.import(&[("orders.csv", &orders)]).await;
    assert_eq!(counts(&done.files[0]), [3, 1, 1, 1, 0]);
    // There and back again: nothing changed in the end.
    let orders = format!("{ORDERS}O-1,,,,,300\nO-1,,,,,200\n");
    let done = shop.import(&[("orders.csv", &orders)]).await;
    assert_eq!(
        (counts(&done.files[0]), done.change_set),
        ([2, 0, 2, 0, 0], None)
    );
    assert_eq!(
        shop.rows("SELECT order_ref, total FROM orders").await,
        ["O-1|20000"]
    );
}

/// The next page is looked up before this one is staged.
#[tokio::test]
async fn rows_lie_over_those_of_the_pages_before() {
    let mut shop = Shop::open().await;
    let others = |page: usize| -> String {
        let names = (1..PAGE_ROWS).map(|at| order(&format!("P{page}-{at}")));
        names.collect()
    };
    let orders = [
        format!("{ORDERS}{}{}", order("O-1"), others(1)),
        format!("O-1,,,,,200\n{}", others(2)),
        others(3),
        "O-1,,,,,300\n".into(),
    ];
    let done = shop.import(&[("orders.csv", &orders.concat())]).await;
    let new = 3 * (PAGE_ROWS as u64 - 1) + 1;
    assert_eq!(counts(&done.files[0]), [new + 2, new, 2, 0, 0]);
    assert_eq!(
        shop.rows("SELECT total FROM orders WHERE order_ref = 'O-1'")
            .await,
        ["30000"]
    );
}

#[tokio::test]
async fn a_recorded_fact_is_checked_like_an_imported_one() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}", order("O-1"));
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,\n");
    shop.import(&[("orders.csv", &orders), ("units.csv", &units)])
        .await;
    let facts = ["unit_ref=U-1", "type=repair", "opened_at"];
    let merged = shop.record(Entity::Claims, "C-1", &facts).await.unwrap();
    assert_eq!(merged.change_set, Some(2));
    assert_eq!(
        shop.record(Entity::Claims, "C-1", &["closed"])
            .await
            .unwrap()
            .change_set,
        Some(3)
    );
    assert_eq!(
        shop.record(Entity::Claims, "C-1", &["closed"])
            .await
            .unwrap()
            .change_set,
        None
    );
    assert_eq!(
        shop.rows("SELECT source FROM change_sets WHERE id > 1")
            .await,
        [
            "record claim C-1 unit_ref type opened_at",
            "record claim C-1 closed_at"
        ]
    );
    let before = shop.everything().await;
    for (entity, name, fact, expected) in [
        (
            Entity::Claims,
            "C-1",
            "repaired=2026-05-31",
            "repaired_at: found `2026-05-31T00:00:00",
        ),
        (
            Entity::Claims,
            "C-9",
            "closed",
            "the claim is not known yet: expected a value in `unit_ref`, `type`, `opened_at`",
        ),
        (
            Entity::Units,
            "U-1",
            "replaces_unit_ref=U-1",
            "replaces_unit_ref: found `U-1`, which replaces this",
        ),
        (
            Entity::Units,
            "U-1",
            "colour=red",
            "`colour` is not a fact of units",
        ),
        (
            Entity::Units,
            "U-1",
            "policy=gold",
            "policy: there is no policy `gold`: expected one of standard",
        ),
    ] {
        let problem = shop.record(entity, name, &[fact]).await.unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
    assert_eq!(shop.everything().await, before);
}

#[tokio::test]
async fn a_merge_that_fails_leaves_nothing() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}", order("O-1"));
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,\n");
    shop.shop.breaks("INSERT", "units", "TRUE").await;
    let files = [
        ("orders.csv", orders.as_str()),
        ("units.csv", units.as_str()),
    ];
    let failed = shop.try_import(&files).await.unwrap_err().to_string();
    assert!(failed.contains("died here"), "{failed}");
    assert_eq!(shop.everything().await, [""; 0]);
    shop.shop.mends().await;
    assert!(shop.import(&files).await.change_set.is_some());
}

#[tokio::test]
async fn the_history_names_who_imported() {
    let shop = shop::Shop::new("");
    let [(name, text), _] = shop::one_unit("2025-01-05T10:00:00Z");
    shop.write(name, text);
    let mut by_ann = shop.command(&["import", name]);
    assert!(by_ann.env("SUDO_USER", "ann").status().unwrap().success());
    let sources = shop.rows("SELECT source FROM change_sets").await;
    assert_eq!(sources, ["import orders.csv by ann"]);
}
