//! One connection to a mail server: commands and answers, each with a timeout.
//!
//! lettre's connection speaks the protocol; what it does not do is here: the
//! timeouts, and telling whether the final dot was on its way when it broke.

use std::error::Error as _;
use std::fmt::Display;
use std::iter;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Quit, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use super::stream::{Encryption, connect};
use super::text::{one_line, shorten};
use super::{Login, SmtpSettings, Timeouts};

/// So much of a message is written under one timeout.
const CHUNK: usize = 64 * 1024;

/// The longest answer that is kept, in characters.
const ANSWER_LIMIT: usize = 300;

/// An open connection, greeted and logged in.
pub(super) struct Conversation {
    connection: AsyncSmtpConnection,
    timeouts: Timeouts,
}

/// Why a command did not go as it should.
pub(super) enum Fault {
    /// The server refused it; the conversation goes on.
    Refused { for_good: bool, answer: String },
    /// The server is closing the conversation (421).
    Closing(String),
    /// The connection is of no use any more.
    Broken(String),
}

/// How handing over a message ended.
pub(super) enum HandOver {
    /// The server has it: its answer.
    Taken(String),
    /// The server does not have it.
    Failed(Fault),
    /// The final dot was on its way, and no fitting answer came.
    Unanswered(String),
}

impl Conversation {
    /// Connects, introduces us, encrypts and logs in; says what went wrong.
    pub(super) async fn open(
        settings: &SmtpSettings,
        encryption: &Encryption,
    ) -> Result<Self, String> {
        let server = &settings.server;
        let timeouts = settings.timeouts;
        let place = format!("{}:{}", server.host, server.port);
        let stream = match timeout(timeouts.connect, connect(server, encryption)).await {
            Ok(connected) => connected.map_err(|error| format!("connect to {place}: {error}"))?,
            Err(_) => return Err(format!("connect to {place}: {}", silence(timeouts.connect))),
        };
        let hello = ClientId::Domain(settings.hello.clone());
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &hello);
        let mut connection = within(timeouts.hello, greeting)
            .await
            .map_err(|cause| format!("greeting of {place}: {cause}"))?;
        let protected = protect(&mut connection, encryption, &hello, timeouts.hello)
            .await
            .map_err(|cause| format!("STARTTLS at {place}: {cause}"))?;
        if let Some(login) = &settings.login {
            if !protected {
                return Err(format!(
                    "login at {place}: not sent without STARTTLS, which it does not offer"
                ));
            }
            log_in(&mut connection, login, timeouts.hello)
                .await
                .map_err(|cause| format!("login at {place}: {cause}"))?;
        }
        Ok(Self {
            connection,
            timeouts,
        })
    }

    /// Sends a command; its answer must have one of the codes `expected`.
    pub(super) async fn command(
        &mut self,
        command: &impl Display,
        expected: &[u16],
    ) -> Result<(), Fault> {
        let limit = self.timeouts.command;
        match timeout(limit, self.connection.command(command)).await {
            Err(_) => Err(Fault::Broken(silence(limit))),
            Ok(Err(error)) => Err(fault(&error)),
            Ok(Ok(response)) if expected.contains(&response.code().into()) => Ok(()),
            Ok(Ok(response)) => Err(Fault::Broken(out_of_step(&response, expected))),
        }
    }

    /// Sends the message and waits for the server to take it over.
    pub(super) async fn hand_over(&mut self, raw: &[u8]) -> HandOver {
        const DOT: usize = usize::MAX;
        // How many chunks were asked for; `DOT` once all are written and only
        // the final dot is left to write.
        let progress = AtomicUsize::new(0);
        let chunks = raw
            .chunks(CHUNK)
            .inspect(|_| {
                progress.fetch_add(1, Ordering::Relaxed);
            })
            .chain(iter::from_fn(|| {
                progress.store(DOT, Ordering::Relaxed);
                None
            }));
        let mut sending = pin!(self.connection.message_iter(chunks));
        let result = loop {
            let before = progress.load(Ordering::Relaxed);
            let limit = if before == DOT {
                self.timeouts.answer
            } else {
                self.timeouts.data
            };
            match timeout(limit, sending.as_mut()).await {
                Ok(Ok(response)) if response.has_code(250) => {
                    return HandOver::Taken(answer_text(&response));
                }
                Ok(Ok(response)) => break out_of_step(&response, &[250]),
                Ok(Err(error)) => match fault(&error) {
                    Fault::Broken(cause) => break cause,
                    answered => return HandOver::Failed(answered),
                },
                Err(_) if progress.load(Ordering::Relaxed) == before => break silence(limit),
                Err(_) => {}
            }
        };
        if progress.load(Ordering::Relaxed) == DOT {
            HandOver::Unanswered(format!("after the final dot: {result}"))
        } else {
            HandOver::Failed(Fault::Broken(format!("in the message: {result}")))
        }
    }

    /// Makes the server forget what was begun; whether it did.
    pub(super) async fn reset(&mut self) -> bool {
        self.command(&Rset, &[250]).await.is_ok()
    }

    /// Ends the conversation. Nothing depends on the answer.
    pub(super) async fn quit(mut self) {
        // A server that does not answer any more is simply left.
        let _left = self.command(&Quit, &[221]).await;
    }
}

/// Encrypts by STARTTLS if the setting asks for it and the server offers it.
/// Whether a login may follow: over TLS, or in the clear if that was chosen.
async fn protect(
    connection: &mut AsyncSmtpConnection,
    encryption: &Encryption,
    hello: &ClientId,
    limit: Duration,
) -> Result<bool, String> {
    let Encryption::StartTls {
        parameters,
        required,
    } = encryption
    else {
        return Ok(true);
    };
    if connection.can_starttls() {
        within(
            limit,
            connection.starttls(parameters.as_ref().clone(), hello),
        )
        .await?;
        return Ok(true);
    }
    if *required {
        return Err("the server does not offer it, and `tls=required` wants it".to_owned());
    }
    Ok(false)
}

async fn log_in(
    connection: &mut AsyncSmtpConnection,
    login: &Login,
    limit: Duration,
) -> Result<(), String> {
    let credentials = Credentials::new(login.username.clone(), login.password.clone());
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if connection
        .server_info()
        .get_auth_mechanism(&mechanisms)
        .is_none()
    {
        return Err("the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned());
    }
    let response = within(limit, connection.auth(&mechanisms, &credentials)).await?;
    if response.has_code(235) {
        Ok(())
    } else {
        Err(out_of_step(&response, &[235]))
    }
}

async fn within<T>(
    limit: Duration,
    talk: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, String> {
    match timeout(limit, talk).await {
        Ok(result) => result.map_err(|error| match fault(&error) {
            Fault::Refused { answer, .. } => answer,
            Fault::Closing(cause) | Fault::Broken(cause) => cause,
        }),
        Err(_) => Err(silence(limit)),
    }
}

fn fault(error: &SmtpError) -> Fault {
    let Some(code) = error.status().map(u16::from) else {
        return Fault::Broken(cleaned(&error.to_string()));
    };
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let answer = cleaned(&format!("{code} {text}"));
    match code {
        421 => Fault::Closing(answer),
        _ => Fault::Refused {
            for_good: error.is_permanent(),
            answer,
        },
    }
}

fn silence(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

fn out_of_step(response: &Response, expected: &[u16]) -> String {
    let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
    let (expected, found) = (expected.join(" or "), answer_text(response));
    format!("expected the answer {expected}, found {found}")
}

fn answer_text(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    cleaned(&format!("{} {}", response.code(), lines.join(" ")))
}

/// A server's text on one line, without the addresses that it may repeat:
/// answers are logged and shown.
fn cleaned(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| {
            if word.contains('@') {
                "<address>"
            } else {
                word
            }
        })
        .collect();
    shorten(&one_line(&words.join(" ")), ANSWER_LIMIT)
}
