//! What cases are evaluated under, and up to when.

use super::StoreError;
use super::engine::{Kind, Page, Row, Tx, select, write};
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
pub async fn policies_load(tx: &mut Tx<'_>) -> Result<Vec<StoredPolicy>, StoreError> {
    let columns = ["name", "effective_from", "sha256", "text"];
    let query = select(
        "policies",
        columns,
        "FROM policies ORDER BY name, effective_from",
    );
    let policy = |mut row: Row| {
        let name = row.get("name")?;
        let effective_from = row.parse("effective_from", "a date")?;
        Ok(StoredPolicy {
            id: PolicyId {
                name,
                effective_from,
            },
            sha256: row.get("sha256")?,
            text: row.get("text")?,
        })
    };
    query.rows(tx).await?.into_iter().map(policy).collect()
}

/// Keeps the texts of versions that are used for the first time.
pub async fn policies_write<'p>(
    tx: &mut Tx<'_>,
    policies: impl Iterator<Item = &'p Policy>,
    now: Instant,
) -> Result<(), StoreError> {
    let mut page = Page::new(&[
        ("name", Kind::Text),
        ("effective_from", Kind::Text),
        ("sha256", Kind::Text),
        ("text", Kind::Text),
    ]);
    for policy in policies {
        page.push([
            (&policy.id.name).into(),
            policy.id.effective_from.to_string().into(),
            (&policy.sha256).into(),
            (&policy.text).into(),
        ]);
    }
    if page.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO policies (name, effective_from, sha256, text, used_at) \
         SELECT name, effective_from, sha256, text, $1 FROM {page} AS page WHERE true \
         ON CONFLICT (name, effective_from) DO NOTHING";
    write(sql).bind(now).page(page).execute(tx).await?;
    Ok(())
}

/// The newest order that was evaluated and follows a policy of that name, be
/// it through a unit or (`standard`) through the order itself.
pub async fn placed_latest(
    tx: &mut Tx<'_>,
    policy: &str,
    is_standard: bool,
) -> Result<Option<Instant>, StoreError> {
    let rest = "FROM orders AS o JOIN agenda AS a ON a.order_id = o.id \
         WHERE a.rules_id > 0 AND a.failures = 0 AND o.withdrawn IS NOT TRUE AND ($2 OR EXISTS ( \
               SELECT 1 FROM units AS u WHERE u.order_id = o.id AND u.policy = $1))";
    let query = select("orders", ["max(o.placed_at) AS placed_at"], rest);
    let mut row = query.bind(policy).bind(is_standard).one(tx).await?;
    row.time_if_known("placed_at")
}

/// The number and the fingerprint of the latest rules.
pub async fn rules_latest(tx: &mut Tx<'_>) -> Result<Option<(i64, String)>, StoreError> {
    let rest = "FROM rules ORDER BY id DESC LIMIT 1";
    let row = select("rules", ["id", "fingerprint"], rest).row(tx).await?;
    let latest = |mut row: Row| Ok((row.get("id")?, row.get("fingerprint")?));
    row.map(latest).transpose()
}

/// What the rules were at a time, as they were kept; `None`: none were yet.
pub async fn rules_known(tx: &mut Tx<'_>, known_at: Instant) -> Result<Option<String>, StoreError> {
    let rest = "FROM rules WHERE recorded_at <= $1 ORDER BY id DESC LIMIT 1";
    let query = select("rules", ["detail"], rest).bind(known_at);
    query.value(tx).await
}

/// Keeps the rules that hold from now on; gives their number.
pub async fn rules_write(
    tx: &mut Tx<'_>,
    fingerprint: &str,
    detail: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO rules (recorded_at, fingerprint, detail) VALUES ($1, $2, $3)";
    let query = write(sql).bind(now).bind(fingerprint).bind(detail);
    query.returning("rules", &["id"]).one(tx).await?.get("id")
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
    /// Since when what may be a missing entry is held: no import was completed
    /// for too long.
    pub feed_died_at: Option<Instant>,
    /// That the database was restored, and nobody has let customers' mail go
    /// since.
    pub restored: Option<Restored>,
}

/// When the database was restored, and from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When.
    pub at: Instant,
    /// When the backup was taken: of what happened since it knows nothing.
    pub backup_at: Instant,
}

/// Reads the guard.
pub async fn guard_load(tx: &mut Tx<'_>) -> Result<Guard, StoreError> {
    guard(tx, "").await
}

/// The same, and keeps it as it is until the transaction ends: pages are
/// written so.
pub async fn guard_share(tx: &mut Tx<'_>) -> Result<Guard, StoreError> {
    guard(tx, "{lock shared}").await
}

/// The same, when no page is at work any more, and keeps them from beginning
/// until the transaction ends.
pub async fn guard_take(tx: &mut Tx<'_>) -> Result<Guard, StoreError> {
    guard(tx, "{lock}").await
}

async fn guard(tx: &mut Tx<'_>, lock: &str) -> Result<Guard, StoreError> {
    let columns = [
        "last_at",
        "doubted_at",
        "held_since",
        "held_reason",
        "feed_died_at",
        "restored_at",
        "backup_at",
    ];
    let rest = format!("FROM enforcement WHERE id = 1 {lock}");
    let mut row = select("enforcement", columns, rest).one(tx).await?;
    Ok(Guard {
        last_at: row.time_if_known("last_at")?,
        doubted_at: row.time_if_known("doubted_at")?,
        held_since: row.time_if_known("held_since")?,
        held_reason: row.get("held_reason")?,
        feed_died_at: row.time_if_known("feed_died_at")?,
        restored: match row.time_if_known("restored_at")? {
            None => None,
            Some(at) => Some(Restored {
                at,
                backup_at: row.time("backup_at")?,
            }),
        },
    })
}

/// Writes the guard.
pub async fn guard_write(tx: &mut Tx<'_>, guard: &Guard) -> Result<(), StoreError> {
    let sql = "UPDATE enforcement \
          SET last_at = $1, doubted_at = $2, held_since = $3, held_reason = $4, \
              feed_died_at = $5, restored_at = $6, backup_at = $7 WHERE id = 1";
    write(sql)
        .bind(guard.last_at)
        .bind(guard.doubted_at)
        .bind(guard.held_since)
        .bind(&guard.held_reason)
        .bind(guard.feed_died_at)
        .bind(guard.restored.map(|restored| restored.at))
        .bind(guard.restored.map(|restored| restored.backup_at))
        .execute(tx)
        .await?;
    Ok(())
}

/// When an import was last completed; `None`: never.
pub async fn feed_load(tx: &mut Tx<'_>) -> Result<Option<Instant>, StoreError> {
    let found = select("feed", ["imported_at"], "FROM feed WHERE id = 1");
    let row = found.row(tx).await?;
    row.map(|mut row| row.time("imported_at")).transpose()
}

/// An import was completed.
pub async fn feed_write(tx: &mut Tx<'_>, now: Instant) -> Result<(), StoreError> {
    let sql = "INSERT INTO feed (id, imported_at) VALUES (1, $1) \
         ON CONFLICT (id) DO UPDATE SET imported_at = excluded.imported_at \
         WHERE excluded.imported_at > feed.imported_at";
    write(sql).bind(now).execute(tx).await?;
    Ok(())
}
