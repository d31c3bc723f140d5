//! Mail that comes back: what a report says of which of our messages.
//!
//! Machine-readable reports (RFC 3464) are read by their fields ([`status`]),
//! the others by their words ([`notice`]). Anybody can write either: it is for
//! the caller to ask whether a message of ours is meant.

mod judge;
mod notice;
mod status;

use std::io;
use std::thread;

use mail_parser::{Encoding, Message, MessageParser, MimeHeaders, PartType};

use super::address::parse_address;
use crate::policy::sha256_hex;

/// So much of a report is read, in bytes: what it says stands before the
/// message that it returns, and that one begins with its headers.
pub const BOUNCE_BYTES: usize = 256 * 1024;

/// Room for mail in mail in mail, as deep as [`BOUNCE_BYTES`] can be.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// More messages or recipients are not looked at.
const MOST_NAMED: usize = 100;

/// The digits of a Message-ID of ours before the `@`.
const ID_DIGITS: usize = 32;

/// What mail to the bounce address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// A report that mail did not arrive, or not yet.
    Bounce(Bounce),
    /// Nothing that says so, and what it is.
    LeftAlone(&'static str),
}

/// A report that mail did not arrive, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// What makes it one: the same report has the same, however it came.
    pub id: String,
    /// The Message-IDs in it that may be ours, as [`super::message_id`] writes
    /// them.
    pub message_ids: Vec<String>,
    /// What became of whom.
    pub recipients: Vec<Bounced>,
}

/// What became of mail to a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounced {
    /// To whom, as [`address_key`] writes it; none: it does not say.
    pub addresses: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The enhanced status code (RFC 3463), if there is one.
    pub status: Option<String>,
    /// The server's words, without addresses.
    pub diagnostic: String,
}

/// How bad a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The mail may still arrive.
    Delayed,
    /// It did not arrive, for a reason that may pass: the mailbox is full, the
    /// server was away for too long, or took it for unwanted.
    Soft,
    /// It did not arrive, as there is no such address.
    Hard,
}

/// Reads mail to the bounce address. What is too long is cut; an error: there
/// is no memory to read it.
pub fn read_bounce(raw: &[u8]) -> io::Result<Returned> {
    let raw = raw.get(..BOUNCE_BYTES).unwrap_or(raw);
    // The parser calls itself for mail in mail; should it fail, only that
    // thread does.
    let read = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        Ok::<_, io::Error>(thread.spawn_scoped(scope, || read(raw))?.join())
    });
    Ok(read?.unwrap_or(Returned::LeftAlone("it cannot be read as mail")))
}

fn read(raw: &[u8]) -> Returned {
    let Some(mail) = MessageParser::default().parse(raw) else {
        return Returned::LeftAlone("it cannot be read as mail");
    };
    let recipients = match said(&mail) {
        Ok(recipients) => recipients,
        Err(what) => return Returned::LeftAlone(what),
    };
    if recipients.is_empty() {
        return Returned::LeftAlone("a report that tells of no failure");
    }
    Returned::Bounce(Bounce {
        id: match mail.message_id() {
            Some(id) => sha256_hex(id.as_bytes()),
            None => sha256_hex(raw),
        },
        message_ids: message_ids(raw, &mail),
        recipients,
    })
}

/// What became of whom; an error says what the mail is instead of a report.
fn said(mail: &Message<'_>) -> Result<Vec<Bounced>, &'static str> {
    let is_report = |kind: &str| {
        let content = mail.content_type();
        let kind_of = content.and_then(|content| content.attribute("report-type"));
        kind_of.is_some_and(|found| found.eq_ignore_ascii_case(kind))
    };
    let fields = mail.parts.iter().filter(|part| {
        let subtype = part.content_type().and_then(|content| content.subtype());
        subtype.is_some_and(|subtype| {
            subtype.eq_ignore_ascii_case("delivery-status")
                || subtype.eq_ignore_ascii_case("global-delivery-status")
        })
    });
    let fields: Vec<&[u8]> = fields.map(|part| part.contents()).collect();
    if !fields.is_empty() {
        let text = fields.join(&b"\n\n"[..]);
        return Ok(status::recipients(&String::from_utf8_lossy(&text)));
    }
    if is_report("disposition-notification") {
        return Err("a receipt");
    }
    if is_report("feedback-report") {
        return Err("a complaint");
    }
    notice::recipients(mail, is_report("delivery-status"))
}

/// All that may be a Message-ID of ours, wherever it stands: in the headers of
/// the report, or in what it returns.
fn message_ids(raw: &[u8], mail: &Message<'_>) -> Vec<String> {
    let mut found = Vec::new();
    ids_in(raw, &mut found);
    let mut left = vec![mail];
    while let Some(mail) = left.pop() {
        for part in &mail.parts {
            let is_encoded = part.encoding != Encoding::None;
            match &part.body {
                PartType::Message(inner) => {
                    if is_encoded {
                        ids_in(&inner.raw_message, &mut found);
                    }
                    left.push(inner);
                }
                _ if is_encoded => ids_in(part.contents(), &mut found),
                _ => {}
            }
        }
    }
    found
}

/// `<DIGITS@DOMAIN>`, with or without the brackets.
fn ids_in(bytes: &[u8], found: &mut Vec<String>) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let ats = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@');
    for (at, _) in ats {
        let before = bytes[..at].iter().rev();
        let name = before.take(ID_DIGITS + 1).take_while(|byte| is_word(byte));
        let start = at - name.count();
        let domain = bytes[at + 1..].iter().take_while(|byte| is_word(byte));
        let end = at + 1 + domain.count();
        let (name, domain) = (&bytes[start..at], &bytes[at + 1..end]);
        let is_ours = name.len() == ID_DIGITS && name.iter().all(u8::is_ascii_hexdigit);
        if !is_ours || domain.is_empty() || found.len() >= MOST_NAMED {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        let id = format!("<{name}@{}>", String::from_utf8_lossy(domain));
        if !found.contains(&id) {
            found.push(id);
        }
    }
}

/// An address as addresses are compared: its domain in ASCII, all of it in
/// lower case.
pub fn address_key(address: &str) -> String {
    let parsed = parse_address(address.trim_matches(['<', '>']));
    let text = parsed.map_or_else(|_| address.trim().to_owned(), |parsed| parsed.to_string());
    text.to_lowercase()
}
