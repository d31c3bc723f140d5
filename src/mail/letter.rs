//! Notices become a letter: one greeting, a section for each notice, one end.

use std::path::Path;

use chrono::NaiveDate;

use crate::policy::{Audience, Step};

use super::layout::Section;
use super::notice::{Addressee, NoticeText, Shop};
use super::scribe::Scribe;
use super::templates::{TemplateError, Templates};
use super::text::one_line;

/// The most notices that one letter tells: more would grow past the 100 kB at
/// which mail programs cut a message off.
pub const NOTICES_PER_LETTER: usize = 30;

/// A message's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line, at most 120 characters.
    pub subject: String,
    /// The plain text part, lines of at most 72 characters where words allow it.
    pub text: String,
    /// The HTML part: a whole document.
    pub html: String,
}

/// A letter that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Nothing or too much to tell.
    #[error("{0} notices for one letter: expected 1 to {NOTICES_PER_LETTER}")]
    Count(usize),
    /// A step of a window that does not say of which, or until when.
    #[error("notice `{step}` on {subject_ref}: a step needs its window and the last day")]
    NoLastDay {
        /// The step.
        step: Step,
        /// What the notice is about.
        subject_ref: String,
    },
    /// What is told inside the shop must not reach a customer.
    #[error(
        "notice `{step}` on {subject_ref} is for {audience}: expected only notices for the customer"
    )]
    NotForCustomer {
        /// The step.
        step: Step,
        /// What the notice is about.
        subject_ref: String,
        /// Whom it is for.
        audience: Audience,
    },
    /// A template that does not fit its values.
    #[error("template: {0}")]
    Template(#[from] minijinja::Error),
}

/// Writes letters.
#[derive(Debug)]
pub struct Letters(Templates);

impl Letters {
    /// Reads the built-in templates, and those of a directory in their place.
    pub fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        Ok(Self(Templates::load(dir)?))
    }

    /// The locales that there are letters in.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.0.locales()
    }

    /// One letter for 1 to [`NOTICES_PER_LETTER`] notices to one recipient, in
    /// the order given, in the customer's locale or else the shop's. `today` is
    /// the local date of the business on which it is written.
    pub fn compose(
        &self,
        shop: &Shop,
        addressee: &Addressee,
        today: NaiveDate,
        notices: &[NoticeText],
    ) -> Result<Letter, ComposeError> {
        if notices.is_empty() || notices.len() > NOTICES_PER_LETTER {
            return Err(ComposeError::Count(notices.len()));
        }
        let scribe = self.scribe(addressee.locale().unwrap_or(&shop.locale), shop);
        let mut sections = Vec::with_capacity(notices.len());
        for notice in notices {
            let for_customer = notice.audience == Audience::Customer;
            if matches!(addressee, Addressee::Customer { .. }) && !for_customer {
                return Err(ComposeError::NotForCustomer {
                    step: notice.step,
                    subject_ref: one_line(&notice.subject_ref),
                    audience: notice.audience,
                });
            }
            sections.push(scribe.section(today, notice)?);
        }
        let subject = match sections.as_slice() {
            [only] => only.title.clone(),
            _ => scribe.digest_subject(notices)?,
        };
        scribe.lay_out(addressee, subject, sections)
    }

    pub(super) fn scribe(&self, wanted: &str, shop: &Shop) -> Scribe<'_> {
        Scribe::new(&self.0, self.0.locale(wanted), shop)
    }
}

/// A letter inside the shop, of one section.
pub(super) fn about_one(scribe: &Scribe<'_>, section: Section) -> Result<Letter, ComposeError> {
    let subject = section.title.clone();
    scribe.lay_out(&Addressee::Inside, subject, vec![section])
}

pub(super) fn clean_lines(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| one_line(line)).collect()
}
