//! What is said to a mail server, in which order (RFC 5321).

use lettre::Address;
use memchr::memmem;

use super::answer::Fault;
use super::opening::{NotOpened, open};
use super::stream::Encryption;
use super::wire::Wire;
use super::{SmtpSettings, Timeouts};

/// So much of a message is written under one timeout.
const CHUNK: usize = 64 * 1024;

/// 251: the server will forward to another address that it knows.
const RECIPIENT_TAKEN: &[u16] = &[250, 251];

/// An open connection, greeted and logged in.
pub(super) struct Conversation {
    wire: Wire,
    /// Whether the server takes commands in groups (PIPELINING, RFC 2920).
    takes_groups: bool,
    timeouts: Timeouts,
}

/// Where a message was stopped before it was handed over.
pub(super) enum Stop {
    /// At its sender.
    Sender(Fault),
    /// At its recipient, or at DATA.
    Recipient(Fault),
}

/// How handing over a message ended.
pub(super) enum HandOver {
    /// The server has it: its answer.
    Taken(String),
    /// The server does not have it.
    Failed(Fault),
    /// The server spoke before it had the whole message, which was not sent to
    /// its end.
    Interrupted(Fault),
    /// The final dot was on its way, and no fitting answer came.
    Unanswered(String),
}

impl Conversation {
    /// Connects, introduces us, encrypts and logs in.
    pub(super) async fn open(
        settings: &SmtpSettings,
        encryption: &Encryption,
    ) -> Result<Self, NotOpened> {
        let (wire, offer) = open(settings, encryption).await?;
        Ok(Self {
            wire,
            takes_groups: offer.extension("PIPELINING").is_some(),
            timeouts: settings.timeouts,
        })
    }

    /// Names the sender and the recipient, and asks for leave to hand the
    /// message over. In one group if the server takes that.
    pub(super) async fn announce(&mut self, from: &Address, to: &Address) -> Result<(), Stop> {
        let mail = format!("MAIL FROM:<{from}>\r\n");
        let rcpt = format!("RCPT TO:<{to}>\r\n");
        if self.takes_groups {
            return self.announce_together(&(mail + &rcpt + "DATA\r\n")).await;
        }
        self.ask(&mail, &[250]).await.map_err(Stop::Sender)?;
        let taken = self.ask(&rcpt, RECIPIENT_TAKEN).await;
        taken.map_err(Stop::Recipient)?;
        self.ask("DATA\r\n", &[354]).await.map_err(Stop::Recipient)
    }

    /// The first refusal is that of the message; every answer is heard.
    async fn announce_together(&mut self, group: &str) -> Result<(), Stop> {
        let limit = self.timeouts.command;
        let written = self.wire.write(group.as_bytes(), limit).await;
        written.map_err(|cause| Stop::Sender(Fault::Broken(cause)))?;
        let sender = self.hear(&[250]).await.map_err(Stop::Sender);
        let recipient = self.hear(RECIPIENT_TAKEN).await.map_err(Stop::Recipient);
        let leave = self.hear(&[354]).await.map_err(Stop::Recipient);
        let announced = sender.and(recipient);
        if announced.is_err() && leave.is_ok() {
            // The server waits for a message that it must not get: RFC 2920
            // (3.1) wants a lone dot. What is answered to it changes nothing.
            let _ended = self.ask(".\r\n", &[250]).await;
        }
        announced.and(leave)
    }

    /// Sends the message and waits for the server to take it over.
    pub(super) async fn hand_over(&mut self, raw: &[u8]) -> HandOver {
        for chunk in with_final_dot(raw).chunks(CHUNK) {
            // Whatever it is, it is no answer to the final dot.
            if !self.wire.is_silent() {
                return HandOver::Interrupted(self.heard_early().await);
            }
            if let Err(cause) = self.wire.write(chunk, self.timeouts.data).await {
                return HandOver::Failed(Fault::Broken(format!("in the message: {cause}")));
            }
        }
        match self.wire.hear(&[250], self.timeouts.answer).await {
            Ok(answer) => HandOver::Taken(answer.to_string()),
            Err(Fault::Broken(cause)) => {
                HandOver::Unanswered(format!("after the final dot: {cause}"))
            }
            Err(answered) => HandOver::Failed(answered),
        }
    }

    /// What the server says before its turn.
    async fn heard_early(&mut self) -> Fault {
        match self.hear(&[]).await {
            Ok(()) => Fault::Broken("expected nothing yet".to_owned()),
            Err(fault) => fault,
        }
    }

    /// Whether the server is there and has said nothing that was not heard.
    pub(super) fn is_silent(&mut self) -> bool {
        self.wire.is_silent()
    }

    /// Makes the server forget what was begun; whether it did.
    pub(super) async fn reset(&mut self) -> bool {
        self.ask("RSET\r\n", &[250]).await.is_ok()
    }

    /// Ends the conversation. Nothing depends on the answer.
    pub(super) async fn quit(mut self) {
        // A server that does not answer any more is simply left.
        let _left = self.ask("QUIT\r\n", &[221]).await;
    }

    async fn ask(&mut self, command: &str, expected: &[u16]) -> Result<(), Fault> {
        let limit = self.timeouts.command;
        self.wire.ask(command, expected, limit).await.map(drop)
    }

    async fn hear(&mut self, expected: &[u16]) -> Result<(), Fault> {
        let limit = self.timeouts.command;
        self.wire.hear(expected, limit).await.map(drop)
    }
}

/// The message as it is sent: a dot more where a line begins with one (RFC
/// 5321, 4.5.2), and the line that ends it.
fn with_final_dot(raw: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(raw.len() + raw.len() / 64 + 5);
    if raw.starts_with(b".") {
        sent.push(b'.');
    }
    let mut rest = raw;
    while let Some(end) = memmem::find(rest, b"\n.") {
        let (lines, next) = rest.split_at(end + 1);
        sent.extend_from_slice(lines);
        sent.push(b'.');
        rest = next;
    }
    sent.extend_from_slice(rest);
    if !sent.ends_with(b"\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_begins_with_a_dot_gets_another() {
        for (raw, sent) in [
            ("", "\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".a\r\nb.\r\n", "..a\r\nb.\r\n.\r\n"),
            ("a\r\n.\r\n..\r\n.b\r\n", "a\r\n..\r\n...\r\n..b\r\n.\r\n"),
            ("a.\n.b", "a.\n..b\r\n.\r\n"),
            ("a\r\n.", "a\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(with_final_dot(raw.as_bytes()), sent.as_bytes(), "{raw:?}");
        }
    }
}
