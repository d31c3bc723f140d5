//! From groups of notices to messages.

use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;
use tokio::task::{JoinHandle, spawn_blocking};

use super::group::Group;
use crate::case::is_reminder;
use crate::config::{Config, Mail};
use crate::jobs::postbox::{Parcel, Sender, letters, shop as letterhead};
use crate::mail::{Letters, NOTICES_PER_LETTER, NoticeText, Shop};
use crate::policy::{Audience, Instant};
use crate::store::{MessageDraft, MessageKind};

/// Writes the letters of a run.
#[derive(Debug, Clone)]
pub(super) struct Writer(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    letters: Letters,
    letterhead: Shop,
    sender: Sender,
    today: NaiveDate,
    now: Instant,
}

/// Messages that are being written.
pub(super) type Writing = JoinHandle<Written>;

/// Messages, each with the notices that it carries.
#[derive(Default)]
pub(super) struct Written {
    pub messages: Vec<(MessageDraft, Vec<i64>)>,
    /// How many could not be composed.
    pub failed: u64,
}

impl Writer {
    /// `today` is the business's date of the run.
    pub fn new(config: &Config, mail: &Mail, today: NaiveDate, now: Instant) -> Result<Self> {
        Ok(Self(Arc::new(Desk {
            letters: letters(config)?,
            letterhead: letterhead(config),
            sender: Sender::new(config, mail)?,
            today,
            now,
        })))
    }

    /// Begins to write the messages to some recipients.
    pub fn begin(&self, groups: Vec<Group>) -> Writing {
        let desk = Arc::clone(&self.0);
        spawn_blocking(move || desk.written(&groups))
    }
}

impl Desk {
    fn written(&self, groups: &[Group]) -> Written {
        let mut written = Written::default();
        for group in groups {
            for part in group.notices.chunks(NOTICES_PER_LETTER) {
                let (notice_ids, texts): (Vec<i64>, Vec<_>) = part.iter().cloned().unzip();
                match self.message(group, &notice_ids, &texts) {
                    Ok(message) => written.messages.push((message, notice_ids)),
                    Err(error) => {
                        tracing::error!(%error, ?notice_ids, "a letter cannot be composed");
                        written.failed += 1;
                    }
                }
            }
        }
        written
    }

    fn message(
        &self,
        group: &Group,
        notice_ids: &[i64],
        texts: &[NoticeText],
    ) -> Result<MessageDraft> {
        let letters = &self.letters;
        let letter = letters.compose(&self.letterhead, &group.addressee, self.today, texts)?;
        // What an opt-out stops.
        let is_refusable = |text: &NoticeText| {
            text.audience == Audience::Customer && is_reminder(text.window, text.step)
        };
        let parcel = Parcel {
            kind: MessageKind::Notices,
            audience: group.audience.into(),
            is_reminder: texts.iter().all(is_refusable),
            key: format!("at {}", self.now),
            notice_ids,
            to: group.to.clone(),
            letter: &letter,
            attachments: &[],
        };
        self.sender.message(parcel, self.now)
    }
}
