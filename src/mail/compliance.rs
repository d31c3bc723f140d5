//! How promises were kept in a week or a month, as a letter.

use chrono::NaiveDate;
use minijinja::{Error, Value, context};

use crate::policy::Window;

use super::files::Files;
use super::layout::Section;
use super::letter::{ComposeError, Letter, Letters, about_one};
use super::notice::Shop;
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
    /// How promises were kept, in the shop's locale.
    pub fn compliance(
        &self,
        shop: &Shop,
        kept: &KeptPromises,
        files: &Files,
    ) -> Result<Letter, ComposeError> {
        let scribe = self.scribe(&shop.locale, shop);
        let figures = kept.figures.iter().map(|figure| values(&scribe, figure));
        let figures: Vec<Value> = figures.collect::<Result<_, Error>>()?;
        let values = context! {
            period => kept.period,
            name => &kept.name,
            from => scribe.date(kept.from)?,
            to => scribe.date(kept.to)?,
            figures,
        };
        let (title, mut paragraphs) = scribe.letter("compliance", &values)?;
        paragraphs.extend(files.paragraphs(&scribe)?);
        let section = Section {
            title,
            paragraphs,
            facts: scribe.pairs("compliance_facts", &values)?,
            ..Section::default()
        };
        about_one(&scribe, section)
    }
}

fn values(scribe: &Scribe<'_>, figure: &KeptPromise) -> Result<Value, Error> {
    let KeptPromise {
        decided,
        percent,
        decided_before,
        percent_before,
        ..
    } = figure;
    let (window, _) = scribe.promise(figure.window, "")?;
    Ok(context! { window, decided, percent, decided_before, percent_before })
}

#[cfg(test)]
mod tests {
    use super::super::letter_tests::{letters, shop};
    use super::super::samples;
    use super::*;

    #[test]
    fn each_promise_is_told_against_the_period_before() {
        for (locale, expected) in [
            (
                "en",
                [
                    "Hardware repair: 94.12 % of 17 in time (before: 75.00 % of 4)",
                    "Refund payment: 100.00 % of 17 in time (before: none)",
                    "Software repair: none fell due (before: none)",
                    "from Wednesday 10 June 2026 to Tuesday 30 June 2026",
                ],
            ),
            (
                "vi",
                [
                    "Sửa chữa phần cứng: 94,12 % của 17 đúng hạn (trước đó: 75,00 % của 4)",
                    "Trả tiền hoàn: 100,00 % của 17 đúng hạn (trước đó: không có)",
                    "Sửa chữa phần mềm: không có lời hứa nào đến hạn (trước đó: không có)",
                    "tuần 2026-W26",
                ],
            ),
        ] {
            let shop = Shop {
                locale: locale.into(),
                ..shop()
            };
            let samples = samples(locale);
            let week = samples.iter().find(|sample| sample.variant == "week");
            let letter = week.unwrap().write(&letters(), &shop).unwrap();
            let text = [letter.subject, letter.text].join(" ");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for words in expected {
                assert!(text.contains(words), "{words}\n{text}");
            }
            assert!(
                letter
                    .html
                    .contains(expected[0].split_at(expected[0].find(": ").unwrap() + 2).1)
                    && letter.html.contains("missed.csv")
            );
        }
    }
}
