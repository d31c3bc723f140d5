//! The job `worklists`: each working day everybody who has something to do gets
//! their own list by mail.

mod lists;

use anyhow::Result;

use super::book::rules;
use super::postbox::{Parcel, Sender, letters, shop as letterhead};
use super::report::{AsOf, Item, feed};
use super::{Outcome, Refused, Shop, When};
use crate::mail::{Mailbox, address_key};
use crate::policy::{Audience, Instant};
use crate::report::Source;
use crate::store::{self, MessageDraft, MessageKind};
use lists::{List, Lists};

/// Messages that are put into the outbox at once.
const MESSAGES_A_PAGE: usize = 20;

/// A list that somebody would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub whose: Audience,
    /// Who would get it.
    pub recipient: String,
    /// How many lines it has.
    pub total: u64,
    /// How many of them are late, or stuck.
    pub worst: u64,
}

/// Who would get which list as of a time. Nothing is written.
pub async fn worklists_planned(shop: &Shop, at: Instant) -> Result<(Vec<Listed>, Outcome)> {
    let (lists, outcome) = gathered(shop, at).await?;
    let listed = lists.finish().flat_map(|list| {
        let (whose, total, worst) = (list.whose, list.total(), list.worst());
        list.to.into_iter().map(move |recipient| Listed {
            whose,
            recipient,
            total,
            worst,
        })
    });
    Ok((listed.collect(), outcome))
}

/// Puts the lists as of the run's time into the outbox, once for each recipient.
/// On a day off there are none, unless the time was named; nor without mail.
pub async fn worklists(shop: &Shop, when: When) -> Result<Outcome> {
    let config = &shop.config;
    let Some(mail) = &config.mail else {
        return Ok(Outcome::default());
    };
    if when.at > when.clock {
        let why = "--at is in the future: expected a time until now, or --dry-run";
        return Err(Refused(why.to_owned()).into());
    }
    let calendar = &config.calendar;
    let today = calendar.date_of(when.at);
    if !when.is_named && !calendar.is_working_day(today) {
        return Ok(Outcome::default());
    }
    let (lists, mut outcome) = gathered(shop, when.at).await?;
    let mut lists: Vec<List> = lists.finish().collect();
    leave_out_undeliverable(shop, &mut lists, &mut outcome).await?;
    let (letters, letterhead) = (letters(config)?, letterhead(config));
    let sender = Sender::new(config, mail)?;
    let mut drafts = Vec::new();
    for mut list in lists {
        let (whose, to) = (list.whose, std::mem::take(&mut list.to));
        let letter = letters.worklist(&letterhead, &list.told(today))?;
        for address in to {
            let parcel = Parcel {
                kind: MessageKind::Worklist,
                is_reminder: false,
                audience: whose.into(),
                key: format!("{whose} at {}", when.at),
                notice_ids: &[],
                to: Mailbox {
                    name: None,
                    address,
                },
                letter: &letter,
                attachments: &[],
            };
            drafts.push((sender.message(parcel, when.composed_at())?, Vec::new()));
            if drafts.len() >= MESSAGES_A_PAGE {
                put(shop, &mut drafts, when, &mut outcome).await?;
            }
        }
    }
    put(shop, &mut drafts, when, &mut outcome).await?;
    Ok(outcome)
}

/// The lists as of a time.
async fn gathered(shop: &Shop, at: Instant) -> Result<(Lists, Outcome)> {
    let mut tx = shop.store.read().await?;
    let in_force = rules(shop, &mut tx).await?;
    let (mut lists, mut outcome) = (Lists::default(), Outcome::default());
    let (contacts, as_of) = (&shop.config.contacts, AsOf::all_known(at));
    feed(shop, tx, &in_force, as_of, Source::OpenCases, |item| {
        match item {
            Item::Case(found) => {
                outcome.count("found", 1);
                lists.add(&found.0, &found.1, &in_force.rules, contacts, at);
            }
            Item::Failed(..) => outcome.count("failed", 1),
            Item::Recorded(_) | Item::Notice(_) | Item::Exception(_) => {}
        }
        Ok(())
    })
    .await?;
    Ok((lists, outcome))
}

/// No mail goes to an address that it came back from. Counts those, and lists
/// that nobody is there to get.
async fn leave_out_undeliverable(
    shop: &Shop,
    lists: &mut [List],
    outcome: &mut Outcome,
) -> Result<()> {
    let keys = lists.iter().flat_map(|list| &list.to);
    let keys: Vec<String> = keys.map(|address| address_key(address)).collect();
    let mut tx = shop.store.read().await?;
    let gone = store::undeliverable(&mut tx, keys.iter().map(String::as_str)).await?;
    for list in lists {
        let all = list.to.len();
        outcome.count("no_recipient", (all == 0).into());
        list.to
            .retain(|address| !gone.contains(&address_key(address)));
        outcome.count("undeliverable", (all - list.to.len()) as u64);
    }
    Ok(())
}

async fn put(
    shop: &Shop,
    drafts: &mut Vec<(MessageDraft, Vec<i64>)>,
    when: When,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut tx = shop.store.write().await?;
    let added = store::messages_add(&mut tx, drafts, when.composed_at()).await?;
    tx.commit().await?;
    outcome.count("composed", added.len() as u64);
    drafts.clear();
    Ok(())
}
