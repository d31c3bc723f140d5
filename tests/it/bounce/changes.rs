//! What a report changes, and what it does not.

use std::fs;

use warrantyd::jobs::{self, ReportRequest, Taken};
use warrantyd::report::{By, Dialect, Format, ReportName};
use warrantyd::store::BounceKind::{Hard, Noted, Soft};

use super::{ADA, about, sample};
use crate::outbox::NO_SERVER;
use crate::shop::{
    CLAIMS, Engine, FILE_MAIL, ORDERS, Shop, UNITS, assert_same, at, named, one_unit,
};

/// A shop whose warranty letters fall due on 5 June, 28 June and 4 July 2025;
/// the first is sent.
async fn shop() -> Shop {
    let shop = Shop::new(FILE_MAIL);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    run(&shop, "2025-06-05T09:00:00Z").await;
    assert_eq!(notices(&shop).await, ["-30d|customer|sent"]);
    shop
}

async fn run(shop: &Shop, time: &str) {
    shop.enforce(named(time)).await.unwrap();
    shop.deliver(named(time)).await.unwrap();
}

async fn notices(shop: &Shop) -> Vec<String> {
    let sql = "SELECT step, audience, disposition FROM notices ORDER BY id";
    shop.rows(sql).await
}

async fn messages(shop: &Shop) -> Vec<String> {
    let sql = "SELECT kind, audience, recipient, state FROM messages ORDER BY id";
    shop.rows(sql).await
}

async fn bounce_at(shop: &Shop, text: &str, now: &str) -> Taken {
    let open = shop.open().await;
    let taken = jobs::bounce(&open, text.as_bytes(), at(now)).await.unwrap();
    open.store.close().await;
    taken
}

async fn bounce(shop: &Shop, text: &str) -> Taken {
    bounce_at(shop, text, "2025-06-05T09:05:00Z").await
}

async fn exceptions(shop: &Shop, time: &str) -> Vec<String> {
    let open = shop.open().await;
    let request = ReportRequest {
        name: ReportName::Exceptions,
        at: at(time),
        known_at: None,
        from: None,
        to: None,
        by: By::Started,
        days: jobs::UPCOMING_DAYS,
        format: Format::Csv(Dialect::default()),
    };
    let written = shop.path("exceptions.csv");
    let file = fs::File::create(&written).unwrap();
    jobs::one_report(&open, request, file).await.unwrap();
    open.store.close().await;
    let text = fs::read_to_string(written).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("undeliverable"));
    lines.map(str::to_owned).collect()
}

/// The words of the newest message.
async fn newest(shop: &Shop) -> String {
    let sql = "SELECT raw FROM message_bodies ORDER BY message_id DESC LIMIT 1";
    let raw = shop.rows(sql).await.remove(0);
    let mail = mail_parser::MessageParser::default();
    let mail = mail.parse(raw.as_bytes()).unwrap();
    let text = mail
        .body_text(0)
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    format!("{}: {text}", mail.subject().unwrap())
}

#[tokio::test]
async fn an_address_that_is_gone_gets_no_more_mail_and_the_lead_is_told_once() {
    let shop = shop().await;
    let report = about(&shop, "postfix-unknown", 1).await;
    assert_eq!(bounce(&shop, &report).await, Taken::Recorded(Hard));
    // The message tells the truth.
    assert_eq!(notices(&shop).await, ["-30d|customer|failed"]);
    let told = "SELECT state, refused, answer FROM messages WHERE id = 1";
    let answer = "came back: 550 5.1.1 <address> Recipient address rejected: User unknown in \
                  virtual mailbox table";
    assert_eq!(shop.rows(told).await, [format!("failed|1|{answer}")]);
    let lead = [
        "notices|customer|ada@example.com|failed",
        "ops|lead|lead@example.com|ready",
    ];
    assert_eq!(messages(&shop).await, lead);
    let letter = newest(&shop).await;
    for expected in [
        "Mail to customer K-1 comes back:",
        "(status 5.1.1)",
        "unit U-1.",
        "warrantyd mail retry 1",
    ] {
        assert!(letter.contains(expected), "{letter}");
    }
    assert!(!letter.contains(ADA) && !letter.contains("Ada"), "{letter}");
    // The same report again, and another of the same message.
    let before = shop.dump(&[]).await;
    assert_eq!(bounce(&shop, &report).await, Taken::Known);
    assert_same(&shop.dump(&[]).await, &before, "read twice");
    let other = about(&shop, "exim", 1).await;
    assert_eq!(bounce(&shop, &other).await, Taken::Recorded(Hard));
    assert_eq!(messages(&shop).await.len(), 2);
    // What comes due next is in no message, and in the report by its reference.
    run(&shop, "2025-06-28T09:00:00Z").await;
    let both = ["-30d|customer|failed", "-7d|customer|failed"];
    assert_eq!(notices(&shop).await, both);
    let lead = [
        "notices|customer|ada@example.com|failed",
        "ops|lead|lead@example.com|sent",
    ];
    assert_eq!(messages(&shop).await, lead);
    assert_eq!(
        exceptions(&shop, "2025-06-28T09:00:00Z").await,
        [
            "undeliverable_address,unit,U-1,mail for the customer was refused for good",
            "undeliverable_address,unit,U-1,no address of the customer takes mail: not sent",
        ]
    );
}

#[tokio::test]
async fn every_server_s_report_of_an_unknown_user_marks_the_address() {
    for name in [
        "rfc3464-several",
        "sendmail",
        "exim-text",
        "qmail",
        "exchange-text",
        "office365",
    ] {
        let shop = shop().await;
        let report = about(&shop, name, 1).await;
        assert_eq!(
            bounce(&shop, &report).await,
            Taken::Recorded(Hard),
            "{name}"
        );
        assert_eq!(notices(&shop).await, ["-30d|customer|failed"], "{name}");
    }
}

#[tokio::test]
async fn an_address_that_works_again_gets_what_is_still_true() {
    let shop = shop().await;
    let report = about(&shop, "postfix-unknown", 1).await;
    bounce(&shop, &report).await;
    run(&shop, "2025-06-28T09:00:00Z").await;
    shop.run_to(0, &["mail", "retry", "1"]);
    run(&shop, "2025-06-28T09:05:00Z").await;
    assert_eq!(
        notices(&shop).await,
        ["-30d|customer|superseded", "-7d|customer|sent"]
    );
    assert_eq!(
        messages(&shop).await[2],
        "notices|customer|ada@example.com|sent"
    );
    assert_eq!(exceptions(&shop, "2025-06-28T09:05:00Z").await, [""; 0]);
    // A late report on what was tried again changes nothing; one on what was
    // sent since does, and the lead is told again.
    let late = about(&shop, "exim", 1).await;
    assert!(matches!(bounce(&shop, &late).await, Taken::LeftAlone(_)));
    let anew = about(&shop, "exim", 3).await;
    assert_eq!(bounce(&shop, &anew).await, Taken::Recorded(Hard));
    assert_eq!(messages(&shop).await[3], "ops|lead|lead@example.com|ready");
}

#[tokio::test]
async fn mail_goes_to_a_new_address() {
    let shop = shop().await;
    let report = about(&shop, "postfix-unknown", 1).await;
    bounce(&shop, &report).await;
    let order = "O-1,K-1,Ada,ada@new.example,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    shop.import(&[("orders.csv", format!("{ORDERS}{order}"))])
        .await;
    run(&shop, "2025-06-28T09:00:00Z").await;
    assert_eq!(
        notices(&shop).await,
        ["-30d|customer|failed", "-7d|customer|sent"]
    );
    assert_eq!(
        messages(&shop).await[2],
        "notices|customer|ada@new.example|sent"
    );
}

#[tokio::test]
async fn a_full_mailbox_costs_one_message_and_not_the_address() {
    let shop = shop().await;
    let report = about(&shop, "postfix-full", 1).await;
    assert_eq!(bounce(&shop, &report).await, Taken::Recorded(Soft));
    assert_eq!(notices(&shop).await, ["-30d|customer|failed"]);
    run(&shop, "2025-06-28T09:00:00Z").await;
    assert_eq!(
        notices(&shop).await,
        ["-30d|customer|failed", "-7d|customer|sent"]
    );
    // Nobody is told.
    let sent = [
        "notices|customer|ada@example.com|failed",
        "notices|customer|ada@example.com|sent",
    ];
    assert_eq!(messages(&shop).await, sent);
}

#[tokio::test]
async fn what_proves_nothing_is_counted() {
    let shop = shop().await;
    let before = shop.dump(&["bounces"]).await;
    let mut texts = Vec::new();
    for name in [
        "postfix-delayed",
        "exim-delayed",
        "postfix-forwarded",
        "no-original",
    ] {
        texts.push(about(&shop, name, 1).await);
    }
    // Bob's address, beside the Message-ID that Ada has.
    let forged = about(&shop, "postfix-unknown", 1).await;
    texts.push(forged.replace(ADA, "bob@example.com").replace("A1@", "B1@"));
    for text in &texts {
        assert_eq!(bounce(&shop, text).await, Taken::Recorded(Noted), "{text}");
        assert_eq!(bounce(&shop, text).await, Taken::Known, "{text}");
    }
    assert_same(&shop.dump(&["bounces"]).await, &before, "proved nothing");
    let counted = "SELECT count(*), count(DISTINCT message_id) FROM bounces WHERE kind = 'noted'";
    assert_eq!(shop.rows(counted).await, ["5|1"]);
    // Longer ago than anybody tries.
    let unproven = sample("no-original");
    let later = unproven.replace("A9@", "B9@");
    let later = bounce_at(&shop, &later, "2025-06-13T09:00:00Z").await;
    assert_eq!(later, Taken::LeftAlone("a report on mail that is not ours"));
    // Read again after another message to the same address.
    run(&shop, "2025-06-28T09:00:00Z").await;
    let again = bounce_at(&shop, &unproven, "2025-06-28T09:05:00Z").await;
    assert_eq!(again, Taken::Known);
}

#[tokio::test]
async fn mail_that_goes_round_in_a_circle_is_counted_up_to_a_limit() {
    let shop = shop().await;
    let late = about(&shop, "postfix-delayed", 1).await;
    let unproven = sample("no-original");
    for n in 0..30 {
        // Another report each time.
        for text in [&late, &unproven] {
            let text = text.replacen("Message-Id: <", &format!("Message-Id: <round-{n}-"), 1);
            assert!(text.contains("round-"), "{text}");
            let expected = match 2 * n < 20 {
                true => Taken::Recorded(Noted),
                false => Taken::Known,
            };
            assert_eq!(bounce(&shop, &text).await, expected, "{n}");
        }
    }
    let counted = "SELECT message_id, kind, count(*) FROM bounces GROUP BY 1, 2";
    assert_eq!(shop.rows(counted).await, ["1|noted|20"]);
    // What changes something is still heard.
    let gone = about(&shop, "postfix-unknown", 1).await;
    assert_eq!(bounce(&shop, &gone).await, Taken::Recorded(Hard));
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let shop = shop().await;
    let before = shop.dump(&[]).await;
    for name in [
        "vacation",
        "autoreply",
        "challenge",
        "person",
        "receipt",
        "complaint",
        "delivered",
    ] {
        let text = about(&shop, name, 1).await;
        assert!(
            matches!(bounce(&shop, &text).await, Taken::LeftAlone(_)),
            "{name}"
        );
    }
    // A message that this shop never wrote, to somebody that it never wrote to.
    let foreign = sample("postfix-unknown").replace(ADA, "eve@example.org");
    let expected = Taken::LeftAlone("a report on mail that is not ours");
    assert_eq!(bounce(&shop, &foreign).await, expected);
    assert!(matches!(
        bounce(&shop, "\0\u{ff}").await,
        Taken::LeftAlone(_)
    ));
    assert_same(&shop.dump(&[]).await, &before, "left alone");
}

#[tokio::test]
async fn a_report_that_comes_before_the_server_s_answer_waits_for_it() {
    let shop = shop().await;
    shop.execute("UPDATE messages SET state = 'sending'").await;
    let report = about(&shop, "postfix-unknown", 1).await;
    let before = shop.dump(&[]).await;
    assert_eq!(bounce(&shop, &report).await, Taken::Later);
    assert_same(&shop.dump(&[]).await, &before, "put off");
    shop.execute("UPDATE messages SET state = 'uncertain', maybe_taken = TRUE")
        .await;
    shop.execute("UPDATE notices SET disposition = 'held'")
        .await;
    assert_eq!(bounce(&shop, &report).await, Taken::Recorded(Hard));
    assert_eq!(notices(&shop).await, ["-30d|customer|failed"]);
}

#[tokio::test]
async fn what_waits_for_an_address_that_is_gone_is_taken_back() {
    let shop = shop().await;
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write("warrantyd.toml", config.replace(FILE_MAIL, NO_SERVER));
    run(&shop, "2025-06-28T09:00:00Z").await;
    let report = about(&shop, "postfix-unknown", 1).await;
    bounce(&shop, &report).await;
    shop.write("warrantyd.toml", config);
    run(&shop, "2025-06-28T10:00:00Z").await;
    assert_eq!(
        notices(&shop).await,
        ["-30d|customer|failed", "-7d|customer|failed"]
    );
    let dropped = "SELECT count(*) FROM messages WHERE state = 'dropped'";
    assert_eq!(shop.rows(dropped).await, ["1"]);
}

#[tokio::test]
async fn others_of_an_audience_are_told_in_place_of_one_who_is_gone() {
    let shop = Shop::new(FILE_MAIL);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    let two = r#"lead = ["ada@example.com", "lead@example.com"]"#;
    let config = config.replace(r#"lead = ["lead@example.com"]"#, two);
    shop.write("warrantyd.toml", config);
    let orders = "O-1,K-1,Bob,bob@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    let declined = |name| format!("{name},U-1,exchange,2025-12-20T09:00:00Z,,,,,,,\n");
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{orders}")),
        ("units.csv", format!("{UNITS}U-1,O-1,Lamp,hardware,,\n")),
        ("claims.csv", format!("{CLAIMS}{}", declined("C-1"))),
    ])
    .await;
    run(&shop, "2025-12-20T10:00:00Z").await;
    let report = about(&shop, "postfix-unknown", 1).await;
    let now = "2025-12-20T10:05:00Z";
    assert_eq!(bounce_at(&shop, &report, now).await, Taken::Recorded(Hard));
    let lead = "SELECT disposition FROM notices WHERE audience = 'lead' ORDER BY id";
    // The other one was told, and is told of it.
    assert_eq!(shop.rows(lead).await, ["sent"]);
    let told = "SELECT recipient FROM messages WHERE kind = 'ops'";
    assert_eq!(shop.rows(told).await, ["lead@example.com"]);
    assert!(
        newest(&shop)
            .await
            .contains("Mail to ada@example.com comes back")
    );
    shop.import(&[("claims.csv", format!("{CLAIMS}{}", declined("C-2")))])
        .await;
    run(&shop, "2025-12-20T11:00:00Z").await;
    assert_eq!(shop.rows(lead).await, ["sent", "sent"]);
    let of_ada = "SELECT count(*) FROM messages WHERE recipient = 'ada@example.com'";
    assert_eq!(shop.rows(of_ada).await, ["1"]);
}

#[tokio::test]
async fn reports_move_to_another_engine() {
    let (from, to) = (
        Shop::on(Engine::Sqlite, FILE_MAIL),
        Shop::on(Engine::Postgres, ""),
    );
    from.import(&one_unit("2025-01-05T10:00:00Z")).await;
    run(&from, "2025-06-05T09:00:00Z").await;
    let report = about(&from, "postfix-unknown", 1).await;
    bounce(&from, &report).await;
    let open = from.open().await;
    jobs::copy_to(&open, &to.database(), &mut |_| {})
        .await
        .unwrap();
    open.store.close().await;
    let kept = "SELECT address, kind, status, lifted_at FROM bounces";
    assert_eq!(to.rows(kept).await, ["ada@example.com|hard|5.1.1|-"]);
}
