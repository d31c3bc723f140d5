//! The bytes of a message: the same input gives the same bytes.

use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{self, ContentTransferEncoding, ContentType};
use lettre::message::{Attachment as Part, Body, Mailboxes, MultiPart, SinglePart};

use crate::policy::{Instant, sha256_hex};

use super::Letter;
use super::address::parse_address;
use super::text::one_line;

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name.
    pub name: Option<String>,
    /// `name@domain`.
    pub address: String,
}

impl FromStr for Mailbox {
    type Err = BuildError;

    /// Reads `Name <name@domain>` or `name@domain`.
    fn from_str(text: &str) -> Result<Self, BuildError> {
        let (name, address) = match text
            .trim()
            .strip_suffix('>')
            .and_then(|t| t.rsplit_once('<'))
        {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text.trim()),
        };
        parse_address(address).map_err(|_| BuildError::Address(text.to_owned()))?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self {
            name,
            address: address.to_owned(),
        })
    }
}

impl Mailbox {
    /// As heads name it; fails if no message can be sent to or from it.
    pub fn read(&self) -> Result<ReadMailbox, BuildError> {
        let address = parse_address(&self.address).map_err(|_| BuildError::Unusable)?;
        let name = self
            .name
            .as_deref()
            .map(one_line)
            .filter(|name| !name.is_empty());
        Ok(ReadMailbox(lettre::message::Mailbox::new(name, address)))
    }
}

/// A mailbox that was read once, for the heads of many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMailbox(lettre::message::Mailbox);

impl ReadMailbox {
    fn listed(&self) -> Mailboxes {
        self.0.clone().into()
    }
}

/// What the head of a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The sender.
    pub from: ReadMailbox,
    /// The recipient.
    pub to: ReadMailbox,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<ReadMailbox>,
    /// As [`message_id`] gives it; it never changes between tries.
    pub message_id: String,
    /// When the message was composed.
    pub date: Instant,
    /// It carries nothing but reminders, which the recipient may refuse so.
    pub reminder: Option<Unsubscribe>,
}

/// How a recipient says that they want no more reminders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsubscribe {
    /// By a mail to this address.
    pub to: Option<String>,
    /// By a request to this page (RFC 8058), `https://…`; `{id}` becomes the
    /// local part of the Message-ID.
    pub url: Option<String>,
}

impl Unsubscribe {
    /// The value of `List-Unsubscribe` (RFC 2369); `None`: there is no way.
    fn value(&self, message_id: &str) -> Result<Option<String>, BuildError> {
        let id = message_id.trim_start_matches('<');
        let id = id.split_once('@').map_or(id, |(id, _)| id);
        let mut ways = Vec::new();
        if let Some(to) = &self.to {
            let address = parse_address(to).map_err(|_| BuildError::Address(to.clone()))?;
            let address = percent_encoded(address.as_ref());
            ways.push(format!("<mailto:{address}?subject=unsubscribe%20{id}>"));
        }
        if let Some(url) = &self.url {
            ways.push(format!("<{}>", url.replace("{id}", id)));
        }
        Ok((!ways.is_empty()).then(|| ways.join(",\r\n ")))
    }
}

/// An address as a `mailto:` link has it (RFC 6068).
fn percent_encoded(address: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@+!$*'".contains(&byte);
    let encoded = address.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// A file sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub name: String,
    /// Its media type, such as `text/csv; charset=utf-8`.
    pub content_type: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// A message that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not an address.
    #[error("`{0}` is no mailbox: expected name@domain or Name <name@domain>")]
    Address(String),
    /// An address that is not named here, as it may be a customer's.
    #[error("an address is none that can be used: expected name@domain with an ASCII name")]
    Unusable,
    /// Not a media type.
    #[error("attachment {name}: `{found}` is no media type: expected one such as text/csv")]
    ContentType {
        /// The attachment.
        name: String,
        /// What was found.
        found: String,
    },
}

/// A Message-ID (RFC 5322, 3.6.4) in the sender's domain; `id` is unique and
/// made of letters, digits, `.`, `_` and `-`.
pub fn message_id(id: &str, from: &ReadMailbox) -> String {
    format!("<{id}@{}>", from.0.email.domain())
}

/// A line to go before a message that somebody gets in place of its recipient.
pub fn redirected(recipient: &str) -> String {
    let recipient = match parse_address(recipient) {
        Ok(address) => address.to_string(),
        // One that could get no message; still no more than a line of ASCII.
        Err(_) => one_line(recipient).replace(|c: char| !c.is_ascii(), "?"),
    };
    format!("X-Warrantyd-Recipient: {recipient}\r\n")
}

/// What Exchange is asked not to answer with (MS-OXCMAIL 2.1.3.2.20). `All`
/// would keep bounces from us, too: `NDR`.
const NO_ANSWERS: &str = "DR, RN, NRN, OOF, AutoReply";

/// A message with a text and an HTML part and the files attached. It tells
/// machines not to answer it (`Auto-Submitted`, RFC 3834).
pub fn build(
    letter: &Letter,
    headers: &Headers,
    attachments: &[Attachment],
) -> Result<Vec<u8>, BuildError> {
    let head = head(&letter.subject, headers)?;
    let mut parts = parts("alternative", headers)
        .singlepart(SinglePart::plain(encoded(&letter.text)))
        .singlepart(SinglePart::html(encoded(&letter.html)));
    if !attachments.is_empty() {
        parts = self::parts("mixed", headers).multipart(parts);
    }
    for attachment in attachments {
        parts = parts.singlepart(attached(attachment)?);
    }
    Ok([head.into_bytes(), parts.formatted()].concat())
}

/// A part to hold parts of a kind, with a boundary that no other part of the
/// message has. lettre's own would be random.
fn parts(kind: &str, headers: &Headers) -> MultiPart {
    let boundary = sha256_hex(format!("{kind} {}", headers.message_id).as_bytes());
    let content_type = format!("multipart/{kind}; boundary=\"{boundary}\"");
    let name = header::HeaderName::new_from_ascii_str("Content-Type");
    let mut parts = MultiPart::builder().build();
    let headers = parts.headers_mut();
    headers.insert_raw(header::HeaderValue::new(name, content_type));
    parts
}

/// The lines before those of the first part.
fn head(subject: &str, headers: &Headers) -> Result<String, BuildError> {
    let date = UNIX_EPOCH + Duration::from_secs(header_seconds(headers.date));
    let mut head = header::Headers::new();
    head.set(header::From::from(headers.from.listed()));
    head.set(header::To::from(headers.to.listed()));
    if let Some(reply_to) = &headers.reply_to {
        head.set(header::ReplyTo::from(reply_to.listed()));
    }
    head.set(header::Subject::from(one_line(subject)));
    head.set(header::MessageId::from(headers.message_id.clone()));
    head.set(header::Date::new(date));
    head.insert_raw(raw("Auto-Submitted", "auto-generated"));
    head.insert_raw(raw("X-Auto-Response-Suppress", NO_ANSWERS));
    if let Some(unsubscribe) = &headers.reminder {
        // What RFC 3834 found responders to look for before it.
        head.insert_raw(raw("Precedence", "bulk"));
        if let Some(ways) = unsubscribe.value(&headers.message_id)? {
            head.insert_raw(raw("List-Unsubscribe", &ways));
        }
        if unsubscribe.url.is_some() {
            let one_click = "List-Unsubscribe=One-Click";
            head.insert_raw(raw("List-Unsubscribe-Post", one_click));
        }
    }
    head.set(header::MIME_VERSION_1_0);
    Ok(head.to_string())
}

/// A header of ASCII, as it is.
fn raw(name: &'static str, value: &str) -> header::HeaderValue {
    let name = header::HeaderName::new_from_ascii_str(name);
    header::HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), value.to_owned())
}

/// ASCII in lines that every server takes goes as it is; lettre would encode
/// it from 77 characters a line on, which most HTML has.
fn encoded(text: &str) -> Body {
    // RFC 5322, 2.1.1, without the CRLF.
    const LONGEST_LINE: usize = 998;
    if !text.is_ascii() {
        return Body::new(text.to_owned());
    }
    let mut plain = Vec::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        if line.len() > LONGEST_LINE {
            return Body::new(text.to_owned());
        }
        plain.extend_from_slice(line.as_bytes());
        plain.extend_from_slice(b"\r\n");
    }
    Body::dangerous_pre_encoded(plain, ContentTransferEncoding::SevenBit)
}

fn attached(attachment: &Attachment) -> Result<SinglePart, BuildError> {
    let content_type =
        ContentType::parse(&attachment.content_type).map_err(|_| BuildError::ContentType {
            name: attachment.name.clone(),
            found: attachment.content_type.clone(),
        })?;
    Ok(Part::new(one_line(&attachment.name)).body(attachment.bytes.clone(), content_type))
}

/// Whole seconds since 1970, kept to the years 1970 to 9999: the header's
/// writer takes no others.
fn header_seconds(date: Instant) -> u64 {
    const END_OF_9999: u64 = 253_402_300_799;
    u64::try_from(date.timestamp())
        .unwrap_or(0)
        .min(END_OF_9999)
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};

    use super::*;

    fn letter() -> Letter {
        Letter {
            subject: "Garantie für ein Gerät".into(),
            text: "Grüße\n.\nFrom here\n".into(),
            html: "<p>Grüße</p>".into(),
        }
    }

    fn headers() -> Headers {
        let read = |text: &str| text.parse::<Mailbox>().unwrap().read().unwrap();
        let from = read("\"Example, Frames\" <service@bücher.example>");
        let to = Mailbox {
            name: Some("Ana\r\nBcc: x@y.example".into()),
            address: "ana@shop.example".into(),
        };
        Headers {
            message_id: message_id("m-1", &from),
            from,
            to: to.read().unwrap(),
            reply_to: Some(read("help@shop.example")),
            date: "2026-07-01T06:30:15.9Z".parse().unwrap(),
            reminder: None,
        }
    }

    /// A header as it stands, unfolded.
    fn header(raw: &[u8], name: &str) -> Option<String> {
        let parsed = MessageParser::default().parse(raw).unwrap();
        let value = parsed.header_raw(name)?;
        Some(value.trim().replace("\r\n", ""))
    }

    #[test]
    fn machines_are_asked_not_to_answer_and_bounces_are_welcome() {
        let plain = build(&letter(), &headers(), &[]).unwrap();
        let suppressed = header(&plain, "X-Auto-Response-Suppress").unwrap();
        assert_eq!(suppressed, "DR, RN, NRN, OOF, AutoReply");
        for name in ["Precedence", "List-Unsubscribe", "List-Unsubscribe-Post"] {
            assert_eq!(header(&plain, name), None);
        }
    }

    #[test]
    fn a_redirected_message_names_its_recipient_in_one_line() {
        for (recipient, expected) in [
            ("ada@Bücher.example", "ada@xn--bcher-kva.example"),
            ("adá\r\nBcc: x@y.example", "ad? Bcc: x@y.example"),
        ] {
            let line = format!("X-Warrantyd-Recipient: {expected}\r\n");
            assert_eq!(redirected(recipient), line);
        }
    }

    #[test]
    fn a_reminder_says_how_to_get_no_more_of_them() {
        let to = Some("stop+it&now@bücher.example".to_owned());
        let url = Some("https://shop.example/stop/{id}?via=mail".to_owned());
        let mail_to = "<mailto:stop+it%26now@xn--bcher-kva.example?subject=unsubscribe%20m-1>";
        let page = "<https://shop.example/stop/m-1?via=mail>";
        let both = format!("{mail_to}, {page}");
        for (to, url, expected) in [
            (&None, &None, None),
            (&to, &None, Some(mail_to)),
            (&None, &url, Some(page)),
            (&to, &url, Some(both.as_str())),
        ] {
            let reminder = Some(Unsubscribe {
                to: to.clone(),
                url: url.clone(),
            });
            let headers = Headers {
                reminder,
                ..headers()
            };
            let raw = build(&letter(), &headers, &[]).unwrap();
            assert_eq!(header(&raw, "List-Unsubscribe").as_deref(), expected);
            let post = url.is_some().then_some("List-Unsubscribe=One-Click");
            assert_eq!(header(&raw, "List-Unsubscribe-Post").as_deref(), post);
            assert_eq!(header(&raw, "Precedence").as_deref(), Some("bulk"));
        }
    }

    fn csv() -> Attachment {
        Attachment {
            name: "überfällig.csv".into(),
            content_type: "text/csv; charset=utf-8".into(),
            bytes: "a,b\r\n1,ü\r\n".into(),
        }
    }

    #[test]
    fn a_parser_reads_what_was_meant() {
        let raw = build(&letter(), &headers(), &[csv()]).unwrap();
        assert!(raw.is_ascii());
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.subject(), Some("Garantie für ein Gerät"));
        assert_eq!(parsed.message_id(), Some("m-1@xn--bcher-kva.example"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-07-01T06:30:15Z");
        let from = parsed.from().unwrap().first().unwrap();
        assert_eq!(from.name(), Some("Example, Frames"));
        assert_eq!(from.address(), Some("service@xn--bcher-kva.example"));
        let to = parsed.to().unwrap();
        assert_eq!(to.as_list().unwrap().len(), 1);
        assert_eq!(to.first().unwrap().name(), Some("Ana Bcc: x@y.example"));
        assert!(parsed.bcc().is_none());
        let reply_to = parsed.reply_to().unwrap().first().unwrap();
        assert_eq!(reply_to.address(), Some("help@shop.example"));
        assert_eq!(
            parsed.header_raw("Auto-Submitted").map(str::trim),
            Some("auto-generated")
        );
        assert_eq!(
            parsed.body_text(0).unwrap().replace('\r', ""),
            "Grüße\n.\nFrom here\n"
        );
        assert_eq!(parsed.body_html(0).unwrap().trim(), "<p>Grüße</p>");
        let file = parsed.attachment(0).unwrap();
        assert_eq!(file.attachment_name(), Some("überfällig.csv"));
        assert_eq!(file.contents(), csv().bytes);
    }

    #[test]
    fn no_line_is_longer_than_a_server_takes() {
        // RFC 5321, 4.5.3.1.6: 1000 with CRLF.
        let html = format!("<p>{}</p>", "word ".repeat(1_000));
        let raw = build(&Letter { html, ..letter() }, &headers(), &[csv()]).unwrap();
        assert!(
            raw.split(|byte| *byte == b'\n')
                .all(|line| line.len() < 1_000)
        );
    }

    #[test]
    fn ascii_in_short_lines_goes_as_it_is() {
        let line = |character: &str| character.repeat(998) + "\n.\n";
        for (text, is_plain) in [
            (line("a"), true),
            (line("a") + "a\r\nb", true),
            (line("ab"), false),
            (line("ü"), false),
        ] {
            let both = Letter {
                text: text.clone(),
                html: text.clone(),
                ..letter()
            };
            let raw = build(&both, &headers(), &[]).unwrap();
            let found = String::from_utf8(raw.clone()).unwrap();
            let plain = found.matches("Content-Transfer-Encoding: 7bit").count();
            assert_eq!(plain, if is_plain { 2 } else { 0 }, "{text:?}");
            let parsed = MessageParser::default().parse(&raw).unwrap();
            for part in [parsed.body_text(0), parsed.body_html(0)] {
                let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
                assert_eq!(lines(&part.unwrap()), lines(&text));
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        for attachments in [vec![], vec![csv()]] {
            let first = build(&letter(), &headers(), &attachments).unwrap();
            assert_eq!(first, build(&letter(), &headers(), &attachments).unwrap());
            let other = Headers {
                message_id: "<m-2@shop.example>".into(),
                ..headers()
            };
            let second =
                String::from_utf8(build(&letter(), &other, &attachments).unwrap()).unwrap();
            let boundary = second
                .split("boundary=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            assert!(!String::from_utf8(first).unwrap().contains(boundary));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let bad = Mailbox {
            name: None,
            address: "n\u{f6}body@example.com".into(),
        };
        let error = bad.read().unwrap_err();
        // It is logged, and may be a customer's.
        assert_eq!(
            error.to_string(),
            "an address is none that can be used: expected name@domain with an ASCII name"
        );
        let odd = Attachment {
            content_type: "csv".into(),
            ..csv()
        };
        let error = build(&letter(), &headers(), &[odd]).unwrap_err();
        assert!(matches!(error, BuildError::ContentType { .. }), "{error}");
        assert!("Ana <ana>".parse::<Mailbox>().is_err());
    }

    #[test]
    fn a_date_before_1970_does_no_harm() {
        let early = Headers {
            date: "1969-07-01T00:00:00Z".parse().unwrap(),
            ..headers()
        };
        let raw = String::from_utf8(build(&letter(), &early, &[]).unwrap()).unwrap();
        assert!(raw.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
    }
}
