//! Which fact, recorded later, explains a row: the changes of its case are made
//! again one at a time, in the order of their recording.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use anyhow::Result;

use super::super::page::load_page;
use crate::case::{Case, Evaluation, ExceptionCode, HoldKind};
use crate::policy::Instant;
use crate::report::{Dialect, Format, Report, ReportName, RowDifference, Scope, read_rows};
use crate::store::{self, Cut, FactChange, Tx};

/// Reports whose rows are of one case each.
const OF_CASES: [ReportName; 6] = [
    ReportName::Deadlines,
    ReportName::Overdue,
    ReportName::Upcoming,
    ReportName::Claims,
    ReportName::Refunds,
    ReportName::Exceptions,
];

/// A change at which rows that differ change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explaining {
    /// What was recorded.
    pub change: FactChange,
    /// The files whose rows change at it.
    pub files: Vec<String>,
}

/// Rows that differ, by their order.
pub(super) type Differing = BTreeMap<i64, BTreeSet<Row>>;

/// A row of a report, by the fields that it is sorted by.
pub(super) type Row = (String, Vec<String>);

/// The order that a row hangs on; `None`: it is no row of a case.
pub(super) async fn order_of(
    tx: &mut Tx<'_>,
    name: ReportName,
    difference: &RowDifference,
) -> Result<Option<i64>> {
    // Each report of cases has its subject's name, or its claim's.
    let column = match name {
        ReportName::Claims => "claim_ref",
        ReportName::Compliance | ReportName::Notices => return Ok(None),
        _ => "ref",
    };
    let place = name.columns().iter().position(|found| *found == column);
    let row = difference
        .published
        .as_ref()
        .or(difference.computed.as_ref());
    match row.zip(place).and_then(|(row, place)| row.get(place)) {
        Some(found) => Ok(store::order_of(tx, found).await?),
        None => Ok(None),
    }
}

/// The changes of an order's case, recorded after a time, at which rows that
/// differ change.
pub(super) async fn explain(
    tx: &mut Tx<'_>,
    order_id: i64,
    differing: &BTreeSet<Row>,
    dialect: Dialect,
    scope: Scope<'_>,
    known_at: Instant,
) -> Result<Vec<Explaining>> {
    let cut = Cut::at(known_at);
    let mut before = rows_at(tx, order_id, cut, dialect, scope).await?;
    let mut explaining = Vec::new();
    for change in store::changes_after(tx, order_id, known_at).await? {
        let after = rows_at(tx, order_id, change.place, dialect, scope).await?;
        let moved = differing
            .iter()
            .filter(|row| before.get(*row) != after.get(*row));
        let files: BTreeSet<String> = moved.map(|(name, _)| format!("{name}.csv")).collect();
        before = after;
        if !files.is_empty() {
            explaining.push(Explaining {
                change,
                files: files.into_iter().collect(),
            });
        }
    }
    Ok(explaining)
}

/// Holds of an order, or of its customer, that somebody began or lifted after
/// a time, where a row that differs tells of one.
pub(super) async fn holds_after(
    tx: &mut Tx<'_>,
    order_id: i64,
    differing: &BTreeSet<Row>,
    known_at: Instant,
) -> Result<Vec<HoldChange>> {
    let on_hold: &str = ExceptionCode::OnHold.into();
    let is_on_hold = |(_, key): &Row| key.first().is_some_and(|code| code == on_hold);
    if !differing.iter().any(is_on_hold) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for loaded in load_page(tx, &[order_id], None).await? {
        let Ok(case) = loaded.found else {
            continue;
        };
        for past in store::holds_past(tx, order_id, &case.order.customer_ref).await? {
            let hold = &past.hold;
            let change = |recorded_at, by| HoldChange {
                recorded_at,
                kind: hold.kind,
                name: hold.name.clone(),
                lifted_by: by,
            };
            let begun = (hold.held_at > known_at).then(|| change(hold.held_at, None));
            let lifted = past.lifted.as_ref().filter(|(at, _)| *at > known_at);
            let lifted = lifted.map(|(at, by)| change(*at, Some(by.clone())));
            found.extend(begun.into_iter().chain(lifted));
        }
    }
    Ok(found)
}

/// A hold that was begun, or lifted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldChange {
    /// When that was recorded.
    pub recorded_at: Instant,
    /// What is held.
    pub kind: HoldKind,
    /// Its name.
    pub name: String,
    /// By which command it was lifted; `None`: it was begun.
    pub lifted_by: Option<String>,
}

/// The rows of a case in all reports, as it was known at a place.
async fn rows_at(
    tx: &mut Tx<'_>,
    order_id: i64,
    cut: Cut,
    dialect: Dialect,
    scope: Scope<'_>,
) -> Result<BTreeMap<Row, Vec<String>>> {
    let mut rows = BTreeMap::new();
    for loaded in load_page(tx, &[order_id], Some(cut)).await? {
        let found = loaded.evaluate(scope.rules, scope.at).found;
        // What cannot be evaluated has no rows.
        let Ok((case, evaluation)) = found else {
            continue;
        };
        for name in OF_CASES {
            rows_add(&mut rows, name, &case, &evaluation, dialect, scope)?;
        }
    }
    Ok(rows)
}

fn rows_add(
    rows: &mut BTreeMap<Row, Vec<String>>,
    name: ReportName,
    case: &Case,
    evaluation: &Evaluation,
    dialect: Dialect,
    scope: Scope<'_>,
) -> io::Result<()> {
    let mut report = Report::new(name, Format::Csv(dialect), scope, Vec::new())?;
    report.add(case, evaluation)?;
    let text = report.finish()?.out;
    for (key, row) in read_rows(name, dialect, text.as_slice())? {
        rows.insert((name.to_string(), key), row);
    }
    Ok(())
}
