//! Who gets which list, and in which order.

use std::collections::BTreeMap;
use std::fs;

use mail_parser::MessageParser;
use warrantyd::jobs::{self, Outcome, When};
use warrantyd::policy::STANDARD;

use crate::shop::{FILE_MAIL, ORDERS, Shop, UNITS, at, in_pieces, many_units, named};

const CLAIMS: &str = "claim_ref,unit_ref,type,opened_at,assignee_email,received_at,repaired_at,\
                      unrepairable_at,returned_at,closed_at\n";

/// A claim on a unit of its own: its name, the order, and the cells after the
/// unit's.
const FACTS: [(&str, &str, &str); 11] = [
    (
        "C-due-9",
        "O-1",
        "repair,2025-02-17,Tom@example.com,2025-02-17,,,,",
    ),
    (
        "C-late-1",
        "O-1",
        "repair,2025-02-07,tom@example.com,2025-02-07,,,,",
    ),
    (
        "C-late-10",
        "O-2",
        "repair,2025-01-29,tom@example.com,2025-01-29,,,,",
    ),
    (
        "C-today",
        "O-1",
        "repair,2025-02-08,tom@example.com,2025-02-08,,,,",
    ),
    ("C-nobody", "O-3", "repair,2025-02-20,,2025-02-20,,,,"),
    ("C-held", "O-3", "repair,2025-02-10,,2025-02-10,,,,"),
    ("C-lapsed", "O-3", "refund,2025-02-12,ann@example.com,,,,,"),
    (
        "C-paused",
        "O-3",
        "repair,2025-02-15,ann@example.com,2025-02-15,,,,",
    ),
    (
        "C-owed",
        "O-3",
        "refund,2025-02-12,ann@example.com,,,2025-02-14,2025-02-20,",
    ),
    (
        "C-done",
        "O-3",
        "repair,2025-02-01,eve@example.com,2025-02-01,2025-02-03,,,",
    ),
    (
        "C-closed",
        "O-3",
        "repair,2025-02-01,eve@example.com,2025-02-01,,,,2025-02-05",
    ),
];

/// A Friday.
const FRIDAY: &str = "2025-02-28T07:00:00Z";

/// Each list of that Friday: to whom, and its lines in order.
const LISTS: [(&str, &[&str]); 4] = [
    (
        "ann@example.com",
        &[
            "Claim C-lapsed, order O-3: 9 days late",
            "Claim C-paused, order O-3: paused",
        ],
    ),
    (
        "finance@example.com",
        &[
            "Claim C-owed, order O-3: 5 days late",
            "Order O-9: 5 days late",
        ],
    ),
    (
        "lead@example.com",
        &[
            "Claim C-late-10, order O-2: waits for 30 days",
            "Claim C-late-1, order O-1: waits for 21 days",
            "Claim C-today, order O-1: waits for 20 days",
            "Claim C-lapsed, order O-3: waits for 16 days",
            "Claim C-nobody, order O-3: 12 days left",
            "Claim C-held, order O-3: paused",
            "Claim C-due-9, order O-1: waits for 11 days",
            "Claim C-owed, order O-3: waits for 8 days",
        ],
    ),
    (
        "tom@example.com",
        &[
            "Claim C-late-10, order O-2: 10 days late",
            "Claim C-late-1, order O-1: 1 day late",
            "Claim C-today, order O-1: last day today",
            "Claim C-due-9, order O-1: 9 days left",
        ],
    ),
];

async fn shop(more: &str) -> Shop {
    let shop = Shop::new(&format!("{more}[policy]\ndir = \"terms\"\n{FILE_MAIL}"));
    // Repairs stand still while the customer is waited for.
    let (before, after) = STANDARD.split_once("clause = \"4.1\"\n").unwrap();
    fs::create_dir(shop.path("terms")).unwrap();
    let text = format!("{before}clause = \"4.1\"\npause_on_wait = true\n{after}");
    shop.write("terms/standard.toml", text);
    let mut orders = ORDERS.replace("total\n", "total,paid_at,cancelled_at\n");
    let (mut units, mut claims) = (UNITS.to_owned(), CLAIMS.to_owned());
    for order in ["O-1", "O-2", "O-3"] {
        let cells = "Ada,ada@example.com,2025-01-01,2025-01-05,EUR,900.00,2025-01-01,";
        orders += &format!("{order},K-{order},{cells}\n");
    }
    orders += "O-9,K-9,Bob,bob@example.com,2025-02-01,,EUR,50.00,2025-02-01,2025-02-20\n";
    for (name, order, cells) in FACTS {
        // Money back is for who has just received it.
        let received = if cells.starts_with("refund") {
            "2025-02-10"
        } else {
            ""
        };
        units += &format!("U-{name},{order},Lamp,hardware,{received},\n");
        claims += &format!("{name},U-{name},{cells}\n");
    }
    let waits = "claim_ref,from,until\nC-paused,2025-02-20,\nC-held,2025-02-12,\n".to_owned();
    shop.import(&[
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
        ("waits.csv", waits),
    ])
    .await;
    shop
}

async fn run(shop: &Shop, when: When) -> Outcome {
    let open = shop.open().await;
    let outcome = jobs::worklists(&open, when).await.unwrap();
    open.store.close().await;
    outcome
}

/// A mail: its subject, its text without line breaks, its HTML.
struct Mail {
    subject: String,
    text: String,
    html: String,
}

/// Sends what is in the outbox; the mails by their recipients.
async fn delivered(shop: &Shop) -> BTreeMap<String, Mail> {
    shop.deliver(named("2025-03-01T08:00:00Z")).await.unwrap();
    let mut mails = BTreeMap::new();
    for entry in fs::read_dir(shop.path("outbox")).unwrap() {
        let raw = fs::read(entry.unwrap().path()).unwrap();
        let parsed = MessageParser::default().parse(&raw).unwrap();
        let to = parsed.to().and_then(|to| to.first()).unwrap();
        let mail = Mail {
            subject: parsed.subject().unwrap().to_owned(),
            text: parsed.body_text(0).unwrap().replace("\r\n", "\n"),
            html: parsed.body_html(0).unwrap().into_owned(),
        };
        let before = mails.insert(to.address().unwrap().to_lowercase(), mail);
        assert!(before.is_none(), "two mails to one");
    }
    mails
}

/// The lines of a list as its text tells them.
fn lines(mail: &Mail) -> Vec<&str> {
    let heads = mail.text.lines().filter_map(|line| line.strip_prefix("- "));
    let is_line = |line: &&str| line.starts_with("Claim ") || line.starts_with("Order ");
    heads.filter(is_line).collect()
}

#[tokio::test]
async fn everybody_gets_what_they_are_to_do_worst_first() {
    let shop = shop("").await;
    let outcome = run(&shop, named(FRIDAY)).await;
    assert_eq!(outcome.get("composed"), 4, "{outcome:?}");
    let before = shop.dump(&[]).await;
    let again = run(&shop, named(FRIDAY)).await;
    assert_eq!(again.get("composed"), 0, "{again:?}");
    assert_eq!(shop.dump(&[]).await, before);
    let kinds = "SELECT DISTINCT kind FROM messages";
    assert_eq!(shop.rows(kinds).await, ["worklist"]);

    let mails = delivered(&shop).await;
    let found: Vec<&String> = mails.keys().collect();
    assert_eq!(found, LISTS.map(|(to, _)| to));
    for (to, expected) in LISTS {
        let mail = &mails[to];
        assert_eq!(lines(mail), expected, "{}", mail.text);
        let html = in_pieces(&mail.html);
        let mut rest = html.as_str();
        for line in expected {
            let place = rest.find(&format!("<b>{line}</b>"));
            rest = &rest[place.unwrap_or_else(|| panic!("{line}: {}", mail.html))..];
        }
        for part in [&mail.text, &mail.html] {
            for who in ["Ada", "ada@", "Bob", "bob@", "K-9", "K-O"] {
                assert!(!part.contains(who), "{to}: {who}\n{part}");
            }
        }
    }
    let subjects = LISTS.map(|(to, _)| mails[to].subject.as_str());
    assert_eq!(
        subjects,
        [
            "Your claims: 1 to finish, 1 of them late",
            "Refunds to pay: 2, 2 of them late",
            "Waiting for the shop: 8 claims, 4 of them stuck",
            "Your claims: 4 to finish, 2 of them late",
        ]
    );
    let text = |to: &str| mails[to].text.split_whitespace().collect::<Vec<_>>();
    let says = |to: &str, what: &str| {
        let text = text(to).join(" ");
        assert!(text.contains(what), "{what}: {text}");
    };
    says(
        "tom@example.com",
        "hardware repair (section 4.1), last day Tuesday 18 February 2025",
    );
    says("tom@example.com", "a repair takes at most 20 days from");
    says(
        "ann@example.com",
        "Since Thursday 20 February 2025 the customer has",
    );
    says("finance@example.com", "of EUR 50.00 (section 5.2)");
    says("lead@example.com", "No assignee: give it to somebody.");
    says("lead@example.com", "Assignee: tom@example.com");
}

#[tokio::test]
async fn a_long_list_tells_the_worst_and_counts_the_others() {
    let shop = Shop::new(FILE_MAIL);
    shop.import(&many_units(2_000)).await;
    let mut claims = CLAIMS.to_owned();
    for n in 0..2_000 {
        // Every tenth waits a day longer than the others.
        let day = if n % 10 == 0 {
            "2025-02-10"
        } else {
            "2025-02-11"
        };
        claims += &format!("C-{n:04},U-{n},repair,{day},,{day},,,,\n");
    }
    shop.import(&[("claims.csv", claims)]).await;
    assert_eq!(run(&shop, named(FRIDAY)).await.get("composed"), 1);
    let mails = delivered(&shop).await;
    let mail = &mails["lead@example.com"];
    assert!(mail.html.len() < 100_000, "{}", mail.html.len());
    let told = lines(mail);
    assert!(told.len() > 100 && told.len() <= 200, "{}", told.len());
    let is_worst = |line: &&str| line.ends_with(": waits for 18 days");
    assert!(told.iter().all(is_worst), "{told:?}");
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let left_out = format!("{} more are left out", 2_000 - told.len());
    assert!(text.contains(&left_out), "{left_out}: {text}");
}

#[tokio::test]
async fn lists_are_written_on_working_days_and_of_the_time_that_was_named() {
    let shop = shop("").await;
    let saturday = "2025-03-01T07:00:00Z";
    let slot = |time: &str| {
        let job = jobs::job(warrantyd::config::JobName::Worklists);
        When::of_slot(job, at(time), at(time), at(time))
    };
    assert_eq!(run(&shop, slot(saturday)).await, Outcome::default());
    assert_eq!(run(&shop, slot(FRIDAY)).await.get("composed"), 4);
    assert_eq!(run(&shop, named(saturday)).await.get("composed"), 4);
    let ids = "SELECT count(DISTINCT message_id) FROM messages";
    assert_eq!(shop.rows(ids).await, ["8"]);
}

#[tokio::test]
async fn no_list_goes_to_an_address_that_mail_came_back_from() {
    let shop = shop("").await;
    run(&shop, named(FRIDAY)).await;
    shop.execute(
        "INSERT INTO bounces (fingerprint, message_id, address, kind, diagnostic, recorded_at) \
         SELECT 'x', id, 'tom@example.com', 'hard', '', 0 FROM messages \
          WHERE lower(recipient) = 'tom@example.com'",
    )
    .await;
    let outcome = run(&shop, named("2025-02-28T08:00:00Z")).await;
    assert_eq!(outcome.get("composed"), 3, "{outcome:?}");
    assert_eq!(outcome.get("undeliverable"), 1, "{outcome:?}");
}

/// Who would get a list, and how long it is.
async fn planned(shop: &Shop, time: &str) -> Vec<(String, u64)> {
    let open = shop.open().await;
    let (lists, _) = jobs::worklists_planned(&open, at(time)).await.unwrap();
    open.store.close().await;
    let lists = lists.into_iter();
    lists.map(|list| (list.recipient, list.total)).collect()
}

#[tokio::test]
async fn what_was_recorded_as_done_is_not_looked_at_again() {
    let shop = shop("").await;
    let all = planned(&shop, FRIDAY).await;
    assert_eq!(all.len(), 4);
    shop.enforce(named(FRIDAY)).await.unwrap();
    assert_eq!(planned(&shop, FRIDAY).await, all);
    // No evaluation finds this: who tells nothing has read the record.
    shop.execute("UPDATE agenda SET is_open = FALSE").await;
    assert_eq!(planned(&shop, FRIDAY).await, []);
    // It does not hold before it was made, nor after what was to happen then.
    assert_eq!(planned(&shop, "2025-02-28T06:59:59Z").await, all);
    assert_ne!(planned(&shop, "2025-03-10T07:00:00Z").await, []);
    let assigned = "claim_ref,unit_ref,type,opened_at,assignee_email\n\
                    C-nobody,U-C-nobody,repair,2025-02-20,eve@example.com\n";
    shop.import(&[("claims.csv", assigned)]).await;
    let (eve, lead) = ("eve@example.com".to_owned(), "lead@example.com".to_owned());
    let told = planned(&shop, FRIDAY).await;
    let told = told.into_iter().map(|(to, _)| to);
    let told: Vec<String> = told.filter(|to| [&eve, &lead].contains(&to)).collect();
    assert_eq!(told, [eve, lead]);
}

#[tokio::test]
async fn a_dry_run_says_who_gets_a_list_and_writes_none() {
    let shop = shop("").await;
    let before = shop.dump(&[]).await;
    let args = [
        "run",
        "worklists",
        "--at",
        FRIDAY,
        "--dry-run",
        "--format",
        "json",
    ];
    let output = shop.run_to(0, &args);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows.as_array().unwrap().iter();
    let cell = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let found = rows.map(|row| {
        let names = ["whose", "recipient", "lines", "late or stuck"];
        names.map(|name| cell(row, name)).join(" ")
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            "assignee ann@example.com 2 1",
            "assignee Tom@example.com 4 2",
            "lead lead@example.com 8 4",
            "finance finance@example.com 2 2",
        ]
    );
    assert_eq!(shop.dump(&[]).await, before);
}

#[tokio::test]
async fn without_mail_there_is_nothing_to_do() {
    let shop = Shop::new("");
    assert_eq!(run(&shop, named(FRIDAY)).await, Outcome::default());
}

#[tokio::test]
async fn a_long_list_tells_its_worst_and_counts_the_others() {
    let shop = Shop::new(&format!("{FILE_MAIL}[notices]\n"));
    let mut orders = ORDERS.to_owned();
    let (mut units, mut claims) = (UNITS.to_owned(), CLAIMS.to_owned());
    // The worst are in the middle of all names.
    for n in 0..430 {
        let day = 1 + (n + 215) % 430 / 20;
        let cells = "Ada,ada@example.com,2024-12-20,2024-12-20,EUR,900.00";
        orders += &format!("O-{n:03},K-{n},{cells}\n");
        units += &format!("U-{n:03},O-{n:03},Lamp,hardware,,\n");
        let cells = format!("repair,2025-01-{day:02},tom@example.com,2025-01-{day:02},,,,");
        claims += &format!("C-{n:03},U-{n:03},{cells}\n");
    }
    shop.import(&[
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
    ])
    .await;
    run(&shop, named("2025-02-28T07:00:00Z")).await;
    let mails = delivered(&shop).await;
    let tom = &mails["tom@example.com"];
    assert_eq!(tom.subject, "Your claims: 430 to finish, 430 of them late");
    assert!(tom.html.len() < 100_000, "{}", tom.html.len());
    let told = lines(tom);
    assert!(told.len() <= 200 && told.len() > 100, "{}", told.len());
    let expected = (215..430).chain(0..215).map(|n| {
        let day = 1 + (n + 215) % 430 / 20;
        // Twenty days after it, until the 28th of February: 59 days.
        let late = 59 - day - 20;
        format!("Claim C-{n:03}, order O-{n:03}: {late} days late")
    });
    let expected: Vec<String> = expected.take(told.len()).collect();
    assert_eq!(told, expected);
    let text = tom.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let left = 430 - told.len();
    let says = format!(
        "These are the worst {}; {left} more are left out.",
        told.len()
    );
    assert!(text.contains(&says), "{text}");
    assert!(text.contains("`warrantyd report overdue`"), "{text}");
}
