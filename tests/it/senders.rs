//! Several that send at once: nodes on one PostgreSQL, and sessions of one
//! node.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use warrantyd::store::{self, MessageState, Try};

use crate::crash::DELIVER;
use crate::deliver::{STATES, Server, configure, customers, mail, recipients, taken};
use crate::reconnect::Halt;
use crate::shop::{Engine, FILE_MAIL, Shop, assert_same, at, many_units, named, stderr};

/// So many orders of a customer each, with a notice to each; mail goes to a
/// server of its own.
async fn with_server(shop: Shop, count: usize, more: &str) -> (Shop, Server) {
    shop.import(&many_units(count)).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    let server = Server::start(&shop, &[]);
    let more = format!("surge_limit = {count}\n{more}");
    configure(&shop, &mail(server.port, &more));
    (shop, server)
}

/// The Message-IDs that the server took, in order.
fn headers(shop: &Shop) -> Vec<String> {
    let mut headers: Vec<String> = taken(shop)
        .into_iter()
        .map(|line| line[0].clone())
        .collect();
    headers.sort();
    headers
}

const SENT: &str = "SELECT message_id FROM messages WHERE state = 'sent' ORDER BY message_id";

#[tokio::test]
async fn nodes_share_the_messages() {
    let shop = Shop::on(Engine::Postgres, "");
    let (shop, server) = with_server(shop, 1_500, "").await;
    let start = |_| {
        shop.command(&DELIVER)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let nodes: Vec<Child> = (0..3).map(start).collect();
    for node in nodes {
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    server.stop();
    let sent = shop.rows(SENT).await;
    assert_eq!(sent.len(), 1_500);
    assert_eq!(headers(&shop), sent);
    let notices = "SELECT count(*), count(DISTINCT ref) FROM notices WHERE disposition = 'sent'";
    assert_eq!(shop.rows(notices).await, ["1500|1500"]);
    let carried = "SELECT max(n) FROM (SELECT count(*) AS n FROM message_notices \
                    GROUP BY notice_id) AS of_one";
    assert_eq!(shop.rows(carried).await, ["1"]);
}

/// What a node is given up after is told to it in the address.
fn impatient(shop: &Shop) -> Command {
    let silence = "options[idle_in_transaction_session_timeout]=1s";
    let mut command = shop.command_by(&["setpriv", "--pdeathsig", "KILL"], &DELIVER);
    command
        .env(
            "WARRANTYD_DATABASE__URL",
            format!("{}?{silence}", shop.database()),
        )
        .stderr(Stdio::piped());
    command
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_node_that_was_frozen_past_its_lease_overwrites_nothing() {
    let shop = Shop::on(Engine::Postgres, "");
    let (shop, server) = with_server(shop, 60, "").await;
    let tenth = "NEW.state = 'sent' AND \
                 (SELECT count(*) FROM messages WHERE state = 'sent') >= 10";
    let halt = Halt::at(&shop, "UPDATE", "messages", tenth).await;
    let frozen = impatient(&shop).spawn().unwrap();
    halt.is_reached().await;
    signal(&frozen, "-STOP");
    halt.released().await;
    let expired = "SELECT count(*) > 0 FROM messages WHERE state = 'sending' AND \
                   lease_until < extract(epoch FROM clock_timestamp()) * 1000000";
    shop.until(expired, &["1"]).await;
    let in_hand = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND pid <> pg_backend_pid() AND state <> 'idle'";
    // Its transaction is taken back.
    shop.until(in_hand, &["0"]).await;
    shop.run_to(0, &DELIVER);
    let states = "SELECT state, count(*) FROM messages GROUP BY 1";
    assert_eq!(shop.rows(states).await, ["sent|60"]);
    let twice = "SELECT count(*) > 0 FROM messages WHERE maybe_taken AND tries = 2";
    assert_eq!(shop.rows(twice).await, ["1"]);
    let rows = shop.dump(&["job_runs"]).await;
    let handed_over = taken(&shop).len();
    signal(&frozen, "-CONT");
    let output = frozen.wait_with_output().unwrap();
    server.stop();
    let said = stderr(&output);
    assert!(said.contains("another node has it by now"), "{said}");
    assert_same(&shop.dump(&["job_runs"]).await, &rows, "woken up");
    // But what its only session was in the middle of.
    let more = taken(&shop).len() - handed_over;
    assert!(more <= 1, "{more}: {said}");
}

#[tokio::test]
async fn who_no_longer_has_a_message_writes_nothing_of_it() {
    let shop = Shop::new(FILE_MAIL);
    shop.import(&many_units(2)).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    shop.execute("UPDATE messages SET state = 'ready', next_try_at = composed_at")
        .await;
    let open = shop.open().await;
    let now = at("2025-06-05T11:00:00Z");
    let mut tx = open.store.write().await.unwrap();
    let due = store::messages_due(&mut tx, now, true, None, 10)
        .await
        .unwrap();
    let ids: Vec<i64> = due.iter().map(|message| message.id).collect();
    let first = store::messages_take(&mut tx, &ids).await.unwrap();
    assert_eq!(first.ids.len(), 2);
    // On a file of SQLite nobody else can be at work.
    assert_eq!(first.lease.is_zero(), shop.engine() == Engine::Sqlite);
    let found = store::messages_interrupted(&mut tx, 10).await.unwrap();
    assert_eq!(found.is_empty(), shop.engine() == Engine::Postgres);
    tx.commit().await.unwrap();

    shop.execute("UPDATE messages SET lease_until = 1").await;
    let mut tx = open.store.write().await.unwrap();
    let held = || due.iter().map(|message| (message.id, message.fence + 1));
    assert_eq!(store::messages_renew(&mut tx, held()).await.unwrap(), 2);
    tx.commit().await.unwrap();
    shop.execute("UPDATE messages SET lease_until = 1").await;
    let mut tx = open.store.write().await.unwrap();
    let mut found = store::messages_interrupted(&mut tx, 10).await.unwrap();
    assert_eq!(found.len(), 2);
    let tried = Try {
        state: MessageState::Ready,
        counts: true,
        next_try_at: Some(now),
        answer: Some("nobody answered".to_owned()),
        refused: false,
        maybe_taken: true,
    };
    let other = found.pop().unwrap();
    let (own, lost) = (other.clone(), found.remove(0));
    let settled = [(lost.clone(), tried.clone()), (other, tried.clone())];
    let written = store::messages_tried(&mut tx, &settled, now).await.unwrap();
    assert_eq!(written.len(), 2);
    // One is taken anew.
    assert_eq!(
        store::messages_take(&mut tx, &[own.id]).await.unwrap().ids,
        [own.id]
    );
    assert_eq!(store::messages_renew(&mut tx, held()).await.unwrap(), 0);
    let sent = Try {
        state: MessageState::Sent,
        ..tried
    };
    let late = [(lost, sent.clone()), (own.clone(), sent.clone())];
    let written = store::messages_tried(&mut tx, &late, now).await.unwrap();
    assert_eq!(written.len(), 0);
    let mut own = own;
    own.fence += 1;
    let written = store::messages_tried(&mut tx, &[(own, sent)], now)
        .await
        .unwrap();
    assert_eq!(written.len(), 1);
    tx.commit().await.unwrap();
    let states = "SELECT state, fence, tries FROM messages ORDER BY 1";
    assert_eq!(shop.rows(states).await, ["ready|2|2", "sent|3|3"]);
    open.store.close().await;
}

#[tokio::test]
async fn sessions_share_the_messages() {
    let (shop, server) = with_server(Shop::new(""), 200, "sessions = 4\n").await;
    shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    server.stop();
    let sent = shop.rows(SENT).await;
    assert_eq!(sent.len(), 200);
    assert_eq!(headers(&shop), sent);
    let ports: BTreeSet<String> = taken(&shop)
        .into_iter()
        .map(|line| line[3].clone())
        .collect();
    assert_eq!(ports.len(), 4);
}

#[tokio::test]
async fn a_fault_of_the_server_stops_all_sessions() {
    let names = |first: &str| (0..20).map(|n| format!("{first}{n}")).collect::<Vec<_>>();
    let (before, after) = (names("ada"), names("zoe"));
    let names = before.iter().map(String::as_str).chain(["last-bob"]);
    let names: Vec<&str> = names.chain(after.iter().map(String::as_str)).collect();
    let shop = customers(&names).await;
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, "sessions = 3\n"));
    let done = shop.deliver(named("2025-06-05T10:00:00Z")).await.unwrap();
    server.stop();
    let problem = done.problem.as_ref().unwrap();
    assert!(problem.contains("421 4.3.2 going down"), "{problem}");
    let sent = shop
        .rows("SELECT recipient FROM messages WHERE state = 'sent' ORDER BY 1")
        .await;
    let mut took = recipients(&shop);
    took.sort();
    assert_eq!(sent, took);
    assert!(sent.len() < names.len(), "{sent:?}");
    assert_eq!(done.get("sent"), sent.len() as u64);
    // The others wait, with no try used up.
    let others = "SELECT DISTINCT state, tries FROM messages WHERE state <> 'sent'";
    assert_eq!(shop.rows(others).await, ["ready|0"]);
    let server = Server::start(&shop, &[]);
    configure(&shop, &mail(server.port, "sessions = 3\n"));
    shop.deliver(named("2025-06-05T10:01:00Z")).await.unwrap();
    server.stop();
    let all = shop.rows(STATES).await;
    assert_eq!(all.len(), names.len());
    assert!(all.iter().all(|line| line.ends_with("|sent|1")), "{all:?}");
    assert_eq!(taken(&shop).len(), names.len());
}
