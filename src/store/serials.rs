//! Units that share a serial: those of now, and those of a time.

use std::collections::{BTreeMap, BTreeSet};

use super::StoreError;
use super::engine::{Page, Row, Tx, select};
use super::known::{Cut, units_known};
use crate::case::normalized_serial;
use crate::policy::Instant;

/// A unit with the serial of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuplicateSerial {
    /// The unit.
    pub unit_ref: String,
    /// The first with that serial, by when its order was placed.
    pub first: String,
}

/// Units with the serial of another, of the orders placed by a time.
pub async fn duplicate_serials(
    tx: &mut Tx<'_>,
    placed_by: Instant,
) -> Result<Vec<DuplicateSerial>, StoreError> {
    let rest = "FROM ( \
           SELECT u.unit_ref, first_value(u.unit_ref) OVER same AS first_ref, \
                  row_number() OVER same AS place \
             FROM units AS u JOIN orders AS o ON o.id = u.order_id \
            WHERE u.serial_key IS NOT NULL AND o.placed_at <= $1 \
              AND u.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE \
           WINDOW same AS (PARTITION BY u.serial_key ORDER BY o.placed_at, u.unit_ref) \
         ) AS numbered WHERE place > 1 ORDER BY unit_ref";
    let query = select("units", ["unit_ref", "first_ref"], rest).bind(placed_by);
    let duplicate = |mut row: Row| {
        Ok(DuplicateSerial {
            unit_ref: row.get("unit_ref")?,
            first: row.get("first_ref")?,
        })
    };
    query.rows(tx).await?.into_iter().map(duplicate).collect()
}

/// The same as it was known at a place in the history.
pub async fn duplicate_serials_known(
    tx: &mut Tx<'_>,
    placed_by: Instant,
    known: Cut,
) -> Result<Vec<DuplicateSerial>, StoreError> {
    // Two that shared one then still do, or one of them has another since.
    let shared = "FROM units WHERE serial_key IN (SELECT serial_key FROM units \
         WHERE serial_key IS NOT NULL GROUP BY serial_key HAVING count(*) > 1)";
    let sharing: Vec<i64> = select("units", ["id"], shared).values(tx).await?;
    let replaced = SerialsReplaced::after(tx, known).await?;
    let mut unit_ids: BTreeSet<i64> = sharing.into_iter().collect();
    unit_ids.extend(replaced.0.iter().map(|(unit_id, _)| *unit_id));
    unit_ids.extend(units_of(tx, replaced.0.iter().map(|(_, key)| key.as_str())).await?);
    duplicates_among(tx, &Vec::from_iter(unit_ids), placed_by, known).await
}

/// Those among units that share a serial with another of them, as it was known
/// at a place in the history.
pub async fn duplicates_among(
    tx: &mut Tx<'_>,
    unit_ids: &[i64],
    placed_by: Instant,
    known: Cut,
) -> Result<Vec<DuplicateSerial>, StoreError> {
    let mut sharing: BTreeMap<String, BTreeSet<(Instant, String)>> = BTreeMap::new();
    for found in units_known(tx, unit_ids, known).await? {
        let placed_at = found.order.placed_at;
        if let Some(serial) = found.unit.serial
            && placed_at <= placed_by
        {
            let of_serial = sharing.entry(normalized_serial(&serial)).or_default();
            of_serial.insert((placed_at, found.unit.unit_ref));
        }
    }
    let mut duplicates = Vec::new();
    for units in sharing.into_values() {
        let mut units = units.into_iter().map(|(_, unit_ref)| unit_ref);
        let Some(first) = units.next() else { continue };
        duplicates.extend(units.map(|unit_ref| DuplicateSerial {
            unit_ref,
            first: first.clone(),
        }));
    }
    duplicates.sort();
    Ok(duplicates)
}

/// Serials that units had, as they are compared, and that were replaced since.
#[derive(Debug)]
pub struct SerialsReplaced(Vec<(i64, String)>);

impl SerialsReplaced {
    /// All that were replaced after a place in the history.
    pub async fn after(tx: &mut Tx<'_>, known: Cut) -> Result<Self, StoreError> {
        let rest = "FROM fact_changes AS f \
             WHERE f.entity = 'units' AND f.field = 'serial' AND f.old IS NOT NULL \
               AND (f.change_set, 4, f.id) > ($1, $2, $3)";
        let query = select("fact_changes", ["f.row_id AS id", "f.old"], rest);
        let mut replaced = Vec::new();
        for mut row in known.bound(query).rows(tx).await? {
            let old: String = row.get("old")?;
            replaced.push((row.id(), normalized_serial(&old)));
        }
        Ok(Self(replaced))
    }

    /// The units that share, or shared since then, a serial that a unit has or
    /// had; itself among them.
    pub async fn kin(&self, tx: &mut Tx<'_>, unit_ref: &str) -> Result<Vec<i64>, StoreError> {
        let rest = "FROM units WHERE unit_ref = $1";
        let query = select("units", ["id", "serial_key"], rest).bind(unit_ref);
        let Some(mut row) = query.row(tx).await? else {
            return Ok(Vec::new());
        };
        let unit_id = row.id();
        let key: Option<String> = row.get("serial_key")?;
        let had = self.0.iter().filter(|(of, _)| *of == unit_id);
        let had = had.map(|(_, key)| key.as_str());
        let keys: BTreeSet<&str> = key.as_deref().into_iter().chain(had).collect();
        let mut kin = BTreeSet::from([unit_id]);
        let shared = self.0.iter().filter(|(_, key)| keys.contains(key.as_str()));
        kin.extend(shared.map(|(unit_id, _)| *unit_id));
        kin.extend(units_of(tx, keys).await?);
        Ok(kin.into_iter().collect())
    }
}

/// The units that have one of these serials now.
async fn units_of<'k>(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<Vec<i64>, StoreError> {
    let rest = "FROM {page} AS page {then} units AS u ON u.serial_key = page.serial_key";
    let page = Page::of_texts("serial_key", keys);
    select("units", ["u.id"], rest).page(page).values(tx).await
}
