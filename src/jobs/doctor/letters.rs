//! The way of the mail: letters, the server, addresses inside the shop.

use super::Check;
use crate::config::{Config, Contacts, Transport};
use crate::jobs::postbox::{letters, shop as letterhead, transport};
use crate::mail::samples;

/// Writes every letter in every locale.
pub(super) fn templates(config: &Config) -> Vec<Check> {
    let fail = |found: String| Check::fail("templates", found);
    let letters = match letters(config) {
        Ok(letters) => letters,
        Err(error) => return vec![fail(error.to_string())],
    };
    let mut letterhead = letterhead(config);
    let (mut count, mut failed) = (0, Vec::new());
    let locales: Vec<&str> = letters.locales().collect();
    for locale in &locales {
        (*locale).clone_into(&mut letterhead.locale);
        for sample in samples(locale) {
            count += 1;
            if let Err(error) = sample.write(&letters, &letterhead) {
                let (letter, variant) = (sample.letter, sample.variant);
                failed.push(fail(format!("{locale}/{letter}, {variant}: {error}")));
            }
        }
    }
    if failed.is_empty() {
        let locales = locales.join(", ");
        let found = format!("{count} letters were written from samples, in {locales}");
        failed.push(Check::ok("templates", found));
    }
    failed
}

/// Connects to the mail server and logs in, or writes a file and removes it.
pub(super) async fn mail(config: &Config) -> Check {
    let Some(mail) = &config.mail else {
        let found = "mail.transport is not set: nothing is sent until it is";
        return Check::warn("mail", found);
    };
    let mut transport = match transport(mail) {
        Ok(transport) => transport,
        Err(error) => return Check::fail("mail", format!("{error:#}")),
    };
    let checked = transport.check().await;
    transport.close().await;
    match checked {
        Ok(()) => match &mail.transport {
            Transport::Smtp { .. } => Check::ok("mail", "messages can be sent"),
            Transport::File { dir } => {
                let found = format!(
                    "messages become files in {}: nobody gets them",
                    dir.display()
                );
                Check::ok("mail", found)
            }
        },
        Err(problem) => {
            let expected = match mail.transport {
                Transport::Smtp { .. } => "a server that answers at mail.url and takes the login",
                Transport::File { .. } => "a directory mail.dir that this user can write",
            };
            Check::fail("mail", format!("{problem}: expected {expected}"))
        }
    }
}

pub(super) fn contacts(contacts: &Contacts) -> Check {
    let all = [
        ("lead", &contacts.lead),
        ("finance", &contacts.finance),
        ("manager", &contacts.manager),
        ("director", &contacts.director),
        ("ops", &contacts.ops),
    ];
    let empty = all.into_iter().filter(|(_, list)| list.is_empty());
    let empty: Vec<&str> = empty.map(|(name, _)| name).collect();
    match empty.is_empty() {
        true => Check::ok("contacts", "everybody has an address"),
        false => Check::warn(
            "contacts",
            format!(
                "no address for: {}; what they should be told reaches nobody until [contacts] \
                 names them",
                empty.join(", ")
            ),
        ),
    }
}
