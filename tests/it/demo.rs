//! The demo: everything that can happen happens in it, and always the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::process::Command;

use strum::VariantArray;
use tempfile::TempDir;
use warrantyd::case::{Disposition, ExceptionCode, Handling, Stage, State};
use warrantyd::jobs::{Demo, Refused, demo};
use warrantyd::policy::{Audience, Outcome, Policy, STANDARD, Step, Window};
use warrantyd::report::ReportName;

use crate::columns::documented;

/// The cells of some columns of a report of the demo's last day.
fn cells<const N: usize>(demo: &Demo, report: &str, columns: [&str; N]) -> BTreeSet<[String; N]> {
    let (_, summary) = &demo.open_first[0];
    let path = summary.with_file_name(format!("{report}.csv"));
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let places = columns.map(|column| header.iter().position(|name| name == column).unwrap());
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        places.map(|place| row[place].to_owned())
    });
    rows.collect()
}

/// Which of the variants do not occur in a column.
fn missing<V: VariantArray + Display>(demo: &Demo, report: &str, column: &str) -> Vec<String> {
    let found = cells(demo, report, [column]);
    let found: BTreeSet<String> = found.into_iter().flatten().collect();
    let names = V::VARIANTS.iter().map(ToString::to_string);
    names.filter(|name| !found.contains(name)).collect()
}

#[tokio::test]
async fn everything_that_can_happen_happens() {
    let home = TempDir::new().unwrap();
    let demo = demo(&home.path().join("demo")).await.unwrap();
    let none: Vec<String> = Vec::new();
    assert_eq!(missing::<Window>(&demo, "deadlines", "window"), none);
    assert_eq!(missing::<State>(&demo, "deadlines", "state"), none);
    assert_eq!(missing::<Stage>(&demo, "claims", "stage"), none);
    assert_eq!(missing::<Handling>(&demo, "claims", "handled_as"), none);
    assert_eq!(missing::<Audience>(&demo, "notices", "audience"), none);
    assert_eq!(
        missing::<Disposition>(&demo, "notices", "disposition"),
        none
    );
    assert_eq!(missing::<Outcome>(&demo, "notices", "step"), none);
    assert_eq!(missing::<ExceptionCode>(&demo, "exceptions", "code"), none);

    let notices = cells(&demo, "notices", ["window", "step", "audience"]);
    let standard = Policy::parse("standard.toml", STANDARD).unwrap();
    for (window, terms) in standard.windows() {
        for step in &terms.steps {
            for audience in &step.to {
                let told = [
                    window.to_string(),
                    step.at.to_string(),
                    audience.to_string(),
                ];
                assert!(notices.contains(&told), "{told:?}");
            }
        }
    }
    let withdrawn = Step::Withdrawn(Outcome::Declined).to_string();
    assert!(notices.contains(&[String::new(), withdrawn, "lead".to_owned()]));
    // The wrong parcel: put right while the customer's notice waited.
    let moot = cells(&demo, "notices", ["ref", "audience", "disposition"]);
    assert!(moot.contains(&["C-2020", "customer", "moot"].map(str::to_owned)));
    assert_as_documented(&demo);
}

/// What the manual says of a column is so, and a field that may be empty is so
/// somewhere.
fn assert_as_documented(demo: &Demo) {
    for report in ReportName::VARIANTS {
        for column in documented(*report) {
            let found = cells(demo, (*report).into(), [&column.name]);
            let odd: Vec<_> = found.iter().filter(|[field]| !column.fits(field)).collect();
            assert!(odd.is_empty(), "{report} {column:?}: {odd:?}");
            let is_empty = found.contains(&[String::new()]);
            // The demo has each promise kept or broken, and nothing paused is late.
            let is_full = matches!(
                report,
                ReportName::Overdue | ReportName::Upcoming | ReportName::Compliance
            );
            assert!(
                is_empty || is_full || !column.is_ever_empty,
                "{report} {column:?}"
            );
        }
    }
}

/// All files below a directory with their bytes, but the database.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.display().to_string().contains("warrantyd.db") {
            files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    files
}

fn warrantyd(args: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_warrantyd"))
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert_eq!((run.status.code(), stderr.as_ref()), (Some(0), ""));
    String::from_utf8(run.stdout).unwrap()
}

#[tokio::test]
async fn a_demo_is_made_anew_byte_for_byte() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("demo");
    let first = demo(&dir).await.unwrap();
    let before = tree(&dir);
    std::fs::write(dir.join("outbox/left.eml"), "of a former demo").unwrap();

    let said = warrantyd(&["demo", dir.to_str().unwrap()]);
    assert!(before == tree(&dir), "the files differ");
    for (_, path) in &first.open_first {
        assert!(
            path.is_file() && said.contains(path.to_str().unwrap()),
            "{said}"
        );
    }
    let config = first.config.to_str().unwrap();
    let (claim, at) = (first.claim, first.at.as_str());
    let then = format!("warrantyd --config {config} explain {claim} --at '{at}'");
    assert!(said.contains(&then), "{said}");
    let explained = warrantyd(&["--config", config, "explain", claim, "--at", at]);
    assert!(explained.contains("overdue"), "{explained}");
}

#[tokio::test]
async fn a_directory_of_somebody_else_is_refused_and_left_alone() {
    let home = TempDir::new().unwrap();
    for (name, text) in [
        ("notes.txt", "mine"),
        ("warrantyd.toml", "# A real shop.\n"),
    ] {
        let dir = home.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
        let before = tree(&dir);
        let error = demo(&dir).await.unwrap_err();
        assert!(error.is::<Refused>(), "{error:#}");
        assert!(error.to_string().contains("no former demo"), "{error:#}");
        assert_eq!(tree(&dir), before);
    }
}
