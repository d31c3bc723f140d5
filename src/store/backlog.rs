//! What waits, for whoever looks often: each number is read off an index, and
//! counted up to a bound.

use super::StoreError;
use super::engine::{Page, Row, Statement, Tx, select};
use super::notices::counts;
use crate::policy::Instant;

/// Nothing is counted further than this.
pub const MOST_COUNTED: i64 = 100_000;

/// The states that messages wait in, or wait for somebody in.
const WAITING: [&str; 5] = ["ready", "sending", "uncertain", "held", "failed"];

/// What waits at a time. Numbers end at [`MOST_COUNTED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Cases whose time has come, or of which a fact changed.
    pub cases_due: i64,
    /// The earliest of the times that have come.
    pub cases_due_since: Option<Instant>,
    /// Messages by state, but those that are done with.
    pub messages: Vec<(String, i64)>,
    /// Since when the longest waiting message could be sent.
    pub messages_due_since: Option<Instant>,
    /// Notices that are in no message yet.
    pub notices_queued: i64,
    /// Customers' notices that are held, by cause.
    pub notices_held: Vec<(String, i64)>,
}

/// Reads what waits.
pub async fn backlog(tx: &mut Tx<'_>, now: Instant) -> Result<Backlog, StoreError> {
    let mut row = waiting(now).one(tx).await?;
    let cases_due = row.get("cases_due")?;
    let notices_queued = row.get("notices_queued")?;
    let cases_due_since = row.time_if_known("cases_due_since")?;
    let messages_due_since = row.time_if_known("messages_due_since")?;
    let count = |state: &&'static str| Ok(((*state).to_owned(), row.get(state)?));
    let messages = WAITING
        .iter()
        .map(count)
        .collect::<Result<_, StoreError>>()?;
    Ok(Backlog {
        cases_due,
        cases_due_since,
        messages,
        messages_due_since,
        notices_queued,
        notices_held: counts(held(), tx).await?,
    })
}

fn waiting(now: Instant) -> Statement {
    let few = |name: &str, rows: &str| {
        format!(
            "(SELECT count(*) FROM (SELECT 1 AS one FROM {rows} LIMIT {MOST_COUNTED}) AS few) \
             AS {name}"
        )
    };
    let mut columns = vec![
        few("cases_due", "agenda WHERE next_at <= $1"),
        few("notices_queued", "notices WHERE disposition = 'queued'"),
        "(SELECT min(next_at) FROM agenda WHERE next_at > 0 AND next_at <= $1) AS cases_due_since"
            .to_owned(),
        "(SELECT min(next_try_at) FROM messages WHERE state = 'ready' AND next_try_at <= $1) \
         AS messages_due_since"
            .to_owned(),
    ];
    let messages = |state: &&str| few(state, &format!("messages WHERE state = '{state}'"));
    columns.extend(WAITING.iter().map(messages));
    select("agenda", columns, "").bind(now)
}

fn held() -> Statement {
    let rest = format!(
        "FROM (SELECT cause FROM notices WHERE cause IN ('clock', 'feed', 'hold', 'surge') \
               LIMIT {MOST_COUNTED}) AS few GROUP BY cause ORDER BY cause"
    );
    select("notices", ["cause AS name", "count(*) AS n"], rest)
}

/// The last run of a job that was done, be it in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDone {
    /// The job's name.
    pub job: String,
    /// Its slot, or when it began if that was later: its schedule goes on from
    /// there.
    pub run_at: Instant,
    /// When it ended.
    pub finished_at: Instant,
}

/// The last runs of jobs that were done; a job of which none was is left out.
pub async fn runs_last_done(
    tx: &mut Tx<'_>,
    jobs: impl IntoIterator<Item = &str>,
) -> Result<Vec<LastDone>, StoreError> {
    let rows = last_done(Page::of_texts("job", jobs)).rows(tx).await?;
    let done = |mut row: Row| {
        let slot_at = row.time_if_known("slot_at")?;
        let started_at = row.time("started_at")?;
        Ok(LastDone {
            run_at: slot_at.map_or(started_at, |slot_at| slot_at.max(started_at)),
            finished_at: row.time("finished_at")?,
            job: row.get("job")?,
        })
    };
    rows.into_iter().map(done).collect()
}

fn last_done(jobs: Page) -> Statement {
    let columns = ["slot_at", "started_at", "finished_at", "job"];
    let rest = "FROM job_runs WHERE id IN ( \
               SELECT (SELECT max(done.id) FROM job_runs AS done \
                        WHERE done.job = page.job AND done.state IN ('done', 'partial')) \
                 FROM {page} AS page) \
         ORDER BY job";
    select("job_runs", columns, rest).page(jobs)
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[tokio::test]
    async fn nothing_is_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let jobs = Page::of_texts("job", ["enforce"]);
        for query in [waiting(now), held(), last_done(jobs)] {
            let plan = query.plan(&mut tx).await.unwrap();
            // A part of an index, or one of just the rows that are meant.
            let is_whole = |line: &&String| {
                let is_scan = ["agenda", "messages", "notices", "job_runs", "done"]
                    .iter()
                    .any(|table| line.starts_with(&format!("SCAN {table}")));
                is_scan && !line.contains("COVERING INDEX")
            };
            assert_eq!(plan.iter().find(is_whole), None, "{plan:#?}");
        }
        assert_eq!(backlog(&mut tx, now).await.unwrap().cases_due, 0);
    }
}
