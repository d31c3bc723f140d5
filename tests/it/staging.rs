//! What keeps mail from going out as it is: trials, limits; and what its head
//! says of answers.

use std::fs;

use mail_parser::MessageParser;

use crate::deliver::{STATES, Server, bytes, configure, customers, mail, recipients, taken};
use crate::shop::{CLAIMS, FILE_MAIL, ORDERS, Shop, UNITS, named, one_unit};

#[tokio::test]
async fn all_messages_go_to_one_and_say_whose_they_are() {
    let shop = customers(&["ada", "bob"]).await;
    let server = Server::start(&shop, &[]);
    let redirect = "redirect_all_to = \"trial@example.org\"\n";
    configure(&shop, &mail(server.port, redirect));
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    server.stop();
    assert_eq!(recipients(&shop), ["trial@example.org"; 2]);
    for (nth, name) in [(1, "ada@example.com"), (2, "bob@example.com")] {
        let raw = String::from_utf8(bytes(&shop, nth)).unwrap();
        let line = format!("X-Warrantyd-Recipient: {name}\r\n");
        assert!(raw.starts_with(&line), "{raw}");
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some(name));
    }
    let expected = ["ada@example.com|sent|1", "bob@example.com|sent|1"];
    assert_eq!(shop.rows(STATES).await, expected);
    let notices = "SELECT DISTINCT disposition FROM notices";
    assert_eq!(shop.rows(notices).await, ["sent"]);
}

#[tokio::test]
async fn messages_to_other_domains_are_held_until_they_are_allowed() {
    let shop = Shop::new("");
    let row = "2025-01-01,2025-01-05T10:00:00Z,EUR,100.00";
    let orders = format!(
        "{ORDERS}O-1,K-1,Ada,ada@EXAMPLE.com,{row}\nO-2,K-2,Bob,bob@example.org,{row}\n\
         O-3,K-3,Cyd,cyd@sub.example.com,{row}\n"
    );
    let units = format!(
        "{UNITS}U-1,O-1,Lamp,hardware,,\nU-2,O-2,Lamp,hardware,,\nU-3,O-3,Lamp,hardware,,\n"
    );
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    configure(
        &shop,
        &format!("{FILE_MAIL}allow_domains = [\"example.com\"]\n"),
    );
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!((done.get("sent"), done.get("held")), (1, 2));
    let states = "SELECT recipient, state, tries FROM messages ORDER BY recipient";
    let expected = [
        "ada@EXAMPLE.com|sent|1",
        "bob@example.org|held|0",
        "cyd@sub.example.com|held|0",
    ];
    assert_eq!(shop.rows(states).await, expected);
    let notices = "SELECT ref, disposition FROM notices ORDER BY ref";
    let queued = ["U-1|sent", "U-2|queued", "U-3|queued"];
    assert_eq!(shop.rows(notices).await, queued);
    // Once more: they are held, and in no second message.
    shop.deliver(named("2025-06-05T11:00:00Z")).await.unwrap();
    assert_eq!(shop.rows(states).await, expected);
    let listed = shop.run_to(0, &["mail", "list", "--state", "held"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("bob@example.org"), "{listed}");
    // Meanwhile one of them lost its reason.
    shop.import(&[(
        "units.csv",
        format!("{UNITS}U-3,O-3,Lamp,hardware,2025-02-05,\n"),
    )])
    .await;
    configure(
        &shop,
        &format!("{FILE_MAIL}allow_domains = [\"example.org\", \"sub.example.com\"]\n"),
    );
    shop.deliver(named("2025-06-05T12:00:00Z")).await.unwrap();
    let expected = [
        "ada@EXAMPLE.com|sent|1",
        "bob@example.org|sent|1",
        "cyd@sub.example.com|dropped|0",
    ];
    assert_eq!(shop.rows(states).await, expected);
}

#[tokio::test]
async fn what_is_redirected_is_held_by_where_it_goes() {
    let shop = customers(&["ada"]).await;
    let both = "redirect_all_to = \"trial@example.org\"\nallow_domains = [\"example.org\"]\n";
    configure(&shop, &format!("{FILE_MAIL}{both}"));
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!((done.get("sent"), done.get("held")), (1, 0));
}

/// A customer whose units come to their ends on three days in a row, told 30
/// days before.
async fn three_days() -> Shop {
    let shop = Shop::new("");
    let row = "2025-01-01,2025-01-05T10:00:00Z,EUR,100.00";
    let orders = format!("{ORDERS}O-1,K-1,Ada,ada@example.com,{row}\n");
    let units = ["05", "06", "07"]
        .map(|day| format!("U-{day},O-1,Lamp,hardware,2025-01-{day}T10:00:00Z,\n"));
    let units = format!("{UNITS}{}", units.concat());
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    shop
}

const TRIED: &str = "SELECT state, tries, coalesce(counted_on, '') FROM messages ORDER BY id";

#[tokio::test]
async fn what_is_more_than_a_customer_gets_in_a_day_waits_for_the_next() {
    let shop = three_days().await;
    configure(&shop, &format!("{FILE_MAIL}max_per_day = 1\n"));
    for (now, expected) in [
        ("2025-06-05T09:00:00Z", vec!["sent|1|2025-06-05"]),
        // The second day's waits for nothing.
        (
            "2025-06-06T09:00:00Z",
            vec!["sent|1|2025-06-05", "sent|1|2025-06-06"],
        ),
    ] {
        shop.enforce(named(now)).await.unwrap();
        shop.deliver(named(now)).await.unwrap();
        assert_eq!(shop.rows(TRIED).await, expected, "{now}");
    }
    // A claim on the same day is one more.
    let claim = "C-1,U-05,repair,2025-06-06T10:00:00Z,,,2025-06-06T10:00:00Z,,,,\n";
    shop.import(&[("claims.csv", format!("{CLAIMS}{claim}"))])
        .await;
    for (now, expected) in [
        ("2025-06-06T11:00:00Z", "ready|0|"),
        ("2025-06-06T19:59:00Z", "ready|0|"),
        // Out of hours.
        ("2025-06-07T00:00:00Z", "ready|0|"),
        ("2025-06-07T08:00:00Z", "sent|1|2025-06-07"),
    ] {
        shop.enforce(named(now)).await.unwrap();
        shop.deliver(named(now)).await.unwrap();
        let found = shop.rows(TRIED).await;
        assert_eq!(found[2], expected, "{now}");
    }
    // The third day's reminder was found on that day, too, and comes after it.
    let found = shop.rows(TRIED).await;
    assert_eq!(found[3..], ["ready|0|"]);
    let why = "SELECT answer, next_try_at FROM messages WHERE state = 'ready'";
    let midnight = crate::shop::at("2025-06-08T00:00:00Z").timestamp_micros();
    let expected = format!("put off to the next day: mail.max_per_day|{midnight}");
    assert_eq!(shop.rows(why).await, [expected]);
}

#[tokio::test]
async fn several_messages_of_one_run_are_counted_and_those_inside_are_not() {
    let shop = Shop::new("");
    let row = "2025-01-01,2025-01-05T10:00:00Z,EUR,100.00";
    let orders = format!("{ORDERS}O-1,K-1,Ada,lead@example.com,{row}\n");
    let units: String = (0..70)
        .map(|n| format!("U-{n},O-1,Lamp,hardware,,\n"))
        .collect();
    // The lead, who is a customer as well, is told of a decline.
    let claim = "C-1,U-1,exchange,2025-06-04T09:00:00Z,,,,2025-06-05T09:00:00Z,seal_broken,,\n";
    shop.import(&[
        ("orders.csv", orders),
        ("units.csv", format!("{UNITS}{units}")),
        ("claims.csv", format!("{CLAIMS}{claim}")),
    ])
    .await;
    let now = "2025-06-05T10:00:00Z";
    shop.enforce(named(now)).await.unwrap();
    configure(&shop, &format!("{FILE_MAIL}max_per_day = 2\n"));
    shop.deliver(named(now)).await.unwrap();
    let states = "SELECT audience, state, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1, 2";
    let expected = ["customer|ready|1", "customer|sent|2", "lead|sent|1"];
    assert_eq!(shop.rows(states).await, expected);
    shop.deliver(named("2025-06-06T10:00:00Z")).await.unwrap();
    let ready = "SELECT count(*) FROM messages WHERE state = 'ready' AND audience = 'customer'";
    assert_eq!(shop.rows(ready).await, ["0"]);
}

#[tokio::test]
async fn no_more_are_handed_over_in_a_minute() {
    let shop = customers(&["ada", "bob", "cyd"]).await;
    let server = Server::start(&shop, &[]);
    configure(
        &shop,
        &mail(server.port, "sessions = 2\nmax_per_minute = 2\n"),
    );
    let at = ["run", "deliver", "--at", "2025-06-05T10:00:00Z"];
    let mut child = shop.command(&at).spawn().unwrap();
    // The third waits in a session of its own while these are answered.
    let sent = "SELECT count(*) FROM messages WHERE state = 'sent'";
    shop.until(sent, &["2"]).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(taken(&shop).len(), 2);
    server.stop();
}

/// The heads of the messages in the outbox, by recipient.
fn heads(shop: &Shop) -> Vec<(String, String)> {
    let dir = fs::read_dir(shop.path("outbox")).unwrap();
    let head = |path| {
        let raw = fs::read(path).unwrap();
        let parsed = MessageParser::default().parse(&raw).unwrap();
        let to = parsed.to().unwrap().first().unwrap().address().unwrap();
        let text = String::from_utf8(raw.clone()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        (to.to_owned(), head.replace("\r\n ", " "))
    };
    let mut heads: Vec<_> = dir.map(|entry| head(entry.unwrap().path())).collect();
    heads.sort();
    heads
}

#[tokio::test]
async fn reminders_alone_say_how_to_get_no_more_and_answers_go_where_they_belong() {
    let settings = format!(
        "{FILE_MAIL}reply_to = \"service@example.com\"\nreply_to_inside = \"it@example.com\"\n\
         unsubscribe_to = \"stop@example.com\"\n\
         unsubscribe_url = \"https://shop.example.com/stop/{{id}}\"\n"
    );
    for has_claim in [false, true] {
        let shop = Shop::new(&settings);
        let [orders, units] = one_unit("2025-01-05T10:00:00Z");
        let claim = match has_claim {
            true => {
                "C-1,U-1,repair,2025-06-05T09:00:00Z,,,2025-06-05T09:00:00Z,,,,\n\
                     C-2,U-1,exchange,2025-06-05T09:00:00Z,,,,2025-06-05T09:00:00Z,seal_broken,,\n"
            }
            false => "",
        };
        shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{claim}"))])
            .await;
        let now = named("2025-06-05T10:00:00Z");
        shop.enforce(now).await.unwrap();
        shop.deliver(now).await.unwrap();
        let heads = heads(&shop);
        let (to, customers) = &heads[0];
        assert_eq!(to, "ada@example.com");
        assert!(
            customers.contains("Reply-To: service@example.com"),
            "{customers}"
        );
        let id = shop
            .rows("SELECT message_id FROM messages WHERE audience = 'customer'")
            .await
            .remove(0);
        let (id, _) = id[1..].split_once('@').unwrap();
        let ways = format!(
            "List-Unsubscribe: <mailto:stop@example.com?subject=unsubscribe%20{id}>, \
             <https://shop.example.com/stop/{id}>"
        );
        for line in [
            ways.as_str(),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "Precedence: bulk",
        ] {
            // A digest with the start of a repair is no reminder.
            assert_eq!(customers.contains(line), !has_claim, "{line}: {customers}");
        }
        for (to, head) in &heads[1..] {
            assert_eq!(to, "lead@example.com");
            assert!(head.contains("Reply-To: it@example.com"), "{head}");
            assert!(!head.contains("List-Unsubscribe"), "{head}");
        }
        assert_eq!(heads.len(), 1 + usize::from(has_claim));
    }
}
