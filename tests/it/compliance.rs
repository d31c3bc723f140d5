//! Weekly and monthly compliance: which promises belong to which period.

use std::fs;

use chrono::{Days, NaiveDate};
use mail_parser::{MessageParser, MimeHeaders};
use warrantyd::jobs::{self, When};
use warrantyd::report::Period;

use crate::shop::{CLAIMS, CONFIG, FILE_MAIL, ORDERS, Shop, UNITS, at};

/// A period, seen from a slot in a zone.
struct Seen {
    zone: &'static str,
    slot: &'static str,
    period: Period,
    directory: &'static str,
    /// The last days of four repairs: the last one before the period, two at
    /// its ends, and the first one after it.
    last_days: [&'static str; 4],
}

const SEEN: [Seen; 4] = [
    // The week over New Year, the 53rd.
    Seen {
        zone: "UTC",
        slot: "2027-01-04T06:15:00Z",
        period: Period::Week,
        directory: "2026-W53",
        last_days: ["2026-12-27", "2026-12-28", "2027-01-03", "2027-01-04"],
    },
    // The clocks go forward on its Sunday.
    Seen {
        zone: "Europe/Rome",
        slot: "2025-03-31T04:15:00Z",
        period: Period::Week,
        directory: "2025-W13",
        last_days: ["2025-03-23", "2025-03-24", "2025-03-30", "2025-03-31"],
    },
    // There it is February, elsewhere not yet.
    Seen {
        zone: "Pacific/Kiritimati",
        slot: "2025-01-31T16:20:00Z",
        period: Period::Month,
        directory: "2025-01",
        last_days: ["2024-12-31", "2025-01-01", "2025-01-31", "2025-02-01"],
    },
    // There it is still January, elsewhere no longer.
    Seen {
        zone: "Pacific/Pago_Pago",
        slot: "2025-02-01T10:20:00Z",
        period: Period::Month,
        directory: "2024-12",
        last_days: ["2024-11-30", "2024-12-01", "2024-12-31", "2025-01-01"],
    },
];

/// Four repairs with these last days, of which the second was done in time.
async fn shop(seen: &Seen) -> Shop {
    let more = "[reports]\ndir = \"reports\"\nrecipients = [\"boss@example.com\"]\n";
    let shop = Shop::new("");
    let config = CONFIG.replace("\"UTC\"", &format!("\"{}\"", seen.zone));
    shop.write("warrantyd.toml", format!("{config}{FILE_MAIL}{more}"));
    let (mut orders, mut units) = (ORDERS.to_owned(), UNITS.to_owned());
    let mut claims = CLAIMS.to_owned();
    for (n, last_day) in seen.last_days.iter().enumerate() {
        let last_day: NaiveDate = last_day.parse().unwrap();
        let received = last_day - Days::new(20);
        let placed = last_day - Days::new(60);
        let repaired = match n {
            1 => format!("{} 09:00", received + Days::new(2)),
            _ => String::new(),
        };
        orders += &format!("O-{n},K-{n},Ada,ada@example.com,{placed},{placed},EUR,100.00\n");
        units += &format!("U-{n},O-{n},Lamp,hardware,,\n");
        let cells = format!("repair,{received},tom@example.com,,{received} 12:00,,,{repaired},");
        claims += &format!("C-{n},U-{n},{cells}\n");
    }
    shop.import(&[
        ("orders.csv", orders),
        ("units.csv", units),
        ("claims.csv", claims),
    ])
    .await;
    shop
}

async fn run(shop: &Shop, seen: &Seen) -> u64 {
    let open = shop.open().await;
    let when = When::new(Some(at(seen.slot)), at(seen.slot));
    let outcome = jobs::compliance_report(&open, when, seen.period).await;
    open.store.close().await;
    outcome.unwrap().get("composed")
}

#[tokio::test]
async fn a_promise_belongs_to_the_period_of_its_last_day() {
    for seen in SEEN {
        let shop = shop(&seen).await;
        assert_eq!(run(&shop, &seen).await, 1, "{}", seen.directory);
        let read = |name: &str| {
            let path = shop.path("reports").join(seen.directory).join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        };
        let compliance = read("compliance.csv");
        let repairs = compliance
            .lines()
            .find(|line| line.starts_with("hardware_repair"));
        assert_eq!(
            repairs,
            Some("hardware_repair,4.1,2,1,0,0,1,0,0,50.00,2,2,2,2,2,2"),
            "{}",
            seen.directory
        );
        let missed = read("missed.csv");
        let rows: Vec<&str> = missed.lines().skip(1).collect();
        assert_eq!(rows.len(), 1, "{missed}");
        assert!(
            rows[0].starts_with("O-2,claim,C-2,hardware_repair,"),
            "{missed}"
        );
        assert!(
            missed
                .lines()
                .next()
                .unwrap()
                .ends_with(",customer_ref,assignee,gross_days,net_days")
        );
        let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
        let files = manifest["files"].as_array().unwrap().iter();
        let files: Vec<String> = files
            .map(|f| format!("{} {}", f["name"], f["rows"]))
            .collect();
        assert_eq!(files, ["\"compliance.csv\" 6", "\"missed.csv\" 1"]);

        let first = [read("compliance.csv"), missed, read("manifest.json")];
        assert_eq!(
            run(&shop, &seen).await,
            0,
            "a second run writes no second mail"
        );
        let names = ["compliance.csv", "missed.csv", "manifest.json"];
        assert_eq!(names.map(read), first);
        is_told(&shop, &seen).await;
    }
}

/// The mail says how many were kept, against the period before.
async fn is_told(shop: &Shop, seen: &Seen) {
    shop.deliver(When::new(Some(at(seen.slot)), at(seen.slot)))
        .await
        .unwrap();
    let mut mails = fs::read_dir(shop.path("outbox")).unwrap();
    let raw = fs::read(mails.next().unwrap().unwrap().path()).unwrap();
    assert!(mails.next().is_none());
    let mail = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(
        mail.subject(),
        Some(format!("Promises of {}", seen.directory).as_str())
    );
    let said = "50.00 % of 2 in time (before: 0.00 % of 1)";
    for body in [mail.body_text(0), mail.body_html(0)] {
        let body = body.unwrap();
        let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(body.contains(said), "{body}");
    }
    let attached: Vec<_> = mail
        .attachments()
        .map(|part| part.attachment_name())
        .collect();
    assert_eq!(attached, [Some("compliance.csv"), Some("missed.csv")]);
}

#[tokio::test]
async fn a_report_of_compliance_goes_by_either_date() {
    let shop = shop(&SEEN[1]).await;
    let report = |by: &[&str]| {
        let args = [
            "report",
            "compliance",
            "--at",
            SEEN[1].slot,
            "--from",
            "2025-03-24",
            "--to",
            "2025-03-30",
        ];
        let output = shop.run_to(0, &[&args[..], by].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let row = text
            .lines()
            .find(|line| line.starts_with("hardware_repair"));
        row.unwrap().to_owned()
    };
    let started = "hardware_repair,4.1,0,0,0,0,0,0,0,,,,,,,";
    assert_eq!(report(&[]), started);
    assert_eq!(report(&["--by", "started"]), started);
    let due = "hardware_repair,4.1,2,1,0,0,1,0,0,50.00,2,2,2,2,2,2";
    assert_eq!(report(&["--by", "due"]), due);
    shop.run_to(2, &["report", "overdue", "--by", "due"]);
}
