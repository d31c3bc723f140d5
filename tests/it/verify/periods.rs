//! The sets of weeks and months are verified as those of days are.

use std::fs;

use warrantyd::jobs;
use warrantyd::report::Period;

use super::{LATER, REPORTS, assert_names, named_changes, rule_lines, verdict, verify};
use crate::shop::{CLAIMS, Shop, named, one_unit};

/// Repairs that are promised until 26 and 28 February 2025, the first of them
/// kept, and one of March.
const REPAIRS: &str = "C-1,U-1,repair,2025-02-05,tech@example.com,,2025-02-06,,,2025-02-10,\n\
     C-2,U-1,repair,2025-02-06,tech@example.com,,2025-02-08,,,,\n\
     C-3,U-1,repair,2025-02-20,tech@example.com,,2025-02-20,,,,\n";

/// A shop that has published the ninth week and February of 2025.
async fn published() -> Shop {
    let shop = Shop::new(REPORTS);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{REPAIRS}"))])
        .await;
    let open = shop.open().await;
    for period in [Period::Week, Period::Month] {
        let when = named("2025-03-03T06:15:00Z");
        jobs::compliance_report(&open, when, period).await.unwrap();
    }
    open.store.close().await;
    shop
}

#[tokio::test]
async fn a_period_of_which_nothing_changed_is_equal() {
    let shop = published().await;
    // Of another period, and of nothing that is counted.
    let (claims, row) = (
        "claim_ref,unit_ref,type,opened_at,repaired_at\n",
        "C-3,U-1,repair",
    );
    let text = format!("{claims}{row},2025-02-20,2025-03-01T00:00:00Z\n");
    shop.import_at(LATER, &[("claims.csv", text)]).await;
    for name in ["2025-W09", "2025-02"] {
        let found = verify(&shop, name, 0);
        assert_eq!(named_changes(&found), [""; 0], "{found}");
        assert!(
            verdict(&found, "compliance.csv").ends_with("equal"),
            "{found}"
        );
        assert!(verdict(&found, "missed.csv").ends_with("equal"), "{found}");
    }
}

#[tokio::test]
async fn the_change_that_moves_a_promise_of_the_period_is_named() {
    for (record, expected, files) in [
        // Kept all the same, in other days: no row is published of it.
        (
            ["claim", "C-1", "repaired_at=2025-02-12T00:00:00Z"],
            "claims C-1: repaired_at 2025-02-10T00:00:00Z → 2025-02-12T00:00:00Z, ",
            "compliance.csv",
        ),
        (
            ["claim", "C-2", "repaired_at=2025-02-12T00:00:00Z"],
            "claims C-2: repaired_at null → 2025-02-12T00:00:00Z, ",
            "compliance.csv, missed.csv",
        ),
        // It falls due in the next month.
        (
            ["claim", "C-2", "received_at=2025-02-12T00:00:00Z"],
            "claims C-2: received_at 2025-02-08T00:00:00Z → 2025-02-12T00:00:00Z, ",
            "compliance.csv, missed.csv",
        ),
        // Who has a claim is told, and not counted.
        (
            ["claim", "C-2", "assignee_email=other@example.com"],
            "claims C-2: assignee_email tech@example.com → other@example.com, ",
            "missed.csv",
        ),
    ] {
        let shop = published().await;
        shop.run_to(
            0,
            &["record", "claim", "C-1", "assignee_email=eve@example.com"],
        );
        shop.run_to(0, &[&["record"], &record[..]].concat());
        for name in ["2025-W09", "2025-02"] {
            let found = verify(&shop, name, 3);
            assert_names(&found, expected);
            assert!(
                found.contains(&format!(": {files}\n")),
                "{name} {files}: {found}"
            );
        }
    }
}

#[tokio::test]
async fn the_period_is_the_one_that_was_published_whatever_the_zone_is_now() {
    let shop = published().await;
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    // There the run's time was still the day before.
    let zone = config.replace("\"UTC\"", "\"Pacific/Pago_Pago\"");
    shop.write("warrantyd.toml", zone);
    let found = verify(&shop, "2025-W09", 3);
    let expected = ["rules: business.timezone: UTC → Pacific/Pago_Pago"];
    assert_eq!(rule_lines(&found), expected, "{found}");
    assert_eq!(named_changes(&found), [""; 0], "{found}");
}

#[tokio::test]
async fn a_period_that_was_tampered_with_is_found() {
    let shop = published().await;
    fs::write(shop.path("reports/2025-02/missed.csv"), "order_ref\n").unwrap();
    let found = verify(&shop, "2025-02", 1);
    assert!(verdict(&found, "missed.csv").contains("changed"), "{found}");

    let path = "reports/2025-W09/manifest.json";
    let text = fs::read_to_string(shop.path(path)).unwrap();
    assert!(text.contains("\"2025-W09\""), "{text}");
    shop.write(path, text.replace("\"2025-W09\"", "\"2025-W60\""));
    let output = shop.run_to(2, &["report", "verify", "reports/2025-W09"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("period: found `2025-W60`, expected a week"),
        "{error}"
    );
}
