//! The letters' templates, embedded, and the engine that fills them.
//!
//! A letter is one file, `<locale>/<letter>.txt`: its first line is the
//! subject, the rest are paragraphs. `layout.txt` and `layout.html` put the
//! same paragraphs into the two parts of the message, so that the parts never
//! tell different things.

use minijinja::{Environment, Error, UndefinedBehavior, Value};

use super::text::{capfirst, paragraphs, shorten, wrap};

macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../../templates/mail/", $name)))
    };
}

const TEMPLATES: &[(&str, &str)] = &[
    template!("layout.txt"),
    template!("layout.html"),
    template!("en/closing.txt"),
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
        engine.add_filter("wrap", |text: &str, indent: Option<usize>| {
            wrap(text, indent.unwrap_or(0))
        });
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
