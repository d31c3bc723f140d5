//! Notices become a letter: one greeting, a section for each notice, one end.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use minijinja::{Value, context};

use crate::policy::{Audience, Money, Step};

use super::choose::letter_name;
use super::layout::{Page, Section, shop_values};
use super::notice::{Addressee, NoticeText, Shop};
use super::templates::Templates;
use super::text::one_line;

/// The only locale; its folder under `templates/mail`.
const LOCALE: &str = "en";

/// The most notices that one letter tells: more would grow past the 100 kB at
/// which mail programs cut a message off.
pub const NOTICES_PER_LETTER: usize = 40;

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
    /// Reads the built-in templates.
    pub fn new() -> Result<Self, ComposeError> {
        Ok(Self(Templates::new()?))
    }

    /// One letter for 1 to [`NOTICES_PER_LETTER`] notices to one recipient, in
    /// the order given. `today` is the local date of the business on which it
    /// is written.
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
        let shop = clean_shop(shop);
        let mut sections = Vec::with_capacity(notices.len());
        for notice in notices {
            sections.push(self.section(&shop, addressee, today, notice)?);
        }
        let subject = match sections.as_slice() {
            [only] => only.title.clone(),
            _ => self.digest_subject(notices)?,
        };
        self.lay_out(shop, addressee, subject, sections)
    }

    /// The managers' daily mail: figures as label and value, and the names of
    /// the files attached.
    pub fn report(
        &self,
        shop: &Shop,
        date: NaiveDate,
        figures: &[(String, String)],
        files: &[String],
    ) -> Result<Letter, ComposeError> {
        let lines = clean_lines(files);
        let values = context! { date => self.date(date)?, lines => &lines };
        let (title, paragraphs) = self.0.letter(&path("report"), &values)?;
        let facts = figures
            .iter()
            .map(|(label, value)| (one_line(label), one_line(value)))
            .collect();
        let section = Section {
            title,
            paragraphs,
            facts,
            lines,
        };
        self.about_one(shop, section)
    }

    /// A mail to ops: what happened and what to do, a line each.
    pub fn ops(&self, shop: &Shop, title: &str, lines: &[String]) -> Result<Letter, ComposeError> {
        let values = context! { title => one_line(title) };
        let (title, paragraphs) = self.0.letter(&path("ops"), &values)?;
        let section = Section {
            title,
            paragraphs,
            facts: Vec::new(),
            lines: clean_lines(lines),
        };
        self.about_one(shop, section)
    }

    /// A letter inside the shop, of one section.
    fn about_one(&self, shop: &Shop, section: Section) -> Result<Letter, ComposeError> {
        let subject = section.title.clone();
        self.lay_out(clean_shop(shop), &Addressee::Inside, subject, vec![section])
    }

    fn section(
        &self,
        shop: &Shop,
        addressee: &Addressee,
        today: NaiveDate,
        notice: &NoticeText,
    ) -> Result<Section, ComposeError> {
        let for_customer = notice.audience == Audience::Customer;
        if matches!(addressee, Addressee::Customer { .. }) && !for_customer {
            return Err(ComposeError::NotForCustomer {
                step: notice.step,
                subject_ref: one_line(&notice.subject_ref),
                audience: notice.audience,
            });
        }
        let is_outcome = matches!(notice.step, Step::Outcome(_) | Step::Withdrawn(_));
        let past = notice.last_day.is_some_and(|last_day| last_day < today);
        let name = letter_name(notice, past)
            .filter(|_| is_outcome || notice.last_day.is_some())
            .ok_or_else(|| ComposeError::NoLastDay {
                step: notice.step,
                subject_ref: one_line(&notice.subject_ref),
            })?;
        let n = self.notice_values(notice, today)?;
        let shop = shop_values(shop);
        let values = context! { n => n.clone(), shop => shop.clone() };
        let words: BTreeMap<_, _> = self.0.pairs(&path("words"), &values)?.into_iter().collect();
        let facts = self.0.pairs(&path("facts"), &values)?;
        let values = context! { n, shop, words };
        let (title, paragraphs) = self.0.letter(&path(name), &values)?;
        Ok(Section {
            title,
            paragraphs,
            facts,
            lines: Vec::new(),
        })
    }

    fn digest_subject(&self, notices: &[NoticeText]) -> Result<String, ComposeError> {
        let mut refs: Vec<String> = Vec::new();
        for notice in notices {
            let subject_ref = one_line(&notice.subject_ref);
            if !refs.contains(&subject_ref) {
                refs.push(subject_ref);
            }
        }
        let values = context! { notices => notices.len(), refs };
        Ok(self.0.letter(&path("digest"), &values)?.0)
    }

    fn lay_out(
        &self,
        shop: Shop,
        addressee: &Addressee,
        subject: String,
        sections: Vec<Section>,
    ) -> Result<Letter, ComposeError> {
        let (customer_ref, name) = match addressee {
            Addressee::Customer { customer_ref, name } => {
                (Some(one_line(customer_ref)), name.as_deref().map(one_line))
            }
            Addressee::Inside => (None, None),
        };
        let frame = context! {
            shop => shop_values(&shop),
            addressee => context! { customer_ref, name },
            notices => sections.len(),
        };
        let page = Page {
            subject,
            greeting: self.0.paragraphs(&path("greeting"), &frame)?,
            sections,
            closing: self.0.paragraphs(&path("closing"), &frame)?,
            shop,
            footnote: self.0.paragraphs(&path("footnote"), &frame)?,
        };
        Ok(Letter {
            html: self.0.render("layout.html", &page.values(LOCALE))?,
            text: page.text(),
            subject: page.subject,
        })
    }

    fn notice_values(&self, notice: &NoticeText, today: NaiveDate) -> Result<Value, ComposeError> {
        let clean = |text: &Option<String>| text.as_deref().map(one_line);
        let date = |date: Option<NaiveDate>| date.map(|date| self.date(date)).transpose();
        let outcome = match notice.step {
            Step::Outcome(outcome) | Step::Withdrawn(outcome) => Some(outcome.to_string()),
            _ => None,
        };
        Ok(context! {
            for_customer => notice.audience == Audience::Customer,
            subject => notice.subject.to_string(),
            subject_ref => one_line(&notice.subject_ref),
            order_ref => one_line(&notice.order_ref),
            unit_ref => clean(&notice.unit_ref),
            window => notice.window.map(|window| window.to_string()),
            outcome,
            clause => one_line(&notice.clause),
            product_name => clean(&notice.product_name),
            last_day => date(notice.last_day)?,
            due_days => notice.last_day.map(|last_day| (last_day - today).num_days()),
            level => notice.level,
            amount => notice.amount.map(amount),
            deductions => notice.deductions.map(amount),
            reason => clean(&notice.reason),
            goods_at_shop => notice.goods_at_shop,
            accessories_missing => notice.accessories_missing,
            assignee => clean(&notice.assignee),
            started_on => date(notice.started_on)?,
        })
    }

    /// A date in the locale's words.
    fn date(&self, date: NaiveDate) -> Result<String, ComposeError> {
        let values = context! {
            weekday => date.weekday().num_days_from_monday(),
            day => date.day(),
            month => date.month0(),
            year => date.year(),
        };
        Ok(self.0.render(&path("date"), &values)?)
    }
}

fn path(letter: &str) -> String {
    [LOCALE, "/", letter, ".txt"].concat()
}

fn clean_lines(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| one_line(line)).collect()
}

fn clean_shop(shop: &Shop) -> Shop {
    Shop {
        name: one_line(&shop.name),
        address: clean_lines(&shop.address),
        phone: shop.phone.as_deref().map(one_line),
    }
}

fn amount(money: Money) -> String {
    format!("{money} {}", money.currency)
}
