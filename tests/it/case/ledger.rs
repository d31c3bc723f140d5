//! What a shop has recorded of one case, run after run: the store's part in
//! memory.

use chrono::Duration;
use warrantyd::case::{
    Case, Disposition, NoticeKey, Plan, PlanContext, Recorded, RecordedNotice, evaluate, plan,
};
use warrantyd::policy::Instant;

use super::build::Shop;

/// The records of one case.
#[derive(Clone)]
pub struct Ledger<'s> {
    shop: &'s Shop,
    pub recorded: Recorded,
    pub live_from: Option<Instant>,
    pub customers_held: bool,
    pub feed_is_dead: bool,
}

impl<'s> Ledger<'s> {
    pub fn of(shop: &'s Shop) -> Self {
        Self {
            shop,
            recorded: Recorded::default(),
            live_from: None,
            customers_held: false,
            feed_is_dead: false,
        }
    }

    /// What decides on notices at a time.
    pub fn context(&self, now: Instant) -> PlanContext {
        PlanContext {
            now,
            stale_after: Duration::days(3),
            live_from: self.live_from,
            customers_held: self.customers_held,
            feed_is_dead: self.feed_is_dead,
            is_restored: false,
        }
    }

    /// What a run at a time would write.
    pub fn plan(&self, case: &Case, now: Instant) -> Plan {
        let context = self.context(now);
        let evaluation = evaluate(case, &self.shop.rules, now).unwrap();
        plan(&evaluation, &self.recorded, &context)
    }

    /// A run: what it recorded or changed.
    pub fn enforce(&mut self, case: &Case, now: Instant) -> Vec<(NoticeKey, Disposition)> {
        let written = self.plan(case, now);
        let mut changes = Vec::new();
        for notice in written.notices {
            let id = self.recorded.notices.len() as i64;
            changes.push((notice.due.key.clone(), notice.fate.disposition));
            self.recorded.notices.push(RecordedNotice {
                id,
                key: notice.due.key,
                disposition: notice.fate.disposition,
                cause: notice.fate.cause,
                policy: notice.due.policy,
                clause: notice.due.clause,
            });
        }
        for (id, fate) in written.changed {
            let notice = &mut self.recorded.notices[id as usize];
            (notice.disposition, notice.cause) = (fate.disposition, fate.cause);
            changes.push((notice.key.clone(), fate.disposition));
        }
        let deadlines = &mut self.recorded.deadlines;
        let replaced = written.deadlines.iter().chain(&written.gone);
        let key =
            |d: &warrantyd::case::RecordedDeadline| (d.subject, d.subject_ref.clone(), d.window);
        let replaced: Vec<_> = replaced.map(key).collect();
        deadlines.retain(|deadline| !replaced.contains(&key(deadline)));
        deadlines.extend(written.deadlines);
        changes
    }

    /// The mail server takes over what is queued.
    pub fn deliver(&mut self) {
        for notice in &mut self.recorded.notices {
            if notice.disposition == Disposition::Queued {
                notice.disposition = Disposition::Sent;
            }
        }
    }

    /// A run at a local time, in words: step, audience and disposition.
    pub fn run(&mut self, case: &Case, now: &str) -> Vec<String> {
        let changes = self.enforce(case, self.shop.at(now)).into_iter();
        let words = changes.map(|(key, became)| format!("{} {} {became}", key.step, key.audience));
        words.collect()
    }

    /// A run whose queue is sent.
    pub fn run_and_deliver(&mut self, case: &Case, now: &str) -> Vec<String> {
        let changes = self.run(case, now);
        self.deliver();
        changes
    }
}
