//! What ops are told of: that customers' messages are held, and why.

use anyhow::Result;

use super::Run;
use crate::jobs::postbox;
use crate::mail::Trouble;
use crate::policy::Instant;
use crate::store::{self, Guard, Tx};

impl Run<'_> {
    /// Ops are told once that customers' notices are held.
    pub(super) async fn tell_of_guard(&self, guard: &Guard) -> Result<()> {
        let Some((since, reason)) = guard.held_since.zip(guard.held_reason.as_ref()) else {
            return Ok(());
        };
        let told = Trouble::Clock {
            reason: reason.clone(),
        };
        let mut tx = self.shop.store.write().await?;
        self.tell_ops(&mut tx, format!("held since {since}"), &told)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ops are told once that imports do not come any more.
    pub(super) async fn tell_of_feed(&self, guard: &Guard) -> Result<()> {
        let Some(since) = guard.feed_died_at else {
            return Ok(());
        };
        let mut tx = self.shop.store.write().await?;
        let key = format!("feed died at {since}");
        self.tell_ops(&mut tx, key, &Trouble::Feed).await?;
        Ok(tx.commit().await?)
    }

    /// Ops are told once that the database was restored, and what is held since.
    pub(super) async fn tell_of_restore(&self, guard: &Guard) -> Result<()> {
        let Some(restored) = guard.restored else {
            return Ok(());
        };
        let zone = self.rules.calendar.zone;
        let shown = |at: Instant| {
            let local = at.with_timezone(&zone);
            local.format("%Y-%m-%d %H:%M:%S %Z").to_string()
        };
        let told = Trouble::Restored {
            at: shown(restored.at),
            backup_at: shown(restored.backup_at),
        };
        let mut tx = self.shop.store.write().await?;
        let key = format!("restored at {}", restored.at);
        self.tell_ops(&mut tx, key, &told).await?;
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
        let told = Trouble::Surge {
            limit: limit as u64,
            held,
        };
        self.tell_ops(&mut tx, format!("surge at {}", self.now), &told)
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
        told: &Trouble,
    ) -> Result<()> {
        let config = &self.shop.config;
        let posted = postbox::tell_ops(tx, config, self.mail, &key, told, self.now).await?;
        self.count("composed", posted);
        Ok(())
    }
}
