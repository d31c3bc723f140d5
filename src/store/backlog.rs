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
        "FROM (SELECT cause FROM notices WHERE cause IN ('clock', 'feed', 'hold', 'surge', 'restored') \
               LIMIT {MOST_COUNTED}) AS few GROUP BY cause ORDER BY cause"
    );
    select("notices", ["cause AS name", "count(*) AS n"], rest)
}

/// The last run of a job that was done, be it in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDone {
    /// The job's name.
    pub job: String,
    /// Its slot, or when it began if that was later, or the newest slot that was
    /// given up if that is: the schedule goes on from there.
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
        let given_up = row.time_if_known("given_up")?;
        let started_at = row.time("started_at")?;
        let later = slot_at.max(given_up);
        Ok(LastDone {
            run_at: later.map_or(started_at, |later| later.max(started_at)),
            finished_at: row.time("finished_at")?,
            job: row.get("job")?,
        })
    };
    rows.into_iter().map(done).collect()
}

fn last_done(jobs: Page) -> Statement {
    let given_up = "(SELECT max(lost.slot_at) FROM job_runs AS lost \
          WHERE lost.job = job_runs.job AND lost.state = 'given_up') AS given_up";
    let columns = ["slot_at", "started_at", "finished_at", "job", given_up];
    let rest = "FROM job_runs WHERE id IN ( \
               SELECT (SELECT max(done.id) FROM job_runs AS done \
                        WHERE done.job = page.job AND done.state IN ('done', 'partial')) \
                 FROM {page} AS page) \
         ORDER BY job";
    select("job_runs", columns, rest).page(jobs)
}

#[cfg(test)]
mod tests {
    use super::super::engine::write;
    use super::super::{Store, slots_give_up};
    use super::*;

    #[tokio::test]
    async fn the_schedule_goes_on_behind_what_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let at = |day: u32| -> Instant {
            let text = format!("2026-01-{day:02}T06:00:00Z");
            text.parse().unwrap()
        };
        let mut tx = store.write().await.unwrap();
        let sql = "INSERT INTO job_runs (job, state, slot_at, started_at, finished_at) \
                   VALUES ('report', 'done', $1, $1, $2)";
        write(sql)
            .bind(at(1))
            .bind(at(2))
            .execute(&mut tx)
            .await
            .unwrap();
        for (given_up, expected) in [(None, at(1)), (Some(at(5)), at(5))] {
            if let Some(slot_at) = given_up {
                let counts = "{}";
                let kept = slots_give_up(&mut tx, "report", slot_at, counts, slot_at);
                assert!(kept.await.unwrap());
            }
            let done = runs_last_done(&mut tx, ["report", "import"]).await.unwrap();
            let (job, run_at, finished_at) = ("report".to_owned(), expected, at(2));
            let last = LastDone {
                job,
                run_at,
                finished_at,
            };
            assert_eq!(done, [last]);
        }
    }

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
                let is_scan = ["agenda", "messages", "notices", "job_runs", "done", "lost"]
                    .iter()
                    .any(|table| line.starts_with(&format!("SCAN {table}")));
                is_scan && !line.contains("COVERING INDEX")
            };
            assert_eq!(plan.iter().find(is_whole), None, "{plan:#?}");
        }
        assert_eq!(backlog(&mut tx, now).await.unwrap().cases_due, 0);
    }
}
