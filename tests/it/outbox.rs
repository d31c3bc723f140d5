//! What waits in the outbox while the world goes on.

use std::fs;

use super::deliver::{STATES, configure, customers};
use super::shop::{
    CLAIMS, Engine, FILE_MAIL, ORDERS, Shop, UNITS, assert_same, at, by_clock, named, one_unit,
    stderr,
};
use warrantyd::config::JobName;
use warrantyd::jobs;

/// Mail to a server that nobody runs.
pub const NO_SERVER: &str = r#"
[mail]
transport = "smtp"
url = "smtp://127.0.0.1:1?tls=off"
from = "shop@example.com"
"#;

const QUEUED: &str = "SELECT step, audience, disposition FROM notices ORDER BY 1, 2";

/// A claim whose repair has started on 20 June 2025, 9:00.
async fn repair(shop: &Shop) {
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{row}"));
    shop.import(&[orders, units, claims]).await;
    // The warranty's steps are of no interest here.
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
}

/// The subjects of the mails that were written.
fn subjects(shop: &Shop) -> Vec<String> {
    let Ok(dir) = fs::read_dir(shop.path("outbox")) else {
        return Vec::new();
    };
    let subject = |text: String| {
        let line = text.lines().find(|line| line.starts_with("Subject: "));
        line.unwrap().to_owned()
    };
    let mut found: Vec<String> = dir
        .map(|entry| subject(fs::read_to_string(entry.unwrap().path()).unwrap()))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_message_whose_reason_went_away_while_it_waited_is_never_sent() {
    for enforced_between in [true, false] {
        let shop = Shop::new(NO_SERVER);
        repair(&shop).await;
        let outcome = shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
        assert!(outcome.problem.is_some());
        let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,\
                   2025-06-20T10:30:00Z,\n";
        shop.import(&[("claims.csv", format!("{CLAIMS}{row}"))])
            .await;
        if enforced_between {
            shop.enforce(named("2025-06-20T11:00:00Z")).await.unwrap();
        }
        let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
        shop.write("warrantyd.toml", config.replace(NO_SERVER, FILE_MAIL));
        shop.deliver(named("2025-06-20T11:00:00Z")).await.unwrap();
        assert_eq!(subjects(&shop), Vec::<String>::new(), "{enforced_between}");
        let start = "SELECT disposition FROM notices WHERE step = 'start'";
        assert_eq!(shop.rows(start).await, ["moot"], "{enforced_between}");
        assert_eq!(
            shop.rows("SELECT state FROM messages").await,
            ["dropped"],
            "{enforced_between}"
        );
    }
}

#[tokio::test]
async fn each_address_of_an_audience_gets_its_own_message() {
    let shop = Shop::new(FILE_MAIL);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    let two = r#"lead = ["lead@example.com", "gone@example.invalid"]"#;
    let config = config.replace(r#"lead = ["lead@example.com"]"#, two);
    shop.write("warrantyd.toml", config);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,exchange,2025-12-20T09:00:00Z,,,,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    shop.enforce(named("2025-12-20T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-12-20T10:00:00Z")).await.unwrap();
    let messages = "SELECT recipient, state FROM messages ORDER BY recipient";
    assert_eq!(
        shop.rows(messages).await,
        ["gone@example.invalid|failed", "lead@example.com|sent"]
    );
    // Somebody was told.
    let lead = "SELECT step, disposition FROM notices WHERE audience = 'lead'";
    assert_eq!(shop.rows(lead).await, ["declined|sent"]);
}

#[tokio::test]
async fn a_failed_message_is_tried_again_at_the_address_that_holds_now() {
    let shop = Shop::new(FILE_MAIL);
    let order = "O-1,K-1,Ada,ada@example.invalid,2025-06-01,2025-06-01T10:00:00Z,EUR,100.00\n";
    let claim = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    let unit = "U-1,O-1,Lamp,hardware,,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}{unit}")),
        ("claims.csv", format!("{CLAIMS}{claim}")),
    ])
    .await;
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    assert_eq!(shop.rows(QUEUED).await, ["start|customer|failed"]);
    let order = order.replace("example.invalid", "example.com");
    shop.import(&[("orders.csv", format!("{ORDERS}{order}"))])
        .await;
    let mut retry = shop.command(&["mail", "retry", "1"]);
    assert!(retry.env("SUDO_USER", "ann").status().unwrap().success());
    shop.deliver(named("2025-06-20T10:05:00Z")).await.unwrap();
    assert_eq!(shop.rows(QUEUED).await, ["start|customer|sent"]);
    assert_eq!(subjects(&shop).len(), 1);
    // Who said so is kept with the message, the one in its place and the notice.
    for id in ["1", "2"] {
        let said = stderr(&shop.run_to(0, &["mail", "show", id]));
        assert!(said.starts_with("`mail retry 1 by ann` at 20"), "{said}");
    }
    let explained = String::from_utf8(shop.run_to(0, &["explain", "C-1"]).stdout).unwrap();
    let expected = "notice to customer: sent, `mail retry 1 by ann` ";
    assert!(explained.contains(expected), "{explained}");
    // What is refused leaves no trace.
    let before = shop.rows("SELECT count(*) FROM change_sets").await;
    shop.run_to(2, &["mail", "retry", "2"]);
    assert_eq!(shop.rows("SELECT count(*) FROM change_sets").await, before);
}

#[tokio::test]
async fn a_file_of_the_server_s_is_missed_when_there_is_something_to_send() {
    let encrypted = NO_SERVER.replace("tls=off", "tls=required");
    let with_file = encrypted.replace("from", "ca_file = \"missing.pem\"\nfrom");
    let shop = Shop::new(&with_file);
    // Nothing is due.
    let row = "C-1,U-1,repair,2025-06-21T09:00:00Z,,,2025-06-21T09:00:00Z,,,,\n";
    let [orders, units] = one_unit("2025-06-19T10:00:00Z");
    shop.import(&[orders, units]).await;
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
    let idle = shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    assert!(idle.counts.is_empty(), "{idle:?}");
    assert_eq!(shop.rows("SELECT * FROM mail_pause").await, [""; 0]);
    shop.import(&[("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    shop.enforce(named("2025-06-21T10:00:00Z")).await.unwrap();
    // At night only what is for the shop would be sent.
    let night = shop.deliver(named("2025-06-21T22:00:00Z")).await.unwrap();
    assert!(night.counts.is_empty(), "{night:?}");
    let failed = shop.deliver(named("2025-06-22T10:00:00Z")).await;
    let error = format!("{:#}", failed.unwrap_err());
    assert!(error.contains("missing.pem"), "{error}");
    // It is the transport's fault: seen in `status`, and no notice is touched.
    let cause = shop.rows("SELECT faults, cause FROM mail_pause").await;
    assert!(
        cause[0].starts_with("0|") && cause[0].contains("missing.pem"),
        "{cause:?}"
    );
    assert_eq!(shop.rows(QUEUED).await, ["start|customer|queued"]);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(&with_file, FILE_MAIL));
    shop.deliver(named("2025-06-22T10:05:00Z")).await.unwrap();
    assert_eq!(shop.rows(QUEUED).await, ["start|customer|sent"]);
    assert_eq!(shop.rows("SELECT * FROM mail_pause").await, [""; 0]);
}

#[tokio::test]
async fn an_order_of_which_nothing_runs_yet_does_not_stop_the_next_run() {
    let shop = Shop::new(FILE_MAIL);
    let order = "O-1,K-1,Ada,ada@example.com,2025-01-01,,EUR,100.00\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}U-1,O-1,Lamp,hardware,,\n")),
    ])
    .await;
    for day in ["2025-01-02T10:00:00Z", "2025-01-03T10:00:00Z"] {
        shop.enforce(named(day)).await.unwrap();
        shop.deliver(named(day)).await.unwrap();
    }
    let kept = "SELECT name, effective_from FROM policies";
    assert_eq!(shop.rows(kept).await, ["standard|2000-01-01"]);
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_leaves_nothing_behind() {
    let times = ["2025-06-20T10:00:00Z", "2025-06-20T10:10:00Z"];
    let later = ["2025-07-01T00:00:00Z", "2025-07-07T00:00:00Z"];
    let wrong = Shop::new(FILE_MAIL);
    repair(&wrong).await;
    let right = wrong.copy();
    wrong
        .enforce(by_clock("2035-01-01T00:00:00Z"))
        .await
        .unwrap();
    let told = "SELECT count(*) FROM notices WHERE disposition = 'stale'";
    assert_ne!(wrong.rows(told).await, ["0"]);
    for shop in [&wrong, &right] {
        for time in times.iter().chain(&later) {
            shop.enforce(by_clock(time)).await.unwrap();
        }
    }
    let surrogates = ["notices.id", "rules.id", "change_sets.id"];
    let expected = right.dump(&surrogates).await;
    assert_same(&wrong.dump(&surrogates).await, &expected, "set right");
}

#[tokio::test]
async fn a_retry_of_what_a_wrong_clock_made_up_is_nobody_else_s() {
    let shop = Shop::new(FILE_MAIL);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    let nobody = config.replace("lead@example.com", "lead@example.invalid");
    shop.write("warrantyd.toml", nobody);
    repair(&shop).await;
    let wrong = by_clock("2035-01-01T00:00:00Z");
    shop.enforce(by_clock("2025-06-20T10:00:00Z"))
        .await
        .unwrap();
    shop.enforce(wrong).await.unwrap();
    shop.deliver(wrong).await.unwrap();
    let failed = "SELECT m.id FROM messages AS m WHERE m.state = 'failed'";
    let failed = shop.rows(failed).await;
    assert_eq!(failed.len(), 1);
    shop.run_to(0, &["mail", "retry", &failed[0]]);
    let carried = "SELECT count(*) FROM message_retries WHERE notice_id IS NOT NULL";
    assert_ne!(shop.rows(carried).await, ["0"]);
    // The clock is set right; the numbers of what is gone may be given again.
    for time in ["2025-06-20T10:10:00Z", "2025-07-11T00:00:00Z"] {
        shop.enforce(by_clock(time)).await.unwrap();
    }
    assert_eq!(shop.rows(carried).await, ["0"]);
    let explained = String::from_utf8(shop.run_to(0, &["explain", "C-1"]).stdout).unwrap();
    assert!(explained.contains("notice to lead: queued"), "{explained}");
    assert!(!explained.contains("mail retry"), "{explained}");
}

#[tokio::test]
async fn a_slot_that_a_wrong_clock_planned_is_not_waited_for() {
    let shop = Shop::new(FILE_MAIL);
    let open = shop.open().await;
    let (slot, wrong) = (at("2025-06-20T10:00:00Z"), at("2035-01-01T00:00:00Z"));
    for at in [slot, wrong] {
        jobs::plan_slots(&open, JobName::Enforce, &[at])
            .await
            .unwrap();
    }
    let now = at("2025-06-20T10:05:00Z");
    let latest = jobs::slot_latest(&open, JobName::Enforce, now).await;
    assert_eq!(latest.unwrap(), Some(slot));
    let owed = jobs::slots_owed(&open, now).await.unwrap();
    assert_eq!(
        owed.iter().map(|owed| owed.slot_at).collect::<Vec<_>>(),
        [slot]
    );
    open.store.close().await;
}

/// Two exchanges that are declined, told to two leads in a digest each: of
/// the message to `later@` the server wants to hear later.
async fn two_leads(other: &str) -> Shop {
    let shop = Shop::new(FILE_MAIL);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    let two = format!(r#"lead = ["later@example.com", "{other}"]"#);
    let config = config.replace(r#"lead = ["lead@example.com"]"#, &two);
    shop.write("warrantyd.toml", config);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let rows = "C-1,U-1,exchange,2025-12-20T09:00:00Z,,,,,,,\n\
                C-2,U-1,exchange,2025-12-20T09:00:00Z,,,,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{rows}"))])
        .await;
    shop.enforce(named("2025-12-20T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-12-20T10:00:00Z")).await.unwrap();
    shop.execute(
        "UPDATE messages SET state = 'ready', sent_at = NULL, tries = 1, answer = '451 later', \
         next_try_at = composed_at + 300000000 WHERE recipient = 'later@example.com'; \
         UPDATE notices SET disposition = 'queued' WHERE audience = 'lead' AND NOT EXISTS ( \
            SELECT 1 FROM message_notices AS c JOIN messages AS m ON m.id = c.message_id \
             WHERE c.notice_id = notices.id AND m.state = 'sent')",
    )
    .await;
    fs::remove_dir_all(shop.path("outbox")).unwrap();
    shop
}

/// What was withdrawn was never true.
async fn withdraw_first(shop: &Shop) {
    let columns = "claim_ref,unit_ref,type,opened_at,withdrawn\n";
    let row = "C-1,U-1,exchange,2025-12-20T09:00:00Z,true\n";
    shop.import(&[("claims.csv", format!("{columns}{row}"))])
        .await;
    shop.enforce(named("2025-12-20T11:00:00Z")).await.unwrap();
}

const MESSAGES: &str = "SELECT recipient, state, (SELECT string_agg(ref, ' ') FROM ( \
         SELECT n.ref FROM message_notices AS c JOIN notices AS n ON n.id = c.notice_id \
          WHERE c.message_id = messages.id ORDER BY n.ref) AS carried) \
    FROM messages WHERE audience = 'lead' ORDER BY id";

#[tokio::test]
async fn what_still_stands_of_a_digest_goes_to_the_one_who_waits_for_it() {
    for other in ["gone@example.invalid", "lead@example.com"] {
        let shop = two_leads(other).await;
        withdraw_first(&shop).await;
        shop.deliver(named("2025-12-20T11:00:00Z")).await.unwrap();
        let state = match other.ends_with("invalid") {
            true => "failed",
            false => "sent",
        };
        let found = shop.rows(MESSAGES).await;
        let expected = [
            format!("{other}|{state}|C-1 C-2"),
            "later@example.com|dropped|-".to_owned(),
        ];
        for line in expected {
            assert!(found.contains(&line), "{line}: {found:?}");
        }
        // A digest with what is new, or alone.
        let is_again =
            |row: &String| row.starts_with("later@example.com|sent|") && row.contains("C-2");
        assert!(found.iter().any(is_again), "{found:?}");
        let second = "SELECT disposition FROM notices WHERE ref = 'C-2' AND audience = 'lead'";
        assert_eq!(shop.rows(second).await, ["sent"], "{other}");
    }
}

#[tokio::test]
async fn an_uncertain_copy_keeps_no_other_from_being_sent() {
    let shop = two_leads("other@example.com").await;
    shop.execute(
        "UPDATE messages SET state = 'ready', sent_at = NULL, next_try_at = composed_at \
          WHERE recipient = 'other@example.com'; \
         UPDATE messages SET state = 'uncertain', next_try_at = NULL, maybe_taken = TRUE \
          WHERE recipient = 'later@example.com'; \
         UPDATE notices SET disposition = 'queued' WHERE audience = 'lead'",
    )
    .await;
    shop.deliver(named("2025-12-20T10:01:00Z")).await.unwrap();
    let states = "SELECT recipient, state FROM messages WHERE audience = 'lead' ORDER BY 1";
    assert_eq!(
        shop.rows(states).await,
        ["later@example.com|uncertain", "other@example.com|sent"]
    );
}

#[tokio::test]
async fn a_failed_copy_is_tried_again_though_another_was_sent() {
    let shop = two_leads("gone@example.invalid").await;
    shop.deliver(named("2025-12-20T10:30:00Z")).await.unwrap();
    let failed = "SELECT id FROM messages WHERE state = 'failed'";
    let id = shop.rows(failed).await.remove(0);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write(
        "warrantyd.toml",
        config.replace("gone@example.invalid", "back@example.com"),
    );
    shop.run_to(0, &["mail", "retry", &id]);
    fs::remove_dir_all(shop.path("outbox")).unwrap();
    shop.deliver(named("2025-12-20T10:35:00Z")).await.unwrap();
    let found = shop.rows(MESSAGES).await;
    assert!(
        found.contains(&"back@example.com|sent|C-1 C-2".to_owned()),
        "{found:?}"
    );
    assert_eq!(subjects(&shop).len(), 1, "{found:?}");
    let lead = "SELECT DISTINCT disposition FROM notices WHERE audience = 'lead'";
    assert_eq!(shop.rows(lead).await, ["sent"]);
}

#[tokio::test]
async fn a_message_that_waits_follows_the_customer_to_another_address() {
    let shop = Shop::new(NO_SERVER);
    repair(&shop).await;
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    let [(name, orders), _] = one_unit("2025-01-05T10:00:00Z");
    let orders = orders.replace("ada@example.com", "ada@example.org");
    shop.import(&[(name, orders)]).await;
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(NO_SERVER, FILE_MAIL));
    shop.deliver(named("2025-06-20T10:10:00Z")).await.unwrap();
    let messages = "SELECT recipient, state FROM messages ORDER BY id";
    assert_eq!(
        shop.rows(messages).await,
        ["ada@example.com|dropped", "ada@example.org|sent"]
    );
}

#[tokio::test]
async fn a_message_that_a_run_died_over_long_ago_is_sent_again() {
    let shop = Shop::new(NO_SERVER);
    repair(&shop).await;
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    shop.execute("UPDATE messages SET state = 'sending', lease_until = 0")
        .await;
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(NO_SERVER, FILE_MAIL));
    shop.deliver(named("2025-06-25T10:00:00Z")).await.unwrap();
    let state = "SELECT state FROM messages WHERE kind = 'notices'";
    assert_eq!(shop.rows(state).await, ["sent"]);
}

#[tokio::test]
async fn a_case_that_cannot_be_evaluated_keeps_no_other_from_being_told() {
    let shop = two_leads("other@example.com").await;
    let order = "O-2,K-2,Bea,bea@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}U-2,O-2,Lamp,hardware,,\n")),
    ])
    .await;
    // C-2 goes to another order, whose row nobody can read.
    shop.execute(
        "UPDATE claims SET unit_id = (SELECT id FROM units WHERE unit_ref = 'U-2') \
          WHERE claim_ref = 'C-2'; \
         UPDATE notices SET order_id = (SELECT id FROM orders WHERE order_ref = 'O-2') \
          WHERE ref = 'C-2'; \
         UPDATE orders SET currency = 'nonsense' WHERE order_ref = 'O-2'",
    )
    .await;
    shop.deliver(named("2025-12-20T11:00:00Z")).await.unwrap();
    let found = shop.rows(MESSAGES).await;
    for line in ["later@example.com|dropped|-", "later@example.com|sent|C-1"] {
        assert!(found.contains(&line.to_owned()), "{line}: {found:?}");
    }
}

#[tokio::test]
async fn a_second_deliver_on_sqlite_leaves_the_work_to_the_first() {
    let shop = Shop::on(Engine::Sqlite, FILE_MAIL);
    repair(&shop).await;
    let open = shop.open().await;
    let first = open.store.job_lock("deliver").await.unwrap();
    assert!(first.is_some());
    let second = shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    assert_eq!((second.get("skipped"), second.get("sent")), (1, 0));
    drop(first);
    let next = shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    assert_eq!(next.get("sent"), 1);
    open.store.close().await;
}

#[tokio::test]
async fn answers_are_kept_though_the_next_messages_cannot_be_taken() {
    let shop = customers(&["ada", "bea", "cleo", "dora"]).await;
    configure(&shop, NO_SERVER);
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    shop.execute("UPDATE messages SET kind = 'nonsense' WHERE recipient = 'cleo@example.com'")
        .await;
    configure(&shop, FILE_MAIL);
    let error = shop.deliver(named("2025-06-05T10:10:00Z")).await;
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("nonsense"), "{error}");
    assert_eq!(
        shop.rows(STATES).await,
        [
            "ada@example.com|sent|1",
            "bea@example.com|sent|1",
            "cleo@example.com|ready|0",
            "dora@example.com|ready|0"
        ]
    );
}
