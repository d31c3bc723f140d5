//! What is read of each kind of report.

use warrantyd::mail::{Bounce, Returned, Severity, address_key, read_bounce};

use super::{ADA, ID, sample};

fn read(text: &str) -> Returned {
    read_bounce(text.as_bytes()).unwrap()
}

fn bounce(text: &str) -> Bounce {
    match read(text) {
        Returned::Bounce(bounce) => bounce,
        Returned::LeftAlone(what) => panic!("left alone: {what}\n{text}"),
    }
}

#[test]
fn each_server_is_understood() {
    use Severity::{Delayed, Hard, Soft};
    for (name, severity, status) in [
        // As Postfix 3.7 wrote it.
        ("postfix-3.7", Hard, Some("5.1.1")),
        ("postfix-unknown", Hard, Some("5.1.1")),
        ("postfix-full", Soft, Some("5.2.2")),
        ("postfix-no-host", Hard, Some("5.4.4")),
        ("postfix-expired", Soft, Some("4.4.1")),
        ("postfix-delayed", Delayed, Some("4.4.1")),
        ("spam-filter", Soft, Some("5.7.1")),
        ("sender-unknown", Soft, Some("5.1.8")),
        ("rfc3464-several", Hard, Some("5.0.0")),
        ("sendmail", Hard, Some("5.1.1")),
        ("exim", Hard, Some("5.0.0")),
        ("exim-text", Hard, None),
        ("exim-delayed", Delayed, None),
        ("qmail", Hard, Some("5.1.1")),
        ("exchange-text", Hard, Some("5.1.1")),
        ("office365", Hard, Some("5.1.10")),
        ("gmail", Hard, Some("5.1.1")),
        ("one-block", Hard, Some("5.2.1")),
        // In languages that nobody knows here, by their codes.
        ("german-text", Hard, Some("5.1.1")),
        ("french-text", Delayed, Some("4.4.1")),
    ] {
        // Lines end as on the wire or as in a file.
        let text = sample(name);
        for text in [text.replace('\n', "\r\n"), text] {
            let bounce = bounce(&text);
            assert_eq!(bounce.message_ids, [ID], "{name}");
            let of_ada = bounce
                .recipients
                .iter()
                .find(|one| one.addresses.is_empty() || one.addresses.contains(&ADA.to_owned()));
            let of_ada = of_ada.unwrap_or_else(|| panic!("{name}: {bounce:?}"));
            let found = (of_ada.severity, of_ada.status.as_deref());
            assert_eq!(found, (severity, status), "{name}: {of_ada:?}");
            assert!(!of_ada.diagnostic.contains('@'), "{name}: {of_ada:?}");
        }
    }
}

#[test]
fn others_in_the_same_report_are_told_apart() {
    let several = bounce(&sample("rfc3464-several"));
    let found = several.recipients.iter();
    let found: Vec<_> = found
        .map(|one| (one.addresses[0].as_str(), one.severity))
        .collect();
    let expected = [("eve@example.org", Severity::Soft), (ADA, Severity::Hard)];
    assert_eq!(found, expected);
    let qmail = bounce(&sample("qmail"));
    let found = qmail.recipients.iter();
    let found: Vec<_> = found
        .map(|one| (one.addresses[0].as_str(), one.severity))
        .collect();
    assert_eq!(found, expected);
    let forwarded = bounce(&sample("postfix-forwarded"));
    assert_eq!(forwarded.recipients[0].addresses, ["old-ada@example.org"]);
}

#[test]
fn a_report_is_the_same_however_it_came() {
    let text = sample("postfix-unknown");
    let again = format!("Received: by other.example.com; Tue, 03 Jun 2025 09:00:00 +0000\n{text}");
    assert_eq!(bounce(&text).id, bounce(&again).id);
    assert_ne!(bounce(&text).id, bounce(&sample("postfix-full")).id);
}

#[test]
fn what_is_no_report_is_left_alone() {
    for (name, expected) in [
        ("vacation", "an automatic answer"),
        ("autoreply", "an automatic answer"),
        ("challenge", "an automatic answer"),
        ("person", "no report on mail"),
        ("postmaster-person", "no report on mail"),
        ("receipt", "a receipt"),
        ("complaint", "a complaint"),
        ("delivered", "a report that tells of no failure"),
    ] {
        assert_eq!(read(&sample(name)), Returned::LeftAlone(expected), "{name}");
    }
}

#[test]
fn words_tell_an_address_that_is_gone_from_a_server_that_refuses() {
    for (diagnostic, severity) in [
        ("550 5.1.1 whatever", Severity::Hard),
        ("550 5.1.2 bad destination system", Severity::Hard),
        ("550 5.1.6 has moved", Severity::Hard),
        ("550 5.2.1 mailbox disabled", Severity::Hard),
        (
            "550 5.4.1 Recipient address rejected: Access denied",
            Severity::Hard,
        ),
        (
            "550 5.5.0 Requested action not taken: mailbox unavailable",
            Severity::Hard,
        ),
        (
            "554 delivery error: This user doesn’t have a mail account",
            Severity::Hard,
        ),
        (
            "550 Sender address rejected: domain does not exist",
            Severity::Soft,
        ),
        (
            "550 5.0.0 mailbox unavailable: quota exceeded",
            Severity::Soft,
        ),
        ("552 5.2.2 user unknown to have room", Severity::Soft),
        (
            "550 5.7.1 user unknown or blocked by policy",
            Severity::Soft,
        ),
        ("450 4.2.1 no such user now", Severity::Soft),
        (
            "554 5.6.0 the message could not be converted",
            Severity::Soft,
        ),
        ("something went wrong", Severity::Soft),
    ] {
        let text = sample("postfix-unknown");
        let (before, after) = text.split_once("Status: 5.1.1\n").unwrap();
        let (_, after) = after.split_once("virtual mailbox table\n").unwrap();
        let text = format!("{before}Diagnostic-Code: smtp; {diagnostic}\n{after}");
        let found = &bounce(&text).recipients[0];
        assert_eq!(found.severity, severity, "{diagnostic}: {found:?}");
    }
}

#[test]
fn addresses_are_compared_without_case_and_in_ascii() {
    assert_eq!(address_key(" Ada@Example.COM"), ADA);
    assert_eq!(address_key("<ada@example.com>"), ADA);
    assert_eq!(
        address_key("ana@Bücher.example"),
        "ana@xn--bcher-kva.example"
    );
    assert_eq!(address_key("no address"), "no address");
}
