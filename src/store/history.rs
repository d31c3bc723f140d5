//! What changes are recorded in: when, and by what.

use super::StoreError;
use super::engine::{Tx, write};
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
