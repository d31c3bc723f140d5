//! Import and record, against a database and real files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tempfile::TempDir;
use warrantyd::case::Entity;
use warrantyd::intake::{Rules, entity_of};
use warrantyd::jobs::import::{
    FileCounts, ImportError, ImportFile, Imported, Recording, import, record,
};
use warrantyd::policy::{Calendar, Instant};
use warrantyd::store::import::Merged;

struct Shop {
    folder: TempDir,
    conn: SqliteConnection,
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
        let folder = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("shop.db"))
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let mut conn = options.connect().await.unwrap();
        sqlx::migrate!("./migrations").run(&mut conn).await.unwrap();
        Self {
            folder,
            conn,
            calendar: Calendar::new(chrono_tz::Europe::Berlin, vec![], BTreeSet::new()).unwrap(),
            policies: ["standard".to_owned()].into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes files, imports them, and removes them.
    async fn try_import(&mut self, files: &[(&str, &str)]) -> Result<Imported, ImportError> {
        let mut batch = Vec::new();
        for (name, text) in files {
            fs::write(self.path(name), text).unwrap();
            batch.push(ImportFile {
                path: self.path(name),
                entity: entity_of(&self.path(name)).unwrap(),
                rejects: self.path(&format!("{name}.rejects.csv")),
            });
        }
        let rules = Rules {
            calendar: &self.calendar,
            policies: &self.policies,
        };
        import(&mut self.conn, &batch, rules, now(), &mut |_| {}).await
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
        };
        let rules = Rules {
            calendar: &self.calendar,
            policies: &self.policies,
        };
        record(&mut self.conn, recording, rules, now())
            .await
            .map_err(|error| error.to_string())
    }

    /// A query's rows, cells as text with `|` between.
    async fn rows(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let rows = sqlx::query(sql).fetch_all(&mut self.conn).await.unwrap();
        let cell = |row: &sqlx::sqlite::SqliteRow, at| {
            row.try_get_unchecked::<Option<String>, _>(at)
                .unwrap()
                .unwrap_or_else(|| "-".into())
        };
        rows.iter()
            .map(|row| {
                let cells: Vec<String> = (0..row.len()).map(|at| cell(row, at)).collect();
                cells.join("|")
            })
            .collect()
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
    async fn everything(&mut self) -> Vec<String> {
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
    let mut writer = SqliteConnectOptions::new()
        .filename(shop.path("shop.db"))
        .connect()
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut writer)
        .await
        .unwrap();
    sqlx::query("PRAGMA busy_timeout = 0")
        .execute(&mut shop.conn)
        .await
        .unwrap();
    let again = shop.import(&files).await;
    assert_eq!((again.change_set, again.orders_woken), (None, 0));
    let unchanged: Vec<_> = again
        .files
        .iter()
        .map(|file| (file.rows, file.unchanged))
        .collect();
    assert_eq!(unchanged, [(2, 2), (2, 2), (1, 1), (1, 1)]);
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
        shop.rows("SELECT unit_ref, serial_key, replaces_unit_id, created_in FROM units")
            .await,
        ["U-1|-|-|1", "U-2|x1|-|1"]
    );
    assert_eq!(
        shop.rows("SELECT order_id, next_at, failures, error FROM agenda")
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

#[tokio::test]
async fn bad_rows_go_to_the_rejects_and_the_rest_is_applied() {
    let mut shop = Shop::open().await;
    let orders = "order_ref,note,customer_ref,customer_email,placed_at,currency,total\r\n\
        O-1,\"a\r\nb\",K-1,anna@example.com,2026-03-01,EUR,100\r\n\
        O-2,\"a, \"\"b\"\"\",K-1,anna,2026-03-01,EUR,-1\r\n\
        O-3,,K-1\r\n\
        ,,K-1,anna@example.com,2026-03-01,EUR,100\r\n";
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,\nU-2,O-2,Lamp,hardware,\n");
    let done = shop
        .import(&[("orders.csv", orders), ("units.csv", &units)])
        .await;
    assert_eq!(counts(&done.files[0]), [4, 1, 0, 0, 3]);
    assert_eq!(counts(&done.files[1]), [2, 1, 0, 0, 1]);
    assert_eq!(
        done.files[0].warnings,
        ["column `note` is not a fact of orders: it is ignored"]
    );
    let rejects = shop.rejects("orders.csv");
    assert_eq!(
        rejects[0].join(","),
        "order_ref,note,customer_ref,customer_email,placed_at,currency,total,line,error"
    );
    let of = |row: &Vec<String>| {
        (
            row[0].clone(),
            row[1].clone(),
            row[7].clone(),
            row[8].clone(),
        )
    };
    let problem = "customer_email: found `anna`, expected an e-mail address such as \
        anna@example.com; total: `-1` is negative: expected 0 or more";
    let expected = [
        ("O-2", "a, \"b\"", "4", problem),
        (
            "O-3",
            "",
            "5",
            "the row has 3 cells, expected 7, as many as the header",
        ),
        (
            "",
            "",
            "6",
            "order_ref: is empty, expected what the row is known by",
        ),
    ];
    for (row, (name, note, line, error)) in rejects[1..].iter().zip(expected) {
        assert_eq!(
            of(row),
            (name.into(), note.into(), line.into(), error.into())
        );
    }
    assert_eq!(rejects.len(), 4);
    let units = shop.rejects("units.csv");
    assert!(
        units[1][6].starts_with("order_ref: there is no order `O-2`"),
        "{units:?}"
    );

    // Put right, the rejects can be imported as they are.
    let fixed = "order_ref,customer_ref,customer_email,placed_at,currency,total,line,error\n\
        O-2,K-1,anna@example.com,2026-03-01,EUR,100,4,old\n";
    let done = shop.import(&[("fixed-orders.csv", fixed)]).await;
    assert_eq!(
        (counts(&done.files[0]), done.files[0].warnings.len()),
        (CLEAN, 0)
    );
    assert!(!shop.path("fixed-orders.csv.rejects.csv").exists());
}

#[tokio::test]
async fn cells_that_no_file_should_hold_are_refused_and_shown_as_far_as_possible() {
    let mut shop = Shop::open().await;
    let big = "x".repeat(10 << 20);
    let rows = [
        b"O-1,K\0,anna@example.com,2026-03-01,EUR,1\n".to_vec(),
        b"O-2,K\xff,anna@example.com,2026-03-01,EUR,1\n".to_vec(),
        format!("O-3,{big},anna@example.com,2026-03-01,EUR,1\n").into_bytes(),
        order("O-4").into_bytes(),
        b"O-5,\"K,anna@example.com,2026-03-01,EUR,1\n".to_vec(),
    ];
    let text = [ORDERS.as_bytes(), &rows.concat()].concat();
    fs::write(shop.path("orders.csv"), text).unwrap();
    let file = ImportFile {
        path: shop.path("orders.csv"),
        entity: Entity::Orders,
        rejects: shop.path("orders.csv.rejects.csv"),
    };
    let rules = Rules {
        calendar: &shop.calendar,
        policies: &shop.policies,
    };
    let done = import(&mut shop.conn, &[file], rules, now(), &mut |_| {})
        .await
        .unwrap();
    assert_eq!(counts(&done.files[0]), [5, 1, 0, 0, 4]);
    let rejects = shop.rejects("orders.csv");
    for (row, (name, cell, error)) in rejects[1..].iter().zip([
        ("O-1", "K\u{fffd}", "customer_ref: holds a NUL character"),
        ("O-2", "K\u{fffd}", "customer_ref: is not UTF-8"),
        (
            "O-3",
            &big[..64 << 10],
            "customer_ref: is longer than 65536 bytes",
        ),
        (
            "O-5",
            "K,anna@example.com,2026-03-01,EUR,1\n\n",
            "customer_ref: a quote is never closed",
        ),
    ]) {
        assert_eq!((row[0].as_str(), row[1].as_str()), (name, cell));
        assert!(row[7].starts_with(error), "{}", row[7]);
    }
}

#[tokio::test]
async fn a_file_that_is_no_table_refuses_the_batch() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}", order("O-1"));
    let refused = shop
        .try_import(&[("orders.csv", &orders), ("units.csv", "unit;order\n")])
        .await;
    let problem = refused.unwrap_err().to_string();
    assert!(
        problem.contains("units.csv: the header has no column `unit_ref`"),
        "{problem}"
    );
    assert_eq!(shop.everything().await, [""; 0]);
}

#[tokio::test]
async fn replacements_are_resolved_whatever_their_order() {
    let mut shop = Shop::open().await;
    let orders: String = ["O-1", "O-2", "O-3", "O-4"].map(order).concat();
    let units = format!(
        "{UNITS}U-3,O-3,Lamp,hardware,U-2\nU-2,O-2,Lamp,hardware,U-1\nU-1,O-1,Lamp,hardware,\n\
         V-1,O-4,Lamp,hardware,V-2\nV-2,O-4,Lamp,hardware,V-1\nV-3,O-4,Lamp,hardware,V-1\n\
         W-1,O-4,Office,software,U-1\nX-1,O-4,Lamp,hardware,nobody\nX-1,,Big lamp,,\n"
    );
    let claims = format!("{CLAIMS}C-1,V-1,repair,2026-05-02\nC-2,U-3,repair,2026-05-02\n");
    let files = [
        ("orders.csv", format!("{ORDERS}{orders}")),
        ("units.csv", units),
        ("claims.csv", claims),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let done = shop.import(&files).await;
    assert_eq!(counts(&done.files[1]), [9, 3, 0, 0, 6]);
    assert_eq!(counts(&done.files[2]), [2, 1, 0, 0, 1]);
    assert_eq!(
        shop.rows("SELECT u.unit_ref, p.unit_ref FROM units u LEFT JOIN units p ON p.id = u.replaces_unit_id ORDER BY 1").await,
        ["U-1|-", "U-2|U-1", "U-3|U-2"]
    );
    let mut errors: Vec<String> = shop.rejects("units.csv")[1..]
        .iter()
        .map(|row| format!("{} {} {}", row[0], row[2], &row[6][..40]))
        .collect();
    errors.sort();
    assert_eq!(
        errors,
        [
            "V-1 Lamp replaces_unit_ref: found `V-2`, which re",
            "V-2 Lamp replaces_unit_ref: found `V-1`, which re",
            "V-3 Lamp replaces_unit_ref: there is no unit `V-1",
            "W-1 Office replaces_unit_ref: found `U-1`, which is",
            "X-1 Big lamp replaces_unit_ref: there is no unit `nob",
            "X-1 Lamp replaces_unit_ref: there is no unit `nob",
        ]
    );
}

#[tokio::test]
async fn a_known_unit_that_is_refused_stays_as_it_was() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}", order("O-1"));
    let units =
        format!("{UNITS}A,O-1,Lamp,hardware,\nB,O-1,Lamp,hardware,A\nC,O-1,Lamp,hardware,\n");
    shop.import(&[("orders.csv", &orders), ("units.csv", &units)])
        .await;
    // The first row of C is good; the second one is refused, and it alone.
    let units = format!("{UNITS}A,,Sun,,B\nB,,Moon,software,\nC,,Star,,\nC,,Comet,,nobody\n");
    let done = shop.import(&[("units.csv", &units)]).await;
    assert_eq!(counts(&done.files[0]), [4, 0, 1, 0, 3]);
    assert_eq!(
        shop.rows("SELECT unit_ref, product_name, kind, replaces_unit_id FROM units")
            .await,
        [
            "A|Lamp|hardware|-",
            "B|Lamp|hardware|1",
            "C|Star|hardware|-"
        ]
    );
}

#[tokio::test]
async fn replacements_are_resolved_across_the_files_of_a_batch() {
    let mut shop = Shop::open().await;
    let orders = format!("{ORDERS}{}", order("O-1"));
    let first = "B,O-1,Lamp,hardware,A\nC,O-1,Lamp,hardware,\n";
    let second = "A,O-1,Lamp,hardware,\nC,,,,nobody\n";
    let done = shop
        .import(&[
            ("orders.csv", &orders),
            ("1-units.csv", &format!("{UNITS}{first}")),
            ("2-units.csv", &format!("{UNITS}{second}")),
        ])
        .await;
    assert_eq!(counts(&done.files[1]), [2, 2, 0, 0, 0]);
    assert_eq!(counts(&done.files[2]), [2, 1, 0, 0, 1]);
    assert_eq!(
        shop.rows("SELECT unit_ref, replaces_unit_id FROM units")
            .await,
        ["B|2", "A|-", "C|-"]
    );
}

#[tokio::test]
async fn a_change_wakes_every_order_further_down_the_chain() {
    let mut shop = Shop::open().await;
    let orders: String = ["O-1", "O-2", "O-3", "O-4"].map(order).concat();
    let orders = format!("{ORDERS}{orders}");
    let units = format!(
        "{UNITS}U-1,O-1,Lamp,hardware,\nU-2,O-2,Lamp,hardware,U-1\nU-3,O-3,Lamp,hardware,U-2\n\
         U-4,O-4,Lamp,hardware,\n"
    );
    let claims = format!("{CLAIMS}C-2,U-2,repair,2026-05-02\n");
    shop.import(&[
        ("orders.csv", &orders),
        ("units.csv", &units),
        ("claims.csv", &claims),
    ])
    .await;
    for (entity, name, facts, expected) in [
        (
            Entity::Orders,
            "O-1",
            ["delivered_at=2026-03-03"].as_slice(),
            "O-1 O-2 O-3",
        ),
        (Entity::Units, "U-2", &["received_at=2026-03-03"], "O-2 O-3"),
        (Entity::Claims, "C-2", &["repaired"], "O-2 O-3"),
        (Entity::Waits, "C-2", &["from=2026-05-03"], "O-2 O-3"),
        (Entity::Orders, "O-4", &["paid"], "O-4"),
    ] {
        shop.rows("UPDATE agenda SET next_at = NULL").await;
        let merged = shop.record(entity, name, facts).await.unwrap();
        let woken = shop
            .rows("SELECT o.order_ref FROM agenda a JOIN orders o ON o.id = a.order_id WHERE a.next_at = 0 ORDER BY 1")
            .await;
        assert_eq!(woken.join(" "), expected, "{name}");
        assert_eq!(merged.orders_woken, woken.len() as u64);
    }
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
    shop.rows(
        "CREATE TRIGGER full BEFORE INSERT ON units BEGIN SELECT RAISE(FAIL, 'disk full'); END",
    )
    .await;
    let files = [
        ("orders.csv", orders.as_str()),
        ("units.csv", units.as_str()),
    ];
    let failed = shop.try_import(&files).await.unwrap_err().to_string();
    assert!(failed.contains("disk full"), "{failed}");
    assert_eq!(shop.everything().await, [""; 0]);
    shop.rows("DROP TRIGGER full").await;
    assert_eq!(shop.import(&files).await.change_set, Some(1));
}

#[tokio::test]
async fn many_bad_rows_stream_to_the_rejects() {
    use std::io::Write;
    let mut shop = Shop::open().await;
    let mut file = std::io::BufWriter::new(fs::File::create(shop.path("orders.csv")).unwrap());
    const ROWS: u64 = 50_000;
    file.write_all(ORDERS.as_bytes()).unwrap();
    for row in 0..ROWS {
        writeln!(file, "O-{row},K-1,anna@example.com,2026-03-01,EUR,x").unwrap();
    }
    file.into_inner().unwrap();
    let file = ImportFile {
        path: shop.path("orders.csv"),
        entity: Entity::Orders,
        rejects: shop.path("orders.csv.rejects.csv"),
    };
    let rules = Rules {
        calendar: &shop.calendar,
        policies: &shop.policies,
    };
    let mut told = 0;
    let done = import(&mut shop.conn, &[file], rules, now(), &mut |rows| {
        told += rows
    })
    .await
    .unwrap();
    assert_eq!(counts(&done.files[0]), [ROWS, 0, 0, 0, ROWS]);
    assert_eq!((done.change_set, told), (None, ROWS));
    let rejects = shop.rejects("orders.csv");
    assert_eq!(rejects.len() as u64, ROWS + 1);
    assert_eq!(rejects[50_000][6], "50001");
}
