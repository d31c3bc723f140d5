//! What changes are recorded in: when, and by what.

use super::StoreError;
use super::engine::{Tx, select, write};
use crate::policy::Instant;

/// Begins a set of changes; `source` says by what (an import with its files, a
/// command). Gives its number.
pub async fn change_set_begin(
    tx: &mut Tx<'_>,
    source: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO change_sets (recorded_at, source) VALUES ($1, $2)";
    let added = write(sql).bind(now).bind(source);
    let mut row = added.returning("change_sets", &["id"]).one(tx).await?;
    row.get("id")
}

/// When the last set of changes was recorded; `None`: there is none.
pub async fn change_set_latest(tx: &mut Tx<'_>) -> Result<Option<Instant>, StoreError> {
    let latest = ["max(recorded_at) AS recorded_at"];
    let query = select("change_sets", latest, "FROM change_sets");
    query.one(tx).await?.time_if_known("recorded_at")
}
