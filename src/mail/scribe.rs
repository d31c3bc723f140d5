//! Writes the parts of a letter in one locale.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use minijinja::{Error, Value, context};

use crate::policy::{Audience, Money, Step, Window};

use super::choose::letter_name;
use super::layout::{Page, Section, shop_values};
use super::letter::{ComposeError, Letter, clean_lines};
use super::notice::{Addressee, NoticeText, Shop};
use super::templates::Templates;
use super::text::{capfirst, one_line};
use super::unbroken::may_break;

/// See the module.
pub(super) struct Scribe<'t> {
    templates: &'t Templates,
    locale: &'t str,
    /// Clean.
    shop: Shop,
    shop_values: Value,
    /// What of all that was written is kept in one line.
    unbroken: RefCell<BTreeSet<String>>,
}

impl<'t> Scribe<'t> {
    /// Writes in a locale that there are templates of.
    pub(super) fn new(templates: &'t Templates, locale: &'t str, shop: &Shop) -> Self {
        let shop = clean_shop(shop);
        Self {
            templates,
            locale,
            shop_values: shop_values(&shop),
            unbroken: shop.phone.iter().cloned().collect::<BTreeSet<_>>().into(),
            shop,
        }
    }

    /// What is said of one notice.
    pub(super) fn section(
        &self,
        today: NaiveDate,
        notice: &NoticeText,
    ) -> Result<Section, ComposeError> {
        let is_outcome = matches!(notice.step, Step::Outcome(_) | Step::Withdrawn(_));
        let name = letter_name(notice, today)
            .filter(|_| is_outcome || notice.last_day.is_some())
            .ok_or_else(|| ComposeError::NoLastDay {
                step: notice.step,
                subject_ref: one_line(&notice.subject_ref),
            })?;
        let (n, shop) = (self.notice_values(notice, today)?, self.shop_values.clone());
        let words = self.words(&n)?;
        let values = context! { n, shop, words };
        let (title, mut paragraphs) = self.letter(name, &values)?;
        // By the habit of the templates: the last one says what to do.
        let next_step = match paragraphs.len() {
            0 | 1 => None,
            _ => paragraphs.pop(),
        };
        Ok(Section {
            title,
            paragraphs,
            next_step,
            facts: self.pairs("facts", &values)?,
            ..Section::default()
        })
    }

    /// The words that letters share, of the values of a notice.
    pub(super) fn words(&self, n: &Value) -> Result<BTreeMap<String, String>, Error> {
        let values = context! { n => n.clone(), shop => self.shop_values.clone() };
        Ok(self.pairs("words", &values)?.into_iter().collect())
    }

    /// The subject of a letter about several notices.
    pub(super) fn digest_subject(&self, notices: &[NoticeText]) -> Result<String, ComposeError> {
        let mut refs: Vec<String> = Vec::new();
        for notice in notices {
            let subject_ref = one_line(&notice.subject_ref);
            if !refs.contains(&subject_ref) {
                refs.push(subject_ref);
            }
        }
        let values = context! { notices => notices.len(), refs };
        Ok(self.letter("digest", &values)?.0)
    }

    /// The whole letter: each section is a matter of its own.
    pub(super) fn lay_out(
        &self,
        addressee: &Addressee,
        subject: String,
        sections: Vec<Section>,
    ) -> Result<Letter, ComposeError> {
        self.page(addressee, sections.len(), subject, Vec::new(), sections)
    }

    /// The whole letter of a list to somebody inside the shop: the sections are
    /// its parts.
    pub(super) fn lay_out_list(
        &self,
        subject: String,
        intro: Vec<String>,
        sections: Vec<Section>,
    ) -> Result<Letter, ComposeError> {
        self.page(&Addressee::Inside, 1, subject, intro, sections)
    }

    fn page(
        &self,
        addressee: &Addressee,
        matters: usize,
        subject: String,
        intro: Vec<String>,
        sections: Vec<Section>,
    ) -> Result<Letter, ComposeError> {
        let (customer_ref, name) = match addressee {
            Addressee::Customer {
                customer_ref, name, ..
            } => (Some(self.name(customer_ref)), name.as_deref().map(one_line)),
            Addressee::Inside => (None, None),
        };
        let frame = context! {
            shop => self.shop_values.clone(),
            addressee => context! { customer_ref, name },
            notices => matters,
        };
        let mut greeting = self.paragraphs("greeting", &frame)?;
        greeting.extend(intro);
        let mut footnote = self.paragraphs("footnote", &frame)?;
        if matches!(addressee, Addressee::Customer { .. }) {
            footnote.extend(self.shop.legal.iter().cloned());
        }
        let page = Page {
            subject,
            greeting,
            sections,
            is_numbered: matters > 1,
            closing: self.paragraphs("closing", &frame)?,
            shop: &self.shop,
            footnote,
            is_inside: matches!(addressee, Addressee::Inside),
            unbroken: self.unbroken.borrow().clone(),
        };
        let values = page.values(self.locale, self.shop_values.clone());
        Ok(Letter {
            html: self.templates.html(&values)?,
            text: page.text(),
            subject: page.subject,
        })
    }

    /// A letter's title and paragraphs.
    pub(super) fn letter(
        &self,
        name: &str,
        values: &Value,
    ) -> Result<(String, Vec<String>), Error> {
        self.templates.letter(self.locale, name, values)
    }

    /// A date in the locale's words.
    pub(super) fn date(&self, date: NaiveDate) -> Result<String, Error> {
        self.templates.date(self.locale, date)
    }

    /// A promise's name, and that of what it hangs on.
    pub(super) fn promise(
        &self,
        window: Window,
        subject_ref: &str,
    ) -> Result<(String, String), Error> {
        let about = NoticeText::named(window, subject_ref);
        let mut words = self.words(&self.notice_values(&about, NaiveDate::MIN)?)?;
        let mut word = |key| words.remove(key).unwrap_or_default();
        Ok((capfirst(&word("window")), word("subject")))
    }

    /// What templates know of a notice.
    pub(super) fn notice_values(
        &self,
        notice: &NoticeText,
        today: NaiveDate,
    ) -> Result<Value, Error> {
        let clean = |text: &Option<String>| text.as_deref().map(one_line);
        let date = |date: Option<NaiveDate>| date.map(|date| self.date(date)).transpose();
        let money = |money: Option<Money>| money.map(|money| self.money(money)).transpose();
        let outcome = match notice.step {
            Step::Outcome(outcome) | Step::Withdrawn(outcome) => Some(outcome.to_string()),
            _ => None,
        };
        Ok(context! {
            for_customer => notice.audience == Audience::Customer,
            subject => notice.subject.to_string(),
            subject_ref => self.name(&notice.subject_ref),
            order_ref => self.name(&notice.order_ref),
            unit_ref => notice.unit_ref.as_deref().map(|unit_ref| self.name(unit_ref)),
            window => notice.window.map(|window| window.to_string()),
            outcome,
            withdrawn => matches!(notice.step, Step::Withdrawn(_)),
            clause => one_line(&notice.clause),
            days => notice.days,
            working_days => notice.working_days,
            product_name => clean(&notice.product_name),
            last_day => date(notice.last_day)?,
            due_days => notice.last_day.map(|last_day| (last_day - today).num_days()),
            level => notice.level,
            amount => money(notice.amount)?,
            deductions => money(notice.deductions)?,
            reason => clean(&notice.reason),
            goods_at_shop => notice.goods_at_shop,
            accessories_missing => notice.accessories_missing,
            assignee => clean(&notice.assignee),
            started_on => date(notice.started_on)?,
        })
    }

    /// An amount as the locale writes it.
    pub(super) fn money(&self, money: Money) -> Result<String, Error> {
        let amount = money.to_string();
        let (whole, decimals) = amount.split_once('.').unwrap_or((&amount, ""));
        let values = context! {
            groups => groups(whole),
            decimals => decimals.to_owned(),
            currency => money.currency.to_string(),
        };
        let written = self.templates.render(self.locale, "money", &values)?;
        Ok(self.whole(written))
    }

    /// A name that the shop gave, such as an order's.
    pub(super) fn name(&self, text: &str) -> String {
        self.whole(one_line(text))
    }

    fn whole(&self, text: String) -> String {
        if may_break(&text) {
            self.unbroken.borrow_mut().insert(text.clone());
        }
        text
    }

    pub(super) fn paragraphs(&self, name: &str, values: &Value) -> Result<Vec<String>, Error> {
        self.templates.paragraphs(self.locale, name, values)
    }

    /// The lines `label: text` of a template.
    pub(super) fn pairs(&self, name: &str, values: &Value) -> Result<Vec<(String, String)>, Error> {
        self.templates.pairs(self.locale, name, values)
    }
}

/// Digits in groups of three, the first of which may be shorter.
fn groups(digits: &str) -> Vec<String> {
    let mut groups = Vec::new();
    let mut rest = digits;
    while let Some((before, group)) = rest
        .len()
        .checked_sub(3)
        .and_then(|at| rest.split_at_checked(at))
    {
        groups.push(group.to_owned());
        rest = before;
    }
    if !rest.is_empty() {
        groups.push(rest.to_owned());
    }
    groups.reverse();
    groups
}

fn clean_shop(shop: &Shop) -> Shop {
    Shop {
        name: one_line(&shop.name),
        address: clean_lines(&shop.address),
        phone: shop.phone.as_deref().map(one_line),
        legal: clean_lines(&shop.legal),
        locale: shop.locale.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_end() {
        for (digits, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1 000"),
            ("123456", "123 456"),
            ("12345678", "12 345 678"),
        ] {
            assert_eq!(groups(digits).join(" "), expected);
        }
    }

    #[test]
    fn an_amount_is_written_as_the_locale_does() {
        let templates = Templates::load(None).unwrap();
        let shop = Shop {
            name: "Example".into(),
            address: Vec::new(),
            phone: None,
            legal: Vec::new(),
            locale: "en".into(),
        };
        for (locale, minor, currency, expected) in [
            ("en", 12_990, "EUR", "EUR 129.90"),
            ("en", 123_456_700, "USD", "USD 1,234,567.00"),
            ("vi", 123_456_700, "USD", "1.234.567,00 USD"),
            ("vi", 1_299_000, "VND", "1.299.000 VND"),
            ("en", 1_299_000, "JPY", "JPY 1,299,000"),
        ] {
            let money = Money {
                minor,
                currency: currency.parse().unwrap(),
            };
            let scribe = Scribe::new(&templates, locale, &shop);
            assert_eq!(scribe.money(money).unwrap(), expected);
        }
    }
}
