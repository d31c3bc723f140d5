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
        let figures = kept
            .figures
            .iter()
            .map(|figure| values(&scribe, kept, figure));
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

fn values(scribe: &Scribe<'_>, kept: &KeptPromises, figure: &KeptPromise) -> Result<Value, Error> {
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

#[cfg(test)]
mod tests {
    use super::super::letter_tests::{date, letters, shop};
    use super::*;

    #[test]
    fn each_promise_is_told_against_the_period_before() {
        let figure = |window, percent: Option<&str>, before: Option<&str>| KeptPromise {
            window,
            decided: percent.map_or(0, |_| 17),
            percent: percent.map(str::to_owned),
            decided_before: before.map_or(0, |_| 4),
            percent_before: before.map(str::to_owned),
        };
        let kept = KeptPromises {
            period: "week",
            name: "2026-W07".into(),
            from: date("2026-02-09"),
            to: date("2026-02-15"),
            figures: vec![
                figure(Window::HardwareRepair, Some("94.12"), Some("75.00")),
                figure(Window::RefundPayment, Some("94.12"), None),
                figure(Window::SoftwareRepair, None, None),
            ],
        };
        for (locale, expected) in [
            (
                "en",
                [
                    "Hardware repair: 94.12 % of 17 in time (before: 75.00 % of 4)",
                    "Refund payment: 94.12 % of 17 in time (before: none)",
                    "Software repair: none fell due (before: none)",
                    "from Monday 9 February 2026 to Sunday 15 February 2026",
                ],
            ),
            (
                "vi",
                [
                    "Sửa chữa phần cứng: 94.12 % của 17 đúng hạn (trước đó: 75.00 % của 4)",
                    "Trả tiền hoàn: 94.12 % của 17 đúng hạn (trước đó: không có)",
                    "Sửa chữa phần mềm: không có lời hứa nào đến hạn (trước đó: không có)",
                    "tuần 2026-W07",
                ],
            ),
        ] {
            let shop = Shop {
                locale: locale.into(),
                ..shop()
            };
            let files = ["missed.csv".to_owned()];
            let letter = letters().compliance(&shop, &kept, &files).unwrap();
            let text = [letter.subject, letter.text].join(" ");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for words in expected {
                assert!(text.contains(words), "{words}\n{text}");
            }
            assert!(letter.html.contains("94.12 %") && letter.html.contains("missed.csv"));
        }
    }
}
