//! What ops are told of: that customers' messages are held, and why.

use anyhow::Result;

use super::Run;
use crate::jobs::postbox;
use crate::policy::Instant;
use crate::store::{self, Guard, Tx};

impl Run<'_> {
    /// Ops are told once that customers' notices are held.
    pub(super) async fn tell_of_guard(&self, guard: &Guard) -> Result<()> {
        let Some((since, reason)) = guard.held_since.zip(guard.held_reason.as_ref()) else {
            return Ok(());
        };
        let lines = [
            format!("Why: {reason}."),
            "Customers' messages are held; those inside the shop go out.".to_owned(),
            "If the clock is right, run `warrantyd run enforce --at now`: it lets them go. If it \
             is wrong, set it first."
                .to_owned(),
        ];
        let mut tx = self.shop.store.write().await?;
        let subject = "Customers' messages are held: the clock has jumped";
        self.tell_ops(&mut tx, format!("held since {since}"), subject, &lines)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ops are told once that imports do not come any more.
    pub(super) async fn tell_of_feed(&self, guard: &Guard) -> Result<()> {
        let Some(since) = guard.feed_died_at else {
            return Ok(());
        };
        let lines = [
            "No import was completed for import.max_age, so what looks late may only not have \
             been entered."
                .to_owned(),
            "Customers' notices of delays and outcomes are held. Reminders of warranties, and \
             messages inside the shop, go out."
                .to_owned(),
            "See what became of the import: `warrantyd status`. The first `enforce` after the \
             next import lets go what is still true."
                .to_owned(),
        ];
        let mut tx = self.shop.store.write().await?;
        let subject = "Customers' notices of delays are held: no import comes";
        self.tell_ops(&mut tx, format!("feed died at {since}"), subject, &lines)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ops are told once that the database was restored, and what is held since.
    pub(super) async fn tell_of_restore(&self, guard: &Guard) -> Result<()> {
        let Some(restored) = guard.restored else {
            return Ok(());
        };
        let zone = self.rules.calendar.zone;
        let shown = |at: Instant| at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z");
        let (at, backup_at) = (shown(restored.at), shown(restored.backup_at));
        let lines = [
            format!(
                "The database was restored at {at} from a backup of {backup_at}. What was sent \
                 to customers between these two it does not know."
            ),
            "So all that waits for customers, and all that comes due for them, is held. Messages \
             inside the shop go out, some of them for the second time."
                .to_owned(),
            "Import again what was imported since the backup, and record again what was recorded \
             by hand. Then look at `warrantyd mail list --held`: `warrantyd mail discard --ref \
             REF` gives up what a customer has got already, `warrantyd mail release` lets go all \
             the rest and ends this."
                .to_owned(),
        ];
        let mut tx = self.shop.store.write().await?;
        let subject = "Customers' messages are held: the database was restored";
        let key = format!("restored at {}", restored.at);
        self.tell_ops(&mut tx, key, subject, &lines).await?;
        Ok(tx.commit().await?)
    }

    /// Holds all that this run would send to customers, if it is more than is
    /// believed without asking, and tells ops. Gives the newest message that it
    /// has counted.
    pub(super) async fn hold_surge(&self) -> Result<i64> {
        if !self.customers_too {
            return Ok(0);
        }
        let limit = self.mail.surge_limit;
        let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let mut tx = self.shop.store.write().await?;
        // Nobody composes meanwhile.
        tx.alone("compose").await?;
        let newest = store::message_newest(&mut tx).await?;
        if store::surge_count(&mut tx, self.now, more).await? < more {
            tx.commit().await?;
            return Ok(newest);
        }
        // Nor decides.
        store::guard_take(&mut tx).await?;
        let held = store::surge_hold(&mut tx, self.now).await?;
        let lines = [
            format!(
                "`deliver` would have sent more than {limit} messages to customers at once \
                 (mail.surge_limit): {held} notices are held, and none of them was sent. Messages \
                 inside the shop go out."
            ),
            "`warrantyd mail list --held` shows whom they are for, `warrantyd report notices` \
             what they say."
                .to_owned(),
            "`warrantyd mail release` lets them go, with the next `deliver`; `warrantyd mail \
             discard` gives them up for ever. Both take --ref REF for those of one customer or \
             order."
                .to_owned(),
        ];
        let subject = "Customers' messages are held: too many at once";
        self.tell_ops(&mut tx, format!("surge at {}", self.now), subject, &lines)
            .await?;
        tx.commit().await?;
        tracing::warn!(limit, held, "too many messages to customers at once: held");
        self.count("held", held);
        Ok(newest)
    }

    /// Puts a message to each of ops into the outbox; the same key tells once.
    pub(super) async fn tell_ops(
        &self,
        tx: &mut Tx<'_>,
        key: String,
        subject: &str,
        lines: &[String],
    ) -> Result<()> {
        let (config, said) = (&self.shop.config, (subject, lines));
        let posted = postbox::tell_ops(tx, config, self.mail, &key, said, self.now).await?;
        self.count("composed", posted);
        Ok(())
    }
}
