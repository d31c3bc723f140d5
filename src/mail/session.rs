//! SMTP (RFC 5321): what is said for a message, and what an answer means for it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;

use super::answer::Fault;
use super::conversation::{Conversation, HandOver, Stop};
use super::opening::NotOpened;
use super::stream::Encryption;
use super::{Blame, Delivery, Login, Server, ServerError};

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
    /// One answer before the first message: the greeting, to EHLO, to STARTTLS,
    /// to the login.
    pub hello: Duration,
    /// The answer to one command (MAIL, RCPT, DATA …).
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
    settings: Arc<SmtpSettings>,
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

impl SmtpTransport {
    /// Prepares the way to a server; connects with the first message.
    pub fn new(settings: SmtpSettings) -> Result<Self, ServerError> {
        let encryption = Encryption::new(&settings.server, settings.ca_file.as_deref())?;
        Ok(Self {
            settings: Arc::new(settings),
            encryption,
            kept: None,
        })
    }

    /// The same way once more, with a connection of its own.
    pub(super) fn another(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            encryption: self.encryption.clone(),
            kept: None,
        }
    }

    /// Connects, encrypts and logs in, or says what went wrong. The connection
    /// is kept for the next message.
    pub(super) async fn check(&mut self) -> Result<(), String> {
        let opened = Conversation::open(&self.settings, &self.encryption).await;
        self.kept = Some(opened.map_err(|NotOpened { cause, .. }| cause)?);
        Ok(())
    }

    /// Tries once to send a message.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, raw: &[u8]) -> Delivery {
        let (mut conversation, announced) = match self.begin(from, to).await {
            Ok(begun) => begun,
            Err(NotOpened { cause, blame }) => return Delivery::NotSent { cause, blame },
        };
        let (delivery, is_usable) = match announced {
            Ok(()) => handed_over(conversation.hand_over(raw).await),
            // The server still has the envelope in mind.
            Err(stop) => (stopped(stop), conversation.reset().await),
        };
        self.kept = is_usable.then_some(conversation);
        delivery
    }

    /// A conversation on which the message was announced, and what came of
    /// that. A kept connection that turns out to be dead is replaced: nothing
    /// of the message was sent on it.
    async fn begin(
        &mut self,
        from: &Address,
        to: &Address,
    ) -> Result<(Conversation, Result<(), Stop>), NotOpened> {
        // What was said meanwhile must not be taken for an answer to come.
        if let Some(mut kept) = self.kept.take()
            && kept.is_silent()
        {
            let announced = kept.announce(from, to).await;
            let is_dead = matches!(
                announced,
                Err(Stop::Sender(Fault::Closing(_) | Fault::Broken(_)))
            );
            if !is_dead {
                return Ok((kept, announced));
            }
        }
        let mut opened = Conversation::open(&self.settings, &self.encryption).await?;
        let announced = opened.announce(from, to).await;
        Ok((opened, announced))
    }

    /// Says QUIT and closes the connection.
    pub async fn close(self) {
        if let Some(kept) = self.kept {
            kept.quit().await;
        }
    }
}

fn stopped(stop: Stop) -> Delivery {
    match stop {
        Stop::Sender(
            fault @ Fault::Refused {
                for_good: false, ..
            },
        )
        | Stop::Recipient(fault) => refused(fault),
        Stop::Sender(fault) => {
            let blame = fault.blame();
            let cause = match fault {
                // For good: it is refused for every message.
                Fault::Refused { answer, .. } => format!("the sender is refused: {answer}"),
                other => other.cause(),
            };
            Delivery::NotSent { cause, blame }
        }
    }
}

/// What became of the message, and whether the connection is good for another.
fn handed_over(end: HandOver) -> (Delivery, bool) {
    match end {
        HandOver::Taken(answer) => (Delivery::Delivered { answer }, true),
        HandOver::Failed(fault) => {
            let goes_on = matches!(fault, Fault::Refused { .. });
            (refused(fault), goes_on)
        }
        HandOver::Interrupted(fault) => (refused(fault), false),
        HandOver::Unanswered(cause) => (Delivery::Uncertain { cause }, false),
    }
}

/// What a fault after the sender was taken means. A connection that breaks
/// or is closed here uses up a try: it may be this very message that does it,
/// and the next one shall have its turn.
fn refused(fault: Fault) -> Delivery {
    match fault {
        Fault::Refused {
            for_good: true,
            answer,
        } => Delivery::RefusedForGood { answer },
        Fault::Refused {
            for_good: false,
            answer,
        } => Delivery::RefusedForNow { answer },
        // It may be this recipient alone who wants a login of us.
        Fault::Barred(cause) | Fault::Closing(cause) | Fault::Broken(cause) => {
            let blame = Blame::Message;
            Delivery::NotSent { cause, blame }
        }
    }
}
