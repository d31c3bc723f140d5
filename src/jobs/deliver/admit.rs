//! Which messages that are due may go out: to whom something is sent at all,
//! and how much to one customer in a day.

use std::collections::HashMap;

use anyhow::Result;

use super::Run;
use crate::mail::domain_of;
use crate::policy::Audience;
use crate::store::{self, Message, Tx};

impl Run<'_> {
    /// Of messages that are due, those that may go out; keeps what becomes of
    /// the others.
    pub(super) async fn admit(&self, tx: &mut Tx<'_>, due: Vec<Message>) -> Result<Vec<Message>> {
        let allowed = self.hold_others(tx, due).await?;
        self.put_off(tx, allowed).await
    }

    /// Who gets a message.
    pub(super) fn goes_to<'m>(&'m self, recipient: &'m str) -> &'m str {
        self.mail.redirect_all_to.as_deref().unwrap_or(recipient)
    }

    fn is_allowed(&self, recipient: &str) -> bool {
        let Some(domains) = &self.mail.allow_domains else {
            return true;
        };
        let domain = domain_of(self.goes_to(recipient));
        domain.is_some_and(|domain| domains.contains(&domain))
    }

    /// Holds messages to domains that nothing is sent to.
    async fn hold_others(&self, tx: &mut Tx<'_>, due: Vec<Message>) -> Result<Vec<Message>> {
        let is_allowed = |message: &Message| self.is_allowed(&message.draft.recipient);
        let (allowed, others): (Vec<_>, Vec<_>) = due.into_iter().partition(is_allowed);
        if !others.is_empty() {
            let ids: Vec<i64> = others.iter().map(|message| message.id).collect();
            let why = "held: mail.allow_domains does not name the recipient's domain";
            store::messages_hold(tx, &ids, why).await?;
            self.count("held", ids.len() as u64);
        }
        Ok(allowed)
    }

    /// Lets messages go to whose domains something is sent by now; after a
    /// restore those to customers are a person's to let go.
    pub(super) async fn let_go(&self) -> Result<()> {
        let mut tx = self.shop.store.read().await?;
        let customers_too = !self.context.is_restored;
        let held = store::messages_held(&mut tx, customers_too).await?;
        tx.commit().await?;
        let allowed = held.iter().filter(|(_, to)| self.is_allowed(to));
        let ids: Vec<i64> = allowed.map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.shop.store.write().await?;
        store::messages_let_go(&mut tx, &ids, self.now).await?;
        Ok(tx.commit().await?)
    }

    /// Puts messages off to the next local day of which their customers would
    /// get too many today. The others are counted.
    async fn put_off(&self, tx: &mut Tx<'_>, due: Vec<Message>) -> Result<Vec<Message>> {
        let Some(most) = self.mail.max_per_day else {
            return Ok(due);
        };
        let is_limited = |message: &&Message| is_customers(message);
        if !due.iter().any(is_customers) {
            return Ok(due);
        }
        let today = self.rules.calendar.date_of(self.now);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let limited = due.iter().filter(is_limited);
        let beside = store::messages_beside(tx, today, limited).await?;
        let mut here: HashMap<String, i64> = HashMap::new();
        let is_within = |message: &Message| {
            let before = beside.get(&message.id).copied().unwrap_or(0);
            let here = here.entry(message.draft.recipient.clone()).or_default();
            let is_within = !is_customers(message) || before + *here < most;
            *here += i64::from(is_within);
            is_within
        };
        let (within, over): (Vec<_>, Vec<_>) = due.into_iter().partition(is_within);
        if !over.is_empty() {
            let ids: Vec<i64> = over.iter().map(|message| message.id).collect();
            let tomorrow = self.rules.calendar.day_end(today);
            let why = "put off to the next day: mail.max_per_day";
            store::messages_put_off(tx, &ids, tomorrow, why).await?;
            self.count("later", ids.len() as u64);
        }
        let limited = within.iter().filter(is_limited);
        let ids: Vec<i64> = limited.map(|message| message.id).collect();
        store::messages_count(tx, today, &ids).await?;
        Ok(within)
    }
}

fn is_customers(message: &Message) -> bool {
    message.draft.audience == <&str>::from(Audience::Customer)
}
