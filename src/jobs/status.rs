//! What runs, what is late, what is stuck.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::alarms::lasting;
use super::book::rules;
use super::{Counts, GivenUp, Shop, number_of};
use crate::policy::Instant;
use crate::store::{self, AgendaSummary, Alarm, Guard, JobRun, MailPause};

/// The state of the whole.
#[derive(Debug)]
pub struct Status {
    /// The newest run of each job.
    pub runs: Vec<JobRun>,
    /// The slots of a job that were given up, as far as its runs are kept.
    pub given_up: BTreeMap<String, GivenUp>,
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
    /// What ops are told of while it lasts.
    pub alarms: Vec<Alarm>,
    /// Whether the rules changed and nothing was enforced under them yet.
    pub rules_changed: bool,
}

/// Reads the state.
pub async fn status(shop: &Shop, now: Instant) -> Result<Status> {
    let mut tx = shop.store.read().await?;
    let in_force = rules(shop, &mut tx).await?.rules_id;
    let rules_id = in_force.unwrap_or(i64::MAX);
    let guard = store::guard_load(&mut tx).await?;
    let (bounces, undeliverable) = store::bounce_counts(&mut tx).await?;
    Ok(Status {
        bounces,
        undeliverable,
        runs: store::runs_latest(&mut tx).await?,
        given_up: given_up(store::runs_given_up(&mut tx).await?)?,
        agenda: store::agenda_summary(&mut tx, now, rules_id, guard.last_at).await?,
        guard,
        imported_at: store::feed_load(&mut tx).await?,
        notices: store::notice_counts(&mut tx).await?,
        held: store::held_counts(&mut tx).await?,
        messages: store::message_counts(&mut tx).await?,
        mail_pause: store::mail_pause_load(&mut tx).await?,
        alarms: lasting(store::alarms_load(&mut tx).await?),
        rules_changed: in_force.is_none(),
    })
}

/// Adds up what was given up of each job.
fn given_up(runs: Vec<JobRun>) -> Result<BTreeMap<String, GivenUp>> {
    let mut all = BTreeMap::new();
    for run in runs {
        let Some(slot_at) = run.slot_at else { continue };
        let counts: Counts = serde_json::from_str(&run.counts)
            .with_context(|| format!("job_runs.counts of row {}", run.id))?;
        let given_up = all.entry(run.job).or_insert(GivenUp { slot_at, slots: 0 });
        given_up.slot_at = slot_at;
        given_up.slots += counts.get("given_up").copied().unwrap_or(0);
    }
    Ok(all)
}

/// The jobs that are on and whose last run failed, and why.
pub async fn failed(shop: &Shop) -> Result<Vec<(String, String)>> {
    let jobs = shop.config.jobs.iter();
    let on = jobs.filter(|(_, settings)| settings.enabled);
    let on: Vec<String> = on.map(|(job, _)| job.to_string()).collect();
    let mut tx = shop.store.read().await?;
    let standings = store::job_standings(&mut tx, &on).await?.into_iter();
    let failed = standings.filter_map(|standing| Some((standing.job, standing.failing?.1)));
    Ok(failed.collect())
}

impl Status {
    /// What waits for the next runs: notices to be composed.
    pub fn queued(&self) -> i64 {
        count_of(&self.notices, "queued")
    }

    /// Messages that wait to be sent.
    pub fn ready(&self) -> i64 {
        count_of(&self.messages, "ready")
    }

    /// What there is to say beside the jobs: name and value.
    pub fn lines(&self, local: impl Fn(Instant) -> String) -> Vec<(&'static str, String)> {
        let AgendaSummary {
            orders,
            open,
            due,
            overdue,
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
            ("orders", format!("{orders}, {open} open")),
            (
                "backlog",
                format!(
                    "{} due, {overdue} of them overdue; {} queued; {} ready",
                    number_of(due, "order"),
                    number_of(self.queued(), "notice"),
                    number_of(self.ready(), "message")
                ),
            ),
            ("notices", counted(&self.notices)),
            ("messages", counted(&self.messages)),
        ];
        for (job, GivenUp { slot_at, slots }) in &self.given_up {
            let newest = local(*slot_at);
            lines.push((
                "given up",
                format!(
                    "{} of {job}, the newest of {newest}",
                    number_of(*slots, "missed slot")
                ),
            ));
        }
        if !self.bounces.is_empty() {
            let (bounces, addresses) = (counted(&self.bounces), self.undeliverable);
            lines.push((
                "came back",
                format!("{bounces}; addresses that no notices go to: {addresses}"),
            ));
        }
        if !self.held.is_empty() {
            let why = "`mail list --held` says why";
            lines.push(("held", format!("{}: {why}", counted(&self.held))));
        }
        if stale > 0 {
            lines.push((
                "older rules",
                format!("to be looked at again: {}", number_of(stale, "open order")),
            ));
        }
        if failing > 0 {
            let what = "cannot be evaluated: `report exceptions` says why";
            lines.push(("failing", format!("{} {what}", number_of(failing, "order"))));
        }
        if let Some(since) = self.guard.held_since {
            let reason = self.guard.held_reason.as_deref().unwrap_or("");
            lines.push((
                "customers held",
                format!("since {}: {reason}", local(since)),
            ));
        }
        if let Some(restored) = self.guard.restored {
            let (at, backup_at) = (local(restored.at), local(restored.backup_at));
            let what = format!("at {at} from a backup of {backup_at}: customers' mail is held");
            lines.push(("restored", format!("{what} until `mail release`")));
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
        for alarm in &self.alarms {
            let (name, since) = (&alarm.name, local(alarm.since));
            lines.push((
                "alarm",
                format!("{name}, noticed at {since}: {}", alarm.detail),
            ));
        }
        lines
    }
}

fn count_of(counts: &[(String, i64)], name: &str) -> i64 {
    let found = counts.iter().find(|(found, _)| found == name);
    found.map_or(0, |(_, count)| *count)
}
