//! The windows of a unit: warranty, return of faults, request of refunds.

use std::sync::Arc;

use super::deadline::{Deadline, Ends, Start, deadline};
use super::evaluate::{EvaluationError, Rules};
use super::facts::{Kind, Order, Unit};
use super::refund::cancelled_at;
use crate::policy::{Instant, Policy, Window};

/// A unit as it stands.
pub(super) struct UnitView {
    /// When the customer received it.
    pub received_at: Option<Instant>,
    /// The version of the policy that its claims follow.
    pub policy: Arc<Policy>,
    /// Its windows that have started.
    pub deadlines: Vec<Deadline>,
    /// When a refund, an exchange or a cancellation ended it.
    pub ends: Vec<UnitEnd>,
}

/// What ended a unit.
pub(super) struct UnitEnd {
    pub at: Instant,
    /// The place of the claim among the unit's that did; `None`: the order.
    pub claim: Option<usize>,
}

impl UnitView {
    /// The unit's own deadline of a window, if it has started.
    pub fn deadline(&self, window: Window) -> Option<&Deadline> {
        self.deadlines
            .iter()
            .find(|deadline| deadline.window == window)
    }

    /// Whether something else than the claim itself had ended the unit.
    pub fn had_ended_at(&self, at: Instant, claim: usize) -> bool {
        self.ends
            .iter()
            .any(|end| end.at <= at && end.claim != Some(claim))
    }
}

impl Kind {
    /// The window of the unit's warranty.
    pub fn warranty(self) -> Window {
        match self {
            Self::Hardware => Window::HardwareWarranty,
            Self::Software => Window::SoftwareWarranty,
        }
    }
}

/// The facts that a unit's windows can start at.
struct Receipt {
    entered: Option<Instant>,
    delivered_at: Option<Instant>,
    company_confirmed_at: Option<Instant>,
    customer_confirmed_at: Option<Instant>,
}

impl Receipt {
    fn both_confirmed_at(&self) -> Option<Instant> {
        Some(self.company_confirmed_at?.max(self.customer_confirmed_at?))
    }

    /// A receipt that was entered stands, also while it is in the future.
    fn received_at(&self, kind: Kind) -> Option<Instant> {
        self.entered.or(match kind {
            Kind::Hardware => self.delivered_at,
            Kind::Software => self.both_confirmed_at(),
        })
    }

    /// When the warranty starts, as far as it is seen at `now`.
    fn warranty_start(&self, kind: Kind, now: Instant) -> Option<Instant> {
        let start = match kind {
            Kind::Hardware => self.received_at(kind),
            Kind::Software => self.both_confirmed_at(),
        };
        start.filter(|at| *at <= now)
    }
}

/// Works out a unit's windows as they stand at `now`. `order` and the claims
/// of `unit` are those seen at `now`; the unit's own times are as entered.
pub(super) fn view(
    unit: &Unit,
    order: &Order,
    rules: &Rules,
    now: Instant,
) -> Result<UnitView, EvaluationError> {
    let placed_on = rules.calendar.date_of(order.placed_at);
    let policy = Arc::clone(rules.policies.in_force(&unit.policy, placed_on)?);
    let own = Receipt {
        entered: unit.received_at,
        delivered_at: order.delivered_at,
        company_confirmed_at: unit.company_confirmed_at,
        customer_confirmed_at: unit.customer_confirmed_at,
    };
    let received_at = own.received_at(unit.kind).filter(|at| *at <= now);
    let by_claim = unit.claims.iter().enumerate().flat_map(|(i, claim)| {
        let ends = [claim.exchanged_at, claim.refunded_at]
            .into_iter()
            .flatten();
        ends.map(move |at| UnitEnd { at, claim: Some(i) })
    });
    let by_order = cancelled_at(order).map(|at| UnitEnd { at, claim: None });
    let ends: Vec<UnitEnd> = by_claim.chain(by_order).collect();
    let ended_at = ends.iter().map(|end| end.at).min();

    let start = |window, policy, started_at| {
        let ends = Ends {
            satisfied_at: None,
            subject_ended_at: ended_at,
        };
        let subject_ref = &unit.unit_ref;
        let start = Start {
            subject_ref,
            window,
            policy,
            started_at,
            steps_from: order.placed_at,
            waits: &[],
            ends,
        };
        deadline(start, &rules.calendar, now)
    };
    let mut deadlines = Vec::new();
    let warranty = unit.kind.warranty();
    match &unit.root {
        // The warranty of the first unit of the chain, start and due date.
        Some(root) => {
            let receipt = Receipt {
                entered: root.received_at,
                delivered_at: root.delivered_at,
                company_confirmed_at: root.company_confirmed_at,
                customer_confirmed_at: root.customer_confirmed_at,
            };
            if let Some(at) = receipt.warranty_start(unit.kind, now) {
                let placed_on = rules.calendar.date_of(root.placed_at);
                let policy = rules.policies.in_force(&root.policy, placed_on)?;
                deadlines.push(start(warranty, policy, at));
            }
        }
        None => {
            if let Some(at) = own.warranty_start(unit.kind, now) {
                deadlines.push(start(warranty, &policy, at));
            }
            if let Some(at) = received_at {
                if unit.kind == Kind::Hardware {
                    deadlines.push(start(Window::FaultReturn, &policy, at));
                }
                deadlines.push(start(Window::RefundRequest, &policy, at));
            }
        }
    }
    Ok(UnitView {
        received_at,
        policy,
        deadlines,
        ends,
    })
}
