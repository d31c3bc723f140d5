//! `deliver` to a mail server that is not ours.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use warrantyd::jobs;

use crate::shop::{CLAIMS, ORDERS, Shop, UNITS, named, one_unit};

const RECORD: &str = "taken";

/// The server's process; it ends with its input.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// Starts a server that writes what it takes into the shop's directory.
    pub fn start(shop: &Shop, certificate: &[&Path]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/venv/bin/python");
        let missing = "there is no mail server: run `bash tests/run.sh`";
        assert!(python.exists(), "{missing}");
        let mut child = Command::new(python)
            .arg(root.join("tests/smtp_server.py"))
            .arg(shop.path(RECORD))
            .args(certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It complains of each client that breaks off.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut port).unwrap();
        let port = port.trim().parse().expect(missing);
        Self { child, port }
    }

    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// What the server took: Message-ID, sender, recipients, the client's port.
pub fn taken(shop: &Shop) -> Vec<Vec<String>> {
    let record = fs::read_to_string(shop.path(RECORD)).unwrap_or_default();
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
    record.lines().map(cells).collect()
}

pub fn recipients(shop: &Shop) -> Vec<String> {
    taken(shop)
        .into_iter()
        .map(|line| line[2].clone())
        .collect()
}

/// The bytes of the message that the server took as the nth.
pub fn bytes(shop: &Shop, nth: usize) -> Vec<u8> {
    fs::read(shop.path(&format!("{RECORD}.{nth}"))).unwrap()
}

pub fn mail(port: u16, more: &str) -> String {
    format!(
        "[mail]\ntransport = \"smtp\"\nurl = \"smtp://127.0.0.1:{port}?tls=off\"\n\
         from = \"shop@example.com\"\n{more}"
    )
}

/// Adds to the config.
pub fn configure(shop: &Shop, more: &str) {
    shop.write("warrantyd.toml", format!("{}{more}", crate::shop::CONFIG));
}

/// A shop with customers of these names, each with a unit whose warranty ends
/// on 4 July; enforced on 5 June at nine.
pub async fn customers(names: &[&str]) -> Shop {
    customers_of(Shop::new(""), names).await
}

/// The same in a shop that has no rows yet.
pub async fn customers_of(shop: Shop, names: &[&str]) -> Shop {
    let (mut orders, mut units) = (ORDERS.to_owned(), UNITS.to_owned());
    for name in names {
        let row = "2025-01-01,2025-01-05T10:00:00Z,EUR,100.00";
        orders += &format!("O-{name},K-{name},Ada,{name}@example.com,{row}\n");
        units += &format!("U-{name},O-{name},Lamp,hardware,,\n");
    }
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop
}

pub const STATES: &str = "SELECT recipient, state, tries FROM messages ORDER BY recipient, id";

#[tokio::test]
async fn every_message_is_taken_once() {
    let names: Vec<String> = (0..40).map(|n| format!("ada{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shop = customers(&names).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    for minute in 0..3 {
        let when = named(&format!("2025-06-05T10:0{minute}:00Z"));
        shop.deliver(when).await.unwrap();
    }
    server.stop();
    let sent = "SELECT message_id FROM messages WHERE state = 'sent' ORDER BY message_id";
    let mut ids: Vec<String> = taken(&shop)
        .into_iter()
        .map(|line| line[0].clone())
        .collect();
    ids.sort();
    assert_eq!(ids, shop.rows(sent).await);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 40);
    let senders: BTreeSet<String> = taken(&shop)
        .into_iter()
        .map(|line| line[1].clone())
        .collect();
    assert_eq!(senders, ["shop@example.com".to_owned()].into());
    assert_eq!(
        shop.rows("SELECT DISTINCT disposition FROM notices").await,
        ["sent"]
    );
}

#[tokio::test]
async fn notices_to_one_recipient_are_one_message() {
    let shop = Shop::new("");
    let [orders, _] = one_unit("2025-01-05T10:00:00Z");
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,,\nU-2,O-1,Radio,hardware,,\n");
    shop.import(&[orders, ("units.csv", units)]).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    server.stop();
    assert_eq!(recipients(&shop), ["ada@example.com"]);
    let mail = bytes(&shop, 1);
    let mail = mail_parser::MessageParser::default().parse(&mail).unwrap();
    let text = mail.body_text(0).unwrap();
    assert!(text.contains("Lamp") && text.contains("Radio"), "{text}");
    assert!(mail.body_html(0).is_some());
    let answered = mail
        .header("Auto-Submitted")
        .and_then(|value| value.as_text());
    assert_eq!(answered, Some("auto-generated"));
}

#[tokio::test]
async fn customers_are_written_to_within_the_sending_hours_alone() {
    let shop = Shop::new("");
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-01T09:00:00Z,tech@example.com,,2025-06-04T21:00:00Z,,,,\n";
    shop.import(&[orders, units, ("claims.csv", format!("{CLAIMS}{row}"))])
        .await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    for (when, expected) in [
        ("2025-06-04T21:00:00Z", 0),
        ("2025-06-05T07:59:59Z", 0),
        ("2025-06-05T08:00:00Z", 1),
        // -5d to the technician, at night.
        ("2025-06-20T03:00:00Z", 2),
        // The repair is overdue: four are told at night, the customer in the morning.
        ("2025-06-28T20:00:00Z", 6),
        ("2025-06-29T08:00:00Z", 7),
    ] {
        shop.enforce(named(when)).await.unwrap();
        shop.deliver(named(when)).await.unwrap();
        assert_eq!(
            taken(&shop).len(),
            expected,
            "{when}: {:?}",
            recipients(&shop)
        );
    }
    server.stop();
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_later_and_later() {
    let shop = customers(&["later-ada", "never-bob", "cyd"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!(
        (done.get("sent"), done.get("failed"), done.get("later")),
        (1, 1, 1)
    );
    let expected = [
        "cyd@example.com|sent|1",
        "later-ada@example.com|ready|1",
        "never-bob@example.com|failed|1",
    ];
    assert_eq!(shop.rows(STATES).await, expected);
    let answers = "SELECT answer, refused FROM messages WHERE state <> 'sent' ORDER BY recipient";
    let answers = shop.rows(answers).await;
    assert!(
        answers[0].contains("come back later") && answers[0].ends_with("|0"),
        "{answers:?}"
    );
    assert!(
        answers[1].contains("no such mailbox") && answers[1].ends_with("|1"),
        "{answers:?}"
    );
    // After five minutes at least, six at most.
    shop.deliver(named("2025-06-05T10:04:59Z")).await.unwrap();
    assert_eq!(recipients(&shop), ["cyd@example.com"]);
    shop.deliver(named("2025-06-05T10:06:01Z")).await.unwrap();
    assert_eq!(
        recipients(&shop),
        ["cyd@example.com", "later-ada@example.com"]
    );
    shop.deliver(named("2025-06-06T10:06:01Z")).await.unwrap();
    assert_eq!(taken(&shop).len(), 2);
    server.stop();
    let notices = "SELECT ref, disposition FROM notices ORDER BY ref";
    let expected = ["U-cyd|sent", "U-later-ada|sent", "U-never-bob|failed"];
    assert_eq!(shop.rows(notices).await, expected);
}

#[tokio::test]
async fn an_uncertain_message_is_sent_again_byte_for_byte() {
    let shop = customers(&["broken-ada", "cyd"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    let expected = ["broken-ada@example.com|ready|1", "cyd@example.com|sent|1"];
    assert_eq!(shop.rows(STATES).await, expected);
    // Its reason went away: the server may have it, so it goes as it was.
    shop.import(&[(
        "units.csv",
        format!("{UNITS}U-broken-ada,O-broken-ada,Lamp,hardware,2025-02-01,\n"),
    )])
    .await;
    shop.deliver(named("2025-06-05T10:06:01Z")).await.unwrap();
    server.stop();
    assert_eq!(
        recipients(&shop),
        [
            "broken-ada@example.com",
            "cyd@example.com",
            "broken-ada@example.com"
        ]
    );
    assert_eq!(bytes(&shop, 1), bytes(&shop, 3));
    let expected = ["broken-ada@example.com|sent|2", "cyd@example.com|sent|1"];
    assert_eq!(shop.rows(STATES).await, expected);
}

#[tokio::test]
async fn an_uncertain_message_is_held_where_that_is_wished() {
    let shop = customers(&["broken-ada"]).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, "on_uncertain = \"hold\"\n"));
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    shop.enforce(named("2025-06-05T11:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T11:00:00Z")).await.unwrap();
    assert_eq!(
        shop.rows(STATES).await,
        ["broken-ada@example.com|uncertain|1"]
    );
    assert_eq!(taken(&shop).len(), 1, "nobody sends it but a person");
    let open = shop.open().await;
    let when = named("2025-06-05T12:00:00Z");
    assert!(jobs::message_retry(&open, 1, when.at).await.unwrap());
    open.store.close().await;
    shop.deliver(when).await.unwrap();
    server.stop();
    assert_eq!(taken(&shop).len(), 2);
    assert_eq!(bytes(&shop, 1), bytes(&shop, 2));
}

#[tokio::test]
async fn a_server_that_is_down_uses_up_no_try() {
    let shop = customers(&["ada", "bob"]).await;
    let server = Server::start(&shop, &[]);
    let settings = mail(server.port, "");
    server.stop();
    configure(&shop, &settings);
    for day in ["05", "06", "07", "08", "09"] {
        let when = named(&format!("2025-06-{day}T10:00:00Z"));
        let done = shop.deliver(when).await.unwrap();
        let problem = done.problem.unwrap();
        assert!(
            problem.starts_with("the mail server cannot be used: "),
            "{problem}"
        );
    }
    let expected = ["ada@example.com|ready|0", "bob@example.com|ready|0"];
    assert_eq!(shop.rows(STATES).await, expected);
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    shop.deliver(named("2025-06-09T11:00:00Z")).await.unwrap();
    server.stop();
    assert_eq!(recipients(&shop), ["ada@example.com", "bob@example.com"]);
}

#[tokio::test]
async fn a_message_is_looked_at_again_before_each_try() {
    let shop = Shop::new("");
    let orders =
        format!("{ORDERS}O-1,K-1,Ada,later-ada@example.com,2025-01-01,2025-01-05,EUR,100.00\n");
    let units = format!("{UNITS}U-1,O-1,Lamp,hardware,,\nU-2,O-1,Radio,hardware,,\n");
    shop.import(&[("orders.csv", orders), ("units.csv", units)])
        .await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, ""));
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert_eq!(taken(&shop).len(), 0);
    // The lamp came a month later than was thought.
    shop.import(&[(
        "units.csv",
        format!("{UNITS}U-1,O-1,Lamp,hardware,2025-02-05,\n"),
    )])
    .await;
    shop.deliver(named("2025-06-05T10:10:00Z")).await.unwrap();
    server.stop();
    let expected = [
        "later-ada@example.com|dropped|1",
        "later-ada@example.com|sent|1",
    ];
    assert_eq!(shop.rows(STATES).await, expected);
    let notices = "SELECT ref, disposition FROM notices ORDER BY ref";
    assert_eq!(shop.rows(notices).await, ["U-1|moot", "U-2|sent"]);
    let text = String::from_utf8(bytes(&shop, 1)).unwrap();
    assert!(text.contains("Radio") && !text.contains("Lamp"), "{text}");
}

#[tokio::test]
async fn a_server_with_tls_and_a_login() {
    let shop = customers(&["ada"]).await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    shop.write("ca.pem", made.cert.pem());
    shop.write("key.pem", made.signing_key.serialize_pem());
    shop.write("password", "wrong\n");
    let server = Server::start(&shop, &[&shop.path("ca.pem"), &shop.path("key.pem")]);
    let settings = mail(
        server.port,
        "username = \"shop\"\npassword_file = \"password\"\n",
    )
    .replace("127.0.0.1", "localhost")
    .replace("?tls=off", "");
    configure(&shop, &settings);
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    assert!(
        done.problem.is_some(),
        "a certificate that nobody vouches for"
    );
    configure(&shop, &format!("{settings}ca_file = \"ca.pem\"\n"));
    let done = shop.deliver(named("2025-06-05T10:01:00Z")).await.unwrap();
    let problem = done.problem.unwrap();
    assert!(
        problem.contains("535") && !problem.contains("wrong"),
        "{problem}"
    );
    assert_eq!(shop.rows(STATES).await, ["ada@example.com|ready|0"]);
    shop.write("password", "secret\n");
    shop.deliver(named("2025-06-05T10:02:00Z")).await.unwrap();
    server.stop();
    assert_eq!(recipients(&shop), ["ada@example.com"]);
}
