//! What cannot be taken, and where it goes.

use super::*;

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
        dialect: Default::default(),
        path: shop.path("orders.csv"),
        entity: Entity::Orders,
        rejects: shop.path("orders.csv.rejects.csv"),
    };
    let rules = Rules {
        calendar: &shop.calendar,
        policies: &shop.policies,
    };
    let done = import(
        &mut shop.session,
        &[file],
        rules,
        "import",
        now(),
        &mut |_| Ok(()),
    )
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
        dialect: Default::default(),
        path: shop.path("orders.csv"),
        entity: Entity::Orders,
        rejects: shop.path("orders.csv.rejects.csv"),
    };
    let rules = Rules {
        calendar: &shop.calendar,
        policies: &shop.policies,
    };
    let mut told = 0;
    let done = import(
        &mut shop.session,
        &[file],
        rules,
        "import",
        now(),
        &mut |rows| {
            told += rows;
            Ok(())
        },
    )
    .await
    .unwrap();
    assert_eq!(counts(&done.files[0]), [ROWS, 0, 0, 0, ROWS]);
    assert_eq!((done.change_set, told), (None, ROWS));
    let rejects = shop.rejects("orders.csv");
    assert_eq!(rejects.len() as u64, ROWS + 1);
    assert_eq!(rejects[50_000][6], "50001");
}
