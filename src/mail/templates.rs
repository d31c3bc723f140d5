//! The letters' templates, embedded, and the engine that fills them.
//!
//! A letter is one file, `<locale>/<letter>.txt`: its first line is the
//! subject, the rest are paragraphs. The two parts of the message are laid out
//! from the same paragraphs, so that they never tell different things.

use minijinja::{Environment, Error, UndefinedBehavior, Value};

use super::text::{capfirst, paragraphs, shorten};

macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../../templates/mail/", $name)))
    };
}

const TEMPLATES: &[(&str, &str)] = &[
    template!("layout.html"),
    template!("en/closing.txt"),
    template!("en/date.txt"),
    template!("en/declined.txt"),
    template!("en/digest.txt"),
    template!("en/exchange_due.txt"),
    template!("en/facts.txt"),
    template!("en/fix_ended.txt"),
    template!("en/fix_started.txt"),
    template!("en/footnote.txt"),
    template!("en/greeting.txt"),
    template!("en/inside_late.txt"),
    template!("en/inside_outcome.txt"),
    template!("en/inside_reminder.txt"),
    template!("en/inside_right.txt"),
    template!("en/inside_started.txt"),
    template!("en/inside_withdrawn.txt"),
    template!("en/ops.txt"),
    template!("en/promise_reminder.txt"),
    template!("en/refund_due.txt"),
    template!("en/refund_late.txt"),
    template!("en/refund_started.txt"),
    template!("en/repair_late.txt"),
    template!("en/repair_started.txt"),
    template!("en/report.txt"),
    template!("en/return_due.txt"),
    template!("en/right_ended.txt"),
    template!("en/right_ends.txt"),
    template!("en/right_started.txt"),
    template!("en/warranty_ended.txt"),
    template!("en/warranty_ends.txt"),
    template!("en/warranty_started.txt"),
    template!("en/withdrawn.txt"),
    template!("en/words.txt"),
];

/// A bound on the work of one rendering, far above what a letter needs.
const FUEL: u64 = 1_000_000;

/// The longest subject, in characters.
const SUBJECT_LIMIT: usize = 120;

/// The templates, read.
#[derive(Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    /// Reads the built-in templates.
    pub(super) fn new() -> Result<Self, Error> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        engine.add_filter("capfirst", |text: &str| capfirst(text));
        for (name, source) in TEMPLATES {
            engine.add_template(name, source)?;
        }
        Ok(Self(engine))
    }

    /// The whole of a template.
    pub(super) fn render(&self, name: &str, values: &Value) -> Result<String, Error> {
        self.0.get_template(name)?.render(values.clone())
    }

    /// The paragraphs of a template.
    pub(super) fn paragraphs(&self, name: &str, values: &Value) -> Result<Vec<String>, Error> {
        Ok(paragraphs(&self.render(name, values)?))
    }

    /// The lines `label: text` of a template.
    pub(super) fn pairs(&self, name: &str, values: &Value) -> Result<Vec<(String, String)>, Error> {
        let text = self.render(name, values)?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs
            .map(|(label, text)| (label.trim().to_owned(), text.trim().to_owned()))
            .collect())
    }

    /// The subject (the first line) and the paragraphs of a letter.
    pub(super) fn letter(
        &self,
        name: &str,
        values: &Value,
    ) -> Result<(String, Vec<String>), Error> {
        let text = self.render(name, values)?;
        let (subject, body) = text.trim_start().split_once('\n').unwrap_or((&text, ""));
        Ok((shorten(subject.trim(), SUBJECT_LIMIT), paragraphs(body)))
    }
}
