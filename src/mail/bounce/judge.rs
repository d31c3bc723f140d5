//! Whether an address is gone, by status code or by words.

use std::fmt;

use super::Severity;

/// An enhanced status code (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub class: u16,
    subject: u16,
    detail: u16,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Status {
    /// The first one in a text that says more than that something failed, or
    /// else the first.
    pub fn find(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let mut all = words.filter_map(|word| Self::parse(word.trim_matches('.')));
        let first = all.next()?;
        let says_more = |status: &Self| !status.is_general() && status.class == first.class;
        match first.is_general() {
            true => Some(all.find(says_more).unwrap_or(first)),
            false => Some(first),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split('.').map(|part| match part.len() {
            1..=3 => part.parse().ok(),
            _ => None,
        });
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        // Versions of programs look alike.
        let is_code = matches!(class, 2 | 4 | 5) && subject <= 7 && parts.next().is_none();
        is_code.then_some(Self {
            class,
            subject,
            detail,
        })
    }

    fn is_general(self) -> bool {
        matches!((self.subject, self.detail), (0 | 5, 0))
    }
}

/// The code that a server's answer begins with (RFC 5321), if one stands in a
/// text.
pub(super) fn reply_code(text: &str) -> Option<u16> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '-' | '<' | ':'));
    let mut codes = words.filter(|word| word.len() == 3).map(str::parse);
    codes.find_map(|code| code.ok().filter(|code| (400..600).contains(code)))
}

/// Whether a line holds what a server answered: its code and an enhanced one
/// that agree, such as `550 5.1.1` or `550-5.1.1`. One alone may be a price, a
/// date or a version.
pub(super) fn has_codes(line: &str) -> bool {
    let status = Status::find(line).map(|status| status.class);
    status.is_some() && status == reply_code(line).map(|code| code / 100)
}

/// How bad it is that mail did not arrive.
pub(super) fn severity(status: Option<Status>, words: &str) -> Severity {
    let class = status.map(|status| status.class);
    let class = class.or_else(|| Some(reply_code(words)? / 100));
    if class.is_some_and(|class| class != 5) {
        return Severity::Soft;
    }
    let by_words = || match is_gone(words) {
        true => Severity::Hard,
        false => Severity::Soft,
    };
    let Some(Status {
        subject, detail, ..
    }) = status
    else {
        return by_words();
    };
    match (subject, detail) {
        // No such mailbox, host or syntax; moved; takes no mail; switched off.
        (1, 1 | 2 | 3 | 6 | 10) | (2, 1) => Severity::Hard,
        // The sender's own address.
        (1, 7 | 8) => Severity::Soft,
        // Servers mean all sorts of things by these.
        (0 | 1 | 4 | 5, _) | (2, 0) => by_words(),
        _ => Severity::Soft,
    }
}

/// Words of servers that have no such address.
const GONE: [&str; 27] = [
    "user unknown",
    "unknown user",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "no such address",
    "no mailbox here",
    "unknown recipient",
    "recipient unknown",
    "unknown address",
    "recipient not found",
    "address not found",
    "mailbox not found",
    "user not found",
    "mailbox unavailable",
    "mailbox does not exist",
    "does not exist",
    "doesn't exist",
    "doesn't have a",
    "invalid recipient",
    "invalid mailbox",
    "wasn't found",
    "couldn't be found",
    "unrouteable address",
    "recipient address rejected: access denied",
    "host or domain name not found",
    "non-existent",
];

/// Words of servers that do not want this mail, or not now, whatever else they
/// say.
const REFUSED: [&str; 15] = [
    "quota",
    "mailbox full",
    "is full",
    "too large",
    "size limit",
    "spam",
    "blocked",
    "blacklist",
    "blocklist",
    "reputation",
    "policy",
    "sender address",
    "sender domain",
    "sender verify",
    "try again",
];

fn is_gone(words: &str) -> bool {
    let words = words.to_lowercase().replace('\u{2019}', "'");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = |all: &[&str]| all.iter().any(|one| words.contains(one));
    says(&GONE) && !says(&REFUSED)
}
