//! What the real daemon tells systemd, read from a socket in its place.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use warrantyd::clock::Stopwatch;

use crate::connection::Connection;
use crate::daemon::{Daemon, all_off_but, every_second};
use crate::reconnect::{server, shop_on};
use crate::shop::{Engine, PATIENCE, Shop, many_units};

const READY: &str = "READY=1";
const PETTED: &str = "WATCHDOG=1";

/// Systemd's end of the socket.
struct Systemd(UnixDatagram);

impl Systemd {
    /// A daemon that tells of itself, and the socket that it tells it to.
    fn start(shop: &Shop, watchdog: Duration) -> (Self, Daemon) {
        let path = shop.path("notify");
        let systemd = Self(UnixDatagram::bind(&path).unwrap());
        let micros = watchdog.as_micros().to_string();
        let socket = path.to_str().unwrap();
        let env = [
            ("NOTIFY_SOCKET", socket),
            ("WATCHDOG_USEC", &micros),
            // Little: nobody may read it.
            ("RUST_LOG", "warrantyd=info"),
        ];
        (systemd, Daemon::start_with(shop, &env))
    }

    /// What is told next, if anything is within a time.
    fn next(&self, within: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 4096];
        match self.0.recv(&mut bytes) {
            Ok(read) => Some(String::from_utf8_lossy(&bytes[..read]).trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads up to what begins with a text; gives it, with all before it.
    fn until(&self, begins: &str) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(next) = self.next(PATIENCE) {
            let is_it = next.starts_with(begins);
            told.push(next);
            if is_it {
                return told;
            }
        }
        panic!("`{begins}` was never told: {told:#?}");
    }

    /// Reads until nothing is told for a time.
    fn silence_of(&self, time: Duration) {
        let since = Stopwatch::start();
        while let Some(told) = self.next(time) {
            assert!(since.elapsed() < PATIENCE, "still told: {told}");
        }
    }
}

fn is_told(told: &[String], what: &str) -> bool {
    told.iter().any(|told| told == what)
}

#[tokio::test]
async fn it_is_ready_after_its_first_plan_and_says_when_it_ends() {
    let shop = Shop::new(&every_second());
    shop.open().await.store.close().await;
    // There is a slot to be made up for.
    shop.execute("INSERT INTO job_runs (job, slot_at, state) VALUES ('enforce', 0, 'done')")
        .await;
    shop.breaks("INSERT", "job_runs", "true").await;
    let (systemd, mut daemon) = Systemd::start(&shop, Duration::from_secs(60));
    for _ in 0..2 {
        daemon.wait_for("cannot plan");
    }
    let told = systemd.until("STATUS=cannot plan: ");
    assert!(told.last().unwrap().contains("died here"), "{told:?}");
    assert!(!is_told(&told, READY), "{told:?}");
    shop.mends().await;
    let told = systemd.until(READY);
    assert!(!is_told(&told, "STATUS=idle"), "{told:?}");
    systemd.until("STATUS=enforce since ");
    let idle = systemd.until("STATUS=idle, next is enforce at ");
    assert!(!is_told(&idle, READY), "told again: {idle:?}");
    daemon.terminate();
    systemd.until("STOPPING=1");
    daemon.ended();
}

#[tokio::test]
async fn what_failed_is_in_the_status_until_it_goes_well() {
    let shop = Shop::new(&every_second());
    shop.open().await.store.close().await;
    shop.breaks("UPDATE", "enforcement", "true").await;
    let (systemd, daemon) = Systemd::start(&shop, Duration::from_secs(60));
    let until_idle = |has_failed: bool| {
        let since = Stopwatch::start();
        loop {
            assert!(since.elapsed() < PATIENCE);
            let status = systemd.until("STATUS=idle, ").pop().unwrap();
            if status.contains("; enforce: ") == has_failed {
                return status;
            }
        }
    };
    let status = until_idle(true);
    assert!(status.contains("died here"), "{status}");
    shop.mends().await;
    until_idle(false);
    daemon.terminate();
    daemon.ended();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_waited_for() {
    // On a mount that comes late.
    let shop = Shop::on(Engine::Sqlite, &every_second());
    let text = std::fs::read_to_string(shop.path("warrantyd.toml")).unwrap();
    shop.write(
        "warrantyd.toml",
        text.replace("sqlite://shop.db", "sqlite://mount/shop.db"),
    );
    let (systemd, daemon) = Systemd::start(&shop, Duration::from_secs(60));
    let told = systemd.until("STATUS=cannot start: mount/shop.db: cannot open the database");
    assert!(!is_told(&told, READY), "{told:?}");
    std::fs::create_dir(shop.path("mount")).unwrap();
    systemd.until(READY);
    daemon.terminate();
    daemon.ended();
}

#[tokio::test]
async fn a_server_that_is_away_is_told_at_the_start_and_later() {
    let server = server().await;
    let shop = shop_on(&server, &every_second());
    server.stop();
    let (systemd, daemon) = Systemd::start(&shop, Duration::from_secs(60));
    let told = systemd.until("STATUS=cannot start: ");
    assert!(!is_told(&told, READY), "{told:?}");
    // It can be stopped meanwhile.
    daemon.terminate();
    daemon.ended();
    assert_eq!(systemd.next(Duration::from_millis(1)), None);
    std::fs::remove_file(shop.path("notify")).unwrap();
    let (systemd, daemon) = Systemd::start(&shop, Duration::from_secs(60));
    systemd.until("STATUS=cannot start: ");
    server.start();
    systemd.until(READY);
    systemd.until("STATUS=idle");
    server.stop();
    systemd.until("STATUS=cannot plan: the database cannot be reached");
    server.start();
    systemd.until("STATUS=idle");
    daemon.terminate();
    daemon.ended();
}

/// Keeps everybody else from changing facts.
enum Taken {
    File(#[expect(dead_code, reason = "it is only dropped")] File),
    Server(Connection),
}

impl Taken {
    async fn by_us(shop: &Shop) -> Self {
        match shop.engine() {
            Engine::Sqlite => {
                let file = File::create(shop.path("shop.db.import.lock")).unwrap();
                file.lock().unwrap();
                Self::File(file)
            }
            Engine::Postgres => {
                let mut server = shop.connection().await;
                let lock = "SELECT pg_advisory_lock(hashtext('warrantyd'), hashtext('import'))";
                server.rows(lock).await;
                Self::Server(server)
            }
        }
    }

    async fn released(self) {
        if let Self::Server(server) = self {
            server.close().await;
        }
    }
}

#[tokio::test]
async fn the_watchdog_is_petted_unless_the_worker_is_stuck() {
    // The import waits for longer until it leaves the files to the next run.
    let watchdog = Duration::from_secs(2);
    let others = all_off_but(&["import"]);
    let often =
        "[jobs.import]\nschedule = \"* * * * * *\"\n[import]\ndir = \"facts\"\nsettle = \"0s\"\n";
    let shop = Shop::new(&format!("{often}{others}"));
    shop.open().await.store.close().await;
    std::fs::create_dir(shop.path("facts")).unwrap();
    for (name, text) in many_units(1) {
        shop.write(&format!("facts/{name}"), text);
    }
    let taken = Taken::by_us(&shop).await;
    let (systemd, daemon) = Systemd::start(&shop, watchdog);
    systemd.until("STATUS=import since ");
    systemd.silence_of(watchdog);
    taken.released().await;
    systemd.until(PETTED);
    // Nor is it for want of work.
    systemd.until("STATUS=idle");
    systemd.until(PETTED);
    daemon.terminate();
    daemon.ended();
}

#[tokio::test]
async fn the_watchdog_is_petted_while_a_long_job_goes_on() {
    let others = all_off_but(&["import", "enforce"]);
    let often =
        ["import", "enforce"].map(|job| format!("[jobs.{job}]\nschedule = \"* * * * * *\"\n"));
    let facts = "[import]\ndir = \"facts\"\nsettle = \"0s\"\n";
    let shop = Shop::new(&format!("{facts}{}{others}", often.concat()));
    std::fs::create_dir(shop.path("facts")).unwrap();
    for (name, text) in many_units(8_800) {
        shop.write(&format!("facts/{name}"), text);
    }
    // Looked at every 25 ms, which is less than a page takes.
    let (systemd, daemon) = Systemd::start(&shop, Duration::from_millis(100));
    systemd.until("STATUS=import since ");
    for then in ["STATUS=enforce since ", "STATUS=idle"] {
        let told = systemd.until(then);
        // One may be that of the ring before.
        let petted = told.iter().filter(|told| *told == PETTED).count();
        assert!(petted > 2, "{told:?}");
    }
    daemon.terminate();
    daemon.ended();
}
