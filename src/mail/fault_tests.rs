//! Each cell of the table in `faults.md`: a scripted server does it, then takes
//! another message.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::login_tests::{OFFERS_LOGIN, OFFERS_TLS, certificate, greet_with, log_in, login};
use super::scripted_server::Act::{self, Body, Encrypt, Hear, Say, SayLate, Stall, Wait};
use super::scripted_server::{
    greet, greet_for_groups, group, part, script, serve, take, up_to_data,
};
use super::session_tests::{delivered, send, settings, transport};
use super::{Blame, Delivery, Envelope, SmtpSettings, Timeouts, Transport};

const TABLE: &str = include_str!("faults.md");

/// How long a server that stalls is waited for.
const SHORT: Duration = Duration::from_secs(2);

/// More than fits into the buffers between two programs.
const BIG: usize = 8 << 20;

/// One cell: in which phase the server does what, and what must come of it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    phase: &'static str,
    fault: &'static str,
    outcome: &'static str,
    /// Whether commands come in groups.
    in_groups: bool,
}

/// The cells of the first table that say something.
fn cells() -> Vec<Cell> {
    let cells_of = |line: &'static str| line.trim_matches('|').split('|').map(str::trim);
    let mut lines = TABLE
        .lines()
        .skip_while(|line| !line.starts_with("| phase"));
    let faults: Vec<&str> = cells_of(lines.next().unwrap()).skip(1).collect();
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let mut all = Vec::new();
    for row in rows {
        let phase = cells_of(row).next().unwrap();
        for (fault, outcome) in faults.iter().zip(cells_of(row).skip(1)) {
            let is_said_in_groups = ["MAIL", "RCPT", "DATA", "body", "final dot"].contains(&phase);
            for in_groups in [false, true] {
                if outcome != "–" && (!in_groups || is_said_in_groups) {
                    all.push(Cell {
                        phase,
                        fault,
                        outcome,
                        in_groups,
                    });
                }
            }
        }
    }
    all
}

/// What the table calls an outcome.
fn name(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Delivered { .. } => "delivered",
        Delivery::RefusedForGood { .. } => "for good",
        Delivery::RefusedForNow { .. } => "for now",
        Delivery::NotSent { blame, .. } => match blame {
            Blame::Message => "not sent",
            Blame::Transport => "transport",
            Blame::Us => "us",
        },
        Delivery::Uncertain { .. } => "uncertain",
    }
}

impl Cell {
    fn is_slow(self) -> bool {
        matches!(self.fault, "stalls" | "late")
    }

    /// Whether the connection serves the next message, too.
    fn keeps_connection(self) -> bool {
        let is_answer = matches!(self.fault, "4xx" | "5xx");
        is_answer && matches!(self.phase, "MAIL" | "RCPT" | "DATA" | "final dot")
    }

    /// Commands that a server which takes groups answers before and after that
    /// of the phase.
    fn around(self) -> (&'static str, &'static str) {
        match (self.in_groups, self.phase) {
            (true, "MAIL") => ("", "\r\n503 no sender\r\n503 no sender"),
            (true, "RCPT") => ("250 ok\r\n", "\r\n503 no recipient"),
            (true, "DATA") => ("250 ok\r\n250 ok\r\n", ""),
            _ => ("", ""),
        }
    }

    /// Whether the server speaks though it is to hear the message.
    fn is_early(self) -> bool {
        self.phase == "body" && matches!(self.fault, "421" | "4xx" | "5xx" | "garbage")
    }

    /// The answer that is the fault; one that is early, with the leave before it.
    fn answer(self) -> &'static str {
        match self.fault {
            "421" if self.is_early() => "354 go on\r\n421 4.3.2 down",
            "4xx" if self.is_early() => "354 go on\r\n451 4.7.1 later",
            "5xx" if self.is_early() => "354 go on\r\n554 5.7.1 no",
            "garbage" if self.is_early() => "354 go on\r\nwhat?",
            "421" => "421 4.3.2 down",
            "4xx" => "451 4.7.1 later",
            "5xx" => "554 5.7.1 no",
            "garbage" => "what?",
            "late" => "250 ok",
            other => panic!("{other} is no answer"),
        }
    }

    /// What the server does in the phase.
    fn act(self, left: &Arc<Notify>) -> Vec<Act> {
        let (before, after) = self.around();
        let mut acts: Vec<Act> = before.lines().map(Say).collect();
        // What is on its way is not read meanwhile.
        let waits = || Wait(left.clone());
        match self.fault {
            "closes" => {}
            "stalls" if matches!(self.phase, "TLS" | "body") => acts.push(waits()),
            "stalls" => acts.push(Stall),
            "late" => acts.extend([waits(), SayLate(self.answer())]),
            _ => {
                acts.push(Say(self.answer()));
                if self.keeps_connection() {
                    acts.extend(after.trim_start().lines().map(Say));
                }
            }
        }
        match (self.phase, self.fault) {
            // The client goes away without another word.
            _ if self.is_early() => acts.push(Stall),
            ("MAIL" | "RCPT" | "DATA", _) if self.keeps_connection() => {
                acts.extend([Hear("RSET"), Say("250 ok")]);
            }
            _ => {}
        }
        acts
    }

    fn greet(self) -> Vec<Act> {
        match self.in_groups {
            true => greet_for_groups(),
            false => greet(),
        }
    }

    /// What the server says and hears up to the phase, with the command of it.
    fn up_to(self) -> Vec<Act> {
        let commands = |count| {
            let mut acts = match self.in_groups {
                true => vec![group()],
                false => up_to_data(),
            };
            acts.truncate(count);
            script([self.greet(), acts])
        };
        let leave = || match self.in_groups {
            true => script([
                commands(6),
                ["250 ok", "250 ok", "354 go on"].map(Say).into(),
            ]),
            false => commands(6),
        };
        match self.phase {
            "TLS" | "greeting" => vec![],
            "EHLO" => vec![Say("220 mail.example"), Hear("EHLO")],
            "STARTTLS" => script([greet_with(OFFERS_TLS), vec![Hear("STARTTLS")]]),
            "AUTH" => script([greet_with(OFFERS_LOGIN), vec![Hear("AUTH")]]),
            "MAIL" => commands(1),
            "RCPT" => commands(3),
            "DATA" => commands(5),
            "body" => {
                let mut acts = leave();
                acts.truncate(acts.len() - usize::from(self.is_early()));
                acts
            }
            "final dot" => script([leave(), vec![Body]]),
            other => panic!("no script for {other}"),
        }
    }

    /// Takes a message, from the beginning or on a connection that was kept.
    fn take_another(self, server: &Arc<ServerConfig>) -> Vec<Act> {
        let taken = match self.in_groups {
            true => vec![
                group(),
                Say("250 ok\r\n250 ok\r\n354 go on"),
                Body,
                Say("250 2.0.0 queued as 7"),
            ],
            false => take(),
        };
        let greeted = match self.phase {
            _ if self.keeps_connection() => vec![],
            "TLS" => script([vec![Encrypt(server.clone())], self.greet()]),
            "STARTTLS" => script([
                greet_with(OFFERS_TLS),
                vec![Hear("STARTTLS"), Say("220 go on"), Encrypt(server.clone())],
                self.greet().into_iter().skip(1).collect(),
            ]),
            "AUTH" => script([greet_with(OFFERS_LOGIN), log_in("235 welcome")]),
            _ => self.greet(),
        };
        script([greeted, taken, part()])
    }

    fn settings(self, port: u16, ca_file: &std::path::Path) -> SmtpSettings {
        let tls = match self.phase {
            "TLS" => "implicit",
            "STARTTLS" => "required",
            _ => "off",
        };
        let mut timeouts = Timeouts::default();
        if self.is_slow() {
            let of_phase = match self.phase {
                "connect" | "TLS" => &mut timeouts.connect,
                "greeting" | "EHLO" | "STARTTLS" | "AUTH" => &mut timeouts.hello,
                "MAIL" | "RCPT" | "DATA" => &mut timeouts.command,
                "body" => &mut timeouts.data,
                _ => &mut timeouts.answer,
            };
            *of_phase = SHORT;
        }
        SmtpSettings {
            login: login().filter(|_| self.phase == "AUTH"),
            ca_file: (tls != "off").then(|| ca_file.to_owned()),
            timeouts,
            ..settings(port, tls)
        }
    }

    /// A message that meets the fault, then one that meets none.
    async fn play(self) {
        if self.phase == "connect" {
            return self.play_connect().await;
        }
        let (server_side, ca_file) = certificate();
        let left = Arc::new(Notify::new());
        let first = script([self.up_to(), self.act(&left)]);
        let another = self.take_another(&server_side);
        let scripts = match self.keeps_connection() {
            true => vec![script([first, another])],
            false => vec![first, another],
        };
        let (port, server) = serve(scripts).await;
        let mut transport = transport(self.settings(port, ca_file.path()));
        let is_cut = self.phase == "body" && matches!(self.fault, "closes" | "stalls" | "late");
        let delivery = match is_cut {
            true => send_big(&mut transport).await,
            false => send(&mut transport).await,
        };
        assert_eq!(name(&delivery), self.outcome, "{self:?}: {delivery:?}");
        left.notify_one();
        assert_eq!(send(&mut transport).await, delivered(), "{self:?}");
        transport.close().await;
        server.await.unwrap();
    }

    /// A server that is not there, or that takes no more connections.
    async fn play_connect(self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut kept = Vec::new();
        let listener: Option<TcpListener> = (self.fault == "stalls").then(|| {
            let full = socket.listen(1);
            full.unwrap()
        });
        while listener.is_some() {
            match tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
                Ok(connected) => kept.push(connected.unwrap()),
                Err(_) => break,
            }
        }
        let nobody = std::path::Path::new("");
        let mut transport = transport(self.settings(address.port(), nobody));
        let delivery = send(&mut transport).await;
        assert_eq!(name(&delivery), self.outcome, "{self:?}: {delivery:?}");
    }
}

async fn send_big(transport: &mut Transport) -> Delivery {
    let envelope = Envelope {
        from: "service@shop.example".into(),
        to: "ana@customer.example".into(),
    };
    transport.send(&envelope, &vec![b'a'; BIG], "m-1").await
}

#[tokio::test]
async fn each_cell_of_the_table_is_as_it_says() {
    let (slow, quick): (Vec<Cell>, Vec<Cell>) = cells().into_iter().partition(|c| c.is_slow());
    assert_eq!((slow.len(), quick.len()), (31, 76));
    for cell in quick {
        cell.play().await;
    }
    join_all(slow.into_iter().map(Cell::play)).await;
}
