//! What the world does to a database: no permission, no room, no turn. It is
//! told, and nothing is half written.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use warrantyd::jobs::import::{files, import_files};
use warrantyd::store::Session;

use crate::bad_input::base;
use crate::shop::{Engine, ORDERS, Shop, assert_same, named, stderr};

/// The program, where a user can reach it who may not look into ours.
pub fn program_for_nobody(shop: &Shop) -> PathBuf {
    let (built, program) = (env!("CARGO_BIN_EXE_warrantyd"), shop.path("program"));
    let linked = fs::hard_link(built, &program);
    linked
        .or_else(|_| fs::copy(built, &program).map(drop))
        .unwrap();
    program
}

/// Runs as a user for whom a file's permissions hold.
pub fn as_nobody(program: &Path, shop: &Shop, args: &[&str]) -> Output {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if is_root {
        Path::new("setpriv")
    } else {
        program
    });
    if is_root {
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program);
    }
    command.args(args).current_dir(shop.dir()).output().unwrap()
}

#[tokio::test]
async fn a_file_of_sqlite_that_cannot_be_written() {
    let chmod = |shop: &Shop, name: &str, mode| {
        fs::set_permissions(shop.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (file, dir, message) in [
        (
            0o444,
            0o777,
            "error: the database is read-only: give this user write access to the file and its \
             directory\n",
        ),
        (
            0o444,
            0o555,
            "error: the database is read-only: give this user write access to the file and its \
             directory\n",
        ),
        (
            0o000,
            0o755,
            "error: shop.db: cannot open the database: error returned from database: (code: 14) \
             unable to open database file\n",
        ),
    ] {
        let shop = base(Engine::Sqlite).await;
        let before = shop.dump(&[]).await;
        for entry in fs::read_dir(shop.dir()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".lock") {
                fs::remove_file(shop.path(&name)).unwrap();
            }
        }
        let program = program_for_nobody(&shop);
        chmod(&shop, "shop.db", file);
        chmod(&shop, ".", dir);
        let args = ["run", "enforce", "--at", "2025-03-02"];
        let output = as_nobody(&program, &shop, &args);
        chmod(&shop, ".", 0o755);
        chmod(&shop, "shop.db", 0o644);
        assert_eq!(stderr(&output), message, "{file:o} {dir:o}");
        assert_eq!(output.status.code(), Some(1));
        assert_same(&shop.dump(&[]).await, &before, message);
    }
}

#[tokio::test]
async fn a_disk_without_room_for_sqlite() {
    let shop = base(Engine::Sqlite).await;
    let before = shop.dump(&[]).await;
    let mut rows = ORDERS.to_owned();
    for n in 0..5_000 {
        rows += &format!("N-{n},K-1,Eve,eve@example.com,2025-01-01,,EUR,1.00\n");
    }
    shop.write("orders.csv", &rows);
    // SQLite's own limit gives the answer of a full disk.
    let open = shop.open().await;
    let Session::Sqlite(mut writer, _) = open.store.session().await.unwrap() else {
        panic!("another engine");
    };
    sqlx::query("PRAGMA max_page_count = 100")
        .execute(&mut *writer)
        .await
        .unwrap();
    drop(writer);
    let files = files(
        &open.config.dialects,
        &[shop.path("orders.csv")],
        None,
        None,
    )
    .unwrap();
    let now = named("2025-03-02T00:00:00Z").at;
    let error = import_files(&open, &files, now, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "nothing was imported: the database or its disk is full: nothing of this step was \
         written; make room and run it again"
    );
    open.store.close().await;
    assert_same(&shop.dump(&[]).await, &before, "a full database");
    // A write that the system refuses.
    let script = r#"trap '' XFSZ; ulimit -f 400; exec "$0" import orders.csv"#;
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_warrantyd")])
        .current_dir(shop.dir())
        .output()
        .unwrap();
    assert_eq!(
        stderr(&output),
        "error: nothing was imported: database: error returned from database: (code: 778) disk \
         I/O error\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_same(&shop.dump(&[]).await, &before, "a write that was refused");
    shop.run_to(0, &["import", "orders.csv"]);
}

/// Another process that is at work is waited for; for ever only if it hangs.
#[tokio::test]
async fn a_database_that_is_locked() {
    let shop = base(Engine::of_this_run()).await;
    let before = shop.dump(&[]).await;
    let mut lock = shop.connection().await;
    lock.rows(shop.take_all()).await;
    let mut command = shop.command(&["run", "enforce", "--at", "2025-03-02"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    // PostgreSQL leaves it to whoever looks after the server.
    let is_full = std::env::var_os("WARRANTYD_FULL").is_some();
    if !is_full || shop.engine() == Engine::Postgres {
        lock.close().await;
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        return;
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        stderr(&output),
        "error: the database is locked by another process: try again when it is done\n"
    );
    assert_eq!(output.status.code(), Some(1));
    lock.close().await;
    assert_same(&shop.dump(&[]).await, &before, "a locked database");
}
