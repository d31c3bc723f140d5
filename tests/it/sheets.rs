//! Generated cases as import files.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use warrantyd::case::{Case, Claim, Order, Unit, WarrantyRoot};
use warrantyd::policy::Instant;

use crate::case::generate;

/// A table of facts: the header and the rows.
pub struct Sheet {
    name: &'static str,
    columns: &'static [&'static str],
    pub rows: Vec<Vec<Option<String>>>,
}

impl Sheet {
    pub fn new(name: &'static str, columns: &'static [&'static str]) -> Self {
        let rows = Vec::new();
        Self {
            name,
            columns,
            rows,
        }
    }

    pub fn text(&self) -> (&'static str, Vec<u8>) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns).unwrap();
        for row in &self.rows {
            let cells = row.iter().map(|cell| cell.as_deref().unwrap_or(""));
            writer.write_record(cells).unwrap();
        }
        (self.name, writer.into_inner().unwrap())
    }
}

#[rustfmt::skip]
fn sheets() -> [Sheet; 4] {
    [
        Sheet::new("orders.csv", &[
            "order_ref", "customer_ref", "customer_name", "customer_email", "placed_at", "paid_at",
            "shipped_at", "delivered_at", "cancelled_at", "cancel_refunded_at", "currency",
            "total", "shipping_out", "shipping_back",
        ]),
        Sheet::new("units.csv", &[
            "unit_ref", "order_ref", "product_name", "kind", "serial", "price", "received_at",
            "company_confirmed_at", "customer_confirmed_at", "replaces_unit_ref", "policy",
        ]),
        Sheet::new("claims.csv", &[
            "claim_ref", "unit_ref", "type", "opened_at", "assignee_email", "reported_serial",
            "confirmed_at", "received_at", "inspected_at", "findings", "accessories_missing",
            "repaired_at", "unrepairable_at", "returned_at", "refunded_at", "exchanged_at",
            "closed_at", "rejected_at",
        ]),
        Sheet::new("waits.csv", &["claim_ref", "from", "until"]),
    ]
}

pub fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

pub fn time(at: Option<Instant>) -> Option<String> {
    at.map(|at| at.to_rfc3339())
}

fn money(minor: Option<i64>) -> Option<String> {
    minor.map(|minor| format!("{}.{:02}", minor / 100, minor % 100))
}

/// The orders, units, claims and waits of so many cases, always the same; every
/// other unit is sold under the policy `extended`.
pub fn facts(cases: usize) -> [Sheet; 4] {
    let mut runner = TestRunner::deterministic();
    let mut all = sheets();
    for nth in 0..cases {
        let Case { order, units, .. } = generate::case().new_tree(&mut runner).unwrap().current();
        let [orders, rows, claims, waits] = &mut all;
        let order_ref = format!("O-{nth}");
        let policy = if nth % 2 == 0 { "extended" } else { "standard" };
        orders.rows.push(of_order(&order_ref, nth, &order));
        for (place, unit) in units.iter().enumerate() {
            let unit_ref = format!("U-{nth}-{place}");
            let root = unit.root.as_ref().map(|root| {
                let (order_ref, unit_ref) =
                    (format!("R-{nth}-{place}"), format!("P-{nth}-{place}"));
                orders.rows.push(of_first_order(&order_ref, nth, root));
                rows.rows
                    .push(of_first_unit(&unit_ref, &order_ref, unit, root));
                unit_ref
            });
            rows.rows
                .push(of_unit(&unit_ref, &order_ref, unit, root, policy));
            for claim in &unit.claims {
                let claim_ref = format!("{unit_ref}-{}", claim.claim_ref);
                claims.rows.push(of_claim(&claim_ref, &unit_ref, claim));
                waits.rows.extend(
                    claim.waits.iter().map(|wait| {
                        vec![text(&claim_ref), time(Some(wait.from)), time(wait.until)]
                    }),
                );
            }
        }
    }
    all
}

/// Some customers have several orders.
fn customer(nth: usize) -> [Option<String>; 3] {
    let nth = nth % 100;
    [
        text(format!("K-{nth}")),
        text("Ada"),
        text(format!("ada{nth}@example.com")),
    ]
}

fn of_order(name: &str, nth: usize, order: &Order) -> Vec<Option<String>> {
    let [customer_ref, customer_name, email] = customer(nth);
    vec![
        text(name),
        customer_ref,
        customer_name,
        email,
        time(Some(order.placed_at)),
        time(order.paid_at),
        time(order.shipped_at),
        time(order.delivered_at),
        time(order.cancelled_at),
        time(order.cancel_refunded_at),
        text("EUR"),
        money(Some(order.total)),
        money(order.shipping_out),
        money(order.shipping_back),
    ]
}

fn of_first_order(name: &str, nth: usize, root: &WarrantyRoot) -> Vec<Option<String>> {
    let [customer_ref, customer_name, email] = customer(nth);
    let mut row = vec![text(name), customer_ref, customer_name, email];
    row.extend([
        time(Some(root.placed_at)),
        None,
        None,
        time(root.delivered_at),
    ]);
    row.extend([None, None, text("EUR"), text("10.00"), None, None]);
    row
}

fn of_unit(
    name: &str,
    order_ref: &str,
    unit: &Unit,
    replaces: Option<String>,
    policy: &str,
) -> Vec<Option<String>> {
    vec![
        text(name),
        text(order_ref),
        text("Thing"),
        text(unit.kind),
        unit.serial.clone(),
        money(unit.price),
        time(unit.received_at),
        time(unit.company_confirmed_at),
        time(unit.customer_confirmed_at),
        replaces,
        text(policy),
    ]
}

fn of_first_unit(
    name: &str,
    order_ref: &str,
    later: &Unit,
    root: &WarrantyRoot,
) -> Vec<Option<String>> {
    let mut row = vec![text(name), text(order_ref), text("Thing"), text(later.kind)];
    row.extend([None, None, time(root.received_at)]);
    row.extend([root.company_confirmed_at, root.customer_confirmed_at].map(time));
    row.extend([None, None]);
    row
}

fn of_claim(name: &str, unit_ref: &str, claim: &Claim) -> Vec<Option<String>> {
    let findings: Vec<String> = claim.findings.iter().map(ToString::to_string).collect();
    // Findings are known from an inspection alone.
    let findings = findings.join(";");
    vec![
        text(name),
        text(unit_ref),
        text(claim.claim_type),
        time(Some(claim.opened_at)),
        claim.assignee_email.clone(),
        claim.reported_serial.clone(),
        time(claim.confirmed_at),
        time(claim.received_at),
        time(claim.inspected_at),
        claim.inspected_at.and(text(findings)),
        text(claim.accessories_missing),
        time(claim.repaired_at),
        time(claim.unrepairable_at),
        time(claim.returned_at),
        time(claim.refunded_at),
        time(claim.exchanged_at),
        time(claim.closed_at),
        time(claim.rejected_at),
    ]
}
