//! Reports that nobody meant well with.

use proptest::prelude::*;
use warrantyd::mail::{BOUNCE_BYTES, Returned, Severity, read_bounce};

use super::sample;

const ALL: [&str; 8] = [
    "postfix-unknown",
    "sendmail",
    "exim-text",
    "qmail",
    "exchange-text",
    "office365",
    "rfc3464-several",
    "vacation",
];

proptest! {
    #[test]
    fn any_bytes_are_read(raw in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        read_bounce(&raw).unwrap();
    }

    /// Cut, doubled, overwritten.
    #[test]
    fn reports_that_were_tampered_with_are_read(
        name in proptest::sample::select(&ALL[..]),
        cut in 0.0..1.0,
        (at, bytes) in (0.0..1.0, proptest::collection::vec(any::<u8>(), 0..40)),
        (from, length, to) in (0.0..1.0, 0_usize..400, 0.0..1.0),
    ) {
        let mut raw = sample(name).into_bytes();
        let place = |share: f64, raw: &[u8]| (share * raw.len() as f64) as usize;
        let start = place(at, &raw);
        let end = (start + bytes.len() / 2).min(raw.len());
        raw.splice(start..end, bytes);
        let start = place(from, &raw);
        let copied = raw[start..(start + length).min(raw.len())].to_vec();
        let start = place(to, &raw);
        raw.splice(start..start, copied);
        raw.truncate(place(cut, &raw) + 1);
        if let Returned::Bounce(bounce) = read_bounce(&raw).unwrap() {
            prop_assert!(bounce.message_ids.len() <= 100);
            for one in bounce.recipients {
                prop_assert!(one.diagnostic.chars().count() <= 300);
                prop_assert!(!one.diagnostic.contains(['\0', '\n', '@']));
            }
        }
    }
}

/// As deep as it fits.
fn nested(level: &str, rest: &str) -> String {
    let mut text = level.repeat((BOUNCE_BYTES - rest.len()) / level.len());
    text += rest;
    text
}

#[test]
fn mail_in_mail_in_mail_is_read() {
    let rest = sample("postfix-unknown");
    let levels = [
        "Content-Type: message/rfc822\n\n",
        "Content-Type: multipart/digest; boundary=a\n\n--a\n\n",
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n",
    ];
    for level in levels {
        read_bounce(nested(level, &rest).as_bytes()).unwrap();
        let inner = nested(level, &rest);
        let inner = &inner.as_bytes()[..BOUNCE_BYTES * 3 / 4 - 100];
        let encoded = format!(
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
            base64(inner)
        );
        read_bounce(encoded.as_bytes()).unwrap();
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quad = |three: &[u8]| {
        let all = (0..3).fold(0_u32, |all, at| {
            all << 8 | u32::from(three.get(at).copied().unwrap_or(0))
        });
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(all >> shift & 63) as usize]))
    };
    bytes.chunks(3).flat_map(quad).collect()
}

#[test]
fn what_is_too_long_is_cut_after_what_it_says() {
    let mut long = sample("postfix-unknown");
    let (start, _) = long.split_at(long.rfind("--4BTest0002").unwrap());
    long = format!("{start}{}", "x".repeat(2 * BOUNCE_BYTES));
    let Returned::Bounce(bounce) = read_bounce(long.as_bytes()).unwrap() else {
        panic!("left alone");
    };
    assert_eq!(bounce.recipients[0].severity, Severity::Hard);
    assert_eq!(bounce.message_ids, [super::ID]);
    let many = "<00000000000000000000000000000000@a>".repeat(50_000);
    read_bounce(many.as_bytes()).unwrap();
    // One line without an end, and no line at all.
    read_bounce("From: mailer-daemon@".repeat(100_000).as_bytes()).unwrap();
    assert!(matches!(read_bounce(b"").unwrap(), Returned::LeftAlone(_)));
}

#[test]
fn a_charset_that_is_a_lie_hides_nothing() {
    for charset in ["utf-16", "utf-7", "iso-2022-jp", "x-unknown", "=?"] {
        let text = sample("exchange-text").replace("iso-8859-1", charset);
        read_bounce(text.as_bytes()).unwrap();
    }
    let latin = sample("exchange-text").replace("did not", "=FCber =80 did not");
    let Returned::Bounce(bounce) = read_bounce(latin.as_bytes()).unwrap() else {
        panic!("left alone");
    };
    assert_eq!(bounce.recipients[0].severity, Severity::Hard);
}
