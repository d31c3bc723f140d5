//! Cases of all kinds for properties: orders with units, claims, waits and
//! replacements, their facts at random times within two years.

use chrono::Duration;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use warrantyd::case::{
    Case, Claim, ClaimType, Finding, Hold, HoldKind, Kind, Order, Unit, WarrantyRoot,
};
use warrantyd::policy::{Instant, Wait};

use super::build::Shop;

const MINUTES: i64 = 2 * 365 * 24 * 60;

/// So many minutes into the two years; some in the midst of a day, some at
/// its very start.
pub fn time() -> impl Strategy<Value = i64> {
    prop_oneof![0..MINUTES, (0..730i64).prop_map(|day| day * 24 * 60)]
}

pub fn instant(minutes: i64) -> Instant {
    "2024-01-01T00:00:00Z".parse::<Instant>().unwrap() + Duration::minutes(minutes)
}

/// A time soon after another: what happens in a shop comes within weeks.
fn soon(days: i64) -> impl Strategy<Value = Option<i64>> {
    option::weighted(0.5, 0..days * 24 * 60)
}

fn after(from: i64, more: Option<i64>) -> Option<Instant> {
    more.map(|more| instant(from + more))
}

/// A shop in one of several zones, under the built-in policy or one in which
/// everything that can be set is.
pub fn shop() -> impl Strategy<Value = Shop> {
    let zones = [
        "UTC",
        "Europe/Rome",
        "America/Santiago",
        "America/Havana",
        "Asia/Kolkata",
    ];
    let strict = [
        ("in hardware_repair", "pause_on_wait = true"),
        ("in software_repair", "pause_on_wait = true"),
        ("in hardware_fix", "pause_on_wait = true"),
        ("in software_fix", "count = \"business\""),
        ("in refund_payment", "roll_forward = true"),
        ("in hardware_warranty", "roll_forward = true"),
        (
            "{ at = \"due\", to = [\"customer\"] },\n]",
            "{ at = \"due\", to = [\"customer\"], level = 1 },\n  { at = \"+2d\", to = [\"customer\", \"lead\"] },\n]",
        ),
    ];
    (proptest::sample::select(zones.to_vec()), any::<bool>()).prop_map(move |(zone, is_strict)| {
        let shop = Shop::in_zone(zone).closed_on(&["2024-12-25", "2025-01-01", "2025-08-15"]);
        if is_strict { shop.with(&strict) } else { shop }
    })
}

fn wait() -> impl Strategy<Value = (i64, Option<i64>)> {
    (0..40 * 24 * 60i64, soon(15))
}

fn claim(placed: i64, hardware: bool) -> impl Strategy<Value = Claim> {
    let times = (
        vec(soon(40), 10),
        prop_oneof![0..20i64, 0..250i64],
        0..1440i64,
    );
    let finding = prop_oneof![
        4 => Just(Vec::new()),
        1 => vec(
            proptest::sample::select(&[
                Finding::SealBroken,
                Finding::SerialMismatch,
                Finding::NotAsNew,
                Finding::OsReinstalled,
            ]),
            1..3,
        ),
    ];
    let claim_type = proptest::sample::select(&[
        ClaimType::Repair,
        ClaimType::Return,
        ClaimType::Refund,
        ClaimType::Exchange,
    ]);
    let words = (
        any::<bool>(),
        option::weighted(0.2, Just("AB-2".to_owned())),
        any::<bool>(),
    );
    let waits = vec(wait(), 0..3);
    (times, finding, claim_type, words, waits).prop_map(
        move |(times, findings, claim_type, words, waits)| {
            let (times, day, minute) = times;
            let opened = placed + day * 1440 + minute;
            let at = |i: usize| after(opened, times[i]);
            let kind = if hardware {
                Kind::Hardware
            } else {
                Kind::Software
            };
            // Closing and rejecting end everything: let them be rare.
            let rarely = |i: usize| at(i).filter(|_| minute % 4 == 0);
            Claim {
                claim_ref: String::new(),
                claim_type,
                opened_at: instant(opened),
                assignee_email: words.0.then(|| "technician@example.com".into()),
                reported_serial: words.1,
                confirmed_at: at(0),
                received_at: at(1),
                inspected_at: at(2),
                findings: findings
                    .into_iter()
                    .filter(|finding| finding.kind() == kind)
                    .collect(),
                accessories_missing: words.2,
                repaired_at: at(3),
                unrepairable_at: at(4),
                returned_at: at(5),
                refunded_at: at(6),
                exchanged_at: rarely(7),
                closed_at: rarely(8),
                rejected_at: rarely(9),
                waits: waits
                    .into_iter()
                    .map(|(from, more)| Wait {
                        from: instant(opened + from),
                        until: after(opened + from, more),
                    })
                    .collect(),
                changed_at: instant(0),
            }
        },
    )
}

fn root(placed: i64) -> impl Strategy<Value = WarrantyRoot> {
    let times = (soon(10), soon(10), soon(20), soon(20), 0..200i64);
    times.prop_map(move |(delivered, received, company, customer, earlier)| {
        let placed = placed - earlier * 1440;
        WarrantyRoot {
            unit_ref: "U-0".into(),
            placed_at: instant(placed),
            delivered_at: after(placed, delivered),
            received_at: after(placed, received),
            company_confirmed_at: after(placed, company),
            customer_confirmed_at: after(placed, customer),
            policy: "standard".into(),
        }
    })
}

fn unit(placed: i64) -> impl Strategy<Value = Unit> {
    let times = (soon(20), soon(30), soon(30));
    let facts = (
        times,
        option::weighted(0.7, 0..20_000i64),
        option::weighted(0.35, root(placed)),
    );
    (any::<bool>(), facts).prop_flat_map(move |(hardware, facts)| {
        let claims = vec(claim(placed, hardware), 0..3);
        (Just(facts), claims).prop_map(move |((times, price, root), claims)| {
            let (received, company, customer) = times;
            Unit {
                unit_ref: String::new(),
                product_name: "Thing".into(),
                kind: if hardware {
                    Kind::Hardware
                } else {
                    Kind::Software
                },
                serial: Some("AB-1".into()),
                price,
                received_at: after(placed, received),
                company_confirmed_at: after(placed, company),
                customer_confirmed_at: after(placed, customer),
                policy: "standard".into(),
                root,
                claims,
                changed_at: instant(0),
            }
        })
    })
}

/// A hold on a part of a case; some of them end by themselves.
fn hold(placed: i64) -> impl Strategy<Value = Hold> {
    let what = proptest::sample::select(&[
        (HoldKind::Order, "O-1"),
        (HoldKind::Customer, "C-1"),
        (HoldKind::Unit, "U-1"),
        (HoldKind::Claim, "K-1"),
        // Withdrawn since.
        (HoldKind::Unit, "U-9"),
    ]);
    (what, soon(250)).prop_map(move |((kind, name), until)| Hold {
        kind,
        name: name.into(),
        reason: "in dispute".into(),
        held_at: instant(placed),
        until: after(placed, until),
    })
}

/// A case; each unit and claim with a name of its own.
pub fn case() -> impl Strategy<Value = Case> {
    let order = (0..500i64 * 1440).prop_flat_map(|placed| {
        let rare = || option::weighted(0.15, 0..30 * 1440i64);
        let times = (soon(3), soon(8), soon(15), rare(), soon(30));
        let money = (
            0..20_000i64,
            option::of(0..6_000i64),
            option::of(0..6_000i64),
        );
        let units = vec(unit(placed), 1..3);
        (Just(placed), times, money, units, vec(hold(placed), 0..3))
    });
    (order, option::weighted(0.2, time())).prop_map(|(order, opted_out)| {
        let (placed, times, money, mut units, holds) = order;
        let mut number = 0;
        for (i, unit) in units.iter_mut().enumerate() {
            unit.unit_ref = format!("U-{}", i + 1);
            for claim in &mut unit.claims {
                number += 1;
                claim.claim_ref = format!("K-{number}");
            }
        }
        let (paid, shipped, delivered, cancelled, cancel_refunded) = times;
        let order = Order {
            order_ref: "O-1".into(),
            customer_ref: "C-1".into(),
            placed_at: instant(placed),
            paid_at: after(placed, paid),
            shipped_at: after(placed, shipped),
            delivered_at: after(placed, delivered),
            cancelled_at: after(placed, cancelled),
            cancel_refunded_at: after(placed, cancel_refunded),
            currency: "EUR".parse().unwrap(),
            total: money.0,
            shipping_out: money.1,
            shipping_back: money.2,
            withdrawn: false,
            changed_at: instant(0),
        };
        Case {
            order,
            units,
            holds,
            opted_out_at: opted_out.map(instant),
        }
    })
}
