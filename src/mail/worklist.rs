//! A list of work becomes a letter to somebody inside the shop.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use minijinja::{Error, Value, context};

use crate::policy::Audience;

use super::layout::{Item, Section};
use super::letter::{ComposeError, Letter, Letters};
use super::notice::{NoticeText, Shop};
use super::scribe::Scribe;
use super::text::capfirst;

/// The most lines that a letter tells of a list; fewer if their words are long.
pub const WORK_PER_LETTER: usize = 200;

/// Mail programs cut off what is longer, in bytes.
const HTML_LIMIT: usize = 100_000;

/// What somebody inside the shop is to do.
#[derive(Debug, Clone)]
pub struct Worklist {
    /// Whose list it is: the assignee's, the lead's or that of finance.
    pub whose: Audience,
    /// The local date on which it is written.
    pub today: NaiveDate,
    /// Its parts, in the order in which they are told.
    pub parts: Vec<WorkPart>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct WorkPart {
    /// Its name, such as `late`; `worklist_words.txt` has the words.
    pub name: &'static str,
    /// How many lines there are, with those that are left out.
    pub total: u64,
    /// The first lines, in order.
    pub lines: Vec<WorkLine>,
}

/// A line of a list.
#[derive(Debug, Clone)]
pub struct WorkLine {
    /// The promise; without a window where there is none that runs.
    pub about: NoticeText,
    /// Where the claim stands, such as `in_repair`.
    pub stage: Option<&'static str>,
    /// How the claim is handled, such as `repair`.
    pub handled_as: Option<&'static str>,
    /// Since when it waits: for the shop, or paused for the customer.
    pub since: Option<NaiveDate>,
    /// Whether the promise waits for the customer.
    pub paused: bool,
    /// Whether the promise is a fix window that lapsed.
    pub lapsed: bool,
}

impl Worklist {
    /// The first lines of the list, as many as may be.
    fn shown(&self, at_most: usize) -> Vec<(&WorkPart, &[WorkLine])> {
        let mut room = at_most;
        let parts = self.parts.iter().map(|part| {
            let (shown, _) = part.lines.split_at(part.lines.len().min(room));
            room -= shown.len();
            (part, shown)
        });
        parts.collect()
    }
}

impl Letters {
    /// A list of work, in the shop's locale. What is left out is counted.
    pub fn worklist(&self, shop: &Shop, list: &Worklist) -> Result<Letter, ComposeError> {
        let scribe = self.scribe(&shop.locale, shop);
        let mut at_most = WORK_PER_LETTER;
        loop {
            let letter = compose(&scribe, list, at_most)?;
            let size = letter.html.len();
            if size < HTML_LIMIT || at_most <= 1 {
                return Ok(letter);
            }
            at_most = (at_most * HTML_LIMIT / size).clamp(1, at_most - 1);
        }
    }
}

fn compose(scribe: &Scribe<'_>, list: &Worklist, at_most: usize) -> Result<Letter, ComposeError> {
    let shown = list.shown(at_most);
    let total: u64 = list.parts.iter().map(|part| part.total).sum();
    let lines: usize = shown.iter().map(|(_, lines)| lines.len()).sum();
    let counts: BTreeMap<&str, u64> = list.parts.iter().map(|p| (p.name, p.total)).collect();
    let values = context! {
        whose => list.whose.to_string(),
        date => scribe.date(list.today)?,
        counts,
        total,
        shown => lines,
        left_out => total.saturating_sub(lines as u64),
    };
    let (subject, intro) = scribe.letter("worklist", &values)?;
    let names: BTreeMap<String, String> = scribe
        .pairs("worklist_words", &values)?
        .into_iter()
        .collect();
    let name = |key: &str| names.get(key).cloned().unwrap_or_else(|| key.to_owned());
    let mut promises = BTreeSet::new();
    let mut sections = Vec::new();
    for (part, lines) in shown.iter().filter(|(_, lines)| !lines.is_empty()) {
        let mut items = Vec::with_capacity(lines.len());
        for line in *lines {
            items.push(item(scribe, list, part.name, line, &mut promises)?);
        }
        sections.push(Section {
            title: format!("{}: {}", name(part.name), part.total),
            items,
            ..Section::default()
        });
    }
    if !promises.is_empty() {
        sections.push(Section {
            title: name("promises"),
            lines: promises.into_iter().collect(),
            ..Section::default()
        });
    }
    scribe.lay_out_list(subject, intro, sections)
}

/// A line, and what the policy promises in it.
fn item(
    scribe: &Scribe<'_>,
    list: &Worklist,
    part: &str,
    line: &WorkLine,
    promises: &mut BTreeSet<String>,
) -> Result<Item, Error> {
    let n = scribe.notice_values(&line.about, list.today)?;
    let words = scribe.words(&n)?;
    let word = |key: &str| words.get(key).map(String::as_str).unwrap_or_default();
    if line.about.window.is_some() {
        let policy = match word("policy") {
            "" => String::new(),
            policy => format!(": {policy}"),
        };
        promises.insert(format!(
            "{} ({}){policy}",
            capfirst(word("window")),
            word("clause"),
        ));
    }
    let values = context! {
        n,
        words,
        w => work_values(scribe, list, part, line)?,
    };
    let (title, lines) = scribe.letter("worklist_item", &values)?;
    Ok(Item { title, lines })
}

fn work_values(
    scribe: &Scribe<'_>,
    list: &Worklist,
    part: &str,
    line: &WorkLine,
) -> Result<Value, Error> {
    let since = line.since.map(|since| scribe.date(since)).transpose()?;
    let days = line.since.map(|since| (list.today - since).num_days());
    Ok(context! {
        whose => list.whose.to_string(),
        part,
        stage => line.stage,
        handled_as => line.handled_as,
        since,
        since_days => days,
        paused => line.paused,
        lapsed => line.lapsed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::letter_tests::{letters, shop};
    use super::super::{ToShop, samples};
    use super::*;

    #[test]
    fn a_letter_is_never_cut_off_by_a_mail_program() {
        for locale in ["en", "vi"] {
            let mut lists = samples(locale)
                .into_iter()
                .filter_map(|sample| match sample.to_shop {
                    Some(ToShop::List(list)) => Some(list),
                    _ => None,
                });
            let mut list = lists.next().unwrap();
            let mut part = list.parts.swap_remove(0);
            part.lines = part.lines.into_iter().cycle().take(300).collect();
            for (n, line) in part.lines.iter_mut().enumerate() {
                line.about.subject_ref = format!("C-{n:04}");
                line.about.product_name = Some("Photo <Frame> ".repeat(20));
            }
            part.total = 1_000;
            list.parts = vec![part];
            let shop = Shop {
                locale: locale.into(),
                ..shop()
            };
            let letter = letters().worklist(&shop, &list).unwrap();
            let size = letter.html.len();
            assert!(
                size < HTML_LIMIT && size > HTML_LIMIT / 2,
                "{locale}: {size}"
            );
            // As many as were told, from the first, in both parts.
            let told = letter.html.matches("<b>").count() - 1;
            for n in 0..300 {
                let name = format!("C-{n:04}");
                assert_eq!(letter.text.contains(&name), n < told, "{locale} {name}");
                assert_eq!(letter.html.contains(&name), n < told, "{locale} {name}");
            }
            let left_out = (1_000 - told).to_string();
            assert!(letter.text.contains(&left_out), "{locale}: {left_out}");
        }
    }
}
