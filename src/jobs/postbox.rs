//! Putting messages into the outbox, and the way out of it.

use anyhow::{Context, Result};

use super::Refused;
use crate::config::{self, Config, Mail};
use crate::mail::{
    self, Attachment, FileTransport, Headers, Letter, Letters, Login, Mailbox, ReadMailbox,
    SmtpSettings, SmtpTransport, Timeouts, Transport, Trouble, Unsubscribe,
};
use crate::policy::{Instant, sha256_hex};
use crate::store::{self, MessageDraft, MessageKind, Tx};

/// The letters that the config's templates make.
pub fn letters(config: &Config) -> Result<Letters, Refused> {
    let letters = Letters::load(config.templates.as_deref());
    letters.map_err(|error| Refused(format!("mail.templates: {error}")))
}

/// Who writes, as letters say it.
pub fn shop(config: &Config) -> mail::Shop {
    mail::Shop {
        locale: config.business.locale.clone(),
        name: config.business.name.clone(),
        address: config.business.address.clone(),
        phone: config.business.phone.clone(),
        legal: config.business.legal.clone(),
    }
}

/// What is to become a message.
pub struct Parcel<'p> {
    /// Why there is a message.
    pub kind: MessageKind,
    /// To whom: an audience, `managers` or `ops`.
    pub audience: &'static str,
    /// Whether it carries nothing but reminders of a customer's rights.
    pub is_reminder: bool,
    /// What makes it one: the same kind, notices, key and recipient are the
    /// same message, whoever composes it.
    pub key: String,
    /// The notices that it carries.
    pub notice_ids: &'p [i64],
    /// The recipient.
    pub to: Mailbox,
    /// The words.
    pub letter: &'p Letter,
    /// The files.
    pub attachments: &'p [Attachment],
}

/// Who sends messages, as their heads say it.
#[derive(Debug)]
pub struct Sender {
    business: String,
    from: ReadMailbox,
    reply_to: Option<ReadMailbox>,
    reply_to_inside: Option<ReadMailbox>,
    unsubscribe: Unsubscribe,
}

impl Sender {
    /// The shop that the config names.
    pub fn new(config: &Config, mail: &Mail) -> Result<Self, Refused> {
        let business = config.business.name.clone();
        let answers = |key, address: &Option<String>| {
            let address = address.as_ref();
            address.map(|address| read(key, None, address)).transpose()
        };
        Ok(Self {
            from: read("mail.from", Some(business.clone()), &mail.from)?,
            reply_to: answers("mail.reply_to", &mail.reply_to)?,
            reply_to_inside: answers("mail.reply_to_inside", &mail.reply_to_inside)?,
            business,
            unsubscribe: Unsubscribe {
                to: mail.unsubscribe_to.clone(),
                url: mail.unsubscribe_url.clone(),
            },
        })
    }

    /// A message as it is put into the outbox at a time.
    pub fn message(&self, parcel: Parcel<'_>, now: Instant) -> Result<MessageDraft> {
        let message_id = mail::message_id(&self.name(&parcel), &self.from);
        let to = parcel.to;
        let reply_to = match parcel.audience {
            "customer" => &self.reply_to,
            _ => &self.reply_to_inside,
        };
        let headers = Headers {
            from: self.from.clone(),
            to: to.read()?,
            reply_to: reply_to.clone(),
            message_id: message_id.clone(),
            date: now,
            reminder: parcel.is_reminder.then(|| self.unsubscribe.clone()),
        };
        let raw = mail::build(parcel.letter, &headers, parcel.attachments)?;
        Ok(MessageDraft {
            message_id,
            kind: parcel.kind,
            audience: parcel.audience.to_owned(),
            recipient: to.address,
            subject: parcel.letter.subject.clone(),
            raw: String::from_utf8(raw).context("a message is ASCII")?,
        })
    }

    /// The 32 hex digits of its Message-ID. Those of messages that are composed
    /// together lie together: an index of them grows at few places.
    fn name(&self, parcel: &Parcel<'_>) -> String {
        let Parcel {
            kind,
            key,
            notice_ids,
            to,
            ..
        } = parcel;
        let business = &self.business;
        let whole = format!("{business}\n{kind}\n{}\n{notice_ids:?}\n{key}", to.address);
        let first = notice_ids.first().copied().unwrap_or(0) & 0xff_ffff_ffff;
        format!("{first:010x}{}", &sha256_hex(whole.as_bytes())[..22])
    }
}

/// Puts a message to each of ops into the outbox; the same key tells once.
/// Gives how many were put there.
pub async fn tell_ops(
    tx: &mut Tx<'_>,
    config: &Config,
    mail: &Mail,
    key: &str,
    told: &Trouble,
    now: Instant,
) -> Result<u64> {
    let letter = letters(config)?.trouble(&shop(config), told)?;
    let mut posted = 0;
    for address in &config.contacts.ops {
        let parcel = Parcel {
            kind: MessageKind::Ops,
            audience: "ops",
            is_reminder: false,
            key: key.to_owned(),
            notice_ids: &[],
            to: Mailbox {
                name: None,
                address: address.clone(),
            },
            letter: &letter,
            attachments: &[],
        };
        posted += u64::from(post(tx, config, mail, parcel, now).await?);
    }
    Ok(posted)
}

/// The mailbox that a key of the config names.
fn read(key: &str, name: Option<String>, address: &str) -> Result<ReadMailbox, Refused> {
    let expected = "expected name@domain with an ASCII name";
    let problem = |_| Refused(format!("{key}: found {address:?}, {expected}"));
    let address = address.to_owned();
    Mailbox { name, address }.read().map_err(problem)
}

/// Puts a message that carries no notices into the outbox. `false`: it is
/// there already.
pub async fn post(
    tx: &mut Tx<'_>,
    config: &Config,
    mail: &Mail,
    parcel: Parcel<'_>,
    now: Instant,
) -> Result<bool> {
    let draft = Sender::new(config, mail)?.message(parcel, now)?;
    let added = store::messages_add(tx, &[(draft, Vec::new())], now).await?;
    Ok(!added.is_empty())
}

/// The way out that the config names.
pub fn transport(mail: &Mail) -> Result<Transport> {
    Ok(match &mail.transport {
        config::Transport::File { dir } => Transport::File(FileTransport::new(dir)),
        config::Transport::Smtp {
            url,
            login,
            ca_file,
        } => {
            let login = login.as_ref().map(|login| {
                Ok::<_, config::ConfigError>(Login {
                    username: login.username.clone(),
                    password: login.password()?,
                })
            });
            let settings = SmtpSettings {
                server: url.parse()?,
                login: login.transpose()?,
                ca_file: ca_file.clone(),
                hello: hello(&mail.from),
                timeouts: Timeouts::default(),
            };
            Transport::Smtp(Box::new(SmtpTransport::new(settings)?))
        }
    })
}

/// The name that we introduce ourselves with: the sender's domain, as a server
/// can read it.
fn hello(from: &str) -> String {
    mail::domain_of(from).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_a_name_in_ascii() {
        for (from, expected) in [
            ("shop@example.com", "example.com"),
            ("shop@B\u{fc}cher.example", "xn--bcher-kva.example"),
            ("shop@[127.0.0.1]", "[127.0.0.1]"),
            ("nobody", "localhost"),
        ] {
            assert_eq!(hello(from), expected);
        }
    }

    #[test]
    fn a_message_has_one_name_beside_those_of_the_next_notices() {
        let sender = Sender {
            business: "Example".to_owned(),
            from: read("mail.from", None, "shop@example.com").unwrap(),
            reply_to: None,
            reply_to_inside: None,
            unsubscribe: Unsubscribe::default(),
        };
        let letter = Letter {
            subject: String::new(),
            text: String::new(),
            html: String::new(),
        };
        let name = |notice_ids, address: &str| {
            sender.name(&Parcel {
                kind: MessageKind::Notices,
                audience: "customer",
                is_reminder: false,
                key: String::new(),
                notice_ids,
                to: Mailbox {
                    name: None,
                    address: address.to_owned(),
                },
                letter: &letter,
                attachments: &[],
            })
        };
        let a = "a@customers.example";
        assert_eq!(name(&[9, 2], a), name(&[9, 2], a));
        assert_ne!(name(&[9, 2], a), name(&[9], a));
        assert_ne!(name(&[9, 2], a), name(&[9, 2], "b@customers.example"));
        let names = [&[][..], &[9], &[10], &[255], &[256], &[i64::MAX]].map(|ids| name(ids, a));
        assert!(names.is_sorted(), "{names:?}");
        let is_hex = |name: &String| name.bytes().all(|digit| digit.is_ascii_hexdigit());
        assert!(names.iter().all(|name| name.len() == 32 && is_hex(name)));
    }

    #[test]
    fn a_sender_that_no_message_can_have_is_named_by_its_key() {
        let refused = read("mail.from", None, "sh\u{f6}p@example.com").unwrap_err();
        let expected = "mail.from: found \"sh\u{f6}p@example.com\", \
                        expected name@domain with an ASCII name";
        assert_eq!(refused.to_string(), expected);
    }
}
