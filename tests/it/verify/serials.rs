//! A serial that two units share follows from both: the change of another
//! order's unit is named.

use warrantyd::jobs::{self, ReportRequest};
use warrantyd::report::{By, Dialect, Format, ReportName};

use super::{LATER, REPORTS, assert_names, publish, verify};
use crate::shop::{Shop, at};

const ORDERS: &str = "order_ref,customer_ref,customer_email,placed_at,currency,total\n\
     O-0,K-0,ada@example.com,2024-12-20,EUR,90.00\n\
     O-1,K-1,bob@example.com,2025-01-01,EUR,90.00\n\
     O-2,K-2,eve@example.com,2025-01-02,EUR,90.00\n";

/// Three orders of a unit each, which have these serials, and a published day.
async fn published(serials: [&str; 3]) -> Shop {
    let shop = Shop::new(REPORTS);
    let mut units = "unit_ref,order_ref,product_name,kind,serial\n".to_owned();
    for (n, serial) in serials.iter().enumerate() {
        units += &format!("U-{n},O-{n},Lamp,hardware,{serial}\n");
    }
    shop.import(&[("orders.csv", ORDERS), ("units.csv", &units)])
        .await;
    publish(&shop, "2025-03-01T08:00:00Z").await;
    shop
}

#[tokio::test]
async fn the_change_of_another_order_s_unit_is_named() {
    let apart = ["S-0", "S-1", "S-2"];
    // Serials are compared without regard to case.
    let shared = ["S-9", "s-9", "S-2"];
    for (serials, record, expected) in [
        (
            apart,
            ["unit", "U-0", "serial=s-2"],
            "units U-0: serial S-0 → s-2, ",
        ),
        (
            apart,
            ["unit", "U-2", "serial=S-0"],
            "units U-2: serial S-2 → S-0, ",
        ),
        (
            shared,
            ["unit", "U-0", "serial=S-0"],
            "units U-0: serial S-9 → S-0, ",
        ),
        (
            shared,
            ["unit", "U-0", "serial=null"],
            "units U-0: serial S-9 → null, ",
        ),
        (
            shared,
            ["unit", "U-1", "serial=S-1"],
            "units U-1: serial s-9 → S-1, ",
        ),
        (
            shared,
            ["unit", "U-0", "withdrawn=true"],
            "units U-0: withdrawn null → true, ",
        ),
        (
            shared,
            ["order", "O-0", "withdrawn=true"],
            "orders O-0: withdrawn null → true, ",
        ),
        // The other one is then the first.
        (
            shared,
            ["order", "O-1", "placed_at=2024-12-19T00:00:00Z"],
            "orders O-1: placed_at ",
        ),
    ] {
        let shop = published(serials).await;
        // What moves no report, and a serial that nobody shares.
        shop.run_to(
            0,
            &["record", "unit", "U-0", "sku=L-1", "product_name=Torch"],
        );
        shop.run_to(0, &["record", "unit", "U-1", "price=12.00"]);
        shop.run_to(0, &[&["record"], &record[..]].concat());
        let found = verify(&shop, "2025-03-01", 3);
        assert!(
            found.contains("exceptions.csv: duplicate_serial unit U-"),
            "{found}"
        );
        assert_names(&found, expected);
        assert!(found.contains(": exceptions.csv\n"), "{found}");
    }
}

#[tokio::test]
async fn a_unit_that_is_entered_with_another_s_serial_is_named() {
    let shop = published(["S-0", "S-1", "S-2"]).await;
    let orders = ORDERS.lines().next().unwrap().to_owned()
        + "\nO-9,K-9,ada@example.com,2024-12-01,EUR,90.00\n";
    let units = "unit_ref,order_ref,product_name,kind,serial\nU-9,O-9,Lamp,hardware,S-1\n";
    let facts = [("orders.csv", orders.as_str()), ("units.csv", units)];
    shop.import_at(LATER, &facts).await;
    let found = verify(&shop, "2025-03-01", 3);
    let row = "exceptions.csv: duplicate_serial unit U-1 the same serial as U-9: added";
    assert!(found.contains(row), "{found}");
    assert_names(&found, "units U-9: entered, ");
}

/// The rows of `duplicate_serial` as they were known.
async fn duplicates(shop: &Shop, known_at: Option<&str>) -> Vec<String> {
    let open = shop.open().await;
    let request = ReportRequest {
        name: ReportName::Exceptions,
        at: at("2025-03-01T00:00:00Z"),
        known_at: known_at.map(at),
        from: None,
        to: None,
        days: 7,
        by: By::Started,
        format: Format::Csv(Dialect::default()),
    };
    let (out, _) = jobs::one_report(&open, request, Vec::new()).await.unwrap();
    open.store.close().await;
    let text = String::from_utf8(out).unwrap();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("duplicate_serial"));
    rows.map(str::to_owned).collect()
}

#[tokio::test]
async fn serials_are_those_that_were_known() {
    let shop = published(["S-9", "s-9", "S-2"]).await;
    let units = |serials: [&str; 3]| {
        let rows = serials.iter().enumerate();
        let rows = rows.map(|(n, serial)| format!("U-{n},O-{n},Lamp,hardware,{serial}\n"));
        let rows: String = rows.collect();
        format!("unit_ref,order_ref,product_name,kind,serial\n{rows}")
    };
    let pair = |unit: &str, first: &str| {
        vec![format!(
            "duplicate_serial,unit,{unit},the same serial as {first}"
        )]
    };
    let mut then = vec![("2025-01-02T00:00:00Z", pair("U-1", "U-0"))];
    for (recorded_at, serials, expected) in [
        (
            "2025-03-05T00:00:00Z",
            ["S-0", "S-2", "S-2"],
            pair("U-2", "U-1"),
        ),
        ("2025-03-06T00:00:00Z", ["null", "null", "S-2"], Vec::new()),
        (
            "2025-03-07T00:00:00Z",
            ["S-2", "S-1", "S-2"],
            pair("U-2", "U-0"),
        ),
        ("2025-03-08T00:00:00Z", ["S-0", "S-1", "S-2"], Vec::new()),
    ] {
        shop.import_at(recorded_at, &[("units.csv", units(serials))])
            .await;
        assert_eq!(duplicates(&shop, None).await, expected, "{recorded_at}");
        then.push((recorded_at, expected));
    }
    for (known_at, expected) in then {
        let found = duplicates(&shop, Some(known_at)).await;
        assert_eq!(found, expected, "{known_at}");
    }
}
