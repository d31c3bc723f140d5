//! What time alone will bring: every instant to come at which something
//! changes, one case after the other, in memory. It writes nothing.

use anyhow::Result;

use super::book::rules;
use super::guard::{Guarded, plan_context};
use super::page::{load_page, page_len};
use super::{Refused, Shop};
use crate::case::{
    Case, Disposition, Evaluation, Notice, Plan, PlanContext, Recorded, RecordedNotice, Rules,
    evaluate, plan,
};
use crate::policy::Instant;
use crate::store;

/// Cases read ahead of a page.
const CASES_A_PAGE: i64 = 2_000;

/// A notice that a run would record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// The time of the run.
    pub at: Instant,
    /// What it tells to whom, and what becomes of it.
    pub notice: Notice,
}

/// What a simulation found.
#[derive(Debug, Default)]
pub struct Simulated {
    /// What would be told, in the order of its time.
    pub coming: Vec<Coming>,
    /// How many orders cannot be evaluated.
    pub failed: u64,
}

/// What would be told from `now` until before `end`, if nobody recorded a fact
/// any more, and a run came at every instant at which something changes.
pub async fn simulate(shop: &Shop, now: Instant, end: Instant) -> Result<Simulated> {
    let mut tx = shop.store.read().await?;
    let guard = store::guard_load(&mut tx).await?;
    let begin = guard.last_at.map_or(now, |last_at| last_at.max(now));
    if end <= begin {
        let why = "--until: expected a day that is not over";
        return Err(Refused(why.to_owned()).into());
    }
    let rules = rules(shop, &mut tx).await?.rules;
    let guarded = Guarded {
        at: begin,
        guard,
        goes_back: false,
    };
    let future = Future {
        context: plan_context(&shop.config, &guarded),
        rules,
        end,
    };
    let mut simulated = Simulated::default();
    let mut after = (i64::MIN, i64::MIN);
    loop {
        let due = store::agenda_due(&mut tx, end, after, CASES_A_PAGE).await?;
        let due = &due[..page_len(due.iter().map(|case| case.units)).min(due.len())];
        let Some(last) = due.last() else { break };
        after = (last.place, last.order_id);
        let order_ids: Vec<i64> = due.iter().map(|case| case.order_id).collect();
        let mut recorded = store::recorded_load(&mut tx, &order_ids).await?;
        for loaded in load_page(&mut tx, &order_ids, None).await? {
            let recorded = recorded.remove(&loaded.order_id).unwrap_or_default();
            let evaluated = loaded.evaluate(&future.rules, begin);
            let lived = evaluated.found.and_then(|(case, evaluation)| {
                future.live(&case, evaluation, recorded, &mut simulated.coming)
            });
            simulated.failed += u64::from(lived.is_err());
        }
    }
    let order = |coming: &Coming| (coming.at, coming.notice.due.key.clone());
    simulated.coming.sort_by_cached_key(order);
    Ok(simulated)
}

/// What all cases have in common.
struct Future {
    rules: Rules,
    /// As of the beginning.
    context: PlanContext,
    end: Instant,
}

impl Future {
    /// Goes from change to change of a case.
    fn live(
        &self,
        case: &Case,
        mut evaluation: Evaluation,
        mut recorded: Recorded,
        coming: &mut Vec<Coming>,
    ) -> Result<(), String> {
        let mut context = self.context.clone();
        loop {
            let plan = plan(&evaluation, &recorded, &context);
            let told = plan.notices.iter().filter(|notice| {
                // What is not to be told is nobody's future.
                notice.fate.disposition.is_waiting()
            });
            coming.extend(told.map(|notice| Coming {
                at: context.now,
                notice: notice.clone(),
            }));
            record(&mut recorded, plan);
            match evaluation.next_at.filter(|next_at| *next_at < self.end) {
                Some(next_at) => context.now = next_at,
                None => return Ok(()),
            }
            let next = evaluate(case, &self.rules, context.now);
            evaluation = next.map_err(|error| error.to_string())?;
        }
    }
}

/// What a run and a delivery after it would leave recorded.
fn record(recorded: &mut Recorded, plan: Plan) {
    for (id, fate) in plan.changed {
        let changed = recorded.notices.iter_mut().find(|notice| notice.id == id);
        if let Some(notice) = changed {
            (notice.disposition, notice.cause) = (fate.disposition, fate.cause);
        }
    }
    for notice in plan.notices {
        let disposition = match notice.fate.disposition {
            Disposition::Queued => Disposition::Sent,
            other => other,
        };
        recorded.notices.push(RecordedNotice {
            // No other has it: those of the store begin with 1.
            id: -(recorded.notices.len() as i64),
            key: notice.due.key,
            disposition,
            cause: notice.fate.cause,
            policy: notice.due.policy,
            clause: notice.due.clause,
        });
    }
    for gone in &plan.gone {
        recorded.deadlines.retain(|old| old.key() != gone.key());
    }
    for deadline in plan.deadlines {
        recorded.deadlines.retain(|old| old.key() != deadline.key());
        recorded.deadlines.push(deadline);
    }
}
