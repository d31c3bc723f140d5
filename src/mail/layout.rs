//! What a letter says, in order, and its plain text part. `layout.html` puts
//! the same into the HTML part.

use std::collections::BTreeSet;

use minijinja::{Value, context};

use super::Shop;
use super::text::wrap;
use super::unbroken::{finders, unbroken, with_commands};

/// What a letter says, whatever it looks like. All texts are clean.
pub(super) struct Page<'s> {
    pub subject: String,
    pub greeting: Vec<String>,
    pub sections: Vec<Section>,
    /// Whether the sections are matters of their own, one, two, three.
    pub is_numbered: bool,
    pub closing: Vec<String>,
    pub shop: &'s Shop,
    pub footnote: Vec<String>,
    /// Whether it is read inside the shop: a customer's own words mark nothing.
    pub is_inside: bool,
    /// What no line of the HTML part breaks in.
    pub unbroken: BTreeSet<String>,
}

/// What a letter says about one matter.
#[derive(Default)]
pub(super) struct Section {
    pub title: String,
    pub paragraphs: Vec<String>,
    /// What the reader does next.
    pub next_step: Option<String>,
    /// Labels and values.
    pub facts: Vec<(String, String)>,
    pub bars: Vec<Bar>,
    pub items: Vec<Item>,
    pub lines: Vec<String>,
}

/// A number with a bar as long as its share.
pub(super) struct Bar {
    pub label: String,
    pub value: String,
    /// What is said of it, in smaller letters.
    pub note: Option<String>,
    /// In percent of the longest bar there can be.
    pub share: u8,
    /// Whether it is of less account than the others, such as a weekend.
    pub is_quiet: bool,
}

/// An entry of a list, with what belongs to it.
pub(super) struct Item {
    pub title: String,
    pub lines: Vec<String>,
}

impl Page<'_> {
    /// The plain text part.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for paragraph in &self.greeting {
            text += &wrap(paragraph, 0);
            text += "\n\n";
        }
        for (index, section) in self.sections.iter().enumerate() {
            let title = match self.is_numbered {
                true => format!("{}. {}", index + 1, section.title),
                false => section.title.clone(),
            };
            if self.sections.len() > 1 {
                text += &wrap(&title, 0);
                text += "\n\n";
            }
            section.add_to(&mut text);
        }
        for paragraph in &self.closing {
            text += &wrap(paragraph, 0);
            text += "\n";
        }
        let Shop {
            name,
            address,
            phone,
            ..
        } = self.shop;
        for line in [name].into_iter().chain(address).chain(phone) {
            text += line;
            text += "\n";
        }
        // Mail programs know the line before a footnote by its space.
        text += "\n-- \n";
        for paragraph in &self.footnote {
            text += &wrap(paragraph, 0);
            text += "\n";
        }
        text
    }

    /// The same as values for a template, as HTML.
    pub(super) fn values(&self, locale: &str, shop: Value) -> Value {
        let Self {
            subject,
            greeting,
            sections,
            is_numbered,
            closing,
            footnote,
            is_inside,
            unbroken: kept,
            ..
        } = self;
        let pieces = finders(kept);
        let html = |text: &str| {
            Value::from_safe_string(match is_inside {
                true => with_commands(text, &pieces),
                false => unbroken(text, &pieces),
            })
        };
        let all = |texts: &[String]| Value::from_iter(texts.iter().map(|text| html(text)));
        let sections: Vec<Value> = sections
            .iter()
            .map(|section| section.values(&html))
            .collect();
        context! {
            locale,
            subject,
            greeting => all(greeting),
            sections,
            is_numbered,
            closing => all(closing),
            phone => self.shop.phone.as_deref().map(html),
            shop,
            footnote => all(footnote),
        }
    }
}

impl Section {
    fn add_to(&self, text: &mut String) {
        for paragraph in self.paragraphs.iter().chain(&self.next_step) {
            *text += &wrap(paragraph, 0);
            *text += "\n\n";
        }
        for (label, value) in &self.facts {
            *text += &wrap(&["  ", label, ": ", value].concat(), 4);
            *text += "\n";
        }
        for bar in &self.bars {
            let note = bar.note.as_ref().map(|note| format!(" ({note})"));
            let note = note.unwrap_or_default();
            *text += &wrap(&["  ", &bar.label, ": ", &bar.value, &note].concat(), 4);
            *text += "\n";
        }
        if !self.facts.is_empty() || !self.bars.is_empty() {
            *text += "\n";
        }
        for item in &self.items {
            *text += &wrap(&["- ", &item.title].concat(), 2);
            *text += "\n";
            for line in &item.lines {
                *text += &wrap(&["  ", line].concat(), 2);
                *text += "\n";
            }
            *text += "\n";
        }
        for line in &self.lines {
            *text += &wrap(&["- ", line].concat(), 2);
            *text += "\n";
        }
        if !self.lines.is_empty() {
            *text += "\n";
        }
    }

    /// Whether there is nothing below the title.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            title: _,
            paragraphs,
            next_step,
            facts,
            bars,
            items,
            lines,
        } = self;
        let texts = [paragraphs, lines].iter().all(|texts| texts.is_empty());
        texts && next_step.is_none() && facts.is_empty() && bars.is_empty() && items.is_empty()
    }

    fn values(&self, html: &impl Fn(&str) -> Value) -> Value {
        let Self {
            title,
            paragraphs,
            next_step,
            facts,
            bars,
            items,
            lines,
        } = self;
        let bar = |bar: &Bar| {
            let Bar {
                label,
                value,
                note,
                share,
                is_quiet,
            } = bar;
            context! {
                label => html(label),
                value => html(value),
                note => note.as_deref().map(html),
                share,
                is_quiet,
            }
        };
        let bars: Vec<Value> = bars.iter().map(bar).collect();
        let all = |texts: &[String]| Value::from_iter(texts.iter().map(|text| html(text)));
        let item =
            |Item { title, lines }: &Item| context! { title => html(title), lines => all(lines) };
        let items: Vec<Value> = items.iter().map(item).collect();
        let fact = |(label, value): &(String, String)| Value::from(vec![html(label), html(value)]);
        let facts: Vec<Value> = facts.iter().map(fact).collect();
        context! {
            title => html(title),
            paragraphs => all(paragraphs),
            next_step => next_step.as_deref().map(html),
            facts,
            bars,
            items,
            lines => all(lines),
        }
    }
}

/// The shop as values for a template.
pub(super) fn shop_values(shop: &Shop) -> Value {
    let Shop {
        name,
        address,
        phone,
        ..
    } = shop;
    context! { name, address, phone }
}
