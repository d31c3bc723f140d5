//! What ops must know: looked for once a minute by the daemon, told by mail
//! through the outbox, and to a monitor outside, which needs neither mail nor
//! database ([`monitor`]).

mod course;
mod found;
pub(super) mod monitor;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use chrono_tz::Tz;

use self::course::{Course, course};
use self::found::{Seen, WAITS_FOR, found};
use super::backlog::undeliverable;
use super::disk::{Room, directory, room};
use super::postbox::tell_ops;
use super::{Counts, JOBS, Job, Shop};
use crate::config::{Config, Database, JobName, Transport};
use crate::mail::{EndedAlarm, LastingAlarm, Trouble};
use crate::policy::Instant;
use crate::store::{self, Alarm, Tx};

/// What a daily report counts windows by that have no start.
pub(super) const WITHOUT_START: &str = "without_start";

/// Looks at everything, writes to ops what they are to be told, and gives the
/// alarms that last. `late_since` says of a job that ran last at a time since
/// when a slot of its schedule waits.
pub async fn alarms(
    shop: &Shop,
    now: Instant,
    late_since: impl Fn(&Job, Instant) -> Option<Instant>,
) -> Result<Vec<Alarm>> {
    let shown = LocalTime(shop.config.calendar.zone);
    let repeat = shop.config.alarms.repeat;
    // A file system over a network may not answer.
    let config = Arc::clone(&shop.config);
    let disks = tokio::task::spawn_blocking(move || disks(&config)).await?;
    let mut tx = shop.store.read().await?;
    let seen = see(&mut tx, shop, now, late_since, disks).await?;
    let found = found(&seen, now, shown);
    let before = store::alarms_load(&mut tx).await?;
    drop(tx);
    if course(before.clone(), found.clone(), now, repeat).kept == before {
        return Ok(lasting(before));
    }
    let mut tx = shop.store.write().await?;
    // Another node may have told of it meanwhile.
    tx.alone("alarms").await?;
    let before = store::alarms_load(&mut tx).await?;
    let course = course(before, found, now, repeat);
    tell(&mut tx, shop, &course, now, shown).await?;
    store::alarms_write(&mut tx, &course.kept).await?;
    tx.commit().await?;
    for alarm in course.kept.iter().filter(|alarm| alarm.since == now) {
        tracing::warn!(alarm = alarm.name, detail = alarm.detail, "alarm");
    }
    Ok(lasting(course.kept))
}

/// Writes times as ops read them.
#[derive(Debug, Clone, Copy)]
struct LocalTime(Tz);

impl LocalTime {
    fn of(self, at: Instant) -> String {
        let local = at.with_timezone(&self.0);
        local.format("%Y-%m-%d %H:%M").to_string()
    }
}

/// The alarms that last, as they were last looked for.
pub(super) fn lasting(mut alarms: Vec<Alarm>) -> Vec<Alarm> {
    alarms.retain(|alarm| alarm.ended_at.is_none());
    alarms
}

async fn see(
    tx: &mut Tx<'_>,
    shop: &Shop,
    now: Instant,
    late_since: impl Fn(&Job, Instant) -> Option<Instant>,
    disks: Vec<(PathBuf, Room)>,
) -> Result<Seen> {
    let names = JOBS.map(|job| job.name.to_string());
    let jobs = store::job_standings(tx, &names).await?;
    let late = jobs.iter().filter_map(|standing| {
        let job = JOBS
            .iter()
            .find(|job| job.name.to_string() == standing.job)?;
        let since = late_since(job, standing.last_run?)?;
        Some((standing.job.clone(), since))
    });
    let late = late.collect();
    let (waiting, since) = store::messages_waiting_inside(tx, now - WAITS_FOR).await?;
    Ok(Seen {
        late,
        jobs,
        pause: store::mail_pause_load(tx).await?,
        waiting: since.map(|since| (waiting, since)),
        undeliverable: undeliverable(tx, &shop.config).await?,
        without_start: without_start(tx).await?,
        disks,
    })
}

async fn without_start(tx: &mut Tx<'_>) -> Result<(u64, u64)> {
    let counts = store::counts_latest(tx, &JobName::Report.to_string()).await?;
    let mut found = counts.iter().map(|counts| {
        let counts: Counts = serde_json::from_str(counts).unwrap_or_default();
        counts.get(WITHOUT_START).copied().unwrap_or(0)
    });
    Ok((found.next().unwrap_or(0), found.next().unwrap_or(0)))
}

/// The disks that the config names; one that cannot be asked is left out.
fn disks(config: &Config) -> Vec<(PathBuf, Room)> {
    // Whoever asks one that does not answer waits for good: that is one thread.
    static ASKING: Mutex<()> = Mutex::new(());
    let Ok(_asking) = ASKING.try_lock() else {
        return Vec::new();
    };
    let database = match &config.database {
        Database::Sqlite(file) => Some(directory(file)),
        Database::Postgres(_) => None,
    };
    let outbox = config.mail.as_ref().and_then(|mail| match &mail.transport {
        Transport::File { dir } => Some(dir.as_path()),
        Transport::Smtp { .. } => None,
    });
    let (reports, import) = (config.reports.dir.as_deref(), config.import_dir.as_deref());
    let named = [database, outbox, reports, import].into_iter().flatten();
    let mut seen = BTreeSet::new();
    let room = |path: &Path| Some((path.to_owned(), room(path)?));
    let rooms = named.filter_map(room);
    rooms.filter(|(_, room)| seen.insert(room.disk)).collect()
}

/// Puts one message to each of ops into the outbox, if there is anything to
/// tell.
async fn tell(
    tx: &mut Tx<'_>,
    shop: &Shop,
    course: &Course,
    now: Instant,
    shown: LocalTime,
) -> Result<()> {
    let Course { lasting, over, .. } = course;
    let Some(mail) = &shop.config.mail else {
        return Ok(());
    };
    if lasting.is_empty() && over.is_empty() {
        return Ok(());
    }
    let lasting = lasting.iter().map(|alarm| LastingAlarm {
        name: alarm.name.clone(),
        detail: alarm.detail.clone(),
        since: shown.of(alarm.since),
    });
    let over = over.iter().map(|alarm| EndedAlarm {
        name: alarm.name.clone(),
        ended_at: alarm.ended_at.map(|at| shown.of(at)).unwrap_or_default(),
    });
    let told = Trouble::Alarms {
        lasting: lasting.collect(),
        over: over.collect(),
    };
    let key = format!("alarms at {now}");
    tell_ops(tx, &shop.config, mail, &key, &told, now).await?;
    Ok(())
}
