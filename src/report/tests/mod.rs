//! The room as a whole, on cases made by hand.

mod daily;
mod summary;
mod tables;

use std::collections::BTreeSet;

use chrono::{TimeDelta, Weekday};

use super::{By, Scope, Trend};
use crate::case::{Case, Claim, ClaimType, Kind, Order, Rules, Unit};
use crate::policy::{Book, Calendar, Instant, Policy, STANDARD, STANDARD_NAME};

fn time(text: &str) -> Instant {
    match text.len() {
        10 => format!("{text}T10:00:00Z").parse().unwrap(),
        _ => text.parse().unwrap(),
    }
}

fn at() -> Instant {
    time("2025-03-31")
}

pub(super) fn rules() -> Rules {
    let mut policies = Book::default();
    policies.add(Policy::parse("standard.toml", STANDARD).unwrap());
    let weekend = vec![Weekday::Sat, Weekday::Sun];
    let zone = "Europe/Berlin".parse().unwrap();
    Rules {
        policies,
        calendar: Calendar::new(zone, weekend, BTreeSet::new()).unwrap(),
        stuck_after: TimeDelta::days(365),
    }
}

pub(super) fn scope(rules: &Rules) -> Scope<'_> {
    Scope {
        rules,
        at: at(),
        from: None,
        to: None,
        by: By::Started,
        days: 7,
    }
}

/// A figure at the three times.
fn trend<T>(now: T, yesterday: T, last_week: T) -> Trend<T> {
    Trend {
        now,
        yesterday,
        last_week,
    }
}

fn case(order_ref: &str, placed_at: &str, units: Vec<Unit>) -> Case {
    let order = Order {
        order_ref: order_ref.into(),
        customer_ref: format!("K-{order_ref}"),
        placed_at: time(placed_at),
        paid_at: Some(time(placed_at)),
        shipped_at: None,
        delivered_at: None,
        cancelled_at: None,
        cancel_refunded_at: None,
        currency: "EUR".parse().unwrap(),
        total: 10_000,
        shipping_out: Some(500),
        shipping_back: Some(550),
        withdrawn: false,
        changed_at: time(placed_at),
    };
    Case {
        order,
        units,
        holds: Vec::new(),
        opted_out_at: None,
    }
}

fn unit(unit_ref: &str, received_at: &str, claims: Vec<Claim>) -> Unit {
    Unit {
        unit_ref: unit_ref.into(),
        product_name: "Box".into(),
        kind: Kind::Hardware,
        serial: None,
        price: Some(8_000),
        received_at: Some(time(received_at)),
        company_confirmed_at: None,
        customer_confirmed_at: None,
        policy: STANDARD_NAME.into(),
        root: None,
        claims,
        changed_at: time(received_at),
    }
}

fn claim(claim_ref: &str, claim_type: ClaimType, opened_at: &str) -> Claim {
    Claim {
        claim_ref: claim_ref.into(),
        claim_type,
        opened_at: time(opened_at),
        assignee_email: Some("tech@shop.example".into()),
        reported_serial: None,
        confirmed_at: Some(time(opened_at)),
        received_at: None,
        inspected_at: None,
        findings: Vec::new(),
        accessories_missing: false,
        repaired_at: None,
        unrepairable_at: None,
        returned_at: None,
        refunded_at: None,
        exchanged_at: None,
        closed_at: None,
        rejected_at: None,
        waits: Vec::new(),
        changed_at: time(opened_at),
    }
}

fn repair(claim_ref: &str, received_at: &str, repaired_at: Option<&str>) -> Claim {
    Claim {
        received_at: Some(time(received_at)),
        repaired_at: repaired_at.map(time),
        ..claim(claim_ref, ClaimType::Repair, received_at)
    }
}

/// Repairs in every state, a cancellation in transit, a refund that waits for
/// the package and one that was paid; in the order of `order_ref`.
fn cases() -> Vec<Case> {
    let repairs = vec![
        repair("R-open-late", "2025-03-18", None),
        repair("R-open", "2025-03-17", None),
        repair("R<overdue>", "2025-03-01", None),
        repair("R-missed", "2025-02-03", Some("2025-03-05")),
        repair("R-met", "2025-02-03", Some("2025-02-10")),
    ];
    let mut cancelled = case("B", "2025-03-24", vec![]);
    cancelled.order.shipped_at = Some(time("2025-03-25"));
    cancelled.order.cancelled_at = Some(time("2025-03-26"));
    let waiting = Claim {
        unrepairable_at: Some(time("2025-03-10")),
        accessories_missing: true,
        ..claim("F-waiting", ClaimType::Refund, "2025-03-05")
    };
    let paid = Claim {
        returned_at: Some(time("2025-03-14")),
        refunded_at: Some(time("2025-03-16")),
        ..claim("F-paid", ClaimType::Return, "2025-03-05")
    };
    vec![
        case("A", "2025-01-01", vec![unit("=U-1", "2025-01-05", repairs)]),
        cancelled,
        case(
            "C",
            "2025-03-01",
            vec![unit("U-2", "2025-03-02", vec![waiting])],
        ),
        case(
            "D",
            "2025-03-01",
            vec![unit("U-3", "2025-03-02", vec![paid])],
        ),
    ]
}
