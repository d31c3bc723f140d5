//! Reports read what was recorded, where an evaluation would find the same.

use std::fs;

use mail_parser::{MessageParser, MimeHeaders};
use strum::VariantArray;
use warrantyd::jobs::{self, ReportRequest};
use warrantyd::policy::STANDARD;
use warrantyd::report::{By, Dialect, Format, ReportName};

use crate::shop::{CLAIMS, FILE_MAIL, ORDERS, Shop, UNITS, at, in_pieces, named, one_unit, stderr};

/// A report's bytes as of a time.
async fn report(shop: &Shop, name: ReportName, time: &str) -> String {
    let open = shop.open().await;
    let request = ReportRequest {
        name,
        at: at(time),
        known_at: None,
        from: None,
        to: None,
        by: By::Started,
        days: 7,
        format: Format::Csv(Dialect::default()),
    };
    let (out, rows) = jobs::one_report(&open, request, Vec::new()).await.unwrap();
    open.store.close().await;
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count() as u64, rows + 1, "{name} at {time}");
    text
}

/// Hardware with repairs met, missed and open, with a fix window that lapses,
/// software, a replacement, a cancellation, and an order without units.
fn facts() -> [(&'static str, String); 3] {
    let mut orders = ORDERS.replace("total\n", "total,paid_at,cancelled_at\n");
    for (name, cells) in [
        ("O-1", "2025-01-05T10:00:00Z,EUR,100.00,2025-01-01,"),
        ("O-10", ",EUR,100.00,2025-01-01,2025-02-10T08:00:00Z"),
        ("O-2", "2025-01-20T10:00:00Z,EUR,100.00,2025-01-01,"),
        ("O-3", "2025-02-01T10:00:00Z,EUR,100.00,,"),
        ("O-4", ",EUR,100.00,,"),
    ] {
        orders += &format!("{name},K-{name},Ada,ada@example.com,2025-01-01,{cells}\n");
    }
    let units = format!(
        "{UNITS}U-2,O-1,Lamp,hardware,,\nU-1,O-1,Lamp,hardware,,\nU-3,O-2,Lamp,hardware,,\n\
         U-4,O-3,Lamp,hardware,,U-3\n"
    );
    let claims = format!(
        "{CLAIMS}C-1,U-1,repair,2025-01-08,tech@example.com,,2025-01-10,,,2025-01-12,\n\
         C-2,U-1,repair,2025-01-09,=tech@example.com,,2025-01-10,,,2025-02-20,\n\
         C-3,U-2,repair,2025-01-15,,,2025-01-20,,,,\n\
         C-4,U-3,refund,2025-01-25,,,,,,,\n\
         C-5,U-2,repair,2025-01-20,,,2025-01-22,,,,2025-02-03\n"
    );
    [
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
    ]
}

const TIMES: [&str; 11] = [
    "2024-12-31T00:00:00Z",
    "2025-01-10T12:00:00Z",
    "2025-01-31T00:00:00Z",
    "2025-02-10T00:00:00Z",
    "2025-02-10T07:59:59.999999Z",
    "2025-02-10T08:00:00Z",
    "2025-02-14T00:00:00Z",
    "2025-02-28T12:00:00Z",
    "2025-03-03T00:00:00Z",
    "2025-07-05T00:00:00Z",
    "2026-01-01T00:00:00Z",
];

/// Every report that can read records, against a shop that never enforced.
async fn assert_agree(enforced: &Shop, other: &Shop, what: &str) {
    for time in TIMES {
        for name in [
            ReportName::Deadlines,
            ReportName::Overdue,
            ReportName::Upcoming,
            ReportName::Compliance,
        ] {
            let (found, expected) = (
                report(enforced, name, time).await,
                report(other, name, time).await,
            );
            assert_eq!(found, expected, "{what}: {name} at {time}");
        }
    }
}

#[tokio::test]
async fn records_and_evaluations_give_the_same_bytes_at_any_time() {
    let (enforced, other) = (Shop::new(""), Shop::new(""));
    for shop in [&enforced, &other] {
        shop.import(&facts()).await;
    }
    for time in ["2025-01-31T00:00:00Z", "2025-02-10T00:00:00Z"] {
        enforced.enforce(named(time)).await.unwrap();
        assert_agree(&enforced, &other, time).await;
    }
    // Facts that change, come late, are withdrawn, or put off what was due.
    let repaired = "claim_ref,unit_ref,type,opened_at,repaired_at\n\
                    C-3,U-2,repair,2025-01-15,2025-02-05\n";
    let withdrawn = "order_ref,customer_ref,customer_email,placed_at,currency,total,withdrawn\n\
                     O-2,K-O-2,ada@example.com,2025-01-01,EUR,100.00,true\n";
    let waits = "claim_ref,from,until\nC-2,2025-01-11,2025-01-14\nC-5,2025-01-24,\n";
    for (name, text) in [
        ("claims.csv", repaired),
        ("orders.csv", withdrawn),
        ("waits.csv", waits),
    ] {
        for shop in [&enforced, &other] {
            shop.import(&[(name, text)]).await;
        }
        assert_agree(&enforced, &other, &format!("{name}, not enforced")).await;
    }
    for time in ["2025-02-10T08:00:00Z", "2025-03-03T00:00:00Z"] {
        enforced.enforce(named(time)).await.unwrap();
        assert_agree(&enforced, &other, time).await;
    }
}

#[tokio::test]
async fn records_are_read_where_they_hold_and_nowhere_else() {
    let shop = Shop::new("");
    shop.import(&facts()).await;
    shop.enforce(named("2025-02-10T00:00:00Z")).await.unwrap();
    // No evaluation finds this day: who shows it has read the record.
    shop.execute("UPDATE deadlines SET last_day = '1999-09-09'")
        .await;
    let read = async |time: &str| {
        let text = report(&shop, ReportName::Deadlines, time).await;
        let orders = text.lines().filter(|line| line.contains("1999-09-09"));
        let mut orders: Vec<&str> = orders
            .map(|line| &line[..line.find(',').unwrap()])
            .collect();
        orders.dedup();
        orders.join(" ")
    };
    let holds = "2025-02-10T00:00:00Z";
    assert_eq!(read("2025-02-09T23:59:59Z").await, "");
    assert_eq!(read(holds).await, "O-1 O-2 O-3");
    // On the 11th the delay of C-3, a day long, is escalated.
    assert_eq!(read("2025-02-10T23:59:59Z").await, "O-1 O-2 O-3");
    assert_eq!(read("2025-02-11T00:00:00Z").await, "O-2 O-3");
    assert_eq!(read("2025-08-01T00:00:00Z").await, "");
    // Whatever wakes a case; O-3 has a unit in the place of U-3.
    let seen = "claim_ref,unit_ref,type,opened_at,assignee_email\n\
                C-4,U-3,refund,2025-01-25,t@example.com\n";
    shop.import(&[("claims.csv", seen)]).await;
    assert_eq!(read(holds).await, "O-1");
    shop.execute("UPDATE agenda SET failures = 1 WHERE order_id = 1")
        .await;
    assert_eq!(read(holds).await, "");
    shop.execute("UPDATE agenda SET failures = 0").await;
    assert_eq!(read(holds).await, "O-1");
    // Other rules: nobody has evaluated anything under them.
    let config = std::fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write(
        "warrantyd.toml",
        config.replace("\"UTC\"", "\"Europe/Rome\""),
    );
    assert_eq!(read(holds).await, "");
}

/// The formats and dialects of the command, and those of the daily set.
#[tokio::test]
async fn reports_are_written_as_they_are_asked_for() {
    let shop = Shop::new("[reports]\ndir = \"reports\"\ncsv_bom = true\ncsv_delimiter = \";\"\n");
    shop.import(&facts()).await;
    let time = "2025-02-10T00:00:00Z";
    for name in ReportName::VARIANTS.iter().map(ToString::to_string) {
        let args = ["report", &name, "--at", time];
        let run = |more: &[&str]| {
            let output = shop.run_to(0, &[&args[..], more].concat());
            String::from_utf8(output.stdout).unwrap()
        };
        let plain = run(&[]);
        let page = run(&["--format", "html"]);
        let rows = csv::Reader::from_reader(plain.as_bytes()).records().count();
        assert_eq!(page.matches("<tr><td").count(), rows, "{name}");
        let noun = if rows == 1 { "row" } else { "rows" };
        assert!(page.contains(&format!("<p>{rows} {noun}</p>")), "{name}");
        let sheet = run(&["--bom", "--delimiter", ";"]);
        let sheet = sheet.strip_prefix('\u{feff}').unwrap();
        let records = |text: &str, delimiter| -> Vec<csv::StringRecord> {
            let mut reader = csv::ReaderBuilder::new();
            let reader = reader.delimiter(delimiter).has_headers(false);
            let mut reader = reader.from_reader(text.as_bytes());
            reader.records().map(Result::unwrap).collect()
        };
        assert_eq!(records(sheet, b';'), records(&plain, b','), "{name}");
    }
    for more in [
        ["--format", "html", "--bom"],
        ["--format", "json", "--delimiter=;"],
    ] {
        let output = shop.run_to(2, &[&["report", "claims"][..], &more].concat());
        assert!(
            stderr(&output).contains("are for --format csv"),
            "{output:?}"
        );
    }
    for date in ["01.02.2025", "2025-02-31"] {
        let output = shop.run_to(2, &["report", "compliance", "--from", date]);
        let said = "for '--from <DATE>': expected a date of the calendar such as 2026-01-31";
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    let open = shop.open().await;
    jobs::daily_report(&open, named(time)).await.unwrap();
    open.store.close().await;
    let read = |name| std::fs::read_to_string(shop.path("reports/2025-02-10").join(name)).unwrap();
    assert!(read("claims.csv").starts_with("\u{feff}claim_ref;unit_ref;"));
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(
        (&manifest["csv_delimiter"], &manifest["csv_bom"]),
        (&";".into(), &true.into())
    );
}

#[tokio::test]
async fn days_that_waits_took_are_told_apart_from_those_of_the_shop() {
    let shop = Shop::new("[policy]\ndir = \"policy\"\n");
    let head = "[windows.hardware_repair]\n";
    let text = STANDARD.replace(head, &format!("{head}pause_on_wait = true\n"));
    std::fs::create_dir(shop.path("policy")).unwrap();
    shop.write("policy/standard.toml", text);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let claim = "C-1,U-1,repair,2025-02-03,,,2025-02-03,,,2025-02-20,\n";
    shop.import(&[
        orders,
        units,
        ("claims.csv", format!("{CLAIMS}{claim}")),
        (
            "waits.csv",
            "claim_ref,from,until\nC-1,2025-02-05 10:00,2025-02-12 10:00\n".to_owned(),
        ),
    ])
    .await;
    let time = "2025-03-01T00:00:00Z";
    // As an evaluation finds it, and as it was recorded.
    for _ in 0..2 {
        let deadlines = report(&shop, ReportName::Deadlines, time).await;
        let repair = deadlines
            .lines()
            .find(|line| line.contains("hardware_repair"));
        assert!(repair.unwrap().ends_with(",17,10"), "{deadlines}");
        let compliance = report(&shop, ReportName::Compliance, time).await;
        let repair = compliance
            .lines()
            .find(|line| line.contains("hardware_repair"));
        assert!(
            repair.unwrap().ends_with(",17,17,17,10,10,10"),
            "{compliance}"
        );
        let explained = shop.run_to(0, &["explain", "C-1", "--at", time]).stdout;
        let explained = String::from_utf8(explained).unwrap();
        let told = "took      17 days, 10 without those that waits took";
        assert!(explained.contains(told), "{explained}");
        shop.enforce(named(time)).await.unwrap();
    }
}

#[tokio::test]
async fn the_managers_get_the_top_of_the_page_and_every_file_as_it_was_written() {
    let settings = "[reports]\ndir = \"reports\"\n\
         recipients = [\"one@shop.example\", \"two@shop.example\"]\n";
    let shop = Shop::new(&format!("{settings}{FILE_MAIL}"));
    let [orders, units] = one_unit("2025-01-05");
    let claim = "C-1,U-1,repair,2025-01-08,tech@example.com,,2025-01-10,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{claim}"));
    shop.import(&[orders, units, claims]).await;
    let open = shop.open().await;
    let day = named("2025-02-03T08:00:00Z");
    for composed in [2, 0] {
        let outcome = jobs::daily_report(&open, day).await.unwrap();
        assert_eq!(outcome.get("composed"), composed, "{outcome:?}");
    }
    open.store.close().await;
    shop.deliver(day).await.unwrap();
    let mails: Vec<_> = fs::read_dir(shop.path("outbox")).unwrap().collect();
    assert_eq!(mails.len(), 2);
    for mail in mails {
        let raw = fs::read(mail.unwrap().path()).unwrap();
        let mail = MessageParser::default().parse(&raw).unwrap();
        let subject = "Warranty report of Monday 3 February 2025: 1 overdue";
        assert_eq!(mail.subject(), Some(subject));
        for body in [mail.body_text(0), mail.body_html(0)] {
            let body = in_pieces(&body.unwrap());
            let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
            for told in [
                "1 overdue now",
                "+1 since last week",
                "Hardware repair, claim C-1: 4 days late",
                "tech@example.com",
                "0.00 % of 1",
                "summary.html",
            ] {
                assert!(body.contains(told), "{told}: {body}");
            }
            for unwanted in ["Ada", "ada@", "K-1"] {
                assert!(!body.contains(unwanted), "{unwanted}: {body}");
            }
        }
        let attached = mail.attachments().map(|part| {
            let name = part.attachment_name().unwrap();
            let written = fs::read(shop.path("reports/2025-02-03").join(name)).unwrap();
            assert!(part.contents() == written, "{name}");
            name.to_owned()
        });
        let mut attached: Vec<String> = attached.collect();
        attached.sort_unstable();
        let names = ReportName::VARIANTS.iter();
        let mut names: Vec<String> = names.map(|name| format!("{name}.csv")).collect();
        names.push("summary.html".to_owned());
        names.sort_unstable();
        assert_eq!(attached, names);
    }
}
