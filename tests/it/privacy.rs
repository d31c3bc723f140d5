//! Names and addresses of customers: in no log, in nothing that is printed or
//! kept about runs, and in no report.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::bounce;
use crate::bounce::command::pipe_into;
use crate::deliver::{STATES, Server, configure, mail};
use crate::shop::{CLAIMS, CONFIG, ORDERS, Shop, UNITS};

/// What is in every customer's name and address, and in no reference.
const SECRETS: [&str; 2] = ["wilhelmina", "privatova"];

/// How the server meets a customer, by the beginning of the address.
const FATES: [&str; 6] = ["well", "never", "later", "broken", "gone", "odd"];

fn assert_kept_secret(text: &[u8], what: &str) {
    let text = String::from_utf8_lossy(text).to_lowercase();
    for secret in SECRETS {
        if let Some(found) = text.find(secret) {
            let from = text.floor_char_boundary(found.saturating_sub(200));
            let to = text.floor_char_boundary(found + 100);
            panic!("{what} holds {secret}: …{}…", &text[from..to]);
        }
    }
}

/// Whatever a program says at the top of its voice is kept secret.
fn assert_says_nothing(output: &Output, what: &str) {
    assert_kept_secret(&output.stdout, what);
    assert_kept_secret(&output.stderr, what);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("TRACE"), "{what}: {said}");
}

fn loud(shop: &Shop, args: &[&str]) -> Command {
    let mut command = shop.command(args);
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(shop: &Shop, status: i32, args: &[&str]) {
    let output = loud(shop, args).output().unwrap();
    assert_says_nothing(&output, &format!("{args:?}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {last:?}");
}

/// A customer for each fate, with a repair that is late; and rows that are
/// refused, an address that is none among them.
fn facts(shop: &Shop) {
    let (mut orders, mut units) = (ORDERS.to_owned(), UNITS.to_owned());
    let mut claims = CLAIMS.to_owned();
    for fate in FATES {
        let email = format!("{fate}-wilhelmina@privatova.example");
        let name = "Wilhelmina Privatova";
        let cells = "2025-01-01,2025-01-05T10:00:00Z,EUR,100.00";
        orders += &format!("O-{fate},K-{fate},{name},{email},{cells}\n");
        units += &format!("U-{fate},O-{fate},Lamp,hardware,,\n");
        let times = "2025-06-01T09:00:00Z,tech@example.com,,2025-06-02T09:00:00Z,,,,";
        claims += &format!("C-{fate},U-{fate},repair,{times}\n");
    }
    orders += "O-x,K-x,Wilhelmina,wilhelmina at privatova,2025-01-01,,EUR,1.00\n\
               O-y,K-y,Wilhelmina,wilhelmina@privatova.example,soon,,EUR,1.00\n\
               O-z,K-z,\"Wilhelmina\n";
    shop.write("orders.csv", orders);
    shop.write("units.csv", units);
    shop.write("claims.csv", claims);
}

/// What is kept about runs and messages and shown to ops or written to logs.
const KEPT: [&str; 5] = [
    "SELECT coalesce(error, '') FROM job_runs",
    "SELECT counts FROM job_runs WHERE counts IS NOT NULL",
    "SELECT coalesce(answer, '') FROM messages",
    "SELECT cause FROM mail_pause",
    "SELECT diagnostic FROM bounces",
];

#[tokio::test]
async fn logs_and_reports_hold_no_customer_s_name_or_address() {
    let shop = Shop::new("");
    facts(&shop);
    run(
        &shop,
        3,
        &["import", "orders.csv", "units.csv", "claims.csv"],
    );
    run(
        &shop,
        0,
        &["run", "enforce", "--at", "2025-06-05T09:00:00Z"],
    );
    let server = Server::start(&shop, &[]);
    let reports = "[reports]\ndir = \"reports\"\n";
    let settings = format!("{}{reports}", mail(server.port, ""));
    configure(&shop, &settings);
    // What is refused is counted, what waits comes again.
    run(
        &shop,
        3,
        &["run", "deliver", "--at", "2025-06-05T10:00:00Z"],
    );
    let tried = shop.rows(STATES).await.join("\n");
    for state in ["|sent|", "|failed|", "|ready|"] {
        assert!(tried.contains(state), "{tried}");
    }
    let json = ["--log", "json"];
    let again = ["run", "deliver", "--at", "2025-06-05T10:10:00Z"];
    run(&shop, 0, &[&json[..], &again].concat());
    server.stop();
    // Nobody is there any more.
    run(
        &shop,
        0,
        &["run", "enforce", "--at", "2025-06-28T09:00:00Z"],
    );
    run(
        &shop,
        1,
        &["run", "deliver", "--at", "2025-06-28T10:00:00Z"],
    );
    let well = "SELECT min(id) FROM messages WHERE recipient LIKE 'well%' AND state = 'sent'";
    let id = shop.rows(well).await.remove(0).parse().unwrap();
    for name in ["postfix-unknown", "german-text"] {
        let report = bounce::about(&shop, name, id).await;
        let report = report.replace(bounce::ADA, "well-wilhelmina@privatova.example");
        let output = pipe_into(loud(&shop, &["bounce"]), report.as_bytes());
        assert_says_nothing(&output, name);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(shop.rows("SELECT count(*) FROM bounces").await, ["2"]);
    run(&shop, 0, &["status"]);
    for sql in KEPT {
        assert_kept_secret(shop.rows(sql).await.join("\n").as_bytes(), sql);
    }
    run(&shop, 0, &["run", "report", "--at", "2025-06-28T11:00:00Z"]);
    let mut files = 0;
    for day in fs::read_dir(shop.path("reports")).unwrap() {
        for file in fs::read_dir(day.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert_kept_secret(&bytes, &path.display().to_string());
            files += 1;
        }
    }
    assert!(files >= 10, "{files} files");
    // It is there to be found.
    let known = "SELECT count(*) FROM orders WHERE customer_name = 'Wilhelmina Privatova'";
    assert_eq!(shop.rows(known).await, ["6"]);
    run(&shop, 0, &["forget", "K-well"]);
}

#[tokio::test]
async fn a_database_that_fails_says_no_name_and_no_address() {
    let shop = Shop::new("");
    facts(&shop);
    run(
        &shop,
        3,
        &["import", "orders.csv", "units.csv", "claims.csv"],
    );
    shop.write(
        "warrantyd.toml",
        format!("{CONFIG}{}", crate::shop::FILE_MAIL),
    );
    run(
        &shop,
        0,
        &["run", "enforce", "--at", "2025-06-05T09:00:00Z"],
    );
    shop.breaks("INSERT", "messages", "NEW.audience = 'customer'")
        .await;
    run(
        &shop,
        1,
        &["run", "deliver", "--at", "2025-06-05T10:00:00Z"],
    );
    shop.mends().await;
    shop.breaks("UPDATE", "orders", "NEW.customer_name <> ''")
        .await;
    let renamed = fs::read_to_string(shop.path("orders.csv")).unwrap();
    shop.write("orders.csv", renamed.replace("Privatova", "Privatova-Neu"));
    run(&shop, 1, &["import", "orders.csv"]);
    let failed = "SELECT coalesce(error, '') FROM job_runs";
    assert_kept_secret(shop.rows(failed).await.join("\n").as_bytes(), failed);
}
