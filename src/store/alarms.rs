//! What ops are told of while it lasts, and what shows that it does.

use super::StoreError;
use super::engine::{Kind, Page, Row, Tx, select, write};
use crate::policy::Instant;

/// Something that is wrong, or was until lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What, in a few words.
    pub name: String,
    /// Why, and what to do.
    pub detail: String,
    /// Since when.
    pub since: Instant,
    /// Since when it is not found any more; `None`: it lasts.
    pub ended_at: Option<Instant>,
    /// When ops were last written to about it.
    pub told_at: Option<Instant>,
    /// Whether ops know that it is over.
    pub over_told: bool,
}

/// All alarms, by name.
pub async fn alarms_load(tx: &mut Tx<'_>) -> Result<Vec<Alarm>, StoreError> {
    let columns = [
        "name",
        "detail",
        "since",
        "ended_at",
        "told_at",
        "over_told",
    ];
    let alarm = |mut row: Row| {
        Ok(Alarm {
            name: row.get("name")?,
            detail: row.get("detail")?,
            since: row.time("since")?,
            ended_at: row.time_if_known("ended_at")?,
            told_at: row.time_if_known("told_at")?,
            over_told: row.flag("over_told")?,
        })
    };
    let query = select("alarms", columns, "FROM alarms ORDER BY name");
    query.rows(tx).await?.into_iter().map(alarm).collect()
}

/// Puts alarms in the place of those that are kept.
pub async fn alarms_write(tx: &mut Tx<'_>, alarms: &[Alarm]) -> Result<(), StoreError> {
    write("DELETE FROM alarms").execute(tx).await?;
    let mut page = Page::new(&[
        ("name", Kind::Text),
        ("detail", Kind::Text),
        ("since", Kind::Int),
        ("ended_at", Kind::Int),
        ("told_at", Kind::Int),
        ("over_told", Kind::Flag),
    ]);
    for alarm in alarms {
        page.push([
            (&alarm.name).into(),
            (&alarm.detail).into(),
            alarm.since.into(),
            alarm.ended_at.into(),
            alarm.told_at.into(),
            alarm.over_told.into(),
        ]);
    }
    let sql = "INSERT INTO alarms (name, detail, since, ended_at, told_at, over_told) \
               SELECT name, detail, since, ended_at, told_at, over_told FROM {page} AS page";
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// How a job has fared lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStanding {
    /// The job's name.
    pub job: String,
    /// The slot of the run that began last, or when it began; or of what was
    /// given up since.
    pub last_run: Option<Instant>,
    /// If the run that ended last failed: when the first of those in a row
    /// that did ended, and why the last one failed.
    pub failing: Option<(Instant, String)>,
}

/// How some jobs have fared; one that never ran has no row.
pub async fn job_standings(
    tx: &mut Tx<'_>,
    jobs: &[String],
) -> Result<Vec<JobStanding>, StoreError> {
    let columns = [
        "page.job",
        "begun.slot_at",
        "begun.started_at",
        "ended.error",
        "(SELECT min(f.finished_at) FROM job_runs AS f WHERE f.job = page.job \
            AND f.state = 'failed' AND f.id > coalesce( \
                (SELECT g.id FROM job_runs AS g WHERE g.job = page.job \
                    AND g.state IN ('done', 'partial') ORDER BY g.id DESC LIMIT 1), 0)) \
         AS failing_since",
    ];
    let rest = "FROM {page} AS page {then} job_runs AS begun ON begun.id = ( \
               SELECT r.id FROM job_runs AS r WHERE r.job = page.job \
                  AND (r.started_at IS NOT NULL OR r.state = 'given_up') ORDER BY r.id DESC LIMIT 1) \
          LEFT JOIN job_runs AS ended ON ended.id = ( \
               SELECT r.id FROM job_runs AS r WHERE r.job = page.job \
                  AND r.finished_at IS NOT NULL ORDER BY r.id DESC LIMIT 1)";
    let standing = |mut row: Row| {
        let (started_at, slot_at) = (
            row.time_if_known("started_at")?,
            row.time_if_known("slot_at")?,
        );
        let error: Option<String> = row.get("error")?;
        Ok(JobStanding {
            job: row.get("job")?,
            last_run: slot_at.max(started_at),
            failing: row.time_if_known("failing_since")?.zip(error),
        })
    };
    let page = Page::of_texts("job", jobs.iter().map(String::as_str));
    let query = select("job_runs", columns, rest).page(page);
    query.rows(tx).await?.into_iter().map(standing).collect()
}

/// How many messages inside the shop that were composed before a time wait
/// still, and since when the oldest does.
pub async fn messages_waiting_inside(
    tx: &mut Tx<'_>,
    before: Instant,
) -> Result<(i64, Option<Instant>), StoreError> {
    let columns = ["count(*) AS n", "min(composed_at) AS composed_at"];
    let rest = "FROM messages WHERE state = 'ready' AND audience <> 'customer' \
                AND composed_at < $1";
    let mut row = select("messages", columns, rest)
        .bind(before)
        .one(tx)
        .await?;
    Ok((row.get("n")?, row.time_if_known("composed_at")?))
}

/// What the last two runs of a job that were done counted, as JSON, the newest
/// first.
pub async fn counts_latest(tx: &mut Tx<'_>, job: &str) -> Result<Vec<String>, StoreError> {
    let rest = "FROM job_runs WHERE job = $1 AND state IN ('done', 'partial') \
                ORDER BY id DESC LIMIT 2";
    let query = select("job_runs", ["counts"], rest);
    query.bind(job).values(tx).await
}
