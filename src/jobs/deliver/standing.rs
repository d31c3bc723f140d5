//! Cases as they stand now: what was recorded of them and what is no longer
//! true.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Result;

use super::Run;
use super::group::{Groups, Recipients};
use crate::case::{Case, Disposition, Evaluation, Fate, RecordedNotice, overruled};
use crate::jobs::page::evaluate_page;
use crate::mail::address_key;
use crate::policy::Audience;
use crate::store::{self, Tx};

/// A case, what was recorded of it, and what of that no longer stands.
pub(super) struct Standing {
    pub case: Case,
    pub evaluation: Evaluation,
    pub notices: Vec<RecordedNotice>,
    pub overruled: Vec<(i64, Fate)>,
}

/// Cases by the numbers of their orders.
pub(super) struct Standings {
    pub cases: HashMap<i64, Standing>,
    /// How many cannot be evaluated: their notices wait until they can.
    pub skipped: u64,
}

impl Standing {
    /// Takes out the notices that are held or no longer stand; gives what
    /// becomes of those of them that wait.
    pub fn overrule(&mut self) -> Vec<(i64, Fate)> {
        let gone: HashMap<i64, Fate> = self.overruled.drain(..).collect();
        let waiting = self.notices.iter();
        let waiting = waiting.filter(|notice| notice.disposition.is_waiting());
        let changed = waiting.filter_map(|notice| Some((notice.id, *gone.get(&notice.id)?)));
        let changed = changed.collect();
        self.notices.retain(|notice| {
            notice.disposition != Disposition::Held && !gone.contains_key(&notice.id)
        });
        changed
    }
}

impl Run<'_> {
    /// Keeps the cases of orders as they are until the transaction ends.
    pub(super) async fn lock(&self, tx: &mut Tx<'_>, order_ids: &BTreeSet<i64>) -> Result<()> {
        let order_ids: Vec<i64> = order_ids.iter().copied().collect();
        Ok(store::agenda_lock(tx, &order_ids).await?)
    }

    /// Cases of orders, which the caller has locked.
    pub(super) async fn standings(
        &self,
        tx: &mut Tx<'_>,
        order_ids: &BTreeSet<i64>,
    ) -> Result<Standings> {
        let order_ids: Vec<i64> = order_ids.iter().copied().collect();
        let mut recorded = store::recorded_notices(tx, &order_ids).await?;
        let mut cases = HashMap::with_capacity(order_ids.len());
        let mut skipped = 0;
        for found in evaluate_page(tx, &order_ids, &self.rules, self.now).await? {
            let notices = recorded.remove(&found.order_id).unwrap_or_default();
            match found.found {
                Ok((case, evaluation)) => {
                    let standing = Standing {
                        overruled: overruled(&evaluation, &notices, &self.context),
                        notices,
                        case,
                        evaluation,
                    };
                    cases.insert(found.order_id, standing);
                }
                Err(error) => {
                    tracing::warn!(
                        order_id = found.order_id,
                        error,
                        "a case cannot be evaluated"
                    );
                    // `enforce` counts it as failed, and says so.
                    skipped += 1;
                }
            }
        }
        Ok(Standings { cases, skipped })
    }

    /// Whoever may be told of cases.
    pub(super) async fn recipients(
        &self,
        tx: &mut Tx<'_>,
        standings: impl Iterator<Item = &Standing> + Clone,
    ) -> Result<Recipients<'_>> {
        let for_customers = standings.clone().filter(|standing| {
            let mut notices = standing.notices.iter();
            notices.any(|notice| notice.key.audience == Audience::Customer)
        });
        let customer_refs: BTreeSet<&str> = for_customers
            .map(|standing| standing.case.order.customer_ref.as_str())
            .collect();
        let mut recipients = Recipients {
            contacts: &self.shop.config.contacts,
            customers: store::customers_load(tx, customer_refs).await?,
            undeliverable: HashSet::new(),
        };
        let notices = standings.flat_map(|standing| {
            let notices = standing.notices.iter();
            notices.flat_map(|notice| recipients.of(standing, notice))
        });
        let addresses: BTreeSet<String> = notices.map(|(to, _)| to.address).collect();
        let keys: Vec<String> = addresses.iter().map(|to| address_key(to)).collect();
        let keys = keys.iter().map(String::as_str);
        recipients.undeliverable = store::undeliverable(tx, keys).await?;
        Ok(recipients)
    }

    /// What stands of cases, by the recipients who were not told.
    pub(super) async fn groups(&self, tx: &mut Tx<'_>, standings: &[Standing]) -> Result<Groups> {
        let notices = standings.iter().flat_map(|standing| &standing.notices);
        let ids: Vec<i64> = notices.map(|notice| notice.id).collect();
        if ids.is_empty() {
            return Ok(Groups::default());
        }
        let told = store::message_recipients(tx, &ids).await?;
        let told: HashSet<(i64, String)> = told.into_iter().collect();
        let recipients = self.recipients(tx, standings.iter()).await?;
        let mut groups = Groups::default();
        for standing in standings {
            let calendar = &self.rules.calendar;
            groups.add(standing, &recipients, &told, calendar, self.now);
        }
        Ok(groups)
    }
}
