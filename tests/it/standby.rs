//! The primary server dies in the middle of a page and its standby takes over.
//! Clients know one address, which moves as a virtual IP does. A commit that
//! was answered is on the standby; one that was not may be there all the same:
//! nothing is lost and nothing done twice.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::crash::{DELIVER, WHEN_RECORDED, delivered_in_the_end, undisturbed, with_notices};
use crate::nodes::{Node, one_slot, same_as_undisturbed, until};
use crate::postgres::{Database, Server};
use crate::reconnect::Halt;
use crate::shop::{FILE_MAIL, Shop, assert_same, many_units, stderr};

/// A port that leads to one server, and later to another.
struct Address {
    port: u16,
    leads_to: watch::Sender<u16>,
}

impl Address {
    async fn of(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (leads_to, server) = watch::channel(server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forwarded(client, server.clone()));
            }
        });
        Self { port, leads_to }
    }
}

/// Hands a client's bytes to the server until the address moves. A client that
/// comes when the server is dead is sent away.
async fn forwarded(mut client: TcpStream, mut leads_to: watch::Receiver<u16>) {
    let port = *leads_to.borrow_and_update();
    if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = leads_to.changed() => {}
        }
    }
}

/// A primary server, its standby, and the address that moves between them.
struct Pair {
    primary: Arc<Server>,
    standby: Server,
    address: Address,
}

impl Pair {
    async fn started() -> Self {
        let primary = Server::started();
        let standby = primary.followed();
        let address = Address::of(primary.port).await;
        Self {
            primary: Arc::new(primary.reached_at(address.port)),
            standby,
            address,
        }
    }

    fn shop(&self, more: &str) -> Shop {
        Shop::with(Some(Database::empty(Arc::clone(&self.primary))), more)
    }

    /// From now on the address leads to the standby.
    fn moves(&self) {
        self.address.leads_to.send(self.standby.port).unwrap();
    }

    /// Lets a page that halts go on to its commit, which the standby gets and
    /// nobody answers.
    async fn leaves_a_commit_unanswered(&self, shop: &Shop, halt: Halt<'_>) {
        self.standby.admin("SELECT pg_wal_replay_pause()".into());
        halt.released().await;
        let unanswered = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() \
                             AND application_name = 'warrantyd' AND wait_event = 'SyncRep'";
        shop.until(unanswered, &["1"]).await;
        let has_all = "SELECT flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication";
        shop.until(has_all, &["1"]).await;
    }
}

/// Starts a command, which does not look for a server for ever; what it says
/// is kept.
fn started(shop: &Shop, args: &[&str]) -> Child {
    let mut command = shop.command_by(&["timeout", "60"], args);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// In the second of three pages.
const SECOND_PAGE: &str = "NEW.ref = 'U-3000'";

/// Where the primary dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Write,
    Commit,
}

async fn enforce_ends_and_is_run_again(moment: Moment) {
    let pair = Pair::started().await;
    let shop = pair.shop("");
    shop.import(&many_units(5_000)).await;
    let args = ["run", "enforce", "--at", "2025-06-05T09:00:00Z"];
    let undisturbed = shop.copy();
    undisturbed.run_to(0, &args);
    let without = [WHEN_RECORDED.as_slice(), &["notices.id"]].concat();
    let expected = undisturbed.dump(&without).await;
    let halt = Halt::at(&shop, "INSERT", "notices", SECOND_PAGE).await;
    let run = started(&shop, &args);
    halt.is_reached().await;
    let left = match moment {
        Moment::Write => "3000",
        Moment::Commit => {
            pair.leaves_a_commit_unanswered(&shop, halt).await;
            "1000"
        }
    };
    pair.primary.stop();
    pair.standby.promote();
    pair.moves();
    let output = run.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let gone = "the database cannot be reached: the server closed the connection";
    assert!(said.contains(gone), "{said}");
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    assert_eq!(shop.rows(waiting).await, [left]);
    shop.run_to(0, &args);
    assert_same(&shop.dump(&without).await, &expected, "run again");
}

#[tokio::test(flavor = "multi_thread")]
async fn enforce_is_run_again_when_the_primary_died_at_a_write() {
    enforce_ends_and_is_run_again(Moment::Write).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enforce_is_run_again_when_the_primary_died_at_a_commit() {
    enforce_ends_and_is_run_again(Moment::Commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliver_goes_on_by_itself() {
    let pair = Pair::started().await;
    let shop = with_notices(pair.shop(FILE_MAIL), 30).await;
    let expected = undisturbed(&shop).await;
    // The message was handed over, and nobody has noted it yet.
    let first = "NEW.state = 'sent'";
    let halt = Halt::at(&shop, "UPDATE", "messages", first).await;
    let mut run = started(&shop, &DELIVER);
    let log = BufReader::new(run.stderr.take().unwrap()).lines();
    let unwritten = "what became of messages cannot be written yet";
    let mut unwritten = log.filter(|line| line.as_ref().unwrap().contains(unwritten));
    halt.is_reached().await;
    pair.primary.stop();
    // The second time nobody is at the address.
    assert_eq!(unwritten.by_ref().take(2).count(), 2);
    pair.standby.promote();
    pair.moves();
    unwritten.for_each(drop);
    assert!(run.wait().unwrap().success());
    delivered_in_the_end(&shop, &expected, "deliver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_goes_on_by_itself() {
    let pair = Pair::started().await;
    let shop = one_slot(Arc::clone(&pair.primary), 5_000).await;
    let undisturbed = shop.copy();
    let halt = Halt::at(&shop, "INSERT", "deadlines", SECOND_PAGE).await;
    // Its lease outlasts the test: it is given back, or nobody goes on.
    let lease = "options[idle_in_transaction_session_timeout]=10min";
    let address = format!("{}?{lease}", shop.database());
    let daemon = Node::start(&shop, "daemon", address);
    halt.is_reached().await;
    pair.primary.stop();
    pair.moves();
    // Nothing can be written before the standby is promoted.
    let refused = "the server is a standby";
    until(refused, || daemon.lines(refused) > 0).await;
    pair.standby.promote();
    shop.until("SELECT state FROM job_runs", &["done"]).await;
    daemon.ended().await;
    let started_at = shop.rows("SELECT started_at FROM job_runs").await;
    same_as_undisturbed(&shop, &undisturbed, &started_at[0], "the daemon").await;
}
