//! The daily set, its manifest and its page.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strum::VariantArray;

use super::{at, cases, repair, rules, scope, time, trend};
use crate::case::{Disposition, Exception, ExceptionCode, evaluate};
use crate::policy::{Audience, Money, Outcome, STANDARD, Step, Subject, Window, sha256_hex};
use crate::report::{
    Daily, DailySet, Dialect, Format, History, MANIFEST_NAME, NoticeRow, Owed, Report, ReportName,
};

fn notice(disposition: Disposition, recorded_at: &str) -> NoticeRow {
    NoticeRow {
        fires_at: time("2025-03-01"),
        subject: Subject::Claim,
        subject_ref: "R-met".into(),
        window: Some(Window::HardwareRepair),
        step: Step::Before(5),
        audience: Audience::Assignee,
        recipient: Some("tech@shop.example".into()),
        disposition,
        recorded_at: time(recorded_at),
        message_id: None,
        sent_at: None,
    }
}

/// Writes a daily set with every kind of exception.
fn write_daily(directory: &Path) -> Daily {
    let rules = rules();
    let mut set = DailySet::create(directory, scope(&rules), Dialect::default()).unwrap();
    for case in cases() {
        set.add(&case, &evaluate(&case, &rules, at()).unwrap())
            .unwrap();
    }
    for code in ExceptionCode::VARIANTS {
        set.add_exception(&Exception {
            code: *code,
            subject: Subject::Unit,
            subject_ref: "=U-1".into(),
            detail: "=cmd".into(),
        })
        .unwrap();
    }
    set.add_failed("E", &"no such policy").unwrap();
    for (disposition, recorded_at) in [
        (Disposition::Failed, "2025-03-01"),
        (Disposition::Failed, "2025-03-02"),
        (Disposition::Held, "2025-01-01"),
        (Disposition::Sent, "2025-03-02"),
    ] {
        set.add_notice(&notice(disposition, recorded_at)).unwrap();
    }
    set.finish(History::default()).unwrap()
}

#[test]
fn a_daily_set_is_whole_and_its_manifest_true() {
    let dir = tempfile::tempdir().unwrap();
    let daily = write_daily(dir.path());
    let text = fs::read(dir.path().join(MANIFEST_NAME)).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(manifest, serde_json::to_value(&daily.manifest).unwrap());
    assert_eq!(manifest["as_of"], "2025-03-31T12:00:00+02:00");
    assert_eq!(manifest["time_zone"], "Europe/Berlin");
    assert_eq!(manifest["csv_delimiter"], ",");
    assert_eq!(manifest["csv_bom"], false);
    assert_eq!(
        manifest["policies"],
        json!([{"policy": "standard@2000-01-01", "sha256": sha256_hex(STANDARD.as_bytes())}])
    );
    assert_eq!(daily.manifest.files.len(), ReportName::VARIANTS.len() + 1);
    for file in &daily.manifest.files {
        let content = fs::read(dir.path().join(&file.name)).unwrap();
        assert_eq!(sha256_hex(&content), file.sha256, "{}", file.name);
        if let Some(rows) = file.rows {
            let mut reader = csv::Reader::from_reader(content.as_slice());
            assert_eq!(reader.records().count() as u64, rows, "{}", file.name);
        }
    }
    // Nothing but these and the manifest.
    let found = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(found, daily.manifest.files.len() + 1);
}

#[test]
fn the_same_set_has_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = write_daily(one.path());
    // In the place of an older set, too.
    write_daily(two.path());
    assert_eq!(first, write_daily(two.path()));
    for entry in fs::read_dir(one.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |dir: &Path| fs::read(dir.join(&name)).unwrap();
        assert_eq!(read(one.path()), read(two.path()), "{name:?}");
    }
}

#[test]
fn exceptions_from_everywhere_are_sorted_together() {
    let dir = tempfile::tempdir().unwrap();
    write_daily(dir.path());
    let text = fs::read_to_string(dir.path().join("exceptions.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert!(rows.is_sorted());
    for expected in [
        ["evaluation_failed", "order", "E", "no such policy"],
        ["on_hold", "unit", "'=U-1", "'=cmd"],
    ] {
        assert!(rows.iter().any(|row| row == &expected), "{expected:?}");
    }
}

#[test]
fn the_figures_are_those_of_the_reports() {
    let dir = tempfile::tempdir().unwrap();
    let daily = write_daily(dir.path());
    let exceptions = daily.manifest.files.iter();
    let exceptions = exceptions
        .filter(|file| file.name == "exceptions.csv")
        .find_map(|file| file.rows);
    let owed = Owed {
        refunds: trend(2, 2, 1),
        sum: trend(15_950, 15_950, 7_000).map(|minor| Money {
            minor: *minor,
            currency: "EUR".parse().unwrap(),
        }),
    };
    let figures = daily.summary.figures;
    assert_eq!(figures.overdue, trend(2, 2, 1));
    assert_eq!(figures.due_soon, 1);
    assert_eq!(figures.refunds_owed, [owed]);
    assert_eq!(figures.notices_failed, trend(1, 2, 2));
    assert_eq!(figures.notices_held, 1);
    assert_eq!(Some(figures.exceptions), exceptions);
}

#[test]
fn the_page_is_whole_escaped_and_names_no_person() {
    let dir = tempfile::tempdir().unwrap();
    write_daily(dir.path());
    let page = fs::read_to_string(dir.path().join("summary.html")).unwrap();
    for expected in [
        "As of 2025-03-31 12:00 (Europe",
        "159.50 EUR",
        "claim R&lt;overdue&gt;",
        "33.33&nbsp;%",
        // The last day of the cancellation's refund.
        "<td>2025-03-29</td><td>cancellation B</td>",
        "waits for the return",
        "an order that could not be evaluated",
        "href=\"overdue.csv\"",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    for unwanted in ["K-A", "<script src", "http:", "https:", "R<o", "F-paid"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    assert!(page.trim_end().ends_with("</html>"));
}

#[test]
fn an_empty_day_has_a_page_too() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules();
    let set = DailySet::create(
        &dir.path().join("2025/03"),
        scope(&rules),
        Dialect::default(),
    )
    .unwrap();
    let daily = set.finish(History::default()).unwrap();
    assert_eq!(daily.summary.figures.exceptions, 0);
    let page = fs::read_to_string(dir.path().join("2025/03/summary.html")).unwrap();
    assert!(page.contains("Nothing is overdue."));
}

#[test]
fn a_set_that_is_given_up_leaves_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    write_daily(dir.path());
    let before = fs::read(dir.path().join("overdue.csv")).unwrap();
    let rules = rules();
    drop(DailySet::create(dir.path(), scope(&rules), Dialect::default()).unwrap());
    assert!(dir.path().join(MANIFEST_NAME).exists());
    assert_eq!(fs::read(dir.path().join("overdue.csv")).unwrap(), before);
}

#[test]
fn a_hundred_thousand_overdue_rows_are_a_small_page() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules();
    let mut set = DailySet::create(dir.path(), scope(&rules), Dialect::default()).unwrap();
    for order in 0..100 {
        let mut case = cases().swap_remove(0);
        case.order.order_ref = format!("A-{order:02}");
        let claims = (0..1_000).map(|i| repair(&format!("R-{order:02}{i:03}"), "2025-03-01", None));
        case.units[0].claims = claims.collect();
        set.add(&case, &evaluate(&case, &rules, at()).unwrap())
            .unwrap();
    }
    let daily = set.finish(History::default()).unwrap();
    assert_eq!(daily.summary.figures.overdue.now, 100_000);
    let page = fs::read_to_string(dir.path().join("summary.html")).unwrap();
    assert!(page.contains("The first 200 of 100000."));
    assert!(page.contains("claim R-00199") && !page.contains("claim R-00200"));
    assert!(page.len() < 100_000, "{}", page.len());
    let csv = fs::read_to_string(dir.path().join("overdue.csv")).unwrap();
    assert_eq!(csv.lines().count(), 100_001);
}

#[test]
fn a_set_that_fails_halfway_has_no_manifest() {
    let dir = tempfile::tempdir().unwrap();
    write_daily(dir.path());
    // A directory that no file can replace.
    fs::remove_file(dir.path().join("overdue.csv")).unwrap();
    fs::create_dir_all(dir.path().join("overdue.csv/full")).unwrap();
    let rules = rules();
    let set = DailySet::create(dir.path(), scope(&rules), Dialect::default()).unwrap();
    let error = set.finish(History::default()).unwrap_err().to_string();
    assert!(error.contains("overdue.csv"), "{error}");
    assert!(!dir.path().join(MANIFEST_NAME).exists());
}

#[test]
fn notices_are_written_as_they_come() {
    let rules = rules();
    let mut report = Report::new(
        ReportName::Notices,
        Format::Csv(Dialect::default()),
        scope(&rules),
        Vec::new(),
    )
    .unwrap();
    let outcome = NoticeRow {
        window: None,
        step: Step::Outcome(Outcome::ReturnDue),
        recipient: None,
        message_id: Some("<1@shop.example>".into()),
        sent_at: Some(time("2025-03-03")),
        ..notice(Disposition::Sent, "2025-03-02")
    };
    for row in [&notice(Disposition::Stale, "2025-03-02"), &outcome] {
        report.add_notice(row).unwrap();
    }
    let text = String::from_utf8(report.finish().unwrap().out).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "2025-03-01T11:00:00+01:00,claim,R-met,hardware_repair,-5d,assignee,\
             tech@shop.example,stale,2025-03-02T11:00:00+01:00,,",
            "2025-03-01T11:00:00+01:00,claim,R-met,,return_due,assignee,\
             ,sent,2025-03-02T11:00:00+01:00,<1@shop.example>,2025-03-03T11:00:00+01:00",
        ]
    );
}
