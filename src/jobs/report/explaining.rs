//! Which fact, recorded later, explains a row: the changes of its case are made
//! again one at a time, in the order of their recording. A serial that two
//! units share follows from the changes of all units that had it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::super::page::load_page;
use super::feed::duplicate_serial;
use super::set::{Row, Rows, SetKind};
use crate::case::{ExceptionCode, HoldKind, evaluate};
use crate::policy::Instant;
use crate::report::{Dialect, ReportName, RowDifference, Scope, unguarded};
use crate::store::{self, Cut, FactChange, SerialsReplaced, Tx};

/// What a serial that two units share follows from, and that a row was entered.
const OF_SERIALS: [&str; 4] = ["", "serial", "withdrawn", "placed_at"];

/// A change at which rows that differ change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explaining {
    /// What was recorded.
    pub change: FactChange,
    /// The files whose rows change at it.
    pub files: BTreeSet<String>,
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

/// Rows that differ.
#[derive(Debug, Default)]
pub(super) struct Differing {
    /// Those of cases, by their order.
    of_orders: BTreeMap<i64, BTreeSet<Row>>,
    /// Those of serials, by their unit.
    of_serials: BTreeMap<String, BTreeSet<Row>>,
}

impl Differing {
    /// Adds a row of a file, if it is of a case or a serial.
    pub async fn add(
        &mut self,
        tx: &mut Tx<'_>,
        file: &str,
        name: ReportName,
        difference: &RowDifference,
    ) -> Result<()> {
        let row = difference.published.as_ref();
        let row = row.or(difference.computed.as_ref());
        let row = row.map_or(&[][..], Vec::as_slice);
        let column = |column| {
            let mut columns = name.columns().iter();
            let place = columns.position(|found| *found == column);
            place
                .and_then(|place| row.get(place))
                .map(|field| unguarded(field))
        };
        let duplicate: &str = ExceptionCode::DuplicateSerial.into();
        let kind = match name {
            ReportName::Compliance | ReportName::Notices => return Ok(()),
            ReportName::Exceptions if column("code") == Some(duplicate) => {
                let unit_ref = column("ref").unwrap_or_default().to_owned();
                let of_unit = self.of_serials.entry(unit_ref).or_default();
                of_unit.insert((file.to_owned(), difference.key.clone()));
                return Ok(());
            }
            ReportName::Exceptions => column("subject").and_then(|subject| subject.parse().ok()),
            ReportName::Refunds => match column("kind") {
                Some("cancellation") => Some(HoldKind::Order),
                _ => Some(HoldKind::Claim),
            },
            _ => Some(HoldKind::Order),
        };
        let named = column("order_ref").or(column("ref"));
        let Some((kind, named)) = kind.zip(named) else {
            return Ok(());
        };
        let orders = store::named(tx, named).await?;
        for order_id in orders.get(&kind).into_iter().flatten() {
            let of_order = self.of_orders.entry(*order_id).or_default();
            of_order.insert((file.to_owned(), difference.key.clone()));
        }
        Ok(())
    }
}

/// Makes changes again.
pub(super) struct Explainer<'e> {
    pub kind: &'e SetKind,
    pub dialect: Dialect,
    /// The rules and the time of the set.
    pub scope: Scope<'e>,
    /// What was recorded after this set of changes may explain a row.
    pub known_in: i64,
}

impl Explainer<'_> {
    /// The changes at which rows that differ change, in the order of their
    /// recording.
    pub async fn changes(&self, tx: &mut Tx<'_>, differing: &Differing) -> Result<Vec<Explaining>> {
        // A unit that was replaced may belong to several orders' cases.
        let mut found = BTreeMap::new();
        for (order_id, rows) in &differing.of_orders {
            let mut change_set = self.known_in;
            let mut before = self.rows_at(tx, *order_id, Cut::after(change_set)).await?;
            for change in store::changes_after(tx, *order_id, self.known_in).await? {
                if change.place.change_set != change_set {
                    // Holds that were begun or lifted since are none of its.
                    change_set = change.place.change_set;
                    before = self.rows_at(tx, *order_id, Cut::before(change_set)).await?;
                }
                let after = self.rows_at(tx, *order_id, change.place).await?;
                note(&mut found, change, rows, &before, &after);
                before = after;
            }
        }
        if differing.of_serials.is_empty() {
            return Ok(found.into_values().collect());
        }
        for (kin, rows) in self.kin(tx, differing).await? {
            let known = Cut::after(self.known_in);
            let mut before = self.serials_at(tx, &kin, known).await?;
            for change in store::unit_changes_after(tx, &kin, self.known_in).await? {
                if OF_SERIALS.contains(&change.field.as_str()) {
                    let after = self.serials_at(tx, &kin, change.place).await?;
                    note(&mut found, change, &rows, &before, &after);
                    before = after;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Units that had a serial together, with their rows that differ.
    async fn kin(
        &self,
        tx: &mut Tx<'_>,
        differing: &Differing,
    ) -> Result<BTreeMap<Vec<i64>, BTreeSet<Row>>> {
        let replaced = SerialsReplaced::after(tx, Cut::after(self.known_in)).await?;
        let mut kin: BTreeMap<Vec<i64>, BTreeSet<Row>> = BTreeMap::new();
        for (unit_ref, rows) in &differing.of_serials {
            let units = replaced.kin(tx, unit_ref).await?;
            kin.entry(units).or_default().extend(rows.iter().cloned());
        }
        Ok(kin)
    }

    /// The rows of a case in all files, as it was known at a place.
    async fn rows_at(&self, tx: &mut Tx<'_>, order_id: i64, cut: Cut) -> Result<Rows> {
        let mut rows = Rows::new();
        for loaded in load_page(tx, &[order_id], Some(cut)).await? {
            let (dialect, scope) = (self.dialect, self.scope);
            // What cannot be read has no rows: no change of a fact does that.
            let Ok(case) = loaded.found else {
                continue;
            };
            rows.extend(match evaluate(&case, scope.rules, scope.at) {
                Ok(evaluation) => self.kind.rows_of(&case, &evaluation, dialect, scope)?,
                Err(error) => self.kind.rows_of_exceptions(dialect, scope, |report| {
                    report.add_failed(&case.order.order_ref, &error)
                })?,
            });
        }
        Ok(rows)
    }

    /// The rows of the serials that units share, as they were known at a place.
    async fn serials_at(&self, tx: &mut Tx<'_>, unit_ids: &[i64], cut: Cut) -> Result<Rows> {
        let found = store::duplicates_among(tx, unit_ids, self.scope.at, cut).await?;
        let mut found = found.into_iter().map(duplicate_serial);
        let (dialect, scope) = (self.dialect, self.scope);
        let rows = self.kind.rows_of_exceptions(dialect, scope, |report| {
            found.try_for_each(|exception| report.add_exception(&exception))
        });
        Ok(rows?)
    }

    /// Holds of orders, or of their customers, that somebody began or lifted
    /// later, where a row that differs tells of one.
    pub async fn holds(&self, tx: &mut Tx<'_>, differing: &Differing) -> Result<Vec<HoldChange>> {
        let on_hold: &str = ExceptionCode::OnHold.into();
        let is_on_hold = |(_, key): &Row| key.first().is_some_and(|code| code == on_hold);
        let orders = differing.of_orders.iter();
        let orders = orders.filter(|(_, rows)| rows.iter().any(is_on_hold));
        // A customer's is of all their orders.
        let mut found = BTreeSet::new();
        for (order_id, _) in orders {
            found.extend(holds_after(tx, *order_id, self.known_in).await?);
        }
        Ok(found.into_iter().collect())
    }
}

/// Keeps a change if rows that differ change at it.
fn note(
    found: &mut BTreeMap<Cut, Explaining>,
    change: FactChange,
    differing: &BTreeSet<Row>,
    before: &Rows,
    after: &Rows,
) {
    let moved = differing
        .iter()
        .filter(|row| before.get(*row) != after.get(*row));
    let files: BTreeSet<String> = moved.map(|(file, _)| file.clone()).collect();
    if !files.is_empty() {
        let explaining = found.entry(change.place).or_insert_with(|| Explaining {
            change,
            files: BTreeSet::new(),
        });
        explaining.files.extend(files);
    }
}

async fn holds_after(tx: &mut Tx<'_>, order_id: i64, known_in: i64) -> Result<Vec<HoldChange>> {
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
            let begun = (past.began_in > known_in).then(|| change(hold.held_at, None));
            let lifted = past.lifted.as_ref();
            let lifted = lifted.filter(|lifted| lifted.ended_in > known_in);
            let lifted = lifted.map(|lifted| change(lifted.at, Some(lifted.by.clone())));
            found.extend(begun.into_iter().chain(lifted));
        }
    }
    Ok(found)
}
