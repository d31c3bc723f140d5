//! Backups, taken while everything runs; and what a restored shop does not
//! send.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use serde_json::Value;
use warrantyd::jobs::{self, LetGo};

use crate::crash::{WHEN_RECORDED, with_notices};
use crate::outbox::NO_SERVER;
use crate::shop::{CLAIMS, Engine, FILE_MAIL, Shop, assert_same, at, many_units, named, stderr};

/// What a restore changes: that customers' mail is held, and that it was.
const HELD: [&str; 7] = [
    "enforcement",
    "change_sets",
    "messages.state",
    "messages.fence",
    "messages.answer",
    "notices.disposition",
    "notices.cause",
];

/// What a shop without mail that waits is restored to differently.
const GUARD: [&str; 2] = ["enforcement", "change_sets"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An empty shop on an engine, with a backup of another.
fn restored(from: &Shop, engine: Engine, more: &str) -> Shop {
    let shop = Shop::on(engine, more);
    shop.run_to(0, &["restore", text(&from.path("copy.db"))]);
    shop
}

fn backup(shop: &Shop) {
    shop.run_to(0, &["backup", "copy.db"]);
}

/// To whom mails were written, with their subjects.
fn mails(shop: &Shop) -> Vec<String> {
    let files = fs::read_dir(shop.path("outbox")).into_iter().flatten();
    let mut mails: Vec<String> = files
        .map(|file| {
            let mail = fs::read_to_string(file.unwrap().path()).unwrap();
            let line = |name: &str| mail.lines().find(|line| line.starts_with(name)).unwrap();
            format!("{} {}", line("To: "), line("Subject: "))
        })
        .collect();
    mails.sort();
    mails
}

fn to_customers(shop: &Shop) -> usize {
    let mails = mails(shop);
    mails.iter().filter(|mail| mail.contains("ada")).count()
}

async fn enforce_and_deliver(shop: &Shop, time: &str) {
    shop.enforce(named(time)).await.unwrap();
    shop.deliver(named(time)).await.unwrap();
}

/// Lets customers' mail go, all or that of a customer, as `mail release` does.
async fn release(shop: &Shop, name: Option<&str>, time: &str) -> LetGo {
    let open = shop.open().await;
    let let_go = jobs::release(&open, name, at(time)).await.unwrap();
    open.store.close().await;
    let_go
}

const NOTICES: &str =
    "SELECT audience, disposition, cause, count(*) FROM notices GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

/// A shop that waits for its mail server, of four customers and a claim of one;
/// then the backup, and then the mail goes out.
async fn sent_after_the_backup() -> Shop {
    let shop = with_notices(Shop::new(NO_SERVER), 4).await;
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    // One is under way, and one is composed anew when it is let go.
    shop.execute(
        "UPDATE messages SET state = 'sending' WHERE id = (SELECT min(id) FROM messages); \
         UPDATE notices SET disposition = 'held', cause = 'feed' WHERE id = 4; \
         UPDATE messages SET state = 'dropped' WHERE id = (SELECT max(m.message_id) \
              FROM message_notices AS m WHERE m.notice_id = 4); \
         DELETE FROM message_notices WHERE notice_id = 4",
    )
    .await;
    backup(&shop);
    shop
}

#[tokio::test]
async fn nothing_is_sent_to_customers_after_a_restore_until_it_is_let_go() {
    let base = sent_after_the_backup().await;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let shop = restored(&base, engine, FILE_MAIL);
        // Of a claim that came after the backup, and of a later step, too.
        let row =
            "C-1,U-1,repair,2025-06-06T08:00:00Z,tech@example.com,,2025-06-06T08:00:00Z,,,,\n";
        shop.import(&[("claims.csv", format!("{CLAIMS}{row}"))])
            .await;
        for time in [
            "2025-06-06T10:00:00Z",
            "2025-06-06T11:00:00Z",
            "2025-06-28T10:00:00Z",
        ] {
            enforce_and_deliver(&shop, time).await;
            assert_eq!(to_customers(&shop), 0, "{time}");
        }
        let told = mails(&shop);
        let to = |address: &str| told.iter().filter(|mail| mail.contains(address)).count();
        // Inside the shop they go out, and ops are told once.
        assert!(
            to("tech@example.com") > 0 && to("lead@example.com") > 0,
            "{told:?}"
        );
        assert_eq!(to("the database was restored"), 1, "{told:?}");
        let listed = shop.run_to(0, &["mail", "list", "--held", "--format", "json"]);
        let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed.len(), 4);
        for row in listed {
            let why = row["answer"].as_str().unwrap();
            assert!(why.starts_with("the database was restored"), "{why}");
        }
        let status = String::from_utf8(shop.run_to(0, &["status"]).stdout).unwrap();
        assert!(
            status.contains("customers' mail is held until `mail release`"),
            "{status}"
        );
        // One customer's, then all; each is sent once, and what comes later too.
        release(&shop, Some("K-0"), "2025-06-28T10:01:00Z").await;
        enforce_and_deliver(&shop, "2025-06-28T10:01:00Z").await;
        assert_eq!(to_customers(&shop), 1);
        let let_go = release(&shop, None, "2025-06-28T10:02:00Z").await;
        assert!(let_go.ends_restore);
        enforce_and_deliver(&shop, "2025-06-28T10:02:00Z").await;
        assert_eq!(to_customers(&shop), 4, "{:?}", mails(&shop));
        enforce_and_deliver(&shop, "2025-06-28T10:03:00Z").await;
        assert_eq!(to_customers(&shop), 4);
        enforce_and_deliver(&shop, "2025-07-04T10:00:00Z").await;
        assert_eq!(to_customers(&shop), 8);
    }
}

#[tokio::test]
async fn what_was_under_way_goes_out_as_it_was_once_it_is_let_go() {
    let base = sent_after_the_backup().await;
    let headers = "SELECT message_id FROM messages WHERE audience = 'customer' \
                     AND state IN ('ready', 'sending') ORDER BY 1";
    let expected = base.rows(headers).await;
    assert_eq!(expected.len(), 3);
    let shop = restored(&base, base.engine(), FILE_MAIL);
    let config = fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    // Nor is it let go because mail goes to its domain.
    shop.write(
        "warrantyd.toml",
        format!("{config}allow_domains = [\"example.com\"]\n"),
    );
    enforce_and_deliver(&shop, "2025-06-06T10:00:00Z").await;
    assert_eq!(to_customers(&shop), 0);
    release(&shop, None, "2025-06-06T10:01:00Z").await;
    enforce_and_deliver(&shop, "2025-06-06T10:01:00Z").await;
    let sent = "SELECT message_id FROM messages WHERE audience = 'customer' AND state = 'sent' \
                  ORDER BY 1";
    let sent = shop.rows(sent).await;
    assert_eq!(sent.len(), 4);
    assert!(
        expected.iter().all(|header| sent.contains(header)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn what_is_given_up_after_a_restore_is_never_sent() {
    let base = sent_after_the_backup().await;
    let shop = restored(&base, base.engine(), FILE_MAIL);
    enforce_and_deliver(&shop, "2025-06-06T10:00:00Z").await;
    assert_eq!(shop.rows(NOTICES).await, ["customer|held|restored|4"]);
    shop.run_to(0, &["mail", "discard", "--ref", "K-3"]);
    shop.run_to(0, &["mail", "discard"]);
    for time in ["2025-06-06T10:01:00Z", "2025-06-07T10:00:00Z"] {
        enforce_and_deliver(&shop, time).await;
    }
    assert_eq!(to_customers(&shop), 0);
    assert_eq!(shop.rows(NOTICES).await, ["customer|failed|discarded|4"]);
    let waiting = "SELECT count(*) FROM messages WHERE state NOT IN ('sent', 'dropped')";
    assert_eq!(shop.rows(waiting).await, ["0"]);
}

#[tokio::test]
async fn every_row_comes_back_on_either_engine() {
    let shop = with_notices(Shop::new(FILE_MAIL), 30).await;
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    backup(&shop);
    let mode = fs::metadata(shop.path("copy.db")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let expected = shop.dump(&GUARD).await;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let copy = restored(&shop, engine, FILE_MAIL);
        assert_same(&copy.dump(&GUARD).await, &expected, "restored");
        // And goes on with it.
        copy.import(&many_units(31)).await;
        enforce_and_deliver(&copy, "2025-06-06T10:00:00Z").await;
        // A backup of it is as good.
        backup(&copy);
        let again = restored(&copy, shop.engine(), FILE_MAIL);
        assert_same(&again.dump(&HELD).await, &copy.dump(&HELD).await, "again");
    }
    // Nothing but the backup is left beside it.
    let left = fs::read_dir(shop.dir()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_of_it = |name: &String| name.contains("backup") || name.starts_with("copy");
    assert_eq!(left.filter(is_of_it).collect::<Vec<_>>(), ["copy.db"]);
}

#[tokio::test]
async fn a_backup_that_is_taken_while_enforce_writes_is_a_state_that_was() {
    let shop = Shop::new("");
    shop.import(&many_units(4_500)).await;
    let undisturbed = shop.copy();
    let args = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];
    undisturbed.run_to(0, &args);
    let mut enforce = shop.command(&args).spawn().unwrap();
    let mut counts = Vec::new();
    let notices = "SELECT count(*) FROM notices";
    while enforce.try_wait().unwrap().is_none() || counts.is_empty() {
        let name = format!("copy-{}.db", counts.len());
        shop.run_to(0, &["backup", &name]);
        let copy = Shop::on(Engine::Sqlite, "");
        copy.run_to(0, &["restore", text(&shop.path(&name))]);
        let count: usize = copy.rows(notices).await[0].parse().unwrap();
        assert!(count.is_multiple_of(2_000) || count == 4_500, "{count}");
        counts.push(count);
        copy.run_to(0, &args);
        let without = [HELD.as_slice(), &WHEN_RECORDED, &["notices.id"]].concat();
        let expected = undisturbed.dump(&without).await;
        assert_same(&copy.dump(&without).await, &expected, &name);
    }
    assert!(enforce.wait().unwrap().success());
    assert!(counts.is_sorted(), "{counts:?}");
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_no_file_of_its_name() {
    let shop = with_notices(Shop::new(""), 400).await;
    let mut kills = 0;
    for kib in [16, 64, 128, 256, 1_000_000] {
        let killed = shop.limited(kib, &["backup", "copy.db"]).output().unwrap();
        match killed.status.signal() {
            Some(_) => {
                kills += 1;
                assert!(!shop.path("copy.db").exists(), "{kib}");
            }
            None => assert!(killed.status.success(), "{kib}: {killed:?}"),
        }
        if shop.path("copy.db").exists() {
            break;
        }
    }
    assert!(kills > 2, "{kills}");
    let copy = restored(&shop, shop.engine(), "");
    assert_same(&copy.dump(&HELD).await, &shop.dump(&HELD).await, "restored");
}

#[tokio::test]
async fn a_restore_that_dies_leaves_an_empty_database() {
    let base = with_notices(Shop::new(""), 400).await;
    backup(&base);
    let from = base.path("copy.db");
    let shop = Shop::new("");
    shop.open().await.store.close().await;
    shop.breaks("INSERT", "notices", "NEW.id = 300").await;
    let died = shop.run_to(1, &["restore", text(&from)]);
    assert!(stderr(&died).contains("died here"), "{died:?}");
    let rows = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM change_sets)";
    assert_eq!(shop.rows(rows).await, ["0"]);
    shop.mends().await;
    shop.run_to(0, &["restore", text(&from)]);
    assert_same(&shop.dump(&HELD).await, &base.dump(&HELD).await, "restored");
    // Killed at a write of SQLite, and run again.
    let mut kills = 0;
    for kib in [200, 250, 400, 600, 1_000_000] {
        let shop = Shop::on(Engine::Sqlite, "");
        let killed = shop
            .limited(kib, &["restore", text(&from)])
            .output()
            .unwrap();
        if killed.status.signal().is_some() {
            kills += 1;
            shop.run_to(0, &["restore", text(&from)]);
        }
        assert_same(&shop.dump(&HELD).await, &base.dump(&HELD).await, "restored");
    }
    assert!(kills > 1, "{kills}");
}

#[tokio::test]
async fn nothing_is_replaced_and_nothing_mixed() {
    let base = with_notices(Shop::new(""), 3).await;
    backup(&base);
    let bytes = fs::read(base.path("copy.db")).unwrap();
    let said = stderr(&base.run_to(2, &["backup", "copy.db"]));
    assert!(
        said.contains("copy.db: found a file, expected a name that is free"),
        "{said}"
    );
    assert_eq!(fs::read(base.path("copy.db")).unwrap(), bytes);
    // Into a directory it goes under a name of its own.
    fs::create_dir(base.path("kept")).unwrap();
    base.run_to(0, &["backup", "kept"]);
    let kept = fs::read_dir(base.path("kept"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let kept = kept.file_name().into_string().unwrap();
    assert!(
        kept.starts_with("warrantyd-20") && kept.ends_with("Z.db"),
        "{kept}"
    );
    // A database that holds anything stays as it is.
    let expected = base.dump(&[]).await;
    let said = stderr(&base.run_to(2, &["restore", "copy.db"]));
    for part in [
        "nothing was restored",
        "stop the daemon",
        "of the target holds rows",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_same(&base.dump(&[]).await, &expected, "refused");
    // A backup is not worked on.
    let shop = Shop::on(Engine::Sqlite, "");
    fs::copy(base.path("copy.db"), shop.path("shop.db")).unwrap();
    let said = stderr(&shop.run_to(1, &["status"]));
    assert!(
        said.contains("this is a backup: name another file"),
        "{said}"
    );
    // A daemon is at work.
    let shop = Shop::on(Engine::Sqlite, "");
    let open = shop.open().await;
    let _lock = open.store.file_lock("daemon").await.unwrap();
    let said = stderr(&shop.run_to(2, &["restore", text(&base.path("copy.db"))]));
    assert!(said.contains("in use: stop the daemon first"), "{said}");
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let base = with_notices(Shop::new(""), 300).await;
    backup(&base);
    let whole = fs::read(base.path("copy.db")).unwrap();
    let shop = Shop::new("");
    let refused = |bytes: Option<&[u8]>, part: &str| {
        match bytes {
            Some(bytes) => fs::write(shop.path("bad.db"), bytes).unwrap(),
            None => fs::remove_file(shop.path("bad.db")).unwrap(),
        }
        let said = stderr(&shop.run_to(1, &["restore", "bad.db"]));
        assert!(said.contains("bad.db: ") && said.contains(part), "{said}");
        assert!(!shop.path("shop.db").exists());
    };
    let foreign = "expected a backup that `warrantyd backup` wrote";
    refused(Some(b""), foreign);
    refused(Some(b"order_ref,customer_ref\n"), foreign);
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 20_000].fill(0x55);
    refused(Some(&damaged), "the backup is damaged");
    refused(Some(&whole[..whole.len() - 8192]), "backup");
    refused(None, "No such file");
    // A database is no backup of one.
    if base.engine() == Engine::Sqlite {
        refused(Some(&fs::read(base.path("shop.db")).unwrap()), foreign);
    }
    let changed = |sql: &'static str| {
        let file = Shop::on(Engine::Sqlite, "");
        fs::write(file.path("shop.db"), &whole).unwrap();
        async move {
            file.execute(sql).await;
            fs::read(file.path("shop.db")).unwrap()
        }
    };
    refused(
        Some(&changed("DELETE FROM notices WHERE id = 300").await),
        "expected 300 rows of notices",
    );
    refused(
        Some(&changed("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4").await),
        "from a newer version of warrantyd (schema 9999",
    );
    // One of an older schema is migrated, and stays as it is.
    let old = changed(
        "DROP INDEX messages_inside; ALTER TABLE enforcement DROP COLUMN restored_at; \
         ALTER TABLE enforcement DROP COLUMN backup_at; DROP INDEX messages_uncertain; \
         DROP INDEX job_runs_done; DROP INDEX job_runs_given_up; \
         DELETE FROM _sqlx_migrations WHERE version >= 8",
    )
    .await;
    shop.write("old.db", &old);
    shop.run_to(0, &["restore", "old.db"]);
    assert_same(&shop.dump(&HELD).await, &base.dump(&HELD).await, "restored");
    assert_eq!(fs::read(shop.path("old.db")).unwrap(), old);
}

#[tokio::test]
async fn a_backup_of_a_restored_shop_is_held_anew() {
    let base = sent_after_the_backup().await;
    let shop = restored(&base, base.engine(), FILE_MAIL);
    let said = shop.run_to(0, &["mail", "release"]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("held no more since the database was restored"),
        "{said}"
    );
    backup(&shop);
    let again = restored(&shop, base.engine(), FILE_MAIL);
    enforce_and_deliver(&again, "2025-06-06T10:00:00Z").await;
    assert_eq!(to_customers(&again), 0);
    let let_go = release(&again, None, "2025-06-06T10:01:00Z").await;
    assert_eq!((let_go.notices, let_go.ends_restore), (4, true));
}
