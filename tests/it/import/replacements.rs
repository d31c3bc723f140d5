//! Units that replace others.

use super::*;

const REPLACED: &str = "SELECT u.unit_ref, p.unit_ref FROM units AS u \
     LEFT JOIN units AS p ON p.id = u.replaces_unit_id ORDER BY 1";

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
    assert_eq!(shop.rows(REPLACED).await, ["U-1|-", "U-2|U-1", "U-3|U-2"]);
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
        shop.rows("SELECT unit_ref, product_name, kind, replaces_unit_id FROM units ORDER BY 1")
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
    assert_eq!(shop.rows(REPLACED).await, ["A|-", "B|A", "C|-"]);
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
