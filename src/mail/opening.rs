//! How a conversation with a mail server begins: greeting, encryption, login.

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;

use super::answer::{Answer, Fault};
use super::stream::{Encryption, Handshake};
use super::wire::Wire;
use super::{Blame, Login, SmtpSettings};

/// Why there is no conversation.
#[derive(Debug)]
pub(super) struct NotOpened {
    /// What went wrong, and where.
    pub cause: String,
    /// What it is the fault of.
    pub blame: Blame,
}

impl NotOpened {
    fn at(step: &str, place: &str, fault: Fault) -> Self {
        Self {
            blame: fault.blame(),
            cause: format!("{step} {place}: {}", fault.cause()),
        }
    }
}

/// Connects, introduces us, encrypts and logs in. Gives what the server offers
/// as well: its last answer to EHLO.
pub(super) async fn open(
    settings: &SmtpSettings,
    encryption: &Encryption,
) -> Result<(Wire, Answer), NotOpened> {
    let server = &settings.server;
    let place = format!("{}:{}", server.host, server.port);
    let mut wire = Wire::connect(server, encryption, settings.timeouts.connect)
        .await
        .map_err(|cause| NotOpened::at("connect to", &place, Fault::Broken(cause)))?;
    let mut offer = greet(&mut wire, settings)
        .await
        .map_err(|fault| NotOpened::at("greeting of", &place, fault))?;
    let may_log_in = match encryption {
        Encryption::Implicit(_) | Encryption::Off => true,
        Encryption::StartTls { handshake, .. } if offer.extension("STARTTLS").is_some() => {
            offer = start_tls(&mut wire, settings, handshake)
                .await
                .map_err(|fault| NotOpened::at("STARTTLS at", &place, fault))?;
            true
        }
        Encryption::StartTls { required: true, .. } => {
            let problem = "the server does not offer it, and `tls=required` wants it";
            let fault = Fault::Broken(problem.to_owned());
            return Err(NotOpened::at("STARTTLS at", &place, fault));
        }
        Encryption::StartTls { .. } => false,
    };
    if let Some(login) = &settings.login {
        let done = match may_log_in {
            true => log_in(&mut wire, settings, login, &offer).await,
            false => {
                let problem = "not sent without STARTTLS, which it does not offer";
                Err(Fault::Broken(problem.to_owned()))
            }
        };
        done.map_err(|fault| NotOpened::at("login at", &place, refused_login(fault)))?;
    }
    Ok((wire, offer))
}

async fn greet(wire: &mut Wire, settings: &SmtpSettings) -> Result<Answer, Fault> {
    wire.hear(&[220], settings.timeouts.hello).await?;
    introduce(wire, settings).await
}

async fn introduce(wire: &mut Wire, settings: &SmtpSettings) -> Result<Answer, Fault> {
    let hello = format!("EHLO {}\r\n", settings.hello);
    wire.ask(&hello, &[250], settings.timeouts.hello).await
}

/// Encrypts; what the server offered in the clear is forgotten (RFC 3207, 4.2).
async fn start_tls(
    wire: &mut Wire,
    settings: &SmtpSettings,
    handshake: &Handshake,
) -> Result<Answer, Fault> {
    let limit = settings.timeouts.hello;
    wire.ask("STARTTLS\r\n", &[220], limit).await?;
    let encrypted = wire.encrypt(handshake, limit).await;
    encrypted.map_err(Fault::Broken)?;
    introduce(wire, settings).await
}

/// A login that is refused for now may be one that was tried too often.
fn refused_login(fault: Fault) -> Fault {
    match fault {
        Fault::Refused { answer, .. } => Fault::Barred(answer),
        other => other,
    }
}

async fn log_in(
    wire: &mut Wire,
    settings: &SmtpSettings,
    login: &Login,
    offer: &Answer,
) -> Result<(), Fault> {
    let offered = offer.extension("AUTH").unwrap_or_default();
    let offers = |name: &str| offered.iter().any(|word| word.eq_ignore_ascii_case(name));
    let (mechanism, challenges) = if offers("PLAIN") {
        (Mechanism::Plain, vec![None])
    } else if offers("LOGIN") {
        let asked = vec![None, Some("Username"), Some("Password")];
        (Mechanism::Login, asked)
    } else {
        let problem = "the server offers neither AUTH PLAIN nor AUTH LOGIN";
        return Err(Fault::Broken(problem.to_owned()));
    };
    let credentials = Credentials::new(login.username.clone(), login.password.clone());
    for (index, challenge) in challenges.iter().enumerate() {
        let challenge = challenge.map(str::to_owned);
        let command = Auth::new(mechanism, credentials.clone(), challenge)
            .map_err(|error| Fault::Broken(error.to_string()))?
            .to_string();
        let is_last = index + 1 == challenges.len();
        let expected = [if is_last { 235 } else { 334 }];
        wire.ask(&command, &expected, settings.timeouts.hello)
            .await?;
    }
    Ok(())
}
