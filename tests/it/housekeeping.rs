//! What `housekeeping` forgets makes nothing be told again.

use proptest::collection::vec;
use proptest::prelude::*;
use warrantyd::config::JobName;
use warrantyd::jobs;
use warrantyd::policy::Instant;

use crate::postgres::Server;
use crate::shop::{CLAIMS, FILE_MAIL, Shop, assert_same, at, many_units, named, stderr};

/// As little is kept as can be.
const SHORT: &str = "keep_days = 1\nkeep_inside_days = 1\n[reports]\ndir = \"reports\"\n";

/// What housekeeping is there to change, and what differs from run to run.
const FORGOTTEN: [&str; 5] = [
    "job_runs",
    "message_bodies",
    "messages.answer",
    "change_sets.recorded_at",
    "feed",
];

/// Days after the first order was delivered; the last steps of a warranty of
/// half a year are among them.
fn day() -> impl Strategy<Value = i64> {
    prop_oneof![0..40i64, 145..200i64]
}

/// When something is recorded of a claim, in days, and which of its facts.
fn claims() -> impl Strategy<Value = Vec<(i64, usize)>> {
    vec((0..160i64, 0..4usize), 1..3)
}

fn time(day: i64, hour: i64) -> Instant {
    at("2025-01-05T00:00:00Z") + chrono::TimeDelta::hours(day * 24 + hour)
}

async fn shop(claims: &[(i64, usize)]) -> Shop {
    let shop = Shop::new(&format!("{FILE_MAIL}{SHORT}"));
    let mut rows = CLAIMS.to_owned();
    for (n, (opened, facts)) in claims.iter().enumerate() {
        let opened_at = time(*opened, 8).to_rfc3339();
        let later = |hours| time(*opened, hours).to_rfc3339();
        let known = |nth: usize, hours| {
            if *facts > nth {
                later(hours)
            } else {
                String::new()
            }
        };
        let (received, repaired, closed) = (known(0, 30), known(1, 200), known(2, 300));
        rows += &format!(
            "C-{n},U-{n},repair,{opened_at},t@example.com,{opened_at},{received},,,{repaired},{closed}\n"
        );
    }
    let [orders, units] = many_units(claims.len());
    shop.import(&[orders, units, ("claims.csv", rows)]).await;
    shop
}

/// A run of each job that tells somebody anything, and the house kept before
/// and after if it is to be.
async fn run(shop: &Shop, day: i64, is_kept: bool) {
    let open = shop.open().await;
    let when = named(&time(day, 9).to_rfc3339());
    let keep = |open: jobs::Shop| async move {
        // Long after: all is old enough to go.
        let later = named(&time(day + 400, 9).to_rfc3339());
        let kept = jobs::run_recorded(&open, JobName::Housekeeping, later).await;
        kept.unwrap();
    };
    for job in [
        JobName::Enforce,
        JobName::Deliver,
        JobName::Report,
        JobName::Worklists,
        JobName::Deliver,
    ] {
        if is_kept {
            keep(open.clone()).await;
        }
        jobs::run_recorded(&open, job, when).await.unwrap();
    }
    open.store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_is_told_whether_the_house_is_kept_or_not(
        claims in claims(),
        mut days in vec((day(), any::<bool>()), 2..4),
    ) {
        days.sort_unstable();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (kept, left) = (shop(&claims).await, shop(&claims).await);
            for (day, is_kept) in &days {
                // Twice: what was told is not told again.
                for _ in 0..2 {
                    run(&kept, *day, *is_kept).await;
                    run(&left, *day, false).await;
                }
            }
            let expected = left.dump(&FORGOTTEN).await;
            assert_same(&kept.dump(&FORGOTTEN).await, &expected, "notices and messages");
        });
    }
}

#[tokio::test]
async fn what_was_said_inside_the_shop_is_erased_sooner() {
    let shop = shop(&[(10, 1)]).await;
    let config = std::fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write(
        "warrantyd.toml",
        config.replace("keep_days = 1\nkeep_inside_days = 1\n", ""),
    );
    run(&shop, 11, false).await;
    let bodies = "SELECT m.kind, count(*) FROM messages AS m \
                    JOIN message_bodies AS b ON b.message_id = m.id GROUP BY 1 ORDER BY 1";
    let notices = shop
        .rows(bodies)
        .await
        .into_iter()
        .filter(|row| row.starts_with("notices"));
    let notices: Vec<String> = notices.collect();
    assert_eq!(notices.len(), 1);
    let open = shop.open().await;
    for (day, is_left) in [(41, true), (42, false)] {
        let when = named(&time(day, 9).to_rfc3339());
        jobs::run_recorded(&open, JobName::Housekeeping, when)
            .await
            .unwrap();
        let found = shop.rows(bodies).await;
        assert_eq!(found.len() > 1, is_left, "{day}: {found:?}");
        assert!(found.contains(&notices[0]), "{found:?}");
    }
    open.store.close().await;
}

/// A shop's role may not look at the server's own tables.
#[test]
fn the_statistics_of_the_servers_own_tables_are_left_alone() {
    let server = Server::shared();
    server.admin("CREATE ROLE tidy LOGIN".to_owned());
    server.admin("CREATE DATABASE tidy OWNER tidy".to_owned());
    let shop = Shop::new(FILE_MAIL);
    let url = format!("postgres://tidy@127.0.0.1:{}/tidy", server.port);
    let mut command = shop.command(&["run", "housekeeping"]);
    let output = command.env("WARRANTYD_DATABASE__URL", url).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
}
