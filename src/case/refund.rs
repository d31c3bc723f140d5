//! Amounts: what is refunded, and what is kept (clauses 3, 5.1, 5.2).

use super::facts::{Claim, Order, Unit};
use crate::policy::{Currency, Instant, Money, RefundTerms, Subject, percent_of};

/// What is owed, or was paid, to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// A claim or an order.
    pub subject: Subject,
    /// Its name.
    pub subject_ref: String,
    /// Minor units to be paid.
    pub amount: i64,
    /// Minor units kept of what was paid.
    pub deductions: i64,
    /// The currency of both.
    pub currency: Currency,
    /// When it was paid.
    pub refunded_at: Option<Instant>,
}

impl Refund {
    /// What is to be paid.
    pub fn money(&self) -> Money {
        Money {
            minor: self.amount,
            currency: self.currency,
        }
    }
}

/// The refund of a claim handled as `refund` or `return`: the unit's price,
/// or the order's total where there is none, less the share kept for missing
/// accessories; from 0 to the order's total.
pub(super) fn claim_refund(
    claim: &Claim,
    unit: &Unit,
    order: &Order,
    terms: &RefundTerms,
) -> Refund {
    let price = unit.price.unwrap_or(order.total);
    let missing = match claim.accessories_missing {
        true => percent_of(order.total, terms.accessories_missing_percent),
        false => 0,
    };
    let amount = (price - missing).min(order.total).max(0);
    Refund {
        subject: Subject::Claim,
        subject_ref: claim.claim_ref.clone(),
        amount,
        deductions: price.min(order.total) - amount,
        currency: order.currency,
        refunded_at: claim.refunded_at,
    }
}

/// When the order was cancelled, if it was: what was delivered before cannot
/// be.
pub(super) fn cancelled_at(order: &Order) -> Option<Instant> {
    order
        .cancelled_at
        .filter(|at| order.delivered_at.is_none_or(|delivered| *at < delivered))
}

/// Whether the order was on its way when it was cancelled.
pub(super) fn cancelled_in_transit(order: &Order) -> bool {
    cancelled_at(order).is_some_and(|at| order.shipped_at.is_some_and(|shipped| shipped <= at))
}

/// What a cancelled order pays back, if it was paid and anything is left:
/// all until it was shipped, then less shipping both ways (5.2).
pub(super) fn cancellation_refund(order: &Order) -> Option<Refund> {
    cancelled_at(order)?;
    order.paid_at?;
    let shipping = match cancelled_in_transit(order) {
        true => order
            .shipping_out
            .unwrap_or(0)
            .saturating_add(order.shipping_back.unwrap_or(0)),
        false => 0,
    };
    let deductions = shipping.min(order.total);
    let amount = order.total - deductions;
    (amount > 0).then(|| Refund {
        subject: Subject::Order,
        subject_ref: order.order_ref.clone(),
        amount,
        deductions,
        currency: order.currency,
        refunded_at: order.cancel_refunded_at,
    })
}
