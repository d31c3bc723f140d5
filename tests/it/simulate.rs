//! `simulate` and `policy try`: what time alone will bring, and what would have
//! been.

use warrantyd::jobs::{self, Holding, When};
use warrantyd::policy::Instant;

use crate::shop::{CLAIMS, FILE_MAIL, Shop, assert_same, at, named, one_unit, stderr};

/// A claim whose repair is due on 11 July, on a unit whose warranty ends on 4
/// July; enforced on 20 June.
async fn shop() -> Shop {
    let shop = Shop::new(&format!("{FILE_MAIL}send_between = \"00:00-24:00\"\n"));
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,tom@example.com,,2025-06-20T09:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{row}"));
    shop.import(&[orders, units, claims]).await;
    run(&shop, named("2025-06-20T10:00:00Z")).await;
    shop
}

async fn run(shop: &Shop, when: When) {
    shop.enforce(when).await.unwrap();
    shop.deliver(when).await.unwrap();
}

#[tokio::test]
async fn what_is_foretold_is_what_comes() {
    let shop = shop().await;
    let before = shop.dump(&[]).await;
    let open = shop.open().await;
    let (now, end) = (at("2025-06-20T11:00:00Z"), at("2025-07-20T00:00:00Z"));
    let simulated = jobs::simulate(&open, now, end).await.unwrap();
    open.store.close().await;
    assert_same(&shop.dump(&[]).await, &before, "nothing was written");
    assert_eq!(simulated.failed, 0);

    let mut foretold = Vec::new();
    let mut times: Vec<Instant> = Vec::new();
    for coming in &simulated.coming {
        let key = &coming.notice.due.key;
        let window = key.window.map(|window| window.to_string());
        foretold.push(format!(
            "{}|{}|{}|{}|{}",
            coming.at.timestamp_micros(),
            key.subject_ref,
            window.unwrap_or_default(),
            key.step,
            key.audience
        ));
        times.push(coming.at);
    }
    times.dedup();
    for time in times {
        run(&shop, When::new(Some(time), at("2026-01-01T00:00:00Z"))).await;
    }
    let told = format!(
        "SELECT recorded_at, ref, \"window\", step, audience FROM notices \
          WHERE disposition = 'sent' AND recorded_at > {}",
        now.timestamp_micros()
    );
    let mut told = shop.rows(&told).await;
    told.sort();
    foretold.sort();
    assert_eq!(foretold, told);
    for expected in [
        "U-1|hardware_warranty|-7d|customer",
        "C-1|hardware_repair|due|customer",
        "C-1|hardware_repair|+3d|director",
    ] {
        let is_there = foretold.iter().any(|line| line.ends_with(expected));
        assert!(is_there, "{expected}: {foretold:#?}");
    }
}

#[tokio::test]
async fn what_is_held_is_foretold_as_held_and_a_day_that_is_over_is_refused() {
    let shop = shop().await;
    let open = shop.open().await;
    let (holding, held_at) = (
        Holding {
            name: "U-1",
            kind: None,
        },
        at("2025-06-20T10:30:00Z"),
    );
    let held = jobs::hold(&open, holding, "in dispute", None, held_at).await;
    assert!(held.unwrap().is_some());
    let (now, end) = (at("2025-06-20T11:00:00Z"), at("2025-06-29T00:00:00Z"));
    let simulated = jobs::simulate(&open, now, end).await.unwrap();
    open.store.close().await;
    let fates = simulated.coming.iter().map(|coming| coming.notice.fate);
    let fates: Vec<String> = fates.map(|fate| fate.disposition.to_string()).collect();
    assert_eq!(fates, ["held"]);
    let said = stderr(&shop.run_to(2, &["simulate", "--until", "2025-06-19"]));
    assert!(
        said.contains("--until: expected a day that is not over"),
        "{said}"
    );
}

/// The built-in policy, but a repair of hardware takes 10 days at most.
const FASTER: (&str, &str) = ("days = 20", "days = 10");

#[tokio::test]
async fn another_policy_shows_what_would_have_been() {
    let shop = Shop::new("");
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let rows = "C-1,U-1,repair,2025-01-10T09:00:00Z,,,2025-01-10T09:00:00Z,,,2025-01-25T09:00:00Z,\n\
                C-2,U-1,repair,2025-02-10T09:00:00Z,,,2025-02-10T09:00:00Z,,,2025-02-15T09:00:00Z,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{rows}"));
    shop.import(&[orders, units, claims]).await;
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
    let before = shop.dump(&[]).await;
    let standard = include_str!("../../templates/policy/standard.toml");
    assert_eq!(standard.matches(FASTER.0).count(), 1);
    shop.write("faster.toml", standard.replace(FASTER.0, FASTER.1));
    let tried = |from: &str, to: &str| {
        let args = ["policy", "try", "faster.toml", "--from", from, "--to", to];
        let args = [&args[..], &["--format", "json"]].concat();
        let output = shop.run_to(0, &args);
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (rows, stderr(&output))
    };
    let (rows, said) = tried("2025-01-01", "2025-01-01");
    let of = |row: &serde_json::Value| {
        format!(
            "{} {}: {} / {}",
            row["ref"], row["what"], row["is"], row["would_be"]
        )
    };
    let rows: Vec<String> = rows.as_array().unwrap().iter().map(of).collect();
    assert_eq!(
        rows,
        [
            r#""C-1" "hardware_repair": "met, last day 2025-01-30" / "missed, last day 2025-01-20, 5 days late, level 3""#,
            r#""C-2" "hardware_repair": "met, last day 2025-03-02" / "met, last day 2025-02-20""#,
        ]
    );
    assert!(
        said.contains("1 order placed from 2025-01-01 to 2025-01-01: deadlines and claims that would differ: 2;"),
        "{said}"
    );
    // The order was placed on another day.
    let (rows, _) = tried("2025-01-02", "2025-12-31");
    assert_eq!(rows, serde_json::json!([]));
    assert_same(&shop.dump(&[]).await, &before, "nothing was written");
    let args = [
        "policy",
        "try",
        "faster.toml",
        "--from",
        "2025-02-01",
        "--to",
        "2025-01-01",
    ];
    let said = stderr(&shop.run_to(2, &args));
    assert!(said.contains("expected the earlier date first"), "{said}");
}
