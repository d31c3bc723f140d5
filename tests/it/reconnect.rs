//! The database's server goes away in the middle of a page: nothing is half
//! written, it is told, and the next run makes up for it.

use std::process::{Child, Output, Stdio};
use std::sync::{Arc, LazyLock};

use tokio::sync::{Mutex, MutexGuard};

use crate::connection::Connection;
use crate::crash::{DELIVER, WHEN_RECORDED, delivered_in_the_end, undisturbed, with_notices};
use crate::daemon::{Daemon, TWICE, every_second};
use crate::postgres::{Database, Server};
use crate::shop::{FILE_MAIL, Shop, assert_same, many_units, stderr};

/// A server that one test at a time may stop.
pub async fn server() -> MutexGuard<'static, Arc<Server>> {
    static SERVER: LazyLock<Mutex<Arc<Server>>> =
        LazyLock::new(|| Mutex::new(Arc::new(Server::started())));
    let server = SERVER.lock().await;
    // A test that failed may have left it stopped.
    server.start();
    server
}

pub fn shop_on(server: &Arc<Server>, more: &str) -> Shop {
    Shop::with(Some(Database::empty(Arc::clone(server))), more)
}

/// What happens in the middle of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The program's connections are cut.
    Cut,
    /// The server crashes, and is back at once.
    Crash,
    /// The program is killed, and the server goes on for a moment.
    Kill,
}

const FAULTS: [Fault; 3] = [Fault::Cut, Fault::Crash, Fault::Kill];

/// A statement that halts in the midst of what it writes.
pub struct Halt<'s> {
    shop: &'s Shop,
    holder: Connection,
}

impl<'s> Halt<'s> {
    /// Halts a kind of write (`INSERT`, `UPDATE`) to a table at the row `NEW`
    /// of which a condition holds.
    pub async fn at(shop: &'s Shop, write: &str, table: &str, condition: &str) -> Self {
        let sql = format!(
            "CREATE FUNCTION halts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF {condition} THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; \
                 RETURN NULL; \
             END $$; \
             CREATE TRIGGER halts AFTER {write} ON {table} \
             FOR EACH ROW EXECUTE FUNCTION halts()"
        );
        shop.execute(&sql).await;
        let mut holder = shop.connection().await;
        holder.rows("SELECT pg_advisory_lock(1)").await;
        Self { shop, holder }
    }

    /// Waits until a statement has halted.
    pub async fn is_reached(&self) {
        // Others wait for locks of their own.
        let halted = "SELECT count(*) > 0 FROM pg_locks AS l \
                        JOIN pg_database AS d ON d.oid = l.database \
                       WHERE d.datname = current_database() AND l.locktype = 'advisory' \
                         AND (l.classid, l.objid, l.objsubid) = (0, 1, 1) AND NOT l.granted";
        self.shop.until(halted, &["1"]).await;
    }

    /// Lets the statement go on, if it still can.
    pub async fn released(self) {
        self.holder.close().await;
    }

    /// Lets everything happen in the middle of a program's work; gives what
    /// it said at its end.
    async fn interrupted(mut self, fault: Fault, server: &Server, mut child: Child) -> Output {
        self.is_reached().await;
        match fault {
            Fault::Cut => {
                let sql = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity \
                            WHERE datname = current_database() \
                              AND application_name = 'warrantyd'";
                assert_eq!(self.holder.rows(sql).await, ["1"]);
            }
            Fault::Crash => {
                server.stop();
                server.start();
            }
            Fault::Kill => child.kill().unwrap(),
        }
        if fault != Fault::Crash {
            self.holder.close().await;
        }
        let output = child.wait_with_output().unwrap();
        self.shop.alone().await;
        self.shop.execute("DROP FUNCTION halts CASCADE").await;
        output
    }
}

/// Runs a command that is interrupted where a write halts; it must say why.
async fn interrupted(
    shop: &Shop,
    server: &Server,
    args: &[&str],
    (write, table, condition): (&str, &str, &str),
    fault: Fault,
) {
    let halt = Halt::at(shop, write, table, condition).await;
    let mut command = shop.command(args);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let output = halt.interrupted(fault, server, child).await;
    let said = stderr(&output);
    let cause = match fault {
        Fault::Cut => "terminating connection due to administrator command",
        Fault::Crash => "the server closed the connection",
        Fault::Kill => return assert_eq!(output.status.code(), None, "{said}"),
    };
    assert_eq!(output.status.code(), Some(1), "{fault:?}: {said}");
    let gone = format!(
        "the database cannot be reached: {cause}; run it again when the server is back, nothing \
         is lost or done twice\n"
    );
    assert!(said.ends_with(&gone), "{fault:?}: {said}");
}

#[tokio::test]
async fn enforce() {
    let server = server().await;
    let base = shop_on(&server, "");
    base.import(&many_units(2_400)).await;
    let args = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];
    let undisturbed = base.copy();
    undisturbed.run_to(0, &args);
    let without = [WHEN_RECORDED.as_slice(), &["notices.id"]].concat();
    let expected = undisturbed.dump(&without).await;
    for fault in FAULTS {
        let shop = base.copy();
        let late = ("INSERT", "notices", "NEW.ref = 'U-1150'");
        interrupted(&shop, &server, &args, late, fault).await;
        // A case is as it was, or all that follows of it was written.
        let half = "SELECT count(*) FROM agenda AS a WHERE (next_at > 0) <> EXISTS ( \
                      SELECT 1 FROM notices AS n WHERE n.order_id = a.order_id)";
        assert_eq!(shop.rows(half).await, ["0"], "{fault:?}");
        let left = "SELECT count(*) > 0 FROM agenda WHERE next_at = 0";
        assert_eq!(shop.rows(left).await, ["1"], "{fault:?}");
        shop.run_to(0, &args);
        let what = format!("{fault:?}");
        assert_same(&shop.dump(&without).await, &expected, &what);
    }
}

#[tokio::test]
async fn import() {
    let server = server().await;
    let base = shop_on(&server, "");
    let before = base.dump(&WHEN_RECORDED).await;
    let facts = tempfile::TempDir::new().unwrap();
    for (name, text) in many_units(200) {
        std::fs::write(facts.path().join(name), text).unwrap();
    }
    let args = ["import", facts.path().to_str().unwrap()];
    let undisturbed = base.copy();
    undisturbed.run_to(0, &args);
    let expected = undisturbed.dump(&SURROGATES).await;
    for fault in FAULTS {
        let shop = base.copy();
        let merge = ("INSERT", "agenda", "NEW.order_id % 200 = 150");
        interrupted(&shop, &server, &args, merge, fault).await;
        let what = format!("{fault:?}");
        assert_same(&shop.dump(&WHEN_RECORDED).await, &before, &what);
        shop.run_to(0, &args);
        assert_same(&shop.dump(&SURROGATES).await, &expected, &what);
    }
}

/// A number that was given and taken back is not given again.
const SURROGATES: [&str; 13] = [
    "change_sets.id",
    "change_sets.recorded_at",
    "orders.id",
    "orders.changed_at",
    "orders.created_in",
    "units.id",
    "units.order_id",
    "units.changed_at",
    "units.created_in",
    "agenda.order_id",
    "agenda.rules_id",
    "feed",
    "job_runs",
];

#[tokio::test]
async fn deliver() {
    let server = server().await;
    let base = with_notices(shop_on(&server, FILE_MAIL), 30).await;
    let expected = undisturbed(&base).await;
    for fault in FAULTS {
        let shop = base.copy();
        // The message was handed over, and nobody has noted it yet.
        let fourth = "NEW.state = 'sent' AND \
                      (SELECT count(*) FROM messages WHERE state = 'sent') >= 4";
        let halt = Halt::at(&shop, "UPDATE", "messages", fourth).await;
        let mut command = shop.command(&DELIVER);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = halt.interrupted(fault, &server, command.spawn().unwrap());
        let output = output.await;
        let sending = shop.rows("SELECT count(*) > 0 FROM messages WHERE state = 'sending'");
        let sending = sending.await;
        match fault {
            Fault::Kill => assert_eq!(sending, ["1"]),
            // Answers are kept until the database is back.
            Fault::Cut | Fault::Crash => {
                assert!(output.status.success(), "{}", stderr(&output));
                let said = "what became of messages cannot be written yet";
                assert!(stderr(&output).contains(said), "{}", stderr(&output));
                assert_eq!(sending, ["0"]);
            }
        }
        delivered_in_the_end(&shop, &expected, &format!("{fault:?}")).await;
    }
}

#[tokio::test]
async fn the_daemon_goes_on_by_itself() {
    let server = server().await;
    let shop = shop_on(&server, &every_second());
    shop.import(&many_units(20)).await;
    let late = "NEW.ref = 'U-15'";
    let halt = Halt::at(&shop, "INSERT", "deadlines", late).await;
    let mut daemon = Daemon::start(&shop);
    daemon.wait_for("started");
    halt.is_reached().await;
    server.stop();
    server.start();
    let failed = daemon.wait_for(" failed ");
    assert!(
        failed.contains("the server closed the connection"),
        "{failed}"
    );
    // The next slot finds what this one left.
    daemon.wait_for("state=done");
    daemon.terminate();
    daemon.ended();
    assert_eq!(shop.rows(TWICE).await, [""; 0]);
    let running = "SELECT slot_at FROM job_runs WHERE state = 'running'";
    assert_eq!(shop.rows(running).await, [""; 0]);
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(waiting).await, ["0"]);
    let deadlines = "SELECT count(*), count(DISTINCT ref) FROM deadlines";
    assert_eq!(shop.rows(deadlines).await, ["60|20"]);
}

#[tokio::test]
async fn a_run_whose_end_could_not_be_written_is_made_up_for_at_once() {
    let server = server().await;
    let shop = shop_on(&server, &every_second());
    shop.import(&many_units(1)).await;
    let halt = Halt::at(&shop, "UPDATE", "job_runs", "NEW.state = 'done'").await;
    // Nobody waits for its lease to end.
    let silence = "options[idle_in_transaction_session_timeout]=1h";
    let address = format!("{}?{silence}", shop.database());
    let mut daemon = Daemon::start_with(&shop, &[("WARRANTYD_DATABASE__URL", &address)]);
    daemon.wait_for("started");
    halt.is_reached().await;
    server.stop();
    server.start();
    let first = "SELECT state FROM job_runs ORDER BY id LIMIT 1";
    shop.until(first, &["done"]).await;
    daemon.terminate();
    daemon.ended();
}
