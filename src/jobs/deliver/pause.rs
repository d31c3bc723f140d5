//! A mail server that cannot be used: whoever looks at `status` sees it, and
//! the daemon tries it again every minute; one that refuses us, after longer
//! and longer. Its faults use up no message's try.

use anyhow::Result;
use chrono::TimeDelta;

use super::Run;
use crate::mail::{Blame, Delivery, Trouble};
use crate::policy::Instant;
use crate::store::{self, MailPause, Tx};

/// The wait of the daemon; where it is refused, it doubles up to the longest.
const FIRST: TimeDelta = TimeDelta::minutes(1);
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// Slots of the schedule do not begin on the second.
const TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// What a run learnt of the server.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The server dealt with a message.
    is_well: bool,
    /// It cannot be used.
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Fault {
    cause: String,
    /// Whether it refuses us, and may lock us out if we ask too often.
    is_refusal: bool,
}

impl Health {
    /// Learns from what came of a message. A message that is refused for good
    /// may have met no server.
    pub fn learn(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::NotSent {
                cause,
                blame: blame @ (Blame::Transport | Blame::Us),
            } => {
                self.fault = Some(Fault {
                    cause: cause.clone(),
                    is_refusal: *blame == Blame::Us,
                });
            }
            Delivery::RefusedForGood { .. } => {}
            _ => self.is_well = true,
        }
    }
}

/// Whether the daemon leaves the server alone. A time further away than the
/// longest wait is that of a clock that was wrong.
pub(super) fn is_left_alone(pause: &MailPause, now: Instant) -> bool {
    let left = pause.next_try_at - now;
    TOLERANCE < left && left <= LONGEST
}

/// The pause after one more run that met a fault.
fn next(before: Option<&MailPause>, fault: Fault, now: Instant) -> MailPause {
    let refusals = before.map_or(0, |before| before.refusals);
    let refusals = if fault.is_refusal { refusals + 1 } else { 0 };
    let doublings = u32::try_from(refusals - 1).unwrap_or(0).min(4);
    MailPause {
        since: before.map_or(now, |before| before.since),
        cause: fault.cause,
        refusals,
        next_try_at: now + (FIRST * 2_i32.pow(doublings)).min(LONGEST),
    }
}

impl Run<'_> {
    /// Keeps what the run learnt of the server. Ops are told of a long pause
    /// once it is over: no mail goes out before.
    pub(super) async fn keep_health(&self) -> Result<()> {
        let Health { is_well, fault } = std::mem::take(&mut *self.health());
        if fault.is_none() && !(is_well && self.is_paused().await?) {
            return Ok(());
        }
        let mut tx = self.shop.store.write().await?;
        // What another node has found meanwhile is added to, not written over.
        tx.alone("pause").await?;
        let before = store::mail_pause_load(&mut tx).await?;
        let before = before.as_ref();
        let ended = before.filter(|_| is_well);
        if let Some(ended) = ended.filter(|ended| self.now - ended.since >= LONGEST) {
            self.tell_of_pause(&mut tx, ended).await?;
        }
        match fault {
            Some(fault) => {
                let pause = next(before.filter(|_| !is_well), fault, self.now);
                store::mail_pause_write(&mut tx, &pause).await?;
            }
            None => store::mail_pause_end(&mut tx).await?,
        }
        Ok(tx.commit().await?)
    }

    async fn is_paused(&self) -> Result<bool> {
        let mut tx = self.shop.store.read().await?;
        Ok(store::mail_pause_load(&mut tx).await?.is_some())
    }

    async fn tell_of_pause(&self, tx: &mut Tx<'_>, pause: &MailPause) -> Result<()> {
        let shown = |at: Instant| {
            let local = at.with_timezone(&self.rules.calendar.zone);
            local.format("%Y-%m-%d %H:%M %Z").to_string()
        };
        let told = Trouble::Paused {
            since: shown(pause.since),
            until: shown(self.now),
            cause: pause.cause.clone(),
        };
        let key = format!("paused since {}", pause.since);
        self.tell_ops(tx, key, &told).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_a_row_double_the_wait_and_other_faults_do_not() {
        let first: Instant = "2026-01-01T10:00:00Z".parse().unwrap();
        let (mut pause, mut now, mut waits) = (None, first, Vec::new());
        let faults = [[true; 7].as_slice(), &[false, false, false, true, true]].concat();
        for is_refusal in faults {
            let fault = Fault {
                cause: "down".to_owned(),
                is_refusal,
            };
            let next = next(pause.as_ref(), fault, now);
            assert!(is_left_alone(&next, now));
            assert!(!is_left_alone(&next, next.next_try_at - TOLERANCE));
            assert!(!is_left_alone(&next, now - TimeDelta::hours(1)));
            waits.push((next.next_try_at - now).num_minutes());
            now = next.next_try_at;
            pause = Some(next);
        }
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15, 1, 1, 1, 1, 2]);
        assert_eq!(pause.unwrap().since, first);
    }
}
