//! The house's own rules: who imports whom, how long a file is, and that what
//! is written in two places is the same in both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use warrantyd::jobs::JOBS;
use warrantyd::policy::sha256_hex;

use crate::shop::{FILE_MAIL, Shop, assert_same, named, one_unit};

/// More lines are two files.
const MOST_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files below a directory, with their texts.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            all.push((path, text));
        }
    }
    all
}

/// The room of a source file: a directory or a file of `src`.
fn room(path: &Path) -> String {
    let path = path.strip_prefix(root().join("src")).unwrap();
    let first = path.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Who may import whom, as `lib.rs` says it.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("src/lib.rs");
    let (_, table) = text.split_once("//! | room | may import |\n").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("//! |"));
    let mut allowed = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        for room in quoted(cells[1]) {
            allowed.insert(room, quoted(cells[2]).into_iter().collect());
        }
    }
    // The command line sees all the others.
    let others = allowed.keys().filter(|room| *room != "cli").cloned();
    let others = others.collect();
    allowed.insert("cli".to_owned(), others);
    allowed
}

/// The rooms that a line of code names.
fn named_rooms(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let code = if line.trim_start().starts_with("//") {
        ""
    } else {
        line
    };
    code.split("crate::")
        .skip(1)
        .map(move |rest| rest.split(|c| !is_name(c)).next().unwrap())
}

#[test]
fn imports_go_down_only() {
    let allowed = allowed();
    for (room, below) in &allowed {
        for other in below {
            let up = allowed
                .get(other)
                .unwrap_or_else(|| panic!("no room {other}"));
            assert!(
                !up.contains(room),
                "{room} and {other} may import each other"
            );
        }
    }
    let siblings = ["store", "intake", "mail", "report"];
    for (one, other) in siblings
        .iter()
        .flat_map(|one| siblings.map(|other| (*one, other)))
    {
        assert!(!allowed[one].contains(other), "{one} may import {other}");
    }
    for (path, text) in sources(&root().join("src")) {
        let room = room(&path);
        if room == "lib" || room == "main" {
            continue;
        }
        let below = allowed.get(&room);
        let below = below.unwrap_or_else(|| panic!("lib.rs does not know the room {room}"));
        for (number, line) in text.lines().enumerate() {
            for other in named_rooms(line) {
                let is_allowed = other == room || below.contains(other);
                let place = format!("{}:{}", path.display(), number + 1);
                assert!(is_allowed, "{place}: {room} may not import `{other}`");
            }
        }
    }
}

#[test]
fn only_the_store_asks_the_database() {
    let has_sql = |text: &str| text.contains("sqlx::query") || text.contains("\"SELECT ");
    for (path, text) in sources(&root().join("src")) {
        let is_allowed = room(&path) == "store" || !has_sql(&text);
        assert!(is_allowed, "{}: SQL belongs into `store`", path.display());
    }
}

#[test]
fn no_file_is_longer_than_a_room() {
    for (path, text) in sources(&root().join("src")) {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn the_crontab_is_the_list_of_jobs() {
    let text = read("crontab.example");
    let is_job = |line: &&str| line.contains(" warrantyd run ");
    let found: Vec<&str> = text.lines().filter(is_job).collect();
    let expected = JOBS.map(|job| format!("{} warrantyd warrantyd run {}", job.schedule, job.name));
    assert_eq!(found, expected);
}

/// Where a heading of the manual is, as its readers' programs name it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let is_kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let kept: String = heading.chars().filter(is_kept).collect();
    kept.replace(' ', "-")
}

#[test]
fn the_manuals_links_lead_somewhere() {
    let text = read("README.md");
    let headings = || text.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> = headings().map(anchor).collect();
    assert_eq!(anchors.len(), headings().count(), "two headings are alike");
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    for link in &links {
        let leads = match link.strip_prefix('#') {
            Some(heading) => anchors.contains(heading),
            None => link.starts_with("https://") || root().join(link).exists(),
        };
        assert!(leads, "the manual's link to `{link}` leads nowhere");
    }
    let sections = text.lines().filter_map(|line| line.strip_prefix("## "));
    for section in sections {
        let link = format!("#{}", anchor(section));
        let contents = text.split("\n## ").next().unwrap();
        let is_in_contents = contents.contains(&format!("({link})"));
        assert!(is_in_contents, "the contents do not name `{section}`");
    }
}

#[test]
fn the_manual_has_every_count_of_a_run() {
    let text = read("README.md");
    let (_, table) = text.split_once("| count | of | is |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let known: BTreeSet<String> = rows
        .flat_map(|row| quoted(row.split('|').nth(1).unwrap()))
        .collect();
    for (path, text) in sources(&root().join("src/jobs")) {
        for call in text.split("outcome.count(").skip(1) {
            let Some(name) = call.trim_start().strip_prefix('"') else {
                continue;
            };
            let name = name.split('"').next().unwrap();
            assert!(known.contains(name), "{}: `{name}`", path.display());
        }
    }
}

#[test]
fn the_manual_has_the_list_of_jobs() {
    let text = read("README.md");
    let (_, table) = text
        .split_once("| job | schedule | catch_up | what |\n")
        .unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let expected = JOBS.map(|job| {
        let (name, schedule, catch_up, what) = (job.name, job.schedule, job.catch_up, job.what);
        format!("| `{name}` | `{schedule}` | {catch_up} | {what} |")
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn the_starter_config_shows_the_jobs_defaults() {
    let text = read("templates/system/warrantyd.toml");
    for job in JOBS {
        let (_, section) = text.split_once(&format!("[jobs.{}]\n", job.name)).unwrap();
        let section = section.split("\n[").next().unwrap();
        for expected in [
            format!("# schedule = \"{}\"", job.schedule),
            format!("# catch_up = \"{}\"", job.catch_up),
        ] {
            let is_there = section.lines().any(|line| line == expected);
            assert!(is_there, "[jobs.{}]: expected {expected}", job.name);
        }
    }
}

#[tokio::test]
async fn migrations_leave_what_is_there_alone() {
    let shop = Shop::new(FILE_MAIL);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    let applied = "SELECT version, success FROM _sqlx_migrations ORDER BY version";
    let (rows, versions) = (shop.dump(&[]).await, shop.rows(applied).await);
    for table in [
        "orders",
        "units",
        "agenda",
        "deadlines",
        "notices",
        "messages",
    ] {
        let is_of = |row: &String| row.starts_with(&format!("{table}:"));
        assert!(rows.iter().any(is_of), "no sample of {table}");
    }
    shop.open().await.store.close().await;
    assert_same(&shop.dump(&[]).await, &rows, "migrated again");
    assert_eq!(shop.rows(applied).await, versions);
    // As it was before what came last.
    for sql in [
        "DROP TABLE alarms",
        "DROP INDEX messages_inside",
        "DROP INDEX messages_uncertain",
        "DROP INDEX job_runs_done",
        "DROP INDEX job_runs_given_up",
        "ALTER TABLE enforcement DROP COLUMN restored_at",
        "ALTER TABLE enforcement DROP COLUMN backup_at",
        "DELETE FROM _sqlx_migrations WHERE version > 4",
    ] {
        shop.execute(sql).await;
    }
    shop.open().await.store.close().await;
    assert_same(
        &shop.dump(&[]).await,
        &rows,
        "migrated from an older schema",
    );
    assert_eq!(shop.rows(applied).await, versions);
}

/// The migrations that databases have, with the SHA-256 of each: sqlx opens no
/// database to which another text was applied under the same number.
const APPLIED: [(&str, &str); 7] = [
    (
        "0001_facts.sql",
        "1dc688e114e1fad0d0f488ca246753edc6321f51c42ac3f1b22da5a3762ee14f",
    ),
    (
        "0002_enforcement.sql",
        "8af5cbf0bfd15587e9045806401426886415c5a3a545c18decfa990cf81fd225",
    ),
    (
        "0003_mail.sql",
        "a3583fb9e5604340f65c60f105b9116b0b92ecd32382a0ac24fd5e2f65891773",
    ),
    (
        "0004_jobs.sql",
        "8f282c5f486e6fb4ab90f6732087976e8e14199a0f14c410e05b1b07f15218ab",
    ),
    (
        "0006_alarms.sql",
        "3372091e8bb5798750189a035c263aa22bd0de8b96760c41fb8fb89cbdda3615",
    ),
    (
        "0008_restore.sql",
        "d29950570bb5b373ed0007114f391d833783d17ae0ac91eae45a6b9139cc535d",
    ),
    (
        "0009_measured.sql",
        "0465141242a7f0a3e5c80ef790b6db21d3a0cbce1de21a05e69ce0ad44818976",
    ),
];

#[test]
fn a_migration_is_never_edited() {
    let mut found: Vec<(String, String)> = fs::read_dir(root().join("migrations"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, sha256_hex(&fs::read(path).unwrap()))
        })
        .collect();
    found.sort();
    let expected = APPLIED.map(|(name, hash)| (name.to_owned(), hash.to_owned()));
    let what = "put what is to change into a migration of its own, and name it here";
    assert_eq!(found, expected, "{what}");
}
