//! SMTP (RFC 5321): what is said for a message, and what an answer means for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};

use super::conversation::{Conversation, Fault, HandOver};
use super::stream::Encryption;
use super::{Delivery, Login, Server, ServerError};

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server.
    pub server: Server,
    /// The login, if the server wants one.
    pub login: Option<Login>,
    /// Root certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The name that we introduce ourselves with (EHLO): a domain of ours.
    pub hello: String,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

/// How long each phase of a session may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Connecting, with TLS from the first byte.
    pub connect: Duration,
    /// The greeting with EHLO, STARTTLS and the login, each.
    pub hello: Duration,
    /// One command (MAIL, RCPT, DATA …).
    pub command: Duration,
    /// 64 kB of the message.
    pub data: Duration,
    /// The answer after the final dot. Who gives up too early here sends the
    /// message twice (RFC 5321, 4.5.3.2.6).
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            hello: Duration::from_secs(30),
            command: Duration::from_secs(60),
            data: Duration::from_secs(60),
            answer: Duration::from_secs(600),
        }
    }
}

/// Sends messages to one server, over one connection as long as it lasts.
pub struct SmtpTransport {
    settings: SmtpSettings,
    encryption: Encryption,
    kept: Option<Conversation>,
}

impl fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpTransport")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What the connection is good for after a message.
enum After {
    /// The next message.
    Ready,
    /// The next message, once the server has forgotten this one.
    Reset,
    /// Nothing.
    Drop,
}

impl SmtpTransport {
    /// Prepares the way to a server; connects with the first message.
    pub fn new(settings: SmtpSettings) -> Result<Self, ServerError> {
        let encryption = Encryption::new(&settings.server, settings.ca_file.as_deref())?;
        Ok(Self {
            settings,
            encryption,
            kept: None,
        })
    }

    /// Connects, encrypts and logs in, or says what went wrong. The connection
    /// is kept for the next message.
    pub(super) async fn check(&mut self) -> Result<(), String> {
        self.kept = Some(Conversation::open(&self.settings, &self.encryption).await?);
        Ok(())
    }

    /// Tries once to send a message.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, raw: &[u8]) -> Delivery {
        let (mut conversation, sender_taken) = match self.begin(from).await {
            Ok(begun) => begun,
            Err(cause) => {
                return Delivery::NotSent {
                    cause,
                    transport_fault: true,
                };
            }
        };
        let (delivery, after) = match sender_taken {
            Ok(()) => transfer(&mut conversation, to, raw).await,
            Err(fault) => sender_refused(fault),
        };
        let usable = match after {
            After::Ready => true,
            After::Reset => conversation.reset().await,
            After::Drop => false,
        };
        self.kept = usable.then_some(conversation);
        delivery
    }

    /// A conversation on which the sender was announced, and the answer to
    /// that. A kept connection that turns out to be dead is replaced: nothing
    /// of the message was sent on it.
    async fn begin(&mut self, from: &Address) -> Result<(Conversation, Result<(), Fault>), String> {
        let mail = Mail::new(Some(from.clone()), vec![]);
        if let Some(mut kept) = self.kept.take() {
            let answer = kept.command(&mail, &[250]).await;
            if let Ok(()) | Err(Fault::Refused { .. }) = answer {
                return Ok((kept, answer));
            }
        }
        let mut opened = Conversation::open(&self.settings, &self.encryption).await?;
        let answer = opened.command(&mail, &[250]).await;
        Ok((opened, answer))
    }

    /// Says QUIT and closes the connection.
    pub async fn close(self) {
        if let Some(kept) = self.kept {
            kept.quit().await;
        }
    }
}

/// A sender that is refused for good is refused for every message.
fn sender_refused(fault: Fault) -> (Delivery, After) {
    match fault {
        Fault::Refused {
            for_good: false,
            answer,
        } => (Delivery::RefusedForNow { answer }, After::Reset),
        Fault::Refused { answer: cause, .. } => {
            let cause = format!("the sender is refused: {cause}");
            (
                Delivery::NotSent {
                    cause,
                    transport_fault: true,
                },
                After::Reset,
            )
        }
        Fault::Closing(cause) | Fault::Broken(cause) => (
            Delivery::NotSent {
                cause,
                transport_fault: true,
            },
            After::Drop,
        ),
    }
}

/// 251: the server will forward to another address that it knows.
const RECIPIENT_TAKEN: [u16; 2] = [250, 251];

/// Names the recipient and hands the message over.
async fn transfer(conversation: &mut Conversation, to: &Address, raw: &[u8]) -> (Delivery, After) {
    if let Err(fault) = conversation
        .command(&Rcpt::new(to.clone(), vec![]), &RECIPIENT_TAKEN)
        .await
    {
        return message_refused(fault, After::Reset);
    }
    if let Err(fault) = conversation.command(&Data, &[354]).await {
        return message_refused(fault, After::Reset);
    }
    match conversation.hand_over(raw).await {
        HandOver::Taken(answer) => (Delivery::Delivered { answer }, After::Ready),
        HandOver::Failed(fault) => message_refused(fault, After::Ready),
        HandOver::Unanswered(cause) => (Delivery::Uncertain { cause }, After::Drop),
    }
}

/// What a fault after the sender was taken means. A connection that breaks
/// or is closed here uses up a try: it may be this very message that does it,
/// and the next one shall have its turn.
fn message_refused(fault: Fault, after: After) -> (Delivery, After) {
    match fault {
        Fault::Refused {
            for_good: true,
            answer,
        } => (Delivery::RefusedForGood { answer }, after),
        Fault::Refused {
            for_good: false,
            answer,
        } => (Delivery::RefusedForNow { answer }, after),
        Fault::Closing(cause) | Fault::Broken(cause) => (
            Delivery::NotSent {
                cause,
                transport_fault: false,
            },
            After::Drop,
        ),
    }
}
