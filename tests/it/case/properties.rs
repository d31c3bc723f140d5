//! What holds for every case, at every time, however the runs fall.

use std::collections::BTreeSet;

use chrono::Duration;
use proptest::prelude::*;
use warrantyd::case::{
    Case, Deadline, Disposition, Evaluation, ExceptionCode, NoticeKey, Plan, PlanContext, Recorded,
    evaluate, plan, stood_alike,
};
use warrantyd::policy::{Instant, Step};

use super::build::Shop;
use super::generate::{case, instant, shop, time};
use super::ledger::Ledger;

/// As many cases as the environment asks for.
fn config() -> ProptestConfig {
    let cases = std::env::var("WARRANTYD_PROPTEST_CASES").ok();
    let cases = cases.map_or(256, |cases| cases.parse().expect("a number of cases"));
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn see(shop: &Shop, case: &Case, now: Instant) -> Evaluation {
    evaluate(case, &shop.rules, now).unwrap()
}

/// Runs at these times, with a delivery after each: what was sent, and all
/// that was recorded.
fn runs(
    shop: &Shop,
    case: &Case,
    times: &BTreeSet<i64>,
) -> (BTreeSet<NoticeKey>, Vec<(NoticeKey, Disposition)>) {
    let mut ledger = Ledger::of(shop);
    for minutes in times {
        ledger.enforce(case, instant(*minutes));
        ledger.deliver();
    }
    let notices = ledger.recorded.notices.into_iter();
    let all: Vec<_> = notices
        .map(|notice| (notice.key, notice.disposition))
        .collect();
    let sent = all
        .iter()
        .filter(|(_, became)| *became == Disposition::Sent);
    (sent.map(|(key, _)| key.clone()).collect(), all)
}

/// The case as it would be if nobody had typed in what comes after `now`. A
/// receipt to come stays, at another time: it keeps the default away.
fn known_by(case: &Case, now: Instant) -> Case {
    let mut known = case.clone();
    let hide = |time: &mut Option<Instant>| *time = time.filter(|at| *at <= now);
    let put_off = |time: &mut Option<Instant>| {
        *time = time.map(|at| if at > now { at + Duration::days(3) } else { at });
    };
    let order = &mut known.order;
    hide(&mut order.paid_at);
    hide(&mut order.shipped_at);
    hide(&mut order.delivered_at);
    hide(&mut order.cancelled_at);
    hide(&mut order.cancel_refunded_at);
    for unit in &mut known.units {
        put_off(&mut unit.received_at);
        hide(&mut unit.company_confirmed_at);
        hide(&mut unit.customer_confirmed_at);
        if let Some(root) = &mut unit.root {
            hide(&mut root.delivered_at);
            put_off(&mut root.received_at);
            hide(&mut root.company_confirmed_at);
            hide(&mut root.customer_confirmed_at);
        }
        unit.claims.retain(|claim| claim.opened_at <= now);
        for claim in &mut unit.claims {
            hide(&mut claim.confirmed_at);
            hide(&mut claim.received_at);
            hide(&mut claim.inspected_at);
            hide(&mut claim.repaired_at);
            hide(&mut claim.unrepairable_at);
            hide(&mut claim.returned_at);
            hide(&mut claim.refunded_at);
            hide(&mut claim.exchanged_at);
            hide(&mut claim.closed_at);
            hide(&mut claim.rejected_at);
            claim.waits.retain(|wait| wait.from <= now);
            for wait in &mut claim.waits {
                hide(&mut wait.until);
            }
        }
    }
    known
}

/// Without what tells of the future.
fn of_the_past(mut seen: Evaluation) -> Evaluation {
    seen.next_at = None;
    seen.is_open = false;
    seen.exceptions
        .retain(|found| found.code != ExceptionCode::FactInFuture);
    seen
}

/// Without what counts days of standing still.
fn of_no_day(seen: Evaluation) -> Evaluation {
    let mut seen = seen;
    for deadline in &mut seen.deadlines {
        deadline.late_days = 0;
    }
    seen.exceptions
        .retain(|found| found.code != ExceptionCode::StageStuck);
    seen
}

/// How a case stands: what reports count of it, whatever the day.
fn standing(mut seen: Evaluation) -> Evaluation {
    for deadline in &mut seen.deadlines {
        deadline.late_days = 0;
        deadline.level = 0;
    }
    Evaluation {
        deadlines: seen.deadlines,
        claims: seen.claims,
        cancellation: seen.cancellation,
        ..Evaluation::default()
    }
}

/// In an order of its own.
fn as_a_set(seen: &Evaluation) -> Vec<String> {
    let deadlines = seen.deadlines.iter().map(|found| {
        let times = (found.started_at, found.due_at, found.ended_at);
        let state = (found.state, found.late_days, found.level);
        format!("{} {} {times:?} {state:?}", found.subject_ref, found.window)
    });
    let claims = seen.claims.iter().map(|found| {
        let stage = (found.stage, found.stage_since, &found.outcomes);
        let why = (found.handling, &found.decline, &found.refund);
        format!("{} {stage:?} {why:?}", found.claim_ref)
    });
    let due = seen.due_steps.iter().map(|found| format!("{found:?}"));
    let exceptions = seen.exceptions.iter().map(|found| format!("{found:?}"));
    let rest = format!(
        "{:?} {:?} {}",
        seen.cancellation, seen.next_at, seen.is_open
    );
    let mut all: Vec<_> = deadlines
        .chain(claims)
        .chain(due)
        .chain(exceptions)
        .chain([rest])
        .collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn planning_twice_adds_nothing(shop in shop(), case in case(), times in proptest::collection::btree_set(time(), 1..6)) {
        let mut ledger = Ledger::of(&shop);
        for minutes in times {
            let now = instant(minutes);
            ledger.enforce(&case, now);
            let again = ledger.plan(&case, now);
            prop_assert_eq!(again, Default::default());
            ledger.deliver();
            prop_assert_eq!(ledger.plan(&case, now), Default::default());
        }
    }

    #[test]
    fn fewer_runs_send_nothing_that_more_runs_would_not(
        shop in shop(),
        case in case(),
        some in proptest::collection::btree_set(time(), 1..5),
        more in proptest::collection::btree_set(time(), 1..20),
    ) {
        let all = some.union(&more).copied().collect();
        let (sent_by_few, recorded_by_few) = runs(&shop, &case, &some);
        let (sent_by_many, _) = runs(&shop, &case, &all);
        let surplus: Vec<_> = sent_by_few.difference(&sent_by_many).collect();
        prop_assert!(surplus.is_empty(), "{:?}", surplus);
        // What few runs did not send they wrote off or hold, or its reason had gone.
        let last = see(&shop, &case, instant(*some.last().unwrap()));
        for missing in sent_by_many.difference(&sent_by_few) {
            let written_off = recorded_by_few.iter().any(|(key, became)| {
                let why = [Disposition::Superseded, Disposition::Stale, Disposition::Held];
                key == missing && why.contains(became)
            });
            let gone = !last.due_steps.iter().any(|due| due.key == *missing);
            prop_assert!(written_off || gone, "{:?}", missing);
        }
    }

    #[test]
    fn time_alone_takes_nothing_back(shop in shop(), case in case(), times in proptest::collection::btree_set(time(), 2..20)) {
        let mut ledger = Ledger::of(&shop);
        let mut sent: BTreeSet<NoticeKey> = BTreeSet::new();
        for minutes in times {
            for (key, became) in ledger.enforce(&case, instant(minutes)) {
                prop_assert!(!sent.contains(&key), "{:?} {}", key, became);
                // An outcome that was reached stands.
                prop_assert!(!matches!(key.step, Step::Withdrawn(_)), "{:?}", key);
            }
            ledger.deliver();
            let notices = ledger.recorded.notices.iter();
            let keys: BTreeSet<_> = notices.map(|notice| notice.key.clone()).collect();
            prop_assert_eq!(keys.len(), ledger.recorded.notices.len());
            let notices = ledger.recorded.notices.iter();
            let now_sent = notices.filter(|notice| notice.disposition == Disposition::Sent);
            let now_sent: BTreeSet<_> = now_sent.map(|notice| notice.key.clone()).collect();
            prop_assert!(sent.is_subset(&now_sent));
            sent = now_sent;
        }
    }

    #[test]
    fn a_refund_is_never_negative_and_never_more_than_the_order(shop in shop(), case in case(), minutes in time()) {
        let seen = see(&shop, &case, instant(minutes));
        let refunds = seen.claims.iter().filter_map(|claim| claim.refund.as_ref());
        for refund in refunds.chain(&seen.cancellation) {
            let total = case.order.total;
            prop_assert!((0..=total).contains(&refund.amount), "{:?}", refund);
            prop_assert!(refund.deductions >= 0 && refund.amount + refund.deductions <= total, "{:?}", refund);
        }
    }

    #[test]
    fn facts_of_the_future_do_not_matter(shop in shop(), case in case(), minutes in time()) {
        let now = instant(minutes);
        let full = of_the_past(see(&shop, &case, now));
        let known = of_the_past(see(&shop, &known_by(&case, now), now));
        prop_assert_eq!(full, known);
    }

    #[test]
    fn nothing_changes_before_the_next_instant(shop in shop(), case in case(), minutes in time(), part in 0.0..1.0f64) {
        let now = instant(minutes);
        let seen = see(&shop, &case, now);
        let next_at = seen.next_at.unwrap_or(now + Duration::days(3000));
        prop_assert!(next_at > now);
        let span = (next_at - now).num_seconds() as f64;
        let between = now + Duration::seconds((span * part) as i64);
        for later in [between, next_at - Duration::microseconds(1)] {
            prop_assert_eq!(of_no_day(see(&shop, &case, later)), of_no_day(seen.clone()));
        }
    }

    #[test]
    fn without_a_fact_or_a_due_date_a_case_stood_as_it_stands(
        shop in shop(),
        case in case(),
        minutes in time(),
        back in 0..15 * 24 * 60i64,
    ) {
        let (earlier, now) = (instant(minutes - back), instant(minutes));
        let seen = see(&shop, &case, now);
        if stood_alike(&case, &seen, earlier, now) {
            prop_assert_eq!(standing(see(&shop, &case, earlier)), standing(seen));
        }
    }

    #[test]
    fn the_order_of_units_and_claims_does_not_matter(shop in shop(), case in case(), minutes in time()) {
        let mut turned = case.clone();
        turned.units.reverse();
        for unit in &mut turned.units {
            unit.claims.reverse();
            for claim in &mut unit.claims {
                claim.waits.reverse();
            }
        }
        let now = instant(minutes);
        prop_assert_eq!(as_a_set(&see(&shop, &case, now)), as_a_set(&see(&shop, &turned, now)));
    }

    #[test]
    fn a_hold_changes_what_is_told_and_nothing_else(shop in shop(), case in case(), minutes in time()) {
        let now = instant(minutes);
        let free = Case { holds: Vec::new(), opted_out_at: None, ..case.clone() };
        let without = |seen: Evaluation| {
            let mut seen = of_the_past(seen);
            seen.exceptions.retain(|found| found.code != ExceptionCode::OnHold);
            for due in &mut seen.due_steps {
                due.stop = None;
            }
            seen
        };
        prop_assert_eq!(without(see(&shop, &case, now)), without(see(&shop, &free, now)));
    }

    #[test]
    fn a_hold_that_was_lifted_at_once_was_never_there(
        shop in shop(),
        case in case(),
        times in proptest::collection::btree_set(time(), 1..6),
        in_dispute in 0..6usize,
    ) {
        let free = Case { holds: Vec::new(), opted_out_at: None, ..case.clone() };
        let held = Case { opted_out_at: None, ..case };
        let (mut disturbed, mut undisturbed) = (Ledger::of(&shop), Ledger::of(&shop));
        for (nth, minutes) in times.into_iter().enumerate() {
            let now = instant(minutes);
            if nth == in_dispute {
                disturbed.enforce(&held, now);
            }
            disturbed.enforce(&free, now);
            undisturbed.enforce(&free, now);
            prop_assert_eq!(&disturbed.recorded, &undisturbed.recorded);
            disturbed.deliver();
            undisturbed.deliver();
        }
    }

    /// What was recorded of a deadline is enough to say where it stands, until
    /// something happens.
    #[test]
    fn records_say_what_an_evaluation_says(
        shop in shop(),
        case in case(),
        (recorded_at, later) in (time(), 0..40 * 24 * 60i64),
    ) {
        let recorded_at = instant(recorded_at);
        let evaluation = see(&shop, &case, recorded_at);
        let later = recorded_at + Duration::minutes(later);
        let last = evaluation.next_at.map(|next| next - Duration::microseconds(1));
        for now in [recorded_at, last.map_or(later, |last| later.min(last))] {
            let context = PlanContext {
                now: recorded_at,
                stale_after: Duration::days(3),
                live_from: None,
                customers_held: false,
                feed_is_dead: false,
                is_restored: false,
            };
            let Plan { deadlines, .. } = plan(&evaluation, &Recorded::default(), &context);
            let (rules, placed_at) = (&shop.rules, case.order.placed_at);
            let found = deadlines.into_iter().map(|recorded| {
                let policy = rules.policies.get(&recorded.policy).unwrap();
                Deadline::of_recorded(recorded, policy, placed_at, &rules.calendar, now)
            });
            let expected = see(&shop, &case, now).deadlines.into_iter().map(|found| Deadline {
                skipped: Vec::new(),
                paused_since: None,
                ..found
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
