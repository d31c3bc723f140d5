//! What runs, what is late, what is stuck.

use anyhow::Result;

use super::Shop;
use super::book::rules;
use crate::policy::Instant;
use crate::store::{self, AgendaSummary, Guard, JobRun, MailPause};

/// The state of the whole.
#[derive(Debug)]
pub struct Status {
    /// The newest run of each job.
    pub runs: Vec<JobRun>,
    /// The cases.
    pub agenda: AgendaSummary,
    /// Up to when was enforced, and whether customers are held.
    pub guard: Guard,
    /// When an import was last completed.
    pub imported_at: Option<Instant>,
    /// Notices by disposition.
    pub notices: Vec<(String, i64)>,
    /// Notices that are held, by cause.
    pub held: Vec<(String, i64)>,
    /// Messages by state.
    pub messages: Vec<(String, i64)>,
    /// Reports on messages that came back, by kind.
    pub bounces: Vec<(String, i64)>,
    /// How many addresses no mail goes to.
    pub undeliverable: i64,
    /// Since when the mail server cannot be used.
    pub mail_pause: Option<MailPause>,
    /// Whether the rules changed and nothing was enforced under them yet.
    pub rules_changed: bool,
}

/// Reads the state.
pub async fn status(shop: &Shop, now: Instant) -> Result<Status> {
    let mut tx = shop.store.read().await?;
    let rules_id = rules(shop, &mut tx).await?.rules_id;
    let (bounces, undeliverable) = store::bounce_counts(&mut tx).await?;
    Ok(Status {
        bounces,
        undeliverable,
        runs: store::runs_latest(&mut tx).await?,
        agenda: store::agenda_summary(&mut tx, now, rules_id.unwrap_or(i64::MAX)).await?,
        guard: store::guard_load(&mut tx).await?,
        imported_at: store::feed_load(&mut tx).await?,
        notices: store::notice_counts(&mut tx).await?,
        held: store::held_counts(&mut tx).await?,
        messages: store::message_counts(&mut tx).await?,
        mail_pause: store::mail_pause_load(&mut tx).await?,
        rules_changed: rules_id.is_none(),
    })
}

/// The jobs whose newest run failed, and why; what is switched off is not
/// looked for.
pub async fn failed(shop: &Shop) -> Result<Vec<(String, String)>> {
    let is_on = |job: &str| {
        let settings = job.parse().ok().and_then(|job| shop.config.jobs.get(&job));
        settings.is_some_and(|settings| settings.enabled)
    };
    let mut tx = shop.store.read().await?;
    let runs = store::runs_latest(&mut tx).await?.into_iter();
    let failed = runs.filter_map(|run| Some((run.job, run.error?)));
    Ok(failed.filter(|(job, _)| is_on(job)).collect())
}

impl Status {
    /// What there is to say beside the jobs: name and value.
    pub fn lines(&self, local: impl Fn(Instant) -> String) -> Vec<(&'static str, String)> {
        let AgendaSummary {
            orders,
            open,
            due,
            stale,
            failing,
        } = self.agenda;
        let counted = |counts: &[(String, i64)]| {
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            if counts.is_empty() {
                "none".to_owned()
            } else {
                counts.join(", ")
            }
        };
        let enforced = self.guard.last_at.map_or("never".to_owned(), &local);
        let imported = self.imported_at.map_or("never".to_owned(), &local);
        let mut lines = vec![
            ("last import", imported),
            ("enforced up to", enforced),
            (
                "orders",
                format!("{orders}, {open} open, {due} due to be looked at"),
            ),
            ("notices", counted(&self.notices)),
            ("messages", counted(&self.messages)),
        ];
        if !self.bounces.is_empty() {
            let (bounces, addresses) = (counted(&self.bounces), self.undeliverable);
            lines.push((
                "came back",
                format!("{bounces}; no notices go to {addresses} addresses"),
            ));
        }
        if !self.held.is_empty() {
            let why = "`mail list --held` says why";
            lines.push(("held", format!("{}: {why}", counted(&self.held))));
        }
        if stale > 0 {
            lines.push((
                "older rules",
                format!("{stale} open orders wait to be looked at again"),
            ));
        }
        if failing > 0 {
            let what = "cannot be evaluated: `report exceptions` says why";
            lines.push(("failing", format!("{failing} orders {what}")));
        }
        if let Some(since) = self.guard.held_since {
            let reason = self.guard.held_reason.as_deref().unwrap_or("");
            lines.push((
                "customers held",
                format!("since {}: {reason}", local(since)),
            ));
        }
        if let Some(since) = self.guard.feed_died_at {
            let why = "no import was completed for import.max_age";
            lines.push(("delays held", format!("since {}: {why}", local(since))));
        }
        if let Some(pause) = &self.mail_pause {
            let (since, next) = (local(pause.since), local(pause.next_try_at));
            let line = format!(
                "paused since {since}: {}; tried again at {next}",
                pause.cause
            );
            lines.push(("mail", line));
        }
        lines
    }
}
