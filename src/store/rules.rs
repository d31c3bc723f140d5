//! What cases are evaluated under, and up to when.

use chrono::NaiveDate;
use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::rows::{instant, micros};
use crate::policy::{Instant, Policy, PolicyId};

/// A version of a policy as it was when it was first used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Name and first day.
    pub id: PolicyId,
    /// SHA-256 of the text, in hex.
    pub sha256: String,
    /// The text, byte for byte.
    pub text: String,
}

/// All versions that were used.
pub async fn policies_load(tx: &mut SqliteConnection) -> Result<Vec<StoredPolicy>, StoreError> {
    let sql = "SELECT name, effective_from, sha256, text FROM policies \
               ORDER BY name, effective_from";
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(sql).fetch_all(tx).await?;
    let stored = rows
        .into_iter()
        .enumerate()
        .map(|(i, (name, date, sha256, text))| {
            let effective_from = date.parse::<NaiveDate>().map_err(|_| StoreError::Row {
                table: "policies",
                column: "effective_from",
                row: i as i64 + 1,
                found: date,
                expected: "a date",
            })?;
            Ok(StoredPolicy {
                id: PolicyId {
                    name,
                    effective_from,
                },
                sha256,
                text,
            })
        });
    stored.collect()
}

/// Keeps the texts of versions that are used for the first time.
pub async fn policies_write<'p>(
    tx: &mut SqliteConnection,
    policies: impl Iterator<Item = &'p Policy>,
    now: Instant,
) -> Result<(), StoreError> {
    let rows: Vec<_> = policies
        .map(|policy| {
            (
                &policy.id.name,
                policy.id.effective_from,
                &policy.sha256,
                &policy.text,
            )
        })
        .collect();
    let sql = "INSERT INTO policies (name, effective_from, sha256, text, used_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, $2 \
           FROM json_each($1) WHERE true ON CONFLICT (name, effective_from) DO NOTHING";
    let page = serde_json::json!(rows).to_string();
    sqlx::query(sql)
        .bind(page)
        .bind(micros(now))
        .execute(tx)
        .await?;
    Ok(())
}

/// The newest order that was evaluated and follows a policy of that name, be
/// it through a unit or (`standard`) through the order itself.
pub async fn placed_latest(
    tx: &mut SqliteConnection,
    policy: &str,
    is_standard: bool,
) -> Result<Option<Instant>, StoreError> {
    let sql = "SELECT max(o.placed_at) FROM orders AS o JOIN agenda AS a ON a.order_id = o.id \
         WHERE a.rules_id > 0 AND a.failures = 0 AND o.withdrawn IS NOT TRUE AND ($2 OR EXISTS ( \
               SELECT 1 FROM units AS u WHERE u.order_id = o.id AND u.policy = $1))";
    let query = sqlx::query_scalar::<_, Option<i64>>(sql)
        .bind(policy)
        .bind(is_standard);
    Ok(query.fetch_one(tx).await?.and_then(instant))
}

/// The number and the fingerprint of the latest rules.
pub async fn rules_latest(tx: &mut SqliteConnection) -> Result<Option<(i64, String)>, StoreError> {
    let sql = "SELECT id, fingerprint FROM rules ORDER BY id DESC LIMIT 1";
    Ok(sqlx::query_as(sql).fetch_optional(tx).await?)
}

/// Keeps the rules that hold from now on; gives their number.
pub async fn rules_write(
    tx: &mut SqliteConnection,
    fingerprint: &str,
    detail: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO rules (recorded_at, fingerprint, detail) VALUES ($1, $2, $3) \
               RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(micros(now))
        .bind(fingerprint)
        .bind(detail);
    Ok(query.fetch_one(tx).await?)
}

/// Up to when was enforced, and whether customers' notices are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// The last instant that was enforced.
    pub last_at: Option<Instant>,
    /// The last run at a time that nobody has confirmed.
    pub doubted_at: Option<Instant>,
    /// Since when customers' notices are held.
    pub held_since: Option<Instant>,
    /// Why they are.
    pub held_reason: Option<String>,
}

/// Reads the guard.
pub async fn guard_load(tx: &mut SqliteConnection) -> Result<Guard, StoreError> {
    let sql = "SELECT last_at, doubted_at, held_since, held_reason FROM enforcement WHERE id = 1";
    type Columns = (Option<i64>, Option<i64>, Option<i64>, Option<String>);
    let (last_at, doubted_at, held_since, held_reason): Columns =
        sqlx::query_as(sql).fetch_one(tx).await?;
    Ok(Guard {
        last_at: last_at.and_then(instant),
        doubted_at: doubted_at.and_then(instant),
        held_since: held_since.and_then(instant),
        held_reason,
    })
}

/// Writes the guard.
pub async fn guard_write(tx: &mut SqliteConnection, guard: &Guard) -> Result<(), StoreError> {
    let sql = "UPDATE enforcement \
          SET last_at = $1, doubted_at = $2, held_since = $3, held_reason = $4 WHERE id = 1";
    sqlx::query(sql)
        .bind(guard.last_at.map(micros))
        .bind(guard.doubted_at.map(micros))
        .bind(guard.held_since.map(micros))
        .bind(&guard.held_reason)
        .execute(tx)
        .await?;
    Ok(())
}
