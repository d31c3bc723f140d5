//! Notices by recipient: what becomes one message.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;

use super::Standing;
use crate::config::Contacts;
use crate::jobs::compose::{about, addresses, notice_text};
use crate::mail::{Addressee, Mailbox, NoticeText};
use crate::policy::{Audience, Calendar, Instant};
use crate::store::{self, Customer, Tx};

/// Notices for one recipient.
pub(super) struct Group {
    /// The audience of the first.
    pub audience: Audience,
    pub to: Mailbox,
    pub addressee: Addressee,
    pub notices: Vec<(i64, NoticeText)>,
}

/// Notices by recipient, in a stable order.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<(String, String), Group>,
    customers: HashMap<String, Option<Customer>>,
}

impl Groups {
    /// Adds the notices of a case, each to everybody who is to be told; but not
    /// those to an address that a message took or takes them to.
    pub async fn add(
        &mut self,
        tx: &mut Tx<'_>,
        standing: &Standing,
        contacts: &Contacts,
        calendar: &Calendar,
        now: Instant,
        told: &HashSet<(i64, String)>,
    ) -> Result<()> {
        let Standing {
            case, evaluation, ..
        } = standing;
        for notice in &standing.notices {
            let audience = notice.key.audience;
            let text = notice_text(case, evaluation, notice, calendar, now);
            if audience == Audience::Customer {
                let customer_ref = &case.order.customer_ref;
                if let Some(customer) = self.customer(tx, customer_ref).await? {
                    let to = Mailbox {
                        name: customer.name.clone(),
                        address: customer.email,
                    };
                    let addressee = Addressee::Customer {
                        customer_ref: customer_ref.clone(),
                        name: customer.name,
                    };
                    if !told.contains(&(notice.id, to.address.clone())) {
                        self.push(audience, to, addressee, (notice.id, text));
                    }
                }
                continue;
            }
            let (_, claim) = about(case, &notice.key);
            let assignee = claim.and_then(|claim| claim.assignee_email.as_deref());
            for address in addresses(contacts, audience, assignee) {
                let to = Mailbox {
                    name: None,
                    address: address.to_owned(),
                };
                if !told.contains(&(notice.id, to.address.clone())) {
                    self.push(audience, to, Addressee::Inside, (notice.id, text.clone()));
                }
            }
        }
        Ok(())
    }

    async fn customer(&mut self, tx: &mut Tx<'_>, customer_ref: &str) -> Result<Option<Customer>> {
        if let Some(known) = self.customers.get(customer_ref) {
            return Ok(known.clone());
        }
        let customer = store::customer_load(tx, customer_ref).await?;
        self.customers
            .insert(customer_ref.to_owned(), customer.clone());
        Ok(customer)
    }

    fn push(
        &mut self,
        audience: Audience,
        to: Mailbox,
        addressee: Addressee,
        notice: (i64, NoticeText),
    ) {
        let customer_ref = match &addressee {
            Addressee::Customer { customer_ref, .. } => customer_ref.clone(),
            Addressee::Inside => String::new(),
        };
        let key = (customer_ref, to.address.clone());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            audience,
            to,
            addressee,
            notices: Vec::new(),
        });
        // One person may be both lead and manager: told once.
        if group.notices.iter().all(|(id, _)| *id != notice.0) {
            group.notices.push(notice);
        }
    }

    /// How many notices go to an address.
    pub fn notices_for(&self, address: &str) -> usize {
        let groups = self.groups.values();
        let of_address = groups.filter(|group| group.to.address == address);
        of_address.map(|group| group.notices.len()).sum()
    }

    pub fn into_vec(self) -> Vec<Group> {
        self.groups.into_values().collect()
    }
}
