//! How a conversation with a mail server begins: greeting, encryption, login.

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;

use super::answer::{Answer, Fault};
use super::stream::{Encryption, Handshake};
use super::wire::Wire;
use super::{Login, SmtpSettings};

/// Connects, introduces us, encrypts and logs in. Gives what the server offers
/// as well: its last answer to EHLO. Says what went wrong.
pub(super) async fn open(
    settings: &SmtpSettings,
    encryption: &Encryption,
) -> Result<(Wire, Answer), String> {
    let server = &settings.server;
    let place = format!("{}:{}", server.host, server.port);
    let mut wire = Wire::connect(server, encryption, settings.timeouts.connect)
        .await
        .map_err(|cause| format!("connect to {place}: {cause}"))?;
    let mut offer = greet(&mut wire, settings)
        .await
        .map_err(|fault| format!("greeting of {place}: {}", fault.cause()))?;
    let may_log_in = match encryption {
        Encryption::Implicit(_) | Encryption::Off => true,
        Encryption::StartTls { handshake, .. } if offer.extension("STARTTLS").is_some() => {
            offer = start_tls(&mut wire, settings, handshake)
                .await
                .map_err(|fault| format!("STARTTLS at {place}: {}", fault.cause()))?;
            true
        }
        Encryption::StartTls { required: true, .. } => {
            let problem = "the server does not offer it, and `tls=required` wants it";
            return Err(format!("STARTTLS at {place}: {problem}"));
        }
        Encryption::StartTls { .. } => false,
    };
    if let Some(login) = &settings.login {
        let done = match may_log_in {
            true => log_in(&mut wire, settings, login, &offer).await,
            false => Err("not sent without STARTTLS, which it does not offer".to_owned()),
        };
        done.map_err(|cause| format!("login at {place}: {cause}"))?;
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

async fn log_in(
    wire: &mut Wire,
    settings: &SmtpSettings,
    login: &Login,
    offer: &Answer,
) -> Result<(), String> {
    let offered = offer.extension("AUTH").unwrap_or_default();
    let offers = |name: &str| offered.iter().any(|word| word.eq_ignore_ascii_case(name));
    let (mechanism, challenges) = if offers("PLAIN") {
        (Mechanism::Plain, vec![None])
    } else if offers("LOGIN") {
        let asked = vec![None, Some("Username"), Some("Password")];
        (Mechanism::Login, asked)
    } else {
        return Err("the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned());
    };
    let credentials = Credentials::new(login.username.clone(), login.password.clone());
    for (index, challenge) in challenges.iter().enumerate() {
        let challenge = challenge.map(str::to_owned);
        let command = Auth::new(mechanism, credentials.clone(), challenge)
            .map_err(|error| error.to_string())?
            .to_string();
        let is_last = index + 1 == challenges.len();
        let expected = [if is_last { 235 } else { 334 }];
        wire.ask(&command, &expected, settings.timeouts.hello)
            .await
            .map_err(Fault::cause)?;
    }
    Ok(())
}
