//! Whether all is in place for the jobs to go well.

use anyhow::Result;

use super::Shop;
use super::book::rules;
use super::postbox::{letters, shop as letterhead, transport};
use crate::config::Contacts;
use crate::mail::samples;

/// How well one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found of one thing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// How well it stands.
    pub health: Health,
    /// A sentence.
    pub found: String,
}

/// Looks at everything that can be looked at without doing anything.
pub async fn doctor(shop: &Shop) -> Result<Vec<Check>> {
    let mut checks = vec![policies(shop).await];
    checks.extend(templates(shop));
    checks.push(mail(shop).await);
    checks.extend(contacts(&shop.config.contacts));
    Ok(checks)
}

fn check(what: &'static str, health: Health, found: impl Into<String>) -> Check {
    let found = found.into();
    Check {
        what,
        health,
        found,
    }
}

async fn policies(shop: &Shop) -> Check {
    let found = async {
        let mut tx = shop.store.read().await?;
        let rules = rules(shop, &mut tx).await?.rules;
        anyhow::Ok(rules.policies.versions().count())
    };
    match found.await {
        Ok(count) => check("policies", Health::Ok, format!("versions: {count}")),
        Err(error) => check("policies", Health::Fail, format!("{error:#}")),
    }
}

/// Writes every letter in every locale.
fn templates(shop: &Shop) -> Vec<Check> {
    let fail = |found: String| check("templates", Health::Fail, found);
    let letters = match letters(&shop.config) {
        Ok(letters) => letters,
        Err(error) => return vec![fail(error.to_string())],
    };
    let mut letterhead = letterhead(&shop.config);
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
        failed.push(check("templates", Health::Ok, found));
    }
    failed
}

/// Connects to the mail server and logs in, or writes a file and removes it.
async fn mail(shop: &Shop) -> Check {
    let Some(mail) = &shop.config.mail else {
        let found = "mail.transport is not set: nothing is sent";
        return check("mail", Health::Warn, found);
    };
    let mut transport = match transport(mail) {
        Ok(transport) => transport,
        Err(error) => return check("mail", Health::Fail, format!("{error:#}")),
    };
    let checked = transport.check().await;
    transport.close().await;
    match checked {
        Ok(()) => check("mail", Health::Ok, "messages can be sent"),
        Err(problem) => check("mail", Health::Fail, problem),
    }
}

fn contacts(contacts: &Contacts) -> Vec<Check> {
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
        true => vec![check("contacts", Health::Ok, "everybody has an address")],
        false => vec![check(
            "contacts",
            Health::Warn,
            format!("nobody is told in place of: {}", empty.join(", ")),
        )],
    }
}
