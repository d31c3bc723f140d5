//! Notices by recipient: what becomes one message.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::standing::Standing;
use crate::case::RecordedNotice;
use crate::config::Contacts;
use crate::jobs::compose::{about, addresses, notice_text};
use crate::mail::{Addressee, Mailbox, NoticeText, address_key};
use crate::policy::{Audience, Calendar, Instant};
use crate::store::{Customer, FORGOTTEN};

/// Who may be told.
pub(super) struct Recipients<'r> {
    pub contacts: &'r Contacts,
    /// By their references.
    pub customers: HashMap<String, Customer>,
    /// Addresses that no mail goes to, as addresses are compared.
    pub undeliverable: HashSet<String>,
}

impl Recipients<'_> {
    /// Everybody who is to be told of a notice. Nobody: who it is for has no
    /// address.
    pub fn of(&self, standing: &Standing, notice: &RecordedNotice) -> Vec<(Mailbox, Addressee)> {
        let case = &standing.case;
        if notice.key.audience == Audience::Customer {
            let customer_ref = &case.order.customer_ref;
            let customer = self.customers.get(customer_ref);
            let told = |customer: &Customer| {
                let to = Mailbox {
                    name: customer.name.clone(),
                    address: customer.email.clone(),
                };
                let addressee = Addressee::Customer {
                    customer_ref: customer_ref.clone(),
                    name: customer.name.clone(),
                    locale: customer.locale.clone(),
                };
                (to, addressee)
            };
            return customer.map(told).into_iter().collect();
        }
        let (_, claim) = about(case, &notice.key);
        let assignee = claim.and_then(|claim| claim.assignee_email.as_deref());
        let told = |address: &str| {
            let to = Mailbox {
                name: None,
                address: address.to_owned(),
            };
            (to, Addressee::Inside)
        };
        let addresses = addresses(self.contacts, notice.key.audience, assignee);
        addresses.into_iter().map(told).collect()
    }

    /// Whether mail goes to an address.
    pub fn takes_mail(&self, address: &str) -> bool {
        address != FORGOTTEN
            && (self.undeliverable.is_empty()
                || !self.undeliverable.contains(&address_key(address)))
    }
}

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
    /// Notices that nobody is left for whom mail goes to.
    pub left_out: Vec<i64>,
}

impl Groups {
    /// Adds the notices of a case, each to everybody who is to be told; but not
    /// those to an address that a message took or takes them to, or that no
    /// mail goes to.
    pub fn add(
        &mut self,
        standing: &Standing,
        recipients: &Recipients<'_>,
        told: &HashSet<(i64, String)>,
        calendar: &Calendar,
        now: Instant,
    ) {
        let Standing {
            case, evaluation, ..
        } = standing;
        for notice in &standing.notices {
            let mut to = recipients.of(standing, notice);
            let all = to.len();
            to.retain(|(to, _)| recipients.takes_mail(&to.address));
            let is_short = to.len() < all;
            to.retain(|(to, _)| !told.contains(&(notice.id, to.address.clone())));
            if to.is_empty() {
                self.left_out.extend(is_short.then_some(notice.id));
                continue;
            }
            let (key, clause) = (&notice.key, notice.clause.as_str());
            let text = notice_text(case, evaluation, key, clause, calendar, now);
            for (to, addressee) in to {
                self.push(
                    notice.key.audience,
                    to,
                    addressee,
                    (notice.id, text.clone()),
                );
            }
        }
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

    pub fn into_vec(self) -> Vec<Group> {
        self.groups.into_values().collect()
    }
}
