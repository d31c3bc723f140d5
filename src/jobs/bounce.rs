//! Mail that comes back: what it changes.
//!
//! Anybody can write to the bounce address. So a report changes something only
//! if it names a message of ours, by the Message-ID that nobody knows but who
//! has the message, and only for that message and its own recipient. Whoever
//! makes one up can silence the mail to themselves.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::TimeDelta;

use super::compose::addresses;
use super::postbox::{Parcel, letters, post, shop as letterhead};
use super::{Refused, Shop};
use crate::mail::{
    self, AddressGone, Bounce, Bounced, Mailbox, Returned, Severity, Trouble, address_key,
};
use crate::policy::{Audience, Instant, sha256_hex};
use crate::store::{self, BounceDraft, BounceKind, Message, MessageKind, MessageState, Told, Tx};

/// A report that names no message of ours is counted for one that was sent to
/// its recipient within this time.
const RECENT: TimeDelta = TimeDelta::days(7);

/// What became of mail to the bounce address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was recorded, and changed this.
    Recorded(BounceKind),
    /// It was recorded before, or enough of its kind was of its message.
    Known,
    /// It is none of ours, and why.
    LeftAlone(&'static str),
    /// Its message is being sent right now: it is to be read again later.
    Later,
}

/// Reads mail to the bounce address and keeps what it says.
pub async fn bounce(shop: &Shop, raw: &[u8], now: Instant) -> Result<Taken> {
    let bounce = match mail::read_bounce(raw).context("reading mail")? {
        Returned::Bounce(bounce) => bounce,
        Returned::LeftAlone(what) => return Ok(Taken::LeftAlone(what)),
    };
    let mut tx = shop.store.write().await?;
    // Two reports at once would both find that nobody was told.
    tx.alone("bounce").await?;
    let taken = take(&mut tx, shop, &bounce, now).await?;
    if taken != Taken::Later {
        tx.commit().await?;
    }
    tracing::info!(?taken, "mail that came back");
    Ok(taken)
}

async fn take(tx: &mut Tx<'_>, shop: &Shop, bounce: &Bounce, now: Instant) -> Result<Taken> {
    let meant = store::messages_of_headers(tx, &bounce.message_ids).await?;
    if meant.is_empty() {
        return take_unproven(tx, bounce, now).await;
    }
    let mut taken = Taken::LeftAlone("its message was not sent, or is to be sent again");
    for message in meant {
        match message.state {
            // What the server answers comes after the report.
            MessageState::Sending => return Ok(Taken::Later),
            MessageState::Dropped => continue,
            MessageState::Ready | MessageState::Held if !message.maybe_taken => continue,
            _ => {}
        }
        let draft = draft(bounce, &message);
        taken = match (taken, record(tx, shop, &message, &draft, now).await?) {
            (Taken::Recorded(one), true) => Taken::Recorded(one.max(draft.kind)),
            (_, true) => Taken::Recorded(draft.kind),
            (Taken::LeftAlone(_), false) => Taken::Known,
            (taken, false) => taken,
        };
    }
    Ok(taken)
}

/// A report that names no message of ours is counted, and changes nothing.
async fn take_unproven(tx: &mut Tx<'_>, bounce: &Bounce, now: Instant) -> Result<Taken> {
    let addresses = bounce.recipients.iter().flat_map(|one| &one.addresses);
    let addresses: Vec<String> = addresses.cloned().collect();
    let since = now - RECENT;
    let Some(message) = store::message_latest_to(tx, &addresses, since).await? else {
        return Ok(Taken::LeftAlone("a report on mail that is not ours"));
    };
    let draft = BounceDraft {
        // Read again, it may be counted for a later message.
        fingerprint: sha256_hex(bounce.id.as_bytes()),
        kind: BounceKind::Noted,
        ..draft(bounce, &message)
    };
    Ok(match store::bounce_add(tx, &draft, now).await? {
        true => Taken::Recorded(draft.kind),
        false => Taken::Known,
    })
}

/// What a report says of a message. The worst that it says of the address that
/// the message was sent to, or of nobody by name; what happened behind another
/// address, to which it was forwarded, is noted only.
fn draft(bounce: &Bounce, message: &Message) -> BounceDraft {
    let address = address_key(&message.draft.recipient);
    let is_meant = |one: &&Bounced| one.addresses.is_empty() || one.addresses.contains(&address);
    let meant = bounce.recipients.iter().filter(is_meant);
    let meant = meant.max_by_key(|one| one.severity);
    let kind = match meant.map(|one| one.severity) {
        Some(Severity::Hard) => BounceKind::Hard,
        Some(Severity::Soft) => BounceKind::Soft,
        Some(Severity::Delayed) | None => BounceKind::Noted,
    };
    let said = meant.or(bounce.recipients.first());
    let header = &message.draft.message_id;
    BounceDraft {
        fingerprint: sha256_hex(format!("{}\n{header}", bounce.id).as_bytes()),
        message_id: message.id,
        kind,
        status: said.and_then(|one| one.status.clone()),
        diagnostic: said.map(|one| one.diagnostic.clone()).unwrap_or_default(),
        address,
    }
}

/// Keeps a report and what follows from it; `false`: it is known.
async fn record(
    tx: &mut Tx<'_>,
    shop: &Shop,
    message: &Message,
    draft: &BounceDraft,
    now: Instant,
) -> Result<bool> {
    let before = store::undeliverable(tx, [draft.address.as_str()]).await?;
    if !store::bounce_add(tx, draft, now).await? {
        return Ok(false);
    }
    if draft.kind == BounceKind::Noted {
        return Ok(true);
    }
    let status = draft.status.as_deref();
    let answer = match (status, draft.diagnostic.as_str()) {
        (Some(status), "") => format!("came back: {status}"),
        (Some(status), words) if !words.contains(status) => format!("came back: {status} {words}"),
        (_, words) => format!("came back: {words}"),
    };
    let for_good = status.is_none_or(|status| status.starts_with('5'));
    store::message_came_back(tx, message.id, &answer, for_good).await?;
    if draft.kind == BounceKind::Hard && before.is_empty() {
        tell_lead(tx, shop, message, draft, now).await?;
    }
    Ok(true)
}

/// The lead is told once that no mail goes to an address any more.
async fn tell_lead(
    tx: &mut Tx<'_>,
    shop: &Shop,
    message: &Message,
    draft: &BounceDraft,
    now: Instant,
) -> Result<()> {
    let config = &shop.config;
    let Some(mail) = &config.mail else {
        tracing::warn!("mail.transport is not set: the lead is not told");
        return Ok(());
    };
    let told = store::message_tells(tx, message.id).await?;
    let gone = Trouble::AddressGone(address_gone(message, draft, &told));
    let letter = letters(config)?.trouble(&letterhead(config), &gone)?;
    let leads = addresses(&config.contacts, Audience::Lead, None);
    let keys: Vec<String> = leads.iter().map(|lead| address_key(lead)).collect();
    let gone = store::undeliverable(tx, keys.iter().map(String::as_str)).await?;
    for (lead, key) in leads.into_iter().zip(keys) {
        if gone.contains(&key) {
            continue;
        }
        let parcel = Parcel {
            kind: MessageKind::Ops,
            audience: Audience::Lead.into(),
            is_reminder: false,
            key: format!("undeliverable: {}", draft.fingerprint),
            notice_ids: &[],
            to: Mailbox {
                name: None,
                address: lead.to_owned(),
            },
            letter: &letter,
            attachments: &[],
        };
        post(tx, config, mail, parcel, now).await?;
    }
    Ok(())
}

/// What the lead is told. A customer's address is not in it.
fn address_gone(message: &Message, draft: &BounceDraft, told: &[Told]) -> AddressGone {
    let is_customers = message.draft.audience == Audience::Customer.to_string();
    let customer = told.first().filter(|_| is_customers);
    let about = told.iter();
    AddressGone {
        id: message.id,
        status: draft.status.clone(),
        customer_ref: customer.map(|told| told.customer_ref.clone()),
        address: (!is_customers).then(|| message.draft.recipient.clone()),
        told: about
            .map(|one| (one.subject.to_string(), one.subject_ref.clone()))
            .collect(),
        message_subject: message.draft.subject.clone(),
    }
}

/// The mail in a directory, or in a maildir, by name.
pub fn bounce_files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        let why = "expected a directory of mail, such as a maildir";
        return Err(Refused(format!("{}: {why}", dir.display())).into());
    }
    let mut files = Vec::new();
    for dir in [dir.to_owned(), dir.join("new"), dir.join("cur")] {
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry.with_context(|| dir.display().to_string())?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
