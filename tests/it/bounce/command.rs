//! `warrantyd bounce`, as a mail server and as ops call it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::{about, sample};
use crate::shop::{FILE_MAIL, Shop, assert_same, by_clock, one_unit, stderr};
use warrantyd::clock;

/// A shop whose first letter was sent just now.
async fn shop() -> Shop {
    let shop = Shop::new(&format!("{FILE_MAIL}send_between = \"00:00-24:00\"\n"));
    let now = clock::now();
    let received = (now - chrono::TimeDelta::days(151)).to_rfc3339();
    shop.import(&one_unit(&received)).await;
    shop.enforce(by_clock(&now.to_rfc3339())).await.unwrap();
    shop.deliver(by_clock(&now.to_rfc3339())).await.unwrap();
    assert_eq!(shop.rows("SELECT state FROM messages").await, ["sent"]);
    shop
}

fn pipe(shop: &Shop, args: &[&str], input: &[u8]) -> Output {
    pipe_into(shop.command(args), input)
}

/// A command that reads mail.
pub fn pipe_into(mut child: Command, input: &[u8]) -> Output {
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    // An error: it ended before it had read all.
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// A mail server takes what is printed, and any other status, for a failure.
fn assert_quiet(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_mail_server_pipes_into_it() {
    let shop = shop().await;
    for name in ["vacation", "person"] {
        let text = about(&shop, name, 1).await;
        assert_quiet(&pipe(&shop, &["bounce"], text.as_bytes()));
    }
    assert_quiet(&pipe(&shop, &["bounce"], b""));
    assert_quiet(&pipe(&shop, &["bounce"], &b"\0\xff\n".repeat(1_000_000)));
    assert_eq!(shop.rows("SELECT count(*) FROM bounces").await, ["0"]);
    let report = about(&shop, "postfix-unknown", 1).await;
    assert_quiet(&pipe(&shop, &["bounce"], report.as_bytes()));
    assert_quiet(&pipe(&shop, &["bounce"], report.as_bytes()));
    assert_eq!(shop.rows("SELECT kind FROM bounces").await, ["hard"]);
    let status = shop.run_to(0, &["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains("1 hard; addresses that no notices go to: 1"),
        "{status}"
    );
}

#[tokio::test]
async fn it_asks_to_be_called_again_where_nothing_could_be_kept() {
    let shop = shop().await;
    let report = about(&shop, "postfix-unknown", 1).await;
    let again = |args: &[&str]| {
        let output = pipe(&shop, args, report.as_bytes());
        assert_eq!(output.status.code(), Some(75), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty());
        let said = stderr(&output);
        assert!(
            said.contains("to be tried again later") && !said.contains('@'),
            "{said}"
        );
    };
    again(&["--config", "none.toml", "bounce"]);
    shop.write("bad.toml", "[database]\nurl = \"sqlite://none/shop.db\"\n");
    again(&["--config", "bad.toml", "bounce"]);
    shop.execute("UPDATE messages SET state = 'sending'").await;
    let output = pipe(&shop, &["bounce"], report.as_bytes());
    assert_eq!(output.status.code(), Some(75), "{output:?}");
}

#[tokio::test]
async fn a_directory_is_read_and_left_as_it_is() {
    let shop = shop().await;
    for dir in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
        std::fs::create_dir(shop.path(dir)).unwrap();
    }
    let report = about(&shop, "exim", 1).await;
    shop.write("mail/new/1748854802.M1P2.mx", &report);
    shop.write("mail/cur/1748854802.M1P1.mx:2,S", &report);
    shop.write("mail/tmp/half", &report);
    shop.write("mail/.hidden", &report);
    shop.write("mail/a.eml", about(&shop, "vacation", 1).await);
    shop.write(
        "mail/b.eml",
        sample("postfix-unknown").replace("ada@", "eve@"),
    );
    let rows = |expected: [(&str, &str); 4]| {
        let output = shop.run_to(0, &["bounce", "mail", "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row["file"].as_str().unwrap(), row["what"].as_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{rows:?}");
    };
    let expected = |first| {
        [
            ("mail/a.eml", "left alone"),
            ("mail/b.eml", "left alone"),
            ("mail/cur/1748854802.M1P1.mx:2,S", first),
            ("mail/new/1748854802.M1P2.mx", "known"),
        ]
    };
    rows(expected("hard"));
    let before = shop.dump(&[]).await;
    rows(expected("known"));
    assert_same(&shop.dump(&[]).await, &before, "read twice");
    shop.execute("DELETE FROM bounces").await;
    shop.execute("UPDATE messages SET state = 'sending'").await;
    let output = shop.run_to(3, &["bounce", "mail"]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("later"),
        "{output:?}"
    );
    let output = shop.run_to(2, &["bounce", "nowhere"]);
    assert!(
        stderr(&output).contains("expected a directory"),
        "{output:?}"
    );
}
