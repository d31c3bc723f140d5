//! What was recorded of cases, and writing what a plan adds to it.

use std::collections::HashMap;

use super::StoreError;
use super::engine::{Kind, Page, Row, Tx, select, write};
use super::notices::fates;
use crate::case::{NoticeKey, Plan, Recorded, RecordedDeadline, RecordedNotice};
use crate::policy::Instant;

const NOTICE: [&str; 12] = [
    "n.id",
    "n.order_id",
    "n.subject",
    "n.ref",
    "n.\"window\"",
    "n.last_day",
    "n.step",
    "n.audience",
    "n.disposition",
    "n.cause",
    "n.policy",
    "n.clause",
];

const NOTICES: &str = "FROM {page} AS page {then} notices AS n ON n.order_id = page.order_id";

const DEADLINE: [&str; 11] = [
    "d.order_id AS id",
    "d.subject",
    "d.ref",
    "d.\"window\"",
    "d.started_at",
    "d.due_at",
    "d.last_day",
    "d.ended_at",
    "d.is_met",
    "d.paused_days",
    "d.policy",
];

const DEADLINES: &str = "FROM {page} AS page {then} deadlines AS d ON d.order_id = page.order_id";

/// Loads what was recorded of the cases of orders.
pub async fn recorded_load(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
) -> Result<HashMap<i64, Recorded>, StoreError> {
    let mut recorded: HashMap<i64, Recorded> = HashMap::new();
    for (order_id, notices) in recorded_notices(tx, order_ids).await? {
        recorded.entry(order_id).or_default().notices = notices;
    }
    let page = Page::of_ints("order_id", order_ids);
    let found = select("deadlines", DEADLINE, DEADLINES).page(page);
    for mut row in found.rows(tx).await? {
        let order_id = row.get("id")?;
        let of_order: &mut Recorded = recorded.entry(order_id).or_default();
        of_order.deadlines.push(recorded_deadline(&mut row)?);
    }
    Ok(recorded)
}

/// Loads the notices of the cases of orders.
pub async fn recorded_notices(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<RecordedNotice>>, StoreError> {
    let mut recorded: HashMap<i64, Vec<RecordedNotice>> = HashMap::new();
    let page = Page::of_ints("order_id", order_ids);
    let found = select("notices", NOTICE, NOTICES).page(page);
    for mut row in found.rows(tx).await? {
        let order_id = row.get("order_id")?;
        let notice = recorded_notice(&mut row)?;
        recorded.entry(order_id).or_default().push(notice);
    }
    for notices in recorded.values_mut() {
        notices.sort_by_key(|notice| notice.id);
    }
    Ok(recorded)
}

/// The numbers of the notices of an order's case that were recorded by a time.
pub async fn notices_recorded_by(
    tx: &mut Tx<'_>,
    order_id: i64,
    recorded_by: Instant,
) -> Result<Vec<i64>, StoreError> {
    let rest = "FROM notices WHERE order_id = $1 AND recorded_at <= $2";
    let query = select("notices", ["id"], rest).bind(order_id);
    query.bind(recorded_by).values(tx).await
}

pub(super) fn recorded_notice(row: &mut Row) -> Result<RecordedNotice, StoreError> {
    Ok(RecordedNotice {
        id: row.id(),
        key: super::notices::key(row)?,
        disposition: row.parse("disposition", "a disposition")?,
        cause: row.parse_if_given("cause", "why a notice is held")?,
        policy: row.policy("policy")?,
        clause: row.get("clause")?,
    })
}

pub(super) fn recorded_deadline(row: &mut Row) -> Result<RecordedDeadline, StoreError> {
    Ok(RecordedDeadline {
        subject: row.parse("subject", "a subject")?,
        subject_ref: row.get("ref")?,
        window: row.parse("window", "a window")?,
        started_at: row.time("started_at")?,
        due_at: row.time_if_known("due_at")?,
        last_day: row.date_if_known("last_day")?,
        ended_at: row.time_if_known("ended_at")?,
        is_met: row.get("is_met")?,
        paused_days: row.get("paused_days")?,
        policy: row.policy("policy")?,
    })
}

/// Writes the plans of a page of cases. `ready_at` says from when on a notice
/// may be sent.
pub async fn plan_write(
    tx: &mut Tx<'_>,
    plans: &[(i64, Plan)],
    now: Instant,
    ready_at: impl Fn(&NoticeKey) -> Instant,
) -> Result<(), StoreError> {
    notices_add(tx, plans, now, ready_at).await?;
    notices_change(tx, plans).await?;
    deadlines_write(tx, plans).await
}

/// Leaves alone what was sent, or failed to be, since it was read.
async fn notices_change(tx: &mut Tx<'_>, plans: &[(i64, Plan)]) -> Result<(), StoreError> {
    let page = fates(plans.iter().flat_map(|(_, plan)| &plan.changed));
    if page.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE notices SET disposition = page.disposition, cause = page.cause \
          FROM {page} AS page WHERE notices.id = page.id \
           AND notices.disposition NOT IN ('sent', 'failed')";
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

async fn notices_add(
    tx: &mut Tx<'_>,
    plans: &[(i64, Plan)],
    now: Instant,
    ready_at: impl Fn(&NoticeKey) -> Instant,
) -> Result<(), StoreError> {
    let mut page = Page::new(&[
        ("order_id", Kind::Int),
        ("subject", Kind::Text),
        ("ref", Kind::Text),
        ("window", Kind::Text),
        ("last_day", Kind::Text),
        ("step", Kind::Text),
        ("audience", Kind::Text),
        ("fires_at", Kind::Int),
        ("level", Kind::Int),
        ("policy", Kind::Text),
        ("clause", Kind::Text),
        ("disposition", Kind::Text),
        ("cause", Kind::Text),
        ("ready_at", Kind::Int),
    ]);
    let notices = plans
        .iter()
        .flat_map(|(order_id, plan)| plan.notices.iter().map(move |notice| (order_id, notice)));
    for (order_id, notice) in notices {
        let key = &notice.due.key;
        let window = key.window.map(|window| window.to_string());
        let last_day = key.last_day.map(|day| day.to_string());
        page.push([
            (*order_id).into(),
            key.subject.to_string().into(),
            (&key.subject_ref).into(),
            window.unwrap_or_default().into(),
            last_day.unwrap_or_default().into(),
            key.step.to_string().into(),
            key.audience.to_string().into(),
            notice.due.fires_at.into(),
            i64::from(notice.due.level).into(),
            notice.due.policy.to_string().into(),
            (&notice.due.clause).into(),
            notice.fate.disposition.to_string().into(),
            notice.fate.cause.map(|cause| cause.to_string()).into(),
            ready_at(key).into(),
        ]);
    }
    if page.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO notices (order_id, subject, ref, \"window\", last_day, step, audience, \
                 fires_at, level, policy, clause, disposition, cause, ready_at, recorded_at) \
         SELECT order_id, subject, ref, \"window\", last_day, step, audience, fires_at, level, \
                policy, clause, disposition, cause, ready_at, $1 \
           FROM {page} AS page";
    write(sql).bind(now).page(page).execute(tx).await?;
    Ok(())
}

async fn deadlines_write(tx: &mut Tx<'_>, plans: &[(i64, Plan)]) -> Result<(), StoreError> {
    let gone = deadlines_page(plans, |plan| &plan.gone);
    if !gone.is_empty() {
        let sql = "DELETE FROM deadlines WHERE (order_id, subject, ref, \"window\") IN \
                   (SELECT order_id, subject, ref, \"window\" FROM {page} AS page)";
        write(sql).page(gone).execute(tx).await?;
    }
    let changed = deadlines_page(plans, |plan| &plan.deadlines);
    if !changed.is_empty() {
        let sql = "INSERT INTO deadlines (order_id, subject, ref, \"window\", started_at, due_at, \
                     last_day, ended_at, is_met, paused_days, policy) \
             SELECT order_id, subject, ref, \"window\", started_at, due_at, last_day, ended_at, \
                    is_met, paused_days, policy FROM {page} AS page WHERE true \
             ON CONFLICT (order_id, subject, ref, \"window\") DO UPDATE SET \
               started_at = excluded.started_at, due_at = excluded.due_at, \
               last_day = excluded.last_day, ended_at = excluded.ended_at, \
               is_met = excluded.is_met, paused_days = excluded.paused_days, \
               policy = excluded.policy";
        write(sql).page(changed).execute(tx).await?;
    }
    Ok(())
}

fn deadlines_page(plans: &[(i64, Plan)], of: fn(&Plan) -> &Vec<RecordedDeadline>) -> Page {
    let mut page = Page::new(&[
        ("order_id", Kind::Int),
        ("subject", Kind::Text),
        ("ref", Kind::Text),
        ("window", Kind::Text),
        ("started_at", Kind::Int),
        ("due_at", Kind::Int),
        ("last_day", Kind::Text),
        ("ended_at", Kind::Int),
        ("is_met", Kind::Flag),
        ("paused_days", Kind::Int),
        ("policy", Kind::Text),
    ]);
    for (order_id, plan) in plans {
        for deadline in of(plan) {
            page.push([
                (*order_id).into(),
                deadline.subject.to_string().into(),
                (&deadline.subject_ref).into(),
                deadline.window.to_string().into(),
                deadline.started_at.into(),
                deadline.due_at.into(),
                deadline.last_day.map(|day| day.to_string()).into(),
                deadline.ended_at.into(),
                deadline.is_met.into(),
                deadline.paused_days.into(),
                deadline.policy.to_string().into(),
            ]);
        }
    }
    page
}
