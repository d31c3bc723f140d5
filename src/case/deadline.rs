//! One window running on one subject, and its state at a given time.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::plan::RecordedDeadline;
use crate::policy::{
    Calendar, Instant, Policy, Skipped, Step, Subject, Wait, Window, WindowKind, WindowTerms,
    count_days, paused_days,
};

/// Where a deadline stands (spec, section 3).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// Not yet due.
    Open,
    /// A promise that is late.
    Overdue,
    /// A promise kept.
    Met,
    /// A promise broken.
    Missed,
    /// A right that ran out.
    Expired,
    /// Ended before it was due, by something else than what it was for.
    Void,
    /// Waiting for the customer: no due date.
    Paused,
}

/// One window running on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// What it hangs on.
    pub subject: Subject,
    /// The subject's name.
    pub subject_ref: String,
    /// Which window.
    pub window: Window,
    /// The version of the policy that it follows.
    pub policy: Arc<Policy>,
    /// When it started.
    pub started_at: Instant,
    /// The first instant that a step may fire at: a replacement has no share in
    /// its predecessor's past.
    pub steps_from: Instant,
    /// The first instant after the last day; `None` while paused.
    pub due_at: Option<Instant>,
    /// The last local date on which it is open; `None` while paused.
    pub last_day: Option<NaiveDate>,
    /// Days that were not counted.
    pub skipped: Vec<Skipped>,
    /// When the wait began that pauses it.
    pub paused_since: Option<Instant>,
    /// Where it stands.
    pub state: State,
    /// When it ended, where it did.
    pub ended_at: Option<Instant>,
    /// Whether it ended at its due date by itself (5.1, the fix windows).
    pub lapsed: bool,
    /// Local days from the last day to the end of an obligation, or to now
    /// while it is overdue.
    pub late_days: i64,
    /// The highest escalation level that it reached.
    pub level: u8,
    /// Local days that waits took from a promise that was met or missed.
    pub paused_days: i64,
}

/// The facts that can end a deadline, as far as they are seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    /// The earliest fact that keeps the promise.
    pub satisfied_at: Option<Instant>,
    /// The earliest fact that ends the subject.
    pub subject_ended_at: Option<Instant>,
}

/// What a deadline is made from.
pub(super) struct Start<'c> {
    pub subject_ref: &'c str,
    pub window: Window,
    pub policy: &'c Arc<Policy>,
    pub started_at: Instant,
    pub steps_from: Instant,
    pub waits: &'c [Wait],
    pub ends: Ends,
}

/// Works out a deadline as it stands at `now`.
pub(super) fn deadline(start: Start<'_>, calendar: &Calendar, now: Instant) -> Deadline {
    let terms = start.policy.window(start.window);
    let counted = count_days(terms, start.started_at, start.waits, calendar);
    let satisfied = start.ends.satisfied_at;
    let ended = start.ends.subject_ended_at;
    let end = satisfied.into_iter().chain(ended).min();
    let void_from_start = ended.is_some_and(|at| at < start.started_at);
    let by_satisfaction = end.is_some() && end == satisfied && !void_from_start;
    // A wait that nobody ended before the deadline was: it has no due date.
    let is_paused = counted
        .paused_since
        .is_some_and(|from| end.is_none_or(|end| end >= from));
    let mut found = Deadline {
        subject: start.window.subject(),
        subject_ref: start.subject_ref.to_owned(),
        window: start.window,
        policy: Arc::clone(start.policy),
        started_at: start.started_at,
        steps_from: start.steps_from,
        due_at: (!is_paused).then_some(counted.due_at),
        last_day: (!is_paused).then_some(counted.last_day),
        skipped: counted.skipped,
        paused_since: counted.paused_since,
        state: State::Open,
        ended_at: None,
        lapsed: false,
        late_days: 0,
        level: 0,
        paused_days: 0,
    };
    found.stand(end, by_satisfaction, calendar, now);
    if let Some(ended_at) = found.kept_or_broken_at() {
        let (started_at, last_day) = (found.started_at, found.last_day);
        found.paused_days =
            paused_days(terms, started_at, ended_at, last_day, start.waits, calendar);
    }
    found
}

impl Deadline {
    /// A recorded deadline as it stands at `now`, if no fact has come and
    /// nothing fallen due since it was recorded; `placed_at` is when its order
    /// was. Which days were skipped, and what pauses it, is not recorded.
    pub fn of_recorded(
        recorded: RecordedDeadline,
        policy: &Arc<Policy>,
        placed_at: Instant,
        calendar: &Calendar,
        now: Instant,
    ) -> Self {
        let mut found = Self {
            subject: recorded.subject,
            subject_ref: recorded.subject_ref,
            window: recorded.window,
            policy: Arc::clone(policy),
            started_at: recorded.started_at,
            steps_from: match recorded.subject {
                Subject::Unit => placed_at,
                Subject::Claim | Subject::Order => recorded.started_at,
            },
            due_at: recorded.due_at,
            last_day: recorded.last_day,
            skipped: Vec::new(),
            paused_since: None,
            state: State::Open,
            ended_at: None,
            lapsed: false,
            late_days: 0,
            level: 0,
            paused_days: recorded.paused_days,
        };
        found.stand(recorded.ended_at, recorded.is_met, calendar, now);
        found
    }

    /// Works out what time changes, from its due date and the fact that ended
    /// it: one that it was for, or another.
    fn stand(
        &mut self,
        end: Option<Instant>,
        by_satisfaction: bool,
        calendar: &Calendar,
        now: Instant,
    ) {
        let before_due = end.filter(|end| self.due_at.is_none_or(|due| *end < due));
        (self.state, self.ended_at) = match (self.window.kind(), before_due, self.due_at) {
            (WindowKind::Obligation, Some(end), _) if by_satisfaction => (State::Met, Some(end)),
            (_, Some(end), _) => (State::Void, Some(end)),
            (_, None, None) => (State::Paused, None),
            (_, None, Some(due)) if now < due => (State::Open, None),
            (WindowKind::Entitlement, None, _) => (State::Expired, None),
            (WindowKind::Obligation, None, Some(due)) if self.window.lapses() => {
                self.lapsed = true;
                (State::Missed, Some(due))
            }
            (WindowKind::Obligation, None, _) => match end {
                Some(end) => (State::Missed, Some(end)),
                None => (State::Overdue, None),
            },
        };
        self.late_days = self.late_days_at(calendar, now);
        self.level = self.level_at(calendar, now);
    }

    fn late_days_at(&self, calendar: &Calendar, now: Instant) -> i64 {
        let until = match self.state {
            State::Overdue => Some(now),
            State::Missed if !self.lapsed => self.ended_at,
            _ => None,
        };
        match (until, self.last_day) {
            (Some(until), Some(last_day)) => (calendar.date_of(until) - last_day).num_days().max(0),
            _ => 0,
        }
    }

    fn level_at(&self, calendar: &Calendar, now: Instant) -> u8 {
        let until = self.ended_at.map_or(now, |end| end.min(now));
        let escalations = self.terms().steps.iter().filter(|step| step.level > 0);
        let passed = escalations.filter(|step| {
            self.fires_at(step.at, calendar)
                .is_some_and(|at| at <= until)
        });
        passed.map(|step| step.level).max().unwrap_or(0)
    }

    /// When a promise was met or missed.
    fn kept_or_broken_at(&self) -> Option<Instant> {
        let is_promise = self.window.kind() == WindowKind::Obligation;
        let is_known = is_promise && matches!(self.state, State::Met | State::Missed);
        self.ended_at.filter(|_| is_known)
    }

    /// Local days from the start to the end of a promise that was met or
    /// missed.
    pub fn gross_days(&self, calendar: &Calendar) -> Option<i64> {
        let ended_on = calendar.date_of(self.kept_or_broken_at()?);
        Some((ended_on - calendar.date_of(self.started_at)).num_days())
    }

    /// The same without the days that did not count because of waits.
    pub fn net_days(&self, calendar: &Calendar) -> Option<i64> {
        Some(self.gross_days(calendar)? - self.paused_days)
    }

    /// The terms that it follows.
    pub fn terms(&self) -> &WindowTerms {
        self.policy.window(self.window)
    }

    /// When a step of its ladder fires; `None` for one that does not exist:
    /// while paused, before due and not after the start, or before a unit's
    /// order was placed (spec, section 5).
    pub fn fires_at(&self, step: Step, calendar: &Calendar) -> Option<Instant> {
        let due_at = self.due_at?;
        let due_day = calendar.date_of(due_at);
        let fires_at = match step {
            Step::Start => Some(self.started_at),
            Step::Due => Some(due_at),
            Step::Before(days) => {
                let day = due_day.checked_sub_days(Days::new(days.into()))?;
                Some(calendar.day_start(day)).filter(|at| *at > self.started_at)
            }
            Step::After(days) => {
                let day = due_day.checked_add_days(Days::new(days.into()))?;
                Some(calendar.day_start(day))
            }
            Step::Outcome(_) | Step::Withdrawn(_) => None,
        };
        fires_at.filter(|at| *at >= self.steps_from)
    }

    /// Whether the promise is still to be kept, or the right can still be used.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Open | State::Overdue | State::Paused)
    }
}
