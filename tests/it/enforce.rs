//! `enforce` against the real store: the rules of spec section 5.

use crate::shop::{
    CLAIMS, FILE_MAIL, ORDERS, Shop, UNITS, assert_same, by_clock, many_units, named, one_unit,
};

/// The notices of a subject: window, last day, step, audience, disposition.
async fn notices(shop: &Shop, name: &str) -> Vec<String> {
    let sql = format!(
        "SELECT \"window\", last_day, step, audience, disposition FROM notices \
          WHERE ref = '{name}' ORDER BY fires_at, id"
    );
    shop.rows(&sql).await
}

async fn dispositions(shop: &Shop) -> Vec<String> {
    let sql = "SELECT disposition, count(*) FROM notices GROUP BY 1 ORDER BY 1";
    shop.rows(sql).await
}

/// A unit received on 5 January: its warranty's last day is 4 July.
async fn lamp() -> Shop {
    let shop = Shop::new(FILE_MAIL);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop
}

/// A claim whose goods are at the warehouse since 1 March: to be repaired by 21 March.
async fn claim(more: &str) -> Shop {
    let shop = Shop::new(more);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-03-01T09:00:00Z,tech@example.com,,2025-03-01T10:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{row}"));
    shop.import(&[orders, units, claims]).await;
    shop
}

async fn repaired(shop: &Shop, at: &str) {
    let text =
        format!("claim_ref,unit_ref,type,opened_at,repaired_at\nC-1,U-1,repair,2025-03-01,{at}\n");
    shop.import(&[("claims.csv", text)]).await;
}

#[tokio::test]
async fn every_step_is_recorded_once_however_often_it_runs() {
    let shop = lamp().await;
    for day in [
        "2025-06-05",
        "2025-06-28",
        "2025-07-04",
        "2025-07-05",
        "2025-07-06",
    ] {
        let when = named(&format!("{day}T00:00:00Z"));
        shop.enforce(when).await.unwrap();
        let once = shop.dump(&[]).await;
        shop.enforce(when).await.unwrap();
        assert_same(&shop.dump(&[]).await, &once, day);
        let noon = named(&format!("{day}T12:00:00Z"));
        shop.enforce(noon).await.unwrap();
        shop.deliver(noon).await.unwrap();
    }
    let window = "hardware_warranty|2025-07-04";
    let expected = ["-30d", "-7d", "-1d", "due"];
    let expected = expected.map(|step| format!("{window}|{step}|customer|sent"));
    assert_eq!(notices(&shop, "U-1").await, expected);
}

#[tokio::test]
async fn a_step_fires_at_the_start_of_its_day_and_not_before() {
    let shop = lamp().await;
    shop.enforce(named("2025-06-04T23:59:59.999999Z"))
        .await
        .unwrap();
    assert_eq!(notices(&shop, "U-1").await, [""; 0]);
    shop.enforce(named("2025-06-05T00:00:00Z")).await.unwrap();
    assert_eq!(notices(&shop, "U-1").await.len(), 1);
}

#[tokio::test]
async fn of_missed_steps_only_the_latest_is_sent() {
    let shop = lamp().await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T09:00:00Z")).await.unwrap();
    // The run was down from before -7d until after -1d.
    shop.enforce(named("2025-07-04T12:00:00Z")).await.unwrap();
    let expected = [
        "hardware_warranty|2025-07-04|-30d|customer|sent",
        "hardware_warranty|2025-07-04|-7d|customer|superseded",
        "hardware_warranty|2025-07-04|-1d|customer|queued",
    ];
    assert_eq!(notices(&shop, "U-1").await, expected);
}

#[tokio::test]
async fn a_step_found_late_is_stale_for_customers_alone() {
    let shop = claim("").await;
    // Due on 22 March; +1d and +3d have passed too.
    shop.enforce(named("2025-03-25T00:00:01Z")).await.unwrap();
    let expected = [
        "hardware_repair||start|customer|superseded",
        "hardware_repair|2025-03-21|-5d|assignee|superseded",
        "hardware_repair|2025-03-21|-1d|assignee|superseded",
        "hardware_repair|2025-03-21|-1d|lead|superseded",
        "hardware_repair|2025-03-21|due|customer|stale",
        "hardware_repair|2025-03-21|due|assignee|queued",
        "hardware_repair|2025-03-21|due|lead|queued",
        "hardware_repair|2025-03-21|+1d|manager|queued",
        "hardware_repair|2025-03-21|+3d|director|queued",
    ];
    let mut found = notices(&shop, "C-1").await;
    let mut expected = expected.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn going_live_tells_nobody_about_the_past() {
    let shop = claim("[notices]\nlive_from = 2025-03-24\n").await;
    shop.enforce(named("2025-03-25T00:00:01Z")).await.unwrap();
    let found = notices(&shop, "C-1").await;
    let (live, past): (Vec<_>, Vec<_>) = found.iter().partition(|row| row.contains("+3d"));
    assert_eq!(live, ["hardware_repair|2025-03-21|+3d|director|queued"]);
    assert!(past.iter().all(|row| row.ends_with("|stale")), "{past:?}");
    assert_eq!(past.len(), 8);
}

#[tokio::test]
async fn a_corrected_fact_gives_steps_of_its_own_but_one_start() {
    let shop = claim("").await;
    shop.enforce(named("2025-03-17T08:00:00Z")).await.unwrap();
    let row =
        "claim_ref,unit_ref,type,opened_at,received_at\nC-1,U-1,repair,2025-03-01,2025-03-03\n";
    shop.import(&[("claims.csv", row)]).await;
    shop.enforce(named("2025-03-19T08:00:00Z")).await.unwrap();
    let expected = [
        "hardware_repair||start|customer|stale",
        "hardware_repair|2025-03-21|-5d|assignee|moot",
        "hardware_repair|2025-03-23|-5d|assignee|queued",
    ];
    assert_eq!(notices(&shop, "C-1").await, expected);
    let last_day = "SELECT last_day FROM deadlines WHERE \"window\" = 'hardware_repair'";
    assert_eq!(shop.rows(last_day).await, ["2025-03-23"]);
}

#[tokio::test]
async fn what_is_no_longer_true_is_moot_until_it_is_true_again() {
    let shop = claim("").await;
    let disposition = async |shop: &Shop| {
        let sql = "SELECT disposition FROM notices WHERE step = 'due' AND audience = 'lead'";
        shop.rows(sql).await
    };
    shop.enforce(named("2025-03-22T00:00:00Z")).await.unwrap();
    assert_eq!(disposition(&shop).await, ["queued"]);
    repaired(&shop, "2025-03-20").await;
    shop.enforce(named("2025-03-22T01:00:00Z")).await.unwrap();
    assert_eq!(disposition(&shop).await, ["moot"]);
    repaired(&shop, "null").await;
    shop.enforce(named("2025-03-22T02:00:00Z")).await.unwrap();
    assert_eq!(disposition(&shop).await, ["queued"]);
}

#[tokio::test]
async fn a_customers_outcome_waits_for_a_forgotten_entry() {
    let shop = Shop::new("");
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-09-01T09:00:00Z,,,,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    shop.enforce(named("2025-09-01T10:00:00Z")).await.unwrap();
    let waits = "SELECT audience, disposition, (ready_at - recorded_at) / 3600000000 FROM notices \
                  WHERE step = 'declined' ORDER BY audience";
    assert_eq!(
        shop.rows(waits).await,
        ["customer|queued|24", "lead|queued|0"]
    );
}

#[tokio::test]
async fn an_outcome_that_was_sent_and_is_untrue_is_told_to_the_lead() {
    let shop = Shop::new(FILE_MAIL);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-09-01T09:00:00Z,,,,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    shop.enforce(named("2025-09-01T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-09-02T10:00:00Z")).await.unwrap();
    // It came later than was thought: the warranty has not ended.
    let unit = "U-1,O-1,Lamp,hardware,2025-05-01,\n";
    shop.import(&[("units.csv", format!("{UNITS}{unit}"))])
        .await;
    shop.enforce(named("2025-09-03T10:00:00Z")).await.unwrap();
    let mut found = notices(&shop, "C-1").await;
    found.sort();
    let expected = [
        "||declined_withdrawn|lead|queued",
        "||declined|customer|sent",
        "||declined|lead|sent",
    ];
    assert_eq!(found, expected);
    let report = shop.run_to(0, &["report", "exceptions", "--at", "2025-09-03 10:00"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("outcome_withdrawn,claim,C-1,"), "{report}");
}

#[tokio::test]
async fn a_time_that_cannot_be_enforced_is_refused() {
    let shop = lamp().await;
    shop.enforce(named("2025-06-05T00:00:00Z")).await.unwrap();
    let before = shop.dump(&[]).await;
    for (when, expected) in [
        (
            named("2026-01-01T00:00:01Z"),
            "--at 2026-01-01 00:00:01 UTC is in the future: expected a time until now \
             (2026-01-01 00:00:00 UTC)",
        ),
        (
            named("2025-06-04T23:59:59Z"),
            "--at 2025-06-04 23:59:59 UTC is before 2025-06-05 00:00:00 UTC, up to when was \
             enforced: expected a later time",
        ),
        (
            by_clock("2025-06-04T23:54:59Z"),
            "the clock's 2025-06-04 23:54:59 UTC is before 2025-06-05 00:00:00 UTC, up to when \
             was enforced: set the clock",
        ),
    ] {
        let error = shop.enforce(when).await.unwrap_err().to_string();
        assert_eq!(error, expected);
        assert_same(&shop.dump(&[]).await, &before, expected);
        shop.dry_run(when).await;
    }
}

#[tokio::test]
async fn a_clock_that_jumped_holds_customers_until_a_time_is_named() {
    let shop = Shop::new(FILE_MAIL);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,tech@example.com,,2025-06-20T09:00:00Z,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    let held = async |shop: &Shop| {
        let sql = "SELECT audience, disposition, count(*) FROM notices GROUP BY 1, 2 ORDER BY 1, 2";
        shop.rows(sql).await
    };
    shop.enforce(by_clock("2025-06-20T10:00:00Z"))
        .await
        .unwrap();
    // Exactly seven days are believed.
    shop.enforce(by_clock("2025-06-27T10:00:00Z"))
        .await
        .unwrap();
    assert_eq!(held(&shop).await, ["customer|queued|1", "customer|stale|1"]);
    shop.enforce(by_clock("2025-07-04T10:00:01Z"))
        .await
        .unwrap();
    assert_eq!(
        held(&shop).await,
        [
            "customer|held|2",
            "customer|stale|1",
            "customer|superseded|1"
        ]
    );
    shop.deliver(by_clock("2025-07-04T10:01:00Z"))
        .await
        .unwrap();
    shop.deliver(by_clock("2025-07-04T10:02:00Z"))
        .await
        .unwrap();
    let messages = "SELECT audience, subject FROM messages ORDER BY id";
    let expected = ["ops|Customers' messages are held: the clock has jumped"];
    assert_eq!(shop.rows(messages).await, expected, "ops are told once");
    // The next run is no second jump, and releases nobody.
    shop.enforce(by_clock("2025-07-04T10:05:00Z"))
        .await
        .unwrap();
    assert_eq!(held(&shop).await.first().unwrap(), "customer|held|2");
    shop.enforce(named("2025-07-04T10:06:00Z")).await.unwrap();
    assert_eq!(held(&shop).await.first().unwrap(), "customer|queued|2");
}

#[tokio::test]
async fn a_clock_that_was_wrong_leaves_nothing_behind() {
    let shop = claim(FILE_MAIL).await;
    shop.enforce(by_clock("2025-03-05T10:00:00Z"))
        .await
        .unwrap();
    let undisturbed = shop.copy();
    shop.enforce(by_clock("2025-06-28T10:00:00Z"))
        .await
        .unwrap();
    assert!(
        notices(&shop, "U-1")
            .await
            .iter()
            .any(|row| row.contains("-7d"))
    );
    for day in ["2025-03-05", "2025-03-11", "2025-03-16", "2025-03-22"] {
        let when = by_clock(&format!("{day}T10:10:00Z"));
        shop.enforce(when).await.unwrap();
        undisturbed.enforce(when).await.unwrap();
        let expected = undisturbed.dump(&["notices.id"]).await;
        assert_same(&shop.dump(&["notices.id"]).await, &expected, day);
    }
}

#[tokio::test]
async fn a_dry_run_says_everything_once_and_writes_nothing() {
    let shop = claim("").await;
    let when = named("2025-03-22T00:00:00Z");
    let before = shop.dump(&[]).await;
    let dry = shop.dry_run(when).await;
    assert_same(&shop.dump(&[]).await, &before, "a dry run");
    let real = shop.enforce(when).await.unwrap();
    let queued = real.outcome.get("queued");
    assert!(queued > 0);
    assert_eq!(dry.outcome.counts, real.outcome.counts);
    assert_eq!(dry.notices.len(), notices(&shop, "C-1").await.len());
    // What was recorded is not said again.
    let after = shop.dump(&[]).await;
    let dry = shop.dry_run(when).await;
    assert_eq!((dry.notices.len(), dry.moved.len()), (0, 0));
    assert_same(&shop.dump(&[]).await, &after, "a second dry run");
}

#[tokio::test]
async fn more_orders_than_a_page_and_an_order_larger_than_one() {
    let shop = Shop::new("");
    let [(_, mut orders), (_, mut units)] = many_units(2_200);
    orders += "O-BIG,K-BIG,Bob,bob@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    for n in 0..5_000 {
        units += &format!("B-{n},O-BIG,Bulb,hardware,,\n");
    }
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    let done = shop.enforce(named("2025-06-05T00:00:00Z")).await.unwrap();
    assert_eq!(done.outcome.get("found"), 2_201);
    assert_eq!(done.outcome.get("queued"), 7_200);
    let done = shop.enforce(named("2025-06-05T00:05:00Z")).await.unwrap();
    assert_eq!(done.outcome.counts, [].into());
    assert_eq!(dispositions(&shop).await, ["queued|7200"]);
}

#[tokio::test]
async fn a_case_that_cannot_be_evaluated_stops_no_other_and_backs_off() {
    let shop = Shop::new("");
    shop.import(&many_units(3)).await;
    shop.execute("UPDATE units SET kind = 'gas' WHERE unit_ref = 'U-1'")
        .await;
    let failing = "SELECT failures, (next_at - last_at) / 60000000, error \
                     FROM agenda, enforcement WHERE error IS NOT NULL";
    let why = "units.kind of row 2: found `gas`, expected hardware or software";
    for (when, found, queued, expected) in [
        ("2025-06-05T00:00:00Z", 3, 2, "1|1"),
        ("2025-06-05T00:00:59Z", 0, 0, "1|0"),
        ("2025-06-05T00:01:00Z", 1, 0, "2|2"),
        ("2025-06-05T00:03:00Z", 1, 0, "3|4"),
    ] {
        let done = shop.enforce(named(when)).await.unwrap().outcome;
        assert_eq!(
            (done.get("found"), done.get("queued")),
            (found, queued),
            "{when}"
        );
        assert_eq!(done.is_partial(), found > 0, "{when}");
        assert_eq!(
            shop.rows(failing).await,
            [format!("{expected}|{why}")],
            "{when}"
        );
    }
    shop.execute("UPDATE units SET kind = 'hardware' WHERE unit_ref = 'U-1'")
        .await;
    shop.enforce(named("2025-06-05T00:07:00Z")).await.unwrap();
    assert_eq!(shop.rows(failing).await, [""; 0]);
    assert_eq!(dispositions(&shop).await, ["queued|3"]);
}

#[tokio::test]
async fn a_change_of_rules_wakes_open_cases_and_can_be_seen_before() {
    let shop = Shop::new("");
    // Received in the evening: in Tokyo it is the next day.
    shop.import(&one_unit("2025-01-05T20:00:00Z")).await;
    shop.enforce(named("2025-03-01T00:00:00Z")).await.unwrap();
    let config = std::fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace("UTC", "Asia/Tokyo"));
    let last_day = "SELECT last_day FROM deadlines WHERE \"window\" = 'hardware_warranty'";
    let before = shop.dump(&[]).await;
    let dry = shop.dry_run(named("2025-03-01T00:05:00Z")).await;
    let moved: Vec<String> = dry
        .moved
        .iter()
        .map(|moved| {
            let day = |day: Option<chrono::NaiveDate>| day.unwrap().to_string();
            format!(
                "{} {} {} {}",
                moved.subject_ref,
                moved.window,
                day(moved.from),
                day(moved.to)
            )
        })
        .collect();
    assert!(
        moved.contains(&"U-1 hardware_warranty 2025-07-04 2025-07-05".to_owned()),
        "{moved:?}"
    );
    assert_same(&shop.dump(&[]).await, &before, "a dry run");
    assert_eq!(shop.rows(last_day).await, ["2025-07-04"]);
    let done = shop.enforce(named("2025-03-01T00:05:00Z")).await.unwrap();
    assert_eq!(done.outcome.get("found"), 1);
    assert_eq!(shop.rows(last_day).await, ["2025-07-05"]);
    assert_eq!(shop.rows("SELECT count(*) FROM rules").await, ["2"]);
    let done = shop.enforce(named("2025-03-01T00:10:00Z")).await.unwrap();
    assert_eq!(done.outcome.get("found"), 0, "once for each change");
}

#[tokio::test]
async fn a_replacement_is_woken_by_a_fact_of_the_first_of_its_chain() {
    let shop = lamp().await;
    let order = "O-2,K-1,Ada,ada@example.com,2025-02-01,2025-02-03,EUR,0.00\n";
    let unit = "U-2,O-2,Lamp,hardware,,U-1\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}{unit}")),
    ])
    .await;
    shop.enforce(named("2025-03-01T00:00:00Z")).await.unwrap();
    let last_days = "SELECT ref, last_day FROM deadlines \
                      WHERE \"window\" = 'hardware_warranty' ORDER BY ref";
    assert_eq!(
        shop.rows(last_days).await,
        ["U-1|2025-07-04", "U-2|2025-07-04"]
    );
    let unit = "U-1,O-1,Lamp,hardware,2025-01-10,\n";
    let imported = shop
        .import(&[("units.csv", format!("{UNITS}{unit}"))])
        .await;
    assert_eq!(imported.orders_woken, 2);
    shop.enforce(named("2025-03-01T00:05:00Z")).await.unwrap();
    assert_eq!(
        shop.rows(last_days).await,
        ["U-1|2025-07-09", "U-2|2025-07-09"]
    );
}
