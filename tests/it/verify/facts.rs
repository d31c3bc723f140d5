//! Each fact in turn: that change and no other is named.

use std::fs;
use std::path::Path;

use warrantyd::case::{Entity, Field};
use warrantyd::policy::STANDARD;

use super::{assert_names, named_changes, publish};
use crate::shop::Shop;

/// A row, as `record` names it.
type Row = &'static [&'static str];

/// What changing a fact of a row does.
enum Change {
    /// It moves a report.
    Moves(Row, &'static str),
    /// No report tells of it.
    Still(Row, &'static str),
    /// It cannot be changed.
    Refused(Row, &'static str),
    /// It names its row.
    Name,
}

const ORDER: Row = &["order", "O-2"];
const UNIT: Row = &["unit", "U-1"];
const SOFTWARE: Row = &["unit", "U-3"];
const CLAIM: Row = &["claim", "C-1"];
const OF_SOFTWARE: Row = &["claim", "C-3"];
const DECLINED: Row = &["claim", "C-4"];
const WAIT: Row = &["wait", "C-0", "from=2025-02-02"];

/// A day on which nothing else happened.
const ANOTHER: &str = "2025-01-12T00:00:00Z";

/// What is changed of a kind of row, fact by fact.
fn change(entity: Entity, field: &Field) -> Change {
    use Change::{Moves, Name, Refused, Still};
    match (entity, field.name) {
        (Entity::Orders, "order_ref") => Name,
        (Entity::Orders, "customer_ref") => Moves(ORDER, "K-9"),
        (Entity::Orders, "customer_name") => Still(ORDER, "Bo"),
        (Entity::Orders, "customer_email") => Still(ORDER, "other@example.com"),
        (Entity::Orders, "customer_locale") => Still(ORDER, "vi"),
        // Other terms were in force then.
        (Entity::Orders, "placed_at") => Moves(ORDER, "2024-12-01T00:00:00Z"),
        (Entity::Orders, "paid_at") => Moves(ORDER, "null"),
        (Entity::Orders, "shipped_at") => Moves(ORDER, ANOTHER),
        (Entity::Orders, "delivered_at") => Moves(ORDER, ANOTHER),
        (Entity::Orders, "cancelled_at") => Moves(ORDER, ANOTHER),
        (Entity::Orders, "cancel_refunded_at") => Moves(ORDER, ANOTHER),
        (Entity::Orders, "currency") => Moves(ORDER, "USD"),
        (Entity::Orders, "total" | "shipping_out" | "shipping_back") => Moves(ORDER, "55.00"),
        (Entity::Orders, "withdrawn") => Moves(ORDER, "true"),

        (Entity::Units, "unit_ref") => Name,
        (Entity::Units, "order_ref") => Refused(UNIT, "O-2"),
        (Entity::Units, "sku" | "product_name") => Still(UNIT, "L-2"),
        (Entity::Units, "kind") => Moves(UNIT, "software"),
        (Entity::Units, "serial") => Moves(UNIT, "S-9"),
        (Entity::Units, "price") => Moves(UNIT, "55.00"),
        (Entity::Units, "received_at") => Moves(UNIT, ANOTHER),
        (Entity::Units, "company_confirmed_at") => Moves(SOFTWARE, ANOTHER),
        (Entity::Units, "customer_confirmed_at") => Moves(SOFTWARE, ANOTHER),
        (Entity::Units, "replaces_unit_ref") => Moves(UNIT, "U-0"),
        (Entity::Units, "policy") => Moves(UNIT, "long"),
        (Entity::Units, "withdrawn") => Moves(UNIT, "true"),

        (Entity::Claims, "claim_ref") => Name,
        (Entity::Claims, "unit_ref") => Refused(CLAIM, "U-0"),
        (Entity::Claims, "type") => Moves(CLAIM, "repair"),
        (Entity::Claims, "opened_at") => Moves(CLAIM, "2025-01-07T00:00:00Z"),
        (Entity::Claims, "assignee_email") => Moves(CLAIM, "other@example.com"),
        (Entity::Claims, "reported_serial") => Moves(CLAIM, "S-9"),
        (Entity::Claims, "confirmed_at") => Moves(OF_SOFTWARE, ANOTHER),
        (Entity::Claims, "received_at") => Moves(CLAIM, ANOTHER),
        (Entity::Claims, "inspected_at") => Moves(DECLINED, ANOTHER),
        (Entity::Claims, "findings") => Moves(CLAIM, "seal_broken"),
        (Entity::Claims, "accessories_missing") => Moves(CLAIM, "true"),
        (Entity::Claims, "repaired_at") => Moves(CLAIM, ANOTHER),
        (Entity::Claims, "unrepairable_at") => Moves(CLAIM, "2025-01-13T00:00:00Z"),
        (Entity::Claims, "returned_at") => Moves(CLAIM, "2025-01-16T00:00:00Z"),
        (Entity::Claims, "refunded_at" | "exchanged_at") => Moves(CLAIM, ANOTHER),
        (Entity::Claims, "closed_at" | "rejected_at") => Moves(CLAIM, ANOTHER),
        (Entity::Claims, "withdrawn") => Moves(CLAIM, "true"),

        (Entity::Waits, "claim_ref" | "from") => Name,
        (Entity::Waits, "until") => Moves(WAIT, "2025-02-05T00:00:00Z"),
        (Entity::Waits, "withdrawn") => Moves(WAIT, "true"),

        (entity, name) => panic!("{entity}: say what a change of {name} does"),
    }
}

/// A shop with a unit that is to be refunded, one that it could have replaced,
/// software under repair, a claim that was declined and an order that was
/// cancelled in transit, with a published day. The terms have changed once,
/// and there are others for some products.
async fn published_with_much() -> Shop {
    let shop = Shop::new("[reports]\ndir = \"reports\"\n[policy]\ndir = \"terms\"\n");
    fs::create_dir(shop.path("terms")).unwrap();
    let later = STANDARD.replace("2000-01-01", "2024-12-15");
    shop.write("terms/later.toml", &later);
    let long = STANDARD.replace("name = \"standard\"", "name = \"long\"");
    shop.write("terms/long.toml", long);
    let orders = "order_ref,customer_ref,customer_email,placed_at,paid_at,shipped_at,delivered_at,\
         cancelled_at,currency,total,shipping_out,shipping_back\n\
         O-0,K-1,ada@example.com,2024-12-20,2024-12-20,,2024-12-24,,EUR,90.00,,\n\
         O-1,K-1,ada@example.com,2025-01-01,2025-01-01,,2025-01-05,,EUR,100.00,,\n\
         O-2,K-2,bob@example.com,2025-01-01,2025-01-01,2025-01-02,,2025-01-04,EUR,80.00,5.00,6.00\n\
         O-3,K-3,eve@example.com,2025-01-01,2025-01-01,,,,EUR,30.00,,\n";
    let units = "unit_ref,order_ref,product_name,kind,serial,company_confirmed_at,\
         customer_confirmed_at\n\
         U-0,O-0,Lamp,hardware,S-0,,\nU-1,O-1,Lamp,hardware,S-1,,\nU-2,O-2,Lamp,hardware,S-2,,\n\
         U-3,O-3,Maps,software,,2025-01-06,2025-01-06\n";
    let claims = "claim_ref,unit_ref,type,opened_at,assignee_email,reported_serial,confirmed_at,\
         unrepairable_at,inspected_at,findings,returned_at\n\
         C-1,U-1,refund,2025-01-08,tech@example.com,S-1,,2025-01-12,2025-01-11,,2025-01-14\n\
         C-0,U-0,repair,2025-02-01,tech@example.com,,,,,,\n\
         C-3,U-3,repair,2025-01-09,tech@example.com,,2025-01-10,,,,\n\
         C-4,U-0,repair,2025-01-09,tech@example.com,,,,2025-01-11,seal_broken,\n";
    let waits = "claim_ref,from,until\nC-0,2025-02-02,2025-02-27\n";
    let facts = [
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
        ("waits.csv", waits),
    ];
    let imported = shop.import(&facts).await;
    assert!(imported.files.iter().all(|file| file.rejected == 0));
    publish(&shop, "2025-03-01T08:00:00Z").await;
    shop
}

/// A shop with the same rows and the same terms.
fn copy(base: &Shop) -> Shop {
    let shop = base.copy();
    fs::create_dir(shop.path("terms")).unwrap();
    for name in ["terms/later.toml", "terms/long.toml"] {
        fs::copy(base.path(name), shop.path(name)).unwrap();
    }
    shop
}

/// What is said of a day that another shop published.
fn verify_there(shop: &Shop, published: &Path, status: i32, what: &str) -> String {
    let output = shop.run(&["report", "verify", published.to_str().unwrap()]);
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(status), "{what}: {found}");
    found
}

async fn each_fact_is_named(entity: Entity) {
    let base = published_with_much().await;
    let published = base.path("reports/2025-03-01");
    for field in entity.fields() {
        let record = |row: Row, value: &str, status: i32| {
            let shop = copy(&base);
            let fact = format!("{}={value}", field.name);
            shop.run_to(status, &[&["record"], row, &[&fact]].concat());
            shop
        };
        match change(entity, field) {
            Change::Moves(row, value) => {
                let shop = record(row, value, 0);
                let found = verify_there(&shop, &published, 3, field.name);
                assert_names(&found, &format!("{entity} {}: {} ", row[1], field.name));
            }
            Change::Still(row, value) => {
                let shop = record(row, value, 0);
                let found = verify_there(&shop, &published, 0, field.name);
                assert_eq!(named_changes(&found), [""; 0], "{}: {found}", field.name);
            }
            Change::Refused(row, value) => {
                record(row, value, 2);
            }
            Change::Name => {}
        }
    }
}

#[tokio::test]
async fn each_fact_of_an_order_is_named() {
    each_fact_is_named(Entity::Orders).await;
}

#[tokio::test]
async fn each_fact_of_a_unit_is_named() {
    each_fact_is_named(Entity::Units).await;
}

#[tokio::test]
async fn each_fact_of_a_claim_is_named() {
    each_fact_is_named(Entity::Claims).await;
}

#[tokio::test]
async fn each_fact_of_a_wait_is_named() {
    each_fact_is_named(Entity::Waits).await;
}

#[tokio::test]
async fn each_kind_of_row_that_is_entered_is_named() {
    let base = published_with_much().await;
    let published = base.path("reports/2025-03-01");
    let orders = "order_ref,customer_ref,customer_email,placed_at,paid_at,cancelled_at,currency,\
                  total\nO-9,K-9,bob@example.com,2025-01-01,2025-01-01,2025-01-04,EUR,80.00\n";
    let units = "unit_ref,order_ref,product_name,kind\nU-9,O-1,Lamp,hardware\n";
    let claims = "claim_ref,unit_ref,type,opened_at\nC-9,U-1,repair,2025-02-01\n";
    let waits = "claim_ref,from,until\nC-3,2025-01-11,2025-01-14\n";
    for (file, text, expected) in [
        ("orders.csv", orders, "orders O-9: entered"),
        ("units.csv", units, "units U-9: entered"),
        ("claims.csv", claims, "claims C-9: entered"),
        ("waits.csv", waits, "waits C-3: entered"),
    ] {
        let shop = copy(&base);
        shop.import_at("2025-03-05T00:00:00Z", &[(file, text)])
            .await;
        let found = verify_there(&shop, &published, 3, file);
        assert_names(
            &found,
            &format!("{expected}, recorded 2025-03-05T00:00:00Z by "),
        );
    }
}

/// A shop may number its orders, units and claims each from 1 on.
#[tokio::test]
async fn a_row_is_looked_for_among_its_own_kind() {
    let shop = Shop::new("[reports]\ndir = \"reports\"\n");
    let orders = "order_ref,customer_ref,customer_email,placed_at,delivered_at,currency,total\n\
         1,K-1,ada@example.com,2025-01-01,2025-01-05,EUR,100.00\n\
         2,K-2,bob@example.com,2025-01-01,2025-01-05,EUR,100.00\n\
         '=3,K-3,eve@example.com,2025-01-01,2025-01-05,EUR,100.00\n";
    let orders = orders.replace("'=3", "=3");
    let units = "unit_ref,order_ref,product_name,kind\n\
                 1,2,Lamp,hardware\n2,1,Lamp,hardware\n=3,=3,Lamp,hardware\n";
    let claims = "claim_ref,unit_ref,type,opened_at,confirmed_at,repaired_at\n\
                  1,1,repair,2025-01-08,2025-01-09,\n2,2,repair,2025-01-08,2025-01-09,\n\
                  =3,=3,repair,2025-01-08,2025-01-09,\n";
    let rows = [orders, units.to_owned(), claims.to_owned()];
    let names = ["orders.csv", "units.csv", "claims.csv"];
    let facts: Vec<_> = names.into_iter().zip(rows).collect();
    shop.import(&facts).await;
    publish(&shop, "2025-03-01T08:00:00Z").await;
    for (claim, expected) in [
        ("1", "claims 1: "),
        ("2", "claims 2: "),
        ("=3", "claims =3: "),
    ] {
        let changed = shop.copy();
        changed.run_to(
            0,
            &["record", "claim", claim, "repaired_at=2025-01-12T00:00:00Z"],
        );
        let published = shop.path("reports/2025-03-01");
        let found = verify_there(&changed, &published, 3, claim);
        assert_names(&found, expected);
    }
}
