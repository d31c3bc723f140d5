//! How promises were kept in a week or a month, as a letter.

use chrono::NaiveDate;
use minijinja::{Error, Value, context};

use crate::policy::{Audience, Step, Window};

use super::layout::Section;
use super::letter::{ComposeError, Letter, Letters, about_one, clean_lines};
use super::notice::{NoticeText, Shop};
use super::scribe::Scribe;

/// How promises were kept in a period.
#[derive(Debug, Clone)]
pub struct KeptPromises {
    /// `week` or `month`.
    pub period: &'static str,
    /// Its name, such as `2026-W07`.
    pub name: String,
    /// Its first local date.
    pub from: NaiveDate,
    /// Its last local date.
    pub to: NaiveDate,
    /// Each promise.
    pub figures: Vec<KeptPromise>,
}

/// How one promise was kept in a period, and in the one before.
#[derive(Debug, Clone)]
pub struct KeptPromise {
    /// The promise.
    pub window: Window,
    /// How many were met, missed or are overdue.
    pub decided: u64,
    /// How many of those were met, in percent; `None` of none.
    pub percent: Option<String>,
    /// As `decided`, in the period before.
    pub decided_before: u64,
    /// As `percent`, in the period before.
    pub percent_before: Option<String>,
}

impl Letters {
    /// How promises were kept, in the shop's locale, with the names of the
    /// files attached.
    pub fn compliance(
        &self,
        shop: &Shop,
        kept: &KeptPromises,
        files: &[String],
    ) -> Result<Letter, ComposeError> {
        let scribe = self.scribe(&shop.locale, shop);
        let lines = clean_lines(files);
        let figures = kept.figures.iter().map(|figure| values(&scribe, kept, figure));
        let figures: Vec<Value> = figures.collect::<Result<_, Error>>()?;
        let values = context! {
            period => kept.period,
            name => &kept.name,
            from => scribe.date(kept.from)?,
            to => scribe.date(kept.to)?,
            figures,
            lines => &lines,
        };
        let (title, paragraphs) = scribe.letter("compliance", &values)?;
        let section = Section {
            title,
            paragraphs,
            facts: scribe.pairs("compliance_facts", &values)?,
            lines,
            ..Section::default()
        };
        about_one(&scribe, section)
    }
}

fn values(
    scribe: &Scribe<'_>,
    kept: &KeptPromises,
    figure: &KeptPromise,
) -> Result<Value, Error> {
    let n = scribe.notice_values(&about(figure.window), kept.to)?;
    let words = scribe.words(&n)?;
    let KeptPromise {
        decided,
        percent,
        decided_before,
        percent_before,
        ..
    } = figure;
    let window = words.get("window");
    Ok(context! { window, decided, percent, decided_before, percent_before })
}

/// A promise of which nothing but its name is told.
fn about(window: Window) -> NoticeText {
    NoticeText {
        audience: Audience::Manager,
        subject: window.subject(),
        subject_ref: String::new(),
        order_ref: String::new(),
        unit_ref: None,
        window: Some(window),
        step: Step::Due,
        clause: String::new(),
        days: None,
        working_days: false,
        product_name: None,
        last_day: None,
        level: 0,
        amount: None,
        deductions: None,
        reason: None,
        goods_at_shop: false,
        accessories_missing: false,
        assignee: None,
        started_on: None,
    }
}
