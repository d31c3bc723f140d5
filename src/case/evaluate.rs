//! The whole of a case at a given time.

use std::sync::Arc;

use chrono::TimeDelta;

use super::claim::{self, ClaimView, Seen, Speaks, speaks};
use super::deadline::{Deadline, Ends, Start, State, deadline};
use super::exceptions::{Exception, Found, exceptions, facts_in_future};
use super::facts::{Case, Claim, Order, Unit};
use super::hold::{self, Stop};
use super::plan::NoticeKey;
use super::refund::{Refund, cancellation_refund, cancelled_at};
use super::unit;
use crate::policy::{
    Audience, Book, BookError, Calendar, Instant, LadderStep, Outcome, Policy, PolicyId,
    STANDARD_NAME, Step, Subject, Window,
};

/// What a case is evaluated under.
#[derive(Debug, Clone)]
pub struct Rules {
    /// All versions of all policies.
    pub policies: Book,
    /// The local days of the business.
    pub calendar: Calendar,
    /// How long a stage that waits for the shop may go without a change.
    pub stuck_after: TimeDelta,
}

/// Why a case cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// No terms for the order or one of its units.
    #[error(transparent)]
    Policy(#[from] BookError),
}

/// A step or an outcome that has come, and whom it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStep {
    /// What is told to whom.
    pub key: NoticeKey,
    /// When it was due to fire.
    pub fires_at: Instant,
    /// The escalation level that it carries.
    pub level: u8,
    /// The version of the policy that says so.
    pub policy: PolicyId,
    /// The clause of the policy.
    pub clause: String,
    /// What keeps it from its customer, though it is true.
    pub stop: Option<Stop>,
}

/// All that follows from the facts, the policy and `now`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// Windows that have started.
    pub deadlines: Vec<Deadline>,
    /// Claims that were opened.
    pub claims: Vec<ClaimView>,
    /// What a cancellation pays back.
    pub cancellation: Option<Refund>,
    /// Steps and outcomes that have come by now and still speak.
    pub due_steps: Vec<DueStep>,
    /// What somebody should look at.
    pub exceptions: Vec<Exception>,
    /// The next instant at which anything could change by time alone.
    pub next_at: Option<Instant>,
    /// Whether anything is left to happen or to be done.
    pub is_open: bool,
}

/// Evaluates a case at `now`: a function of its facts, the rules and the time.
pub fn evaluate(case: &Case, rules: &Rules, now: Instant) -> Result<Evaluation, EvaluationError> {
    if case.order.withdrawn {
        return Ok(Evaluation::default());
    }
    if case.order.placed_at > now {
        return Ok(Evaluation {
            exceptions: facts_in_future(case, &rules.calendar, now),
            next_at: Some(case.order.placed_at),
            is_open: true,
            ..Evaluation::default()
        });
    }
    let order = case.order.seen_at(now);
    let mut found = Evaluation::default();
    let cancellation = cancellation(&order, rules, now)?;
    found.cancellation = cancellation_refund(&order);
    found.steps_of(cancellation.iter(), None, rules, now);
    found.deadlines.extend(cancellation);
    let mut units = Vec::new();
    for unit in &case.units {
        units.push(found.unit(unit, &order, rules, now)?);
    }
    hold::mark(case, &mut found.due_steps, now);
    found.next_at = next_at(case, &found.deadlines, &rules.calendar, now);
    found.is_open = found.next_at.is_some()
        || found.deadlines.iter().any(Deadline::is_running)
        || found.claims.iter().any(|claim| !claim.stage.is_final());
    let seen = Found {
        case,
        order: &order,
        units: &units,
        rules,
        now,
    };
    found.exceptions = exceptions(&seen, &found);
    Ok(found)
}

/// The policy versions that a case follows: that of the order, those of its
/// units, and those of the units whose warranty they carry on.
pub fn policies<'r>(case: &'r Case, rules: &'r Rules) -> impl Iterator<Item = &'r Arc<Policy>> {
    let placed_at = case.order.placed_at;
    let of_order = [(STANDARD_NAME, placed_at)].into_iter();
    let of_units = case.units.iter().flat_map(move |unit| {
        let root = unit.root.as_ref();
        let root = root.map(|root| (root.policy.as_str(), root.placed_at));
        [(unit.policy.as_str(), placed_at)].into_iter().chain(root)
    });
    of_order.chain(of_units).filter_map(|(name, placed_at)| {
        let placed_on = rules.calendar.date_of(placed_at);
        rules.policies.in_force(name, placed_on).ok()
    })
}

/// The window of an order, if its cancellation runs one (5.2).
fn cancellation(
    order: &Order,
    rules: &Rules,
    now: Instant,
) -> Result<Option<Deadline>, EvaluationError> {
    let placed_on = rules.calendar.date_of(order.placed_at);
    let policy = rules.policies.in_force(STANDARD_NAME, placed_on)?;
    let started_at = cancelled_at(order).filter(|_| cancellation_refund(order).is_some());
    Ok(started_at.map(|started_at| {
        let start = Start {
            subject_ref: &order.order_ref,
            window: Window::CancellationRefund,
            policy,
            started_at,
            steps_from: started_at,
            waits: &[],
            ends: Ends {
                satisfied_at: order.cancel_refunded_at,
                subject_ended_at: None,
            },
        };
        deadline(start, &rules.calendar, now)
    }))
}

/// A unit and its claims as they are seen at `now`.
pub(super) struct SeenUnit {
    /// The unit, with the claims that were opened, as far as they are known.
    pub unit: Unit,
    /// When the customer received it.
    pub received_at: Option<Instant>,
    pub warranty_started: bool,
    /// The place of its first claim among those of the evaluation.
    pub first_claim: usize,
}

impl Evaluation {
    /// A claim, if it was opened.
    pub fn claim(&self, claim_ref: &str) -> Option<&ClaimView> {
        self.claims
            .iter()
            .find(|claim| claim.claim_ref == claim_ref)
    }

    fn unit(
        &mut self,
        unit: &Unit,
        order: &Order,
        rules: &Rules,
        now: Instant,
    ) -> Result<SeenUnit, EvaluationError> {
        let opened = unit.claims.iter().filter(|claim| claim.opened_at <= now);
        let claims: Vec<Claim> = opened.map(|claim| claim.seen_at(now)).collect();
        let unit = Unit {
            claims,
            ..unit.clone()
        };
        let view = unit::view(&unit, order, rules, now)?;
        self.steps_of(view.deadlines.iter(), None, rules, now);
        let first_claim = self.claims.len();
        for (place, claim) in unit.claims.iter().enumerate() {
            let seen = Seen {
                claim,
                place,
                unit: &unit,
                unit_view: &view,
                order,
            };
            let (claim_view, deadlines) = claim::view(&seen, rules, now);
            let about = Some((claim, &claim_view));
            self.steps_of(deadlines.iter(), about, rules, now);
            self.outcomes_of(claim, &claim_view);
            self.deadlines.extend(deadlines);
            self.claims.push(claim_view);
        }
        let warranty_started = view.deadline(unit.kind.warranty()).is_some();
        self.deadlines.extend(view.deadlines);
        Ok(SeenUnit {
            unit,
            received_at: view.received_at,
            warranty_started,
            first_claim,
        })
    }

    /// Adds the steps of deadlines that have passed by `now`.
    fn steps_of<'d>(
        &mut self,
        deadlines: impl Iterator<Item = &'d Deadline>,
        claim: Option<(&Claim, &ClaimView)>,
        rules: &Rules,
        now: Instant,
    ) {
        for deadline in deadlines {
            let Some(how_much) = speaks(deadline, claim.map(|(_, view)| view)) else {
                continue;
            };
            for step in &deadline.terms().steps {
                let fires_at = deadline.fires_at(step.at, &rules.calendar);
                let silent = how_much == Speaks::DueStep && step.at != Step::Due;
                if let Some(fires_at) = fires_at.filter(|at| *at <= now && !silent) {
                    let claim = claim.map(|(claim, _)| claim);
                    self.push_step(deadline, step, fires_at, claim);
                }
            }
        }
    }

    fn push_step(
        &mut self,
        deadline: &Deadline,
        step: &LadderStep,
        fires_at: Instant,
        claim: Option<&Claim>,
    ) {
        let told = addressed(&step.to, claim);
        let due = told.map(|audience| DueStep {
            key: NoticeKey {
                subject: deadline.subject,
                subject_ref: deadline.subject_ref.clone(),
                window: Some(deadline.window),
                // A start is told once, whatever its last day becomes.
                last_day: deadline.last_day.filter(|_| step.at != Step::Start),
                step: step.at,
                audience,
            },
            fires_at,
            level: step.level,
            policy: deadline.policy.id.clone(),
            clause: deadline.terms().clause.clone(),
            stop: None,
        });
        self.due_steps.extend(due);
    }

    /// Adds the outcome that a claim stands in. That hardware is to be refunded
    /// is none: the start of its payment says it.
    fn outcomes_of(&mut self, claim: &Claim, view: &ClaimView) {
        let told = view.outcomes.iter();
        let told = told.filter(|(outcome, _)| view.is_in(*outcome));
        for (outcome, at) in told {
            let terms = view.policy.outcome(*outcome);
            let clause = match &view.decline {
                Some(decline) if *outcome == Outcome::Declined => &decline.clause,
                _ => &terms.clause,
            };
            let due = addressed(&terms.to, Some(claim)).map(|audience| DueStep {
                key: NoticeKey {
                    subject: Subject::Claim,
                    subject_ref: claim.claim_ref.clone(),
                    window: None,
                    last_day: None,
                    step: Step::Outcome(*outcome),
                    audience,
                },
                fires_at: *at,
                level: 0,
                policy: view.policy.id.clone(),
                clause: clause.clone(),
                stop: None,
            });
            self.due_steps.extend(due);
        }
    }
}

/// Who is told: the lead in the place of an assignee that a claim does not
/// have, each once.
fn addressed<'a>(
    to: &'a [Audience],
    claim: Option<&'a Claim>,
) -> impl Iterator<Item = Audience> + 'a {
    let has_assignee = claim.is_some_and(|claim| claim.assignee_email.is_some());
    let lead_is_told = to.contains(&Audience::Lead);
    to.iter().filter_map(move |audience| match audience {
        Audience::Assignee if has_assignee => Some(Audience::Assignee),
        Audience::Assignee => (!lead_is_told).then_some(Audience::Lead),
        other => Some(*other),
    })
}

/// The next instant after `now` at which a fact takes effect, a deadline falls
/// due, a step fires or a hold ends.
fn next_at(
    case: &Case,
    deadlines: &[Deadline],
    calendar: &Calendar,
    now: Instant,
) -> Option<Instant> {
    let of_deadlines = deadlines
        .iter()
        .filter(|found| matches!(found.state, State::Open | State::Overdue | State::Expired))
        .flat_map(|found| {
            let steps = found.terms().steps.iter();
            let steps = steps.filter_map(|step| found.fires_at(step.at, calendar));
            found.due_at.into_iter().chain(steps)
        });
    let holds = case.holds.iter().filter_map(|hold| hold.until);
    of_deadlines
        .chain(fact_times(case))
        .chain(holds)
        .filter(|at| *at > now)
        .min()
}

/// The times of all facts that an evaluation goes by.
fn fact_times(case: &Case) -> impl Iterator<Item = Instant> + '_ {
    let facts = case.fact_times().filter_map(|fact| fact.at);
    let roots = case.units.iter().filter_map(|unit| unit.root.as_ref());
    facts.chain(roots.flat_map(|root| root.times().into_iter().flatten()))
}

/// Whether the deadlines, claims and refunds of a case stood at `earlier` as
/// they stand in its evaluation at `now`, but for days and levels that time
/// alone adds: no fact came in between, and nothing fell due.
pub fn stood_alike(case: &Case, evaluation: &Evaluation, earlier: Instant, now: Instant) -> bool {
    let dues = evaluation.deadlines.iter();
    let dues = dues.filter_map(|deadline| deadline.due_at);
    let mut changes = fact_times(case).chain(dues);
    !changes.any(|at| earlier < at && at <= now)
}
