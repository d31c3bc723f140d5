//! Holds and opt-outs: what keeps a notice from a customer though it is true
//! (spec, section 5, rule 7). They change no deadline.

use strum::{Display, EnumString, VariantArray};

use super::evaluate::DueStep;
use super::facts::Case;
use super::plan::NoticeKey;
use crate::policy::{Audience, Instant, Step, Subject, Window, WindowKind};

/// What customers' notices can be held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, EnumString, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum HoldKind {
    /// One claim.
    Claim,
    /// All orders of a customer.
    Customer,
    /// An order with its units and their claims.
    Order,
    /// A unit with its claims.
    Unit,
}

/// A hold that nobody has lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub kind: HoldKind,
    /// Its name.
    pub name: String,
    /// Why, in somebody's words.
    pub reason: String,
    /// When it was recorded.
    pub held_at: Instant,
    /// When it ends by itself.
    pub until: Option<Instant>,
}

impl Hold {
    /// Whether it has not ended by itself.
    pub fn is_in_force(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn covers(&self, case: &Case, key: &NoticeKey) -> bool {
        let is_own = key.subject_ref == self.name;
        match self.kind {
            HoldKind::Customer | HoldKind::Order => true,
            HoldKind::Claim => key.subject == Subject::Claim && is_own,
            HoldKind::Unit => match key.subject {
                Subject::Unit => is_own,
                Subject::Claim => self.is_on_unit_of(case, &key.subject_ref),
                Subject::Order => false,
            },
        }
    }

    fn is_on_unit_of(&self, case: &Case, claim_ref: &str) -> bool {
        let unit = case.units.iter().find(|unit| unit.unit_ref == self.name);
        unit.is_some_and(|unit| unit.claims.iter().any(|claim| claim.claim_ref == claim_ref))
    }
}

/// What keeps a step or an outcome from its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The customer wants no reminders.
    OptOut,
    /// Somebody holds what it is about.
    Hold,
}

/// Marks what is kept from the customer of a case at `now`.
pub(super) fn mark(case: &Case, due_steps: &mut [DueStep], now: Instant) {
    let in_force: Vec<&Hold> = case
        .holds
        .iter()
        .filter(|hold| hold.is_in_force(now))
        .collect();
    let for_customers = due_steps
        .iter_mut()
        .filter(|due| due.key.audience == Audience::Customer);
    for due in for_customers {
        let is_reminder = is_reminder(due.key.window, due.key.step);
        let is_unwanted = case.opted_out_at.is_some() && is_reminder;
        let is_held = in_force.iter().any(|hold| hold.covers(case, &due.key));
        due.stop = match (is_unwanted, is_held) {
            (true, _) => Some(Stop::OptOut),
            (false, true) => Some(Stop::Hold),
            (false, false) => None,
        };
    }
}

/// Whether a customer can do without what a notice tells: any step of a right,
/// and a step before the due day of a promise.
pub fn is_reminder(window: Option<Window>, step: Step) -> bool {
    match window.map(Window::kind) {
        Some(WindowKind::Entitlement) => true,
        Some(WindowKind::Obligation) => matches!(step, Step::Before(_)),
        None => false,
    }
}
