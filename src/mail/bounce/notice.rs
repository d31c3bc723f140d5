//! Reports without a machine-readable part, read by their words: those of
//! qmail, Exim, old Exchange and whoever writes like them. In a language that
//! nobody knows here, by what is the same in all of them: the codes of servers.

use mail_parser::{Address, Message};

use super::judge::{Status, has_codes, reply_code, severity};
use super::{Bounced, MOST_NAMED, Severity, address_key};
use crate::mail::answer::cleaned;

/// Whose mail is a report and not an answer.
const DAEMONS: [&str; 3] = ["mailer-daemon", "postmaster", "mail-daemon"];

/// What subjects of reports say.
const SUBJECTS: [&str; 14] = [
    "undeliver",
    "delivery status notification",
    "delivery failure",
    "delivery failed",
    "delivery has failed",
    "delivery notification",
    "delivery report",
    "delivery delayed",
    "delayed",
    "failure notice",
    "returned mail",
    "could not be delivered",
    "could not send message",
    "non-delivery",
];

/// What the words of a report that mail is late say.
const DELAYS: [&str; 7] = [
    "warning message only",
    "has not yet been delivered",
    "no action is required on your part",
    "will keep trying",
    "will continue to try",
    "will be retried",
    "could not send message for past",
];

/// Lines after which the message stands that comes back.
const RETURNED: [&str; 9] = [
    "--- below this line is a copy of the message",
    "------ this is a copy of",
    "-----original message",
    "----- original message",
    "--- original message",
    "original message headers",
    "--- forwarded message",
    "received:",
    "return-path:",
];

/// Those whose mail failed or is late; an error says what the mail is instead
/// of a report.
pub(super) fn recipients(
    mail: &Message<'_>,
    is_report: bool,
) -> Result<Vec<Bounced>, &'static str> {
    let body = mail.body_text(0).unwrap_or_default();
    let words = words(&body);
    let failed = failed_recipients(mail);
    let is_qmail = words.trim_start().starts_with("Hi. This is the ");
    let subject = mail.subject().unwrap_or_default().to_lowercase();
    let says = |all: &[&str], text: &str| all.iter().any(|one| text.contains(one));
    let is_reply = is_automatic(mail) && !is_from_daemon(mail);
    let has_form = is_report || is_qmail || !failed.is_empty() || says(&SUBJECTS, &subject);
    let is_foreign = !has_form
        && is_from_daemon(mail)
        && (has_no_sender(mail) || is_automatic(mail))
        && words.lines().any(has_codes);
    let has_form = has_form || is_foreign;
    if is_reply || !has_form || !(is_from_daemon(mail) || has_no_sender(mail)) {
        return Err(match is_automatic(mail) {
            true => "an automatic answer",
            false => "no report on mail",
        });
    }
    let is_late = says(&DELAYS, &words.to_lowercase()) || subject.contains("delay");
    if is_qmail && !is_late {
        let found = of_qmail(&words);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let addresses = match failed.is_empty() {
        true => named(mail, &words),
        false => failed,
    };
    if !is_foreign {
        return Ok(vec![bounced(addresses, &words, is_late)]);
    }
    let mut found = bounced(addresses, telling(&words), is_late);
    // Whether it is tried again stands in words that nobody knows here.
    if found.severity == Severity::Soft && found.status.iter().any(|it| it.starts_with('4')) {
        found.severity = Severity::Delayed;
    }
    Ok(vec![found])
}

/// The report's own words, without the message that it returns.
fn words(body: &str) -> String {
    let is_returned = |line: &str| {
        let line = line.trim_start_matches(['>', ' ', '\t']).to_lowercase();
        RETURNED.iter().any(|mark| line.starts_with(mark))
    };
    let own = body.lines().take_while(|line| !is_returned(line));
    own.collect::<Vec<_>>().join("\n")
}

fn bounced(addresses: Vec<String>, words: &str, is_late: bool) -> Bounced {
    let status = Status::find(words);
    Bounced {
        addresses,
        severity: match is_late {
            true => Severity::Delayed,
            false => severity(status, words),
        },
        status: status.map(|status| status.to_string()),
        diagnostic: cleaned(telling(words)),
    }
}

/// The line that tells why: one with a code, or else the last paragraph.
fn telling(words: &str) -> &str {
    let has_code = |line: &&str| Status::find(line).is_some() || reply_code(line).is_some();
    let mut lines = words.lines();
    let line = lines.clone().find(|line| has_codes(line));
    let line = line.or_else(|| lines.find(has_code));
    line.unwrap_or_else(|| words.trim().rsplit("\n\n").next().unwrap_or_default())
}

/// `<ADDRESS>:` and what became of it, up to a blank line each.
fn of_qmail(words: &str) -> Vec<Bounced> {
    let text = words.replace('\r', "");
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let (address, why) = paragraph.trim().split_once(":\n")?;
        let address = address.trim().strip_prefix('<')?.strip_suffix('>')?;
        Some(bounced(vec![address_key(address)], why, false))
    });
    paragraphs.take(MOST_NAMED).collect()
}

/// Who Exim and Google say that mail failed for.
fn failed_recipients(mail: &Message<'_>) -> Vec<String> {
    let named = mail.header_raw("X-Failed-Recipients").unwrap_or_default();
    let addresses = named.split(',').map(str::trim);
    let addresses = addresses.filter(|address| address.contains('@'));
    addresses.take(MOST_NAMED).map(address_key).collect()
}

/// The addresses in a report, but not whom it is written to and by.
fn named(mail: &Message<'_>, words: &str) -> Vec<String> {
    let all = |address: Option<&Address<'_>>| -> Vec<String> {
        let all = address.into_iter().flat_map(|address| address.iter());
        all.filter_map(|one| one.address().map(address_key))
            .collect()
    };
    let (to, from) = (all(mail.to()), all(mail.from()));
    let is_end = |c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c);
    let found = words.split(is_end).filter(|word| word.contains('@'));
    let found = found.map(|word| address_key(word.trim_end_matches('.')));
    let is_other =
        |address: &String| !to.contains(address) && !from.contains(address) && !is_daemon(address);
    found.filter(is_other).take(MOST_NAMED).collect()
}

fn is_daemon(address: &str) -> bool {
    let name = address.split('@').next().unwrap_or_default();
    DAEMONS
        .iter()
        .any(|daemon| name.eq_ignore_ascii_case(daemon))
}

fn is_from_daemon(mail: &Message<'_>) -> bool {
    let from = mail.from().and_then(|from| from.first());
    let address = from.and_then(|from| from.address());
    address.is_some_and(is_daemon)
}

/// Whether its envelope has no sender, as that of a report.
fn has_no_sender(mail: &Message<'_>) -> bool {
    let path = mail.header_raw("Return-Path");
    path.is_some_and(|path| path.trim() == "<>")
}

/// Whether it says that nobody wrote it (RFC 3834, and what was before).
fn is_automatic(mail: &Message<'_>) -> bool {
    let says = |name: &'static str, words: &[&str]| {
        let value = mail.header_raw(name).unwrap_or_default();
        let value = value.trim().to_lowercase();
        words.iter().any(|word| value.starts_with(word))
    };
    let has = |name: &'static str| mail.header(name).is_some();
    says("Auto-Submitted", &["auto-"])
        || says("Precedence", &["bulk", "junk", "auto_reply", "list"])
        || ["X-Autoreply", "X-Autorespond", "X-Auto-Reply"]
            .into_iter()
            .any(has)
}
