//! What was recorded of cases, and writing what a plan adds to it.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::rows::{Reader, micros, set};
use crate::case::{NoticeKey, Plan, Recorded, RecordedDeadline, RecordedNotice};
use crate::policy::Instant;

/// Loads what was recorded of the cases of orders.
pub async fn recorded_load(
    tx: &mut SqliteConnection,
    order_ids: &[i64],
) -> Result<HashMap<i64, Recorded>, StoreError> {
    let page = set(order_ids);
    let mut recorded: HashMap<i64, Recorded> = HashMap::new();
    let sql = "SELECT * FROM notices WHERE order_id IN (SELECT value FROM json_each($1)) \
               ORDER BY id";
    for row in sqlx::query(sql).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("notices", &row)?;
        let order_id = row.get("order_id")?;
        recorded
            .entry(order_id)
            .or_default()
            .notices
            .push(recorded_notice(&row)?);
    }
    let sql = "SELECT *, order_id AS id FROM deadlines \
               WHERE order_id IN (SELECT value FROM json_each($1))";
    for row in sqlx::query(sql).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("deadlines", &row)?;
        recorded
            .entry(row.row)
            .or_default()
            .deadlines
            .push(recorded_deadline(&row)?);
    }
    Ok(recorded)
}

pub(super) fn recorded_notice(row: &Reader<'_>) -> Result<RecordedNotice, StoreError> {
    Ok(RecordedNotice {
        id: row.row,
        key: super::notices::key(row)?,
        disposition: row.parse("disposition", "a disposition")?,
        policy: row.policy("policy")?,
        clause: row.get("clause")?,
    })
}

fn recorded_deadline(row: &Reader<'_>) -> Result<RecordedDeadline, StoreError> {
    Ok(RecordedDeadline {
        subject: row.parse("subject", "a subject")?,
        subject_ref: row.get("ref")?,
        window: row.parse("window", "a window")?,
        started_at: row.time("started_at")?,
        due_at: row.time_if_known("due_at")?,
        last_day: row.parse_if_given("last_day", "a date")?,
        ended_at: row.time_if_known("ended_at")?,
        policy: row.policy("policy")?,
    })
}

/// Writes the plans of a page of cases. `ready_at` says from when on a notice
/// may be sent.
pub async fn plan_write(
    tx: &mut SqliteConnection,
    plans: &[(i64, Plan)],
    now: Instant,
    ready_at: impl Fn(&NoticeKey) -> Instant,
) -> Result<(), StoreError> {
    notices_add(tx, plans, now, ready_at).await?;
    let changed: Vec<_> = plans
        .iter()
        .flat_map(|(_, plan)| &plan.changed)
        .copied()
        .collect();
    super::notices::notices_write(tx, &changed).await?;
    deadlines_write(tx, plans).await
}

async fn notices_add(
    tx: &mut SqliteConnection,
    plans: &[(i64, Plan)],
    now: Instant,
    ready_at: impl Fn(&NoticeKey) -> Instant,
) -> Result<(), StoreError> {
    let notices = plans
        .iter()
        .flat_map(|(order_id, plan)| plan.notices.iter().map(move |notice| (order_id, notice)));
    let rows: Vec<_> = notices
        .map(|(order_id, notice)| {
            let key = &notice.due.key;
            serde_json::json!([
                order_id,
                key.subject,
                key.subject_ref,
                key.window
                    .map(|window| window.to_string())
                    .unwrap_or_default(),
                key.last_day.map(|day| day.to_string()).unwrap_or_default(),
                key.step.to_string(),
                key.audience,
                micros(notice.due.fires_at),
                notice.due.level,
                notice.due.policy.to_string(),
                notice.due.clause,
                notice.disposition,
                micros(ready_at(key)),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO notices (order_id, subject, ref, \"window\", last_day, step, audience, \
                 fires_at, level, policy, clause, disposition, ready_at, recorded_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
                value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
                value ->> 12, $2 \
           FROM json_each($1) ORDER BY key";
    let page = serde_json::Value::from(rows).to_string();
    sqlx::query(sql)
        .bind(page)
        .bind(micros(now))
        .execute(tx)
        .await?;
    Ok(())
}

async fn deadlines_write(
    tx: &mut SqliteConnection,
    plans: &[(i64, Plan)],
) -> Result<(), StoreError> {
    let page = |of: fn(&Plan) -> &Vec<RecordedDeadline>| {
        let rows = plans.iter().flat_map(move |(order_id, plan)| {
            of(plan).iter().map(move |deadline| {
                serde_json::json!([
                    order_id,
                    deadline.subject,
                    deadline.subject_ref,
                    deadline.window,
                    micros(deadline.started_at),
                    deadline.due_at.map(micros),
                    deadline.last_day.map(|day| day.to_string()),
                    deadline.ended_at.map(micros),
                    deadline.policy.to_string(),
                ])
            })
        });
        rows.collect::<Vec<_>>()
    };
    let gone = page(|plan| &plan.gone);
    if !gone.is_empty() {
        let sql = "DELETE FROM deadlines WHERE (order_id, subject, ref, \"window\") IN \
                   (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1))";
        let gone = serde_json::Value::from(gone).to_string();
        sqlx::query(sql).bind(gone).execute(&mut *tx).await?;
    }
    let changed = page(|plan| &plan.deadlines);
    if !changed.is_empty() {
        let sql = "INSERT INTO deadlines (order_id, subject, ref, \"window\", started_at, due_at, \
                     last_day, ended_at, policy) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
                    value ->> 5, value ->> 6, value ->> 7, value ->> 8 \
               FROM json_each($1) WHERE true \
             ON CONFLICT (order_id, subject, ref, \"window\") DO UPDATE SET \
               started_at = excluded.started_at, due_at = excluded.due_at, \
               last_day = excluded.last_day, ended_at = excluded.ended_at, \
               policy = excluded.policy";
        let changed = serde_json::Value::from(changed).to_string();
        sqlx::query(sql).bind(changed).execute(&mut *tx).await?;
    }
    Ok(())
}
