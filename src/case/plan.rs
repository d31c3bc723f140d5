//! An evaluation held against what was recorded before: which notices and
//! deadlines must be written.

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, TimeDelta};

use super::deadline::{Deadline, State};
use super::evaluate::{DueStep, Evaluation};
use super::fate::{Cause, Disposition, Fate};
use super::hold::Stop;
use crate::policy::{Audience, Instant, Outcome, PolicyId, Step, Subject, Window, WindowKind};

/// What makes a notice one: it is recorded once, and for ever (spec, section
/// 5, rule 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeKey {
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// The window; `None` for an outcome.
    pub window: Option<Window>,
    /// The last day that the step was counted from; `None` for a start and an
    /// outcome.
    pub last_day: Option<NaiveDate>,
    /// The step or the outcome.
    pub step: Step,
    /// Who is told.
    pub audience: Audience,
}

/// A notice as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedNotice {
    /// Its number in the store.
    pub id: i64,
    /// What it tells to whom.
    pub key: NoticeKey,
    /// What became of it so far.
    pub disposition: Disposition,
    /// Why it is held, if it is.
    pub cause: Option<Cause>,
    /// The version of the policy that said so.
    pub policy: PolicyId,
    /// The clause of the policy.
    pub clause: String,
}

/// What time alone does not change of a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDeadline {
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// Which window.
    pub window: Window,
    /// When it started.
    pub started_at: Instant,
    /// When it is due; `None` while paused.
    pub due_at: Option<Instant>,
    /// The last local date on which it is open; `None` while paused.
    pub last_day: Option<NaiveDate>,
    /// When a fact ended it.
    pub ended_at: Option<Instant>,
    /// Whether that fact kept the promise, in time.
    pub is_met: bool,
    /// Local days that waits took from a promise that was met or missed.
    pub paused_days: i64,
    /// The version of the policy that it follows.
    pub policy: PolicyId,
}

impl RecordedDeadline {
    fn of(deadline: &Deadline) -> Self {
        Self {
            subject: deadline.subject,
            subject_ref: deadline.subject_ref.clone(),
            window: deadline.window,
            started_at: deadline.started_at,
            due_at: deadline.due_at,
            last_day: deadline.last_day,
            ended_at: deadline.ended_at.filter(|_| !deadline.lapsed),
            is_met: deadline.state == State::Met,
            paused_days: deadline.paused_days,
            policy: deadline.policy.id.clone(),
        }
    }

    /// What makes a deadline one.
    pub fn key(&self) -> (Subject, &str, Window) {
        (self.subject, &self.subject_ref, self.window)
    }
}

/// What was recorded of a case before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its notices.
    pub notices: Vec<RecordedNotice>,
    /// Its deadlines.
    pub deadlines: Vec<RecordedDeadline>,
}

/// What decides on a notice beside the case itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanContext {
    /// The run's time.
    pub now: Instant,
    /// How old a step for a customer may be when it is found.
    pub stale_after: TimeDelta,
    /// What should have fired before is never sent.
    pub live_from: Option<Instant>,
    /// Whether all customers' notices are held: nobody believes the clock.
    pub customers_held: bool,
    /// Whether no import was completed for too long: what would tell customers
    /// of a delay or an outcome may be a missing entry.
    pub feed_is_dead: bool,
    /// Whether the database was restored and nobody has let customers' mail go
    /// since: what is found for the first time may have been sent before.
    pub is_restored: bool,
}

impl PlanContext {
    /// What keeps a step from being sent that was not recorded as one to be
    /// sent. What was, somebody has let go.
    fn holds_at_first(&self, step: &DueStep) -> Option<Cause> {
        let may_be_sent = self.is_restored && step.key.audience == Audience::Customer;
        may_be_sent
            .then_some(Cause::Restored)
            .or_else(|| self.holds(step))
    }

    /// What keeps a step from being sent that is otherwise to be.
    fn holds(&self, step: &DueStep) -> Option<Cause> {
        if step.key.audience != Audience::Customer {
            None
        } else if self.customers_held {
            Some(Cause::Clock)
        } else if step.stop == Some(Stop::Hold) {
            Some(Cause::Hold)
        } else if self.feed_is_dead && may_be_a_missing_entry(&step.key) {
            Some(Cause::Feed)
        } else {
            None
        }
    }
}

/// Whether an entry that was not made would have kept it from firing: that a
/// promise is late, and outcomes (spec, section 5, rule 9).
fn may_be_a_missing_entry(key: &NoticeKey) -> bool {
    match key.window.map(Window::kind) {
        Some(WindowKind::Obligation) => matches!(key.step, Step::Due | Step::After(_)),
        Some(WindowKind::Entitlement) => false,
        None => true,
    }
}

/// A notice to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it tells to whom, and why.
    pub due: DueStep,
    /// What becomes of it.
    pub fate: Fate,
}

/// What must be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Notices to be recorded.
    pub notices: Vec<Notice>,
    /// Recorded notices that something else becomes of.
    pub changed: Vec<(i64, Fate)>,
    /// Deadlines that started or changed.
    pub deadlines: Vec<RecordedDeadline>,
    /// Recorded deadlines that no longer are.
    pub gone: Vec<RecordedDeadline>,
}

/// Works out what must be written (spec, section 5, rules 1–4, 6 and 7).
pub fn plan(evaluation: &Evaluation, recorded: &Recorded, context: &PlanContext) -> Plan {
    let withdrawn = withdrawn_outcomes(evaluation, &recorded.notices, context.now);
    let due: Vec<&DueStep> = evaluation.due_steps.iter().chain(&withdrawn).collect();
    let latest = Latest::of(due.iter().copied());
    let by_key: HashMap<&NoticeKey, &RecordedNotice> = recorded
        .notices
        .iter()
        .map(|notice| (&notice.key, notice))
        .collect();
    let mut plan = Plan::default();
    for step in due {
        match by_key.get(&step.key) {
            None => plan.notices.push(Notice {
                due: step.clone(),
                fate: latest.fate(step, context),
            }),
            Some(notice) if notice.disposition == Disposition::Moot => {
                let is_unwanted = step.stop == Some(Stop::OptOut);
                let again = (!is_unwanted).then(|| (notice.id, latest.fate(step, context)));
                plan.changed.extend(again);
            }
            Some(_) => {}
        }
    }
    let waiting = recorded.notices.iter();
    for notice in waiting.filter(|notice| notice.disposition.is_waiting()) {
        let stopped = latest.overrules(notice, context);
        let changed = stopped.or_else(|| latest.lifts(notice, context));
        plan.changed.extend(changed.map(|fate| (notice.id, fate)));
    }
    (plan.deadlines, plan.gone) = deadline_changes(evaluation, &recorded.deadlines);
    plan
}

/// What becomes of notices by now that are not to be told any more, or not
/// yet: their reasons are looked at again (spec, section 5, rules 6 and 7).
pub fn overruled(
    evaluation: &Evaluation,
    notices: &[RecordedNotice],
    context: &PlanContext,
) -> Vec<(i64, Fate)> {
    let withdrawn = withdrawn_outcomes(evaluation, notices, context.now);
    let latest = Latest::of(evaluation.due_steps.iter().chain(&withdrawn));
    let judged = notices.iter();
    judged
        .filter_map(|notice| Some((notice.id, latest.overrules(notice, context)?)))
        .collect()
}

type Ladder<'e> = (Subject, &'e str, Option<Window>, Audience);

/// The steps that are due, and for each audience of each deadline the latest.
struct Latest<'e> {
    due: HashMap<&'e NoticeKey, &'e DueStep>,
    latest: HashMap<Ladder<'e>, &'e DueStep>,
}

fn ladder(key: &NoticeKey) -> Ladder<'_> {
    (key.subject, &key.subject_ref, key.window, key.audience)
}

fn order(step: &DueStep) -> (Instant, (u8, i32)) {
    (step.fires_at, step.key.step.order())
}

impl<'e> Latest<'e> {
    fn of(due: impl Iterator<Item = &'e DueStep> + Clone) -> Self {
        let mut latest = HashMap::new();
        // What the customer does not want takes no other's place.
        for step in due.clone().filter(|step| step.stop != Some(Stop::OptOut)) {
            let entry = latest.entry(ladder(&step.key)).or_insert(step);
            if order(step) > order(entry) {
                *entry = step;
            }
        }
        Self {
            due: due.map(|step| (&step.key, step)).collect(),
            latest,
        }
    }

    /// Whether a later step of the same deadline has come for the same
    /// audience. Outcomes stand for themselves.
    fn is_overtaken(&self, step: &DueStep) -> bool {
        let latest = self.latest.get(&ladder(&step.key));
        step.key.window.is_some() && latest.is_some_and(|latest| order(latest) > order(step))
    }

    /// What becomes of a recorded notice that is not to be told any more, or
    /// not yet; nothing if it stands.
    fn overrules(&self, notice: &RecordedNotice, context: &PlanContext) -> Option<Fate> {
        let Some(step) = self.due.get(&notice.key) else {
            return Some(Disposition::Moot.into());
        };
        if step.stop == Some(Stop::OptOut) {
            return Some(Disposition::Moot.into());
        }
        if self.is_overtaken(step) {
            return Some(Disposition::Superseded.into());
        }
        let is_queued = notice.disposition == Disposition::Queued;
        let held_by = context.holds(step).filter(|_| is_queued)?;
        Some(Fate::waits(Some(held_by)))
    }

    /// What becomes of a notice that was held for a hold that is over. That it
    /// waited makes it no older.
    fn lifts(&self, notice: &RecordedNotice, context: &PlanContext) -> Option<Fate> {
        let step = self.due.get(&notice.key)?;
        let held_by = context.holds_at_first(step);
        let is_over = notice.cause == Some(Cause::Hold) && held_by != notice.cause;
        is_over.then(|| Fate::waits(held_by))
    }

    /// What becomes of a step that was not recorded, or was moot and is true
    /// again.
    fn fate(&self, step: &DueStep, context: &PlanContext) -> Fate {
        let is_customers = step.key.audience == Audience::Customer;
        let is_old = || {
            let stale_at = step.fires_at.checked_add_signed(context.stale_after);
            step.key.window.is_some() && stale_at.is_some_and(|at| at < context.now)
        };
        if context.live_from.is_some_and(|from| step.fires_at < from) {
            Disposition::Stale.into()
        } else if self.is_overtaken(step) {
            Disposition::Superseded.into()
        } else if is_customers && is_old() {
            Disposition::Stale.into()
        } else if step.stop == Some(Stop::OptOut) {
            Disposition::Moot.into()
        } else {
            Fate::waits(context.holds_at_first(step))
        }
    }
}

/// Outcomes that somebody was told of and that are no longer true: the lead
/// must know (spec, section 5, rule 6).
pub fn withdrawn_outcomes(
    evaluation: &Evaluation,
    notices: &[RecordedNotice],
    now: Instant,
) -> Vec<DueStep> {
    let true_outcomes: HashSet<(&str, Outcome)> = evaluation
        .claims
        .iter()
        .flat_map(|claim| {
            claim
                .outcomes
                .iter()
                .map(|(told, _)| (claim.claim_ref.as_str(), *told))
        })
        .collect();
    let mut seen = HashSet::new();
    let mut withdrawn = Vec::new();
    for notice in notices
        .iter()
        .filter(|notice| notice.disposition == Disposition::Sent)
    {
        let Step::Outcome(outcome) = notice.key.step else {
            continue;
        };
        let told = (notice.key.subject_ref.as_str(), outcome);
        if true_outcomes.contains(&told) || !seen.insert(told) {
            continue;
        }
        withdrawn.push(DueStep {
            key: NoticeKey {
                step: Step::Withdrawn(outcome),
                audience: Audience::Lead,
                ..notice.key.clone()
            },
            fires_at: now,
            level: 0,
            policy: notice.policy.clone(),
            clause: notice.clause.clone(),
            stop: None,
        });
    }
    withdrawn
}

fn deadline_changes(
    evaluation: &Evaluation,
    recorded: &[RecordedDeadline],
) -> (Vec<RecordedDeadline>, Vec<RecordedDeadline>) {
    let found: Vec<_> = evaluation
        .deadlines
        .iter()
        .map(RecordedDeadline::of)
        .collect();
    let old: HashMap<_, _> = recorded
        .iter()
        .map(|deadline| (deadline.key(), deadline))
        .collect();
    let still: HashSet<_> = found.iter().map(RecordedDeadline::key).collect();
    let gone = recorded
        .iter()
        .filter(|deadline| !still.contains(&deadline.key()));
    let gone = gone.cloned().collect();
    let changed = found
        .iter()
        .filter(|deadline| old.get(&deadline.key()) != Some(deadline));
    (changed.cloned().collect(), gone)
}
