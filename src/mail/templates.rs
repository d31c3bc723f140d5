//! The letters' templates: embedded, overridden one by one by a directory of
//! the shop's own, and the engine that fills them.
//!
//! A letter is one file, `<locale>/<letter>.txt`: its first line is the
//! subject, the rest are paragraphs. The two parts of the message are laid out
//! from the same paragraphs, so that they never tell different things.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use chrono::{Datelike, NaiveDate};
use minijinja::{Environment, Error, UndefinedBehavior, Value, context};

use super::text::{capfirst, paragraphs, shorten};

macro_rules! built_in {
    ($($locale:literal)*) => {
        [$(($locale, files!($locale: "address_gone" "closing" "compliance" "compliance_facts" "date" "declined" "digest" "exchange_due" "facts" "files"
            "fix_ended" "fix_started" "footnote" "greeting" "inside_late" "inside_outcome"
            "inside_reminder" "inside_right" "inside_started" "inside_withdrawn" "money"
            "ops_alarms" "ops_clock" "ops_feed" "ops_paused" "ops_restored" "ops_surge"
            "promise_reminder" "refund_due" "refund_late" "refund_started" "repair_late"
            "repair_started" "report" "report_figures" "report_late" "report_on_time" "report_words" "return_due" "right_ended" "right_ends" "right_started"
            "warranty_ended" "warranty_ends" "warranty_started" "withdrawn" "words" "worklist"
            "worklist_item" "worklist_words"))),*]
    };
}

macro_rules! files {
    ($locale:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../templates/mail/", $locale, "/", $name, ".txt")))),*]
    };
}

/// The locale that every other falls back to.
const FALLBACK: &str = "en";

const LOCALES: [(&str, &[(&str, &str)]); 2] = built_in!("en" "vi");

const LAYOUT: &str = "layout.html";

/// A bound on the work of one rendering, far above what a letter needs.
const FUEL: u64 = 1_000_000;

/// The longest subject, in characters.
const SUBJECT_LIMIT: usize = 120;

/// Templates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file or a directory that cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file that no letter is written from.
    #[error("{}: no letter is written from it, expected LOCALE/NAME.txt with a NAME of {expected}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The names that are.
        expected: String,
    },
    /// A locale that lacks letters.
    #[error("{}: a locale needs all letters, {missing} are missing", path.display())]
    Incomplete {
        /// The locale's directory.
        path: PathBuf,
        /// The names.
        missing: String,
    },
    /// A template that cannot be read as one.
    #[error("{name}, line {line}: {problem}")]
    Syntax {
        /// The template.
        name: String,
        /// The line of it.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// The templates, read.
#[derive(Debug)]
pub(super) struct Templates {
    engine: Environment<'static>,
    /// As in names of templates: in lower case, with `-`.
    locales: BTreeSet<String>,
    /// What dates were written as: letters that are written together name few.
    dates: Mutex<HashMap<(String, NaiveDate), String>>,
}

impl Templates {
    /// Reads the built-in templates, and those of a directory in their place.
    pub(super) fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        let mut sources = built_in();
        if let Some(dir) = dir {
            sources.extend(read(dir, &sources)?);
        }
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        engine.add_filter("capfirst", |text: &str| capfirst(text));
        for (name, source) in &sources {
            let added = engine.add_template_owned(name.clone(), source.clone());
            added.map_err(|error| TemplateError::Syntax {
                name: name.clone(),
                line: error.line().unwrap_or(1),
                problem: error.to_string(),
            })?;
        }
        let locales = sources.keys().filter_map(|name| name.split_once('/'));
        Ok(Self {
            locales: locales.map(|(locale, _)| locale.to_owned()).collect(),
            dates: Mutex::default(),
            engine,
        })
    }

    /// The locale that is nearest to the one that is wanted: itself, that of its
    /// language, or [`FALLBACK`].
    pub(super) fn locale(&self, wanted: &str) -> &str {
        let wanted = locale_name(wanted);
        let mut locale = wanted.as_str();
        loop {
            if let Some(found) = self.locales.get(locale) {
                return found;
            }
            match locale.rsplit_once('-') {
                Some((wider, _)) => locale = wider,
                None => return FALLBACK,
            }
        }
    }

    /// All locales.
    pub(super) fn locales(&self) -> impl Iterator<Item = &str> {
        self.locales.iter().map(String::as_str)
    }

    /// The whole of a locale's template.
    pub(super) fn render(&self, locale: &str, name: &str, values: &Value) -> Result<String, Error> {
        let template = self.engine.get_template(&text_name(locale, name))?;
        template.render(values.clone())
    }

    /// A date in a locale's words.
    pub(super) fn date(&self, locale: &str, date: NaiveDate) -> Result<String, Error> {
        let mut dates = self.dates.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (locale.to_owned(), date);
        if let Some(written) = dates.get(&key) {
            return Ok(written.clone());
        }
        let values = context! {
            weekday => date.weekday().num_days_from_monday(),
            day => date.day(),
            month => date.month0(),
            year => date.year(),
        };
        let written = self.render(locale, "date", &values)?;
        dates.insert(key, written.clone());
        Ok(written)
    }

    /// The HTML part.
    pub(super) fn html(&self, values: &Value) -> Result<String, Error> {
        self.engine.get_template(LAYOUT)?.render(values.clone())
    }

    /// The paragraphs of a template.
    pub(super) fn paragraphs(
        &self,
        locale: &str,
        name: &str,
        values: &Value,
    ) -> Result<Vec<String>, Error> {
        Ok(paragraphs(&self.render(locale, name, values)?))
    }

    /// The lines `label: text` of a template.
    pub(super) fn pairs(
        &self,
        locale: &str,
        name: &str,
        values: &Value,
    ) -> Result<Vec<(String, String)>, Error> {
        let text = self.render(locale, name, values)?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs
            .map(|(label, text)| (label.trim().to_owned(), text.trim().to_owned()))
            .collect())
    }

    /// The subject (the first line) and the paragraphs of a letter.
    pub(super) fn letter(
        &self,
        locale: &str,
        name: &str,
        values: &Value,
    ) -> Result<(String, Vec<String>), Error> {
        let text = self.render(locale, name, values)?;
        let (subject, body) = text.trim_start().split_once('\n').unwrap_or((&text, ""));
        Ok((shorten(subject.trim(), SUBJECT_LIMIT), paragraphs(body)))
    }
}

/// A locale as templates are named: `pt_BR` is `pt-br`.
fn locale_name(text: &str) -> String {
    text.trim().replace('_', "-").to_lowercase()
}

fn text_name(locale: &str, name: &str) -> String {
    [locale, "/", name, ".txt"].concat()
}

fn built_in() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for (locale, files) in LOCALES {
        for (name, source) in files {
            sources.insert(text_name(locale, name), (*source).to_owned());
        }
    }
    let layout = include_str!("../../templates/mail/layout.html");
    sources.insert(LAYOUT.to_owned(), layout.to_owned());
    sources
}

/// The templates of a directory. What a locale lacks is that of its language.
fn read(
    dir: &Path,
    built_in: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut sources = BTreeMap::new();
    let mut own_locales = Vec::new();
    for path in entries(dir)? {
        let name = file_name(&path);
        if path.is_dir() {
            read_locale(&path, &locale_name(&name), &mut sources)?;
            own_locales.push((locale_name(&name), path));
        } else if name == LAYOUT {
            sources.insert(LAYOUT.to_owned(), text_of(path)?);
        } else {
            return Err(unknown(path));
        }
    }
    // The wider first.
    own_locales.sort();
    for (locale, path) in own_locales {
        let mut missing = Vec::new();
        for name in names() {
            let own = text_name(&locale, name);
            if sources.contains_key(&own) || built_in.contains_key(&own) {
                continue;
            }
            let wider = locale
                .rsplit_once('-')
                .map(|(wider, _)| text_name(wider, name));
            let inherited = wider.and_then(|wider| {
                let found = sources.get(&wider).or_else(|| built_in.get(&wider));
                found.cloned()
            });
            match inherited {
                Some(source) => drop(sources.insert(own, source)),
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(TemplateError::Incomplete { path, missing });
        }
    }
    Ok(sources)
}

fn read_locale(
    dir: &Path,
    locale: &str,
    sources: &mut BTreeMap<String, String>,
) -> Result<(), TemplateError> {
    for path in entries(dir)? {
        let file = file_name(&path);
        match file.strip_suffix(".txt") {
            Some(name) if names().any(|known| known == name) => {
                sources.insert(text_name(locale, name), text_of(path)?);
            }
            _ => return Err(unknown(path)),
        }
    }
    Ok(())
}

/// What every locale has a template for.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let [(_, files), ..] = LOCALES;
    files.iter().map(|(name, _)| *name)
}

fn unknown(path: PathBuf) -> TemplateError {
    let expected = names().collect::<Vec<_>>().join(", ");
    TemplateError::Unknown { path, expected }
}

/// What is in a directory; editors' files and those of version control are
/// passed over.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let unreadable = |cause| TemplateError::Unreadable {
        path: dir.to_owned(),
        cause,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = file_name(&path);
        if !name.starts_with('.') && !name.ends_with('~') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn text_of(path: PathBuf) -> Result<String, TemplateError> {
    fs::read_to_string(&path).map_err(|cause| TemplateError::Unreadable { path, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with some templates.
    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn closing(templates: &Templates, locale: &str) -> String {
        let values = minijinja::context! { addressee => minijinja::context! { customer_ref => 1 } };
        templates.render(locale, "closing", &values).unwrap()
    }

    #[test]
    fn every_locale_has_every_template() {
        let all: Vec<Vec<&str>> = LOCALES
            .iter()
            .map(|(_, files)| files.iter().map(|(name, _)| *name).collect())
            .collect();
        assert!(all.windows(2).all(|two| two[0] == two[1]));
    }

    #[test]
    fn the_nearest_locale_is_taken() {
        let templates = Templates::load(None).unwrap();
        for (wanted, found) in [
            ("vi", "vi"),
            (" vi_VN ", "vi"),
            ("VI-Latn-VN", "vi"),
            ("en-GB", "en"),
            ("fr", "en"),
            ("", "en"),
            ("víet", "en"),
        ] {
            assert_eq!(templates.locale(wanted), found, "{wanted}");
        }
    }

    #[test]
    fn a_date_is_in_its_locales_words_however_often_it_is_written() {
        let templates = Templates::load(None).unwrap();
        for _ in 0..2 {
            for (locale, date, expected) in [
                ("en", "2026-03-02", "Monday 2 March 2026"),
                ("vi", "2026-03-02", "thứ Hai, ngày 2 tháng 3 năm 2026"),
                ("en", "2026-03-03", "Tuesday 3 March 2026"),
            ] {
                let written = templates.date(locale, date.parse().unwrap()).unwrap();
                assert_eq!(written, expected);
            }
        }
    }

    #[test]
    fn a_directory_overrides_single_templates_and_narrows_a_language() {
        let dir = dir(&[
            ("vi/closing.txt", "Thân mến,"),
            ("en-GB/closing.txt", "Yours faithfully,"),
            ("en-GB/.closing.txt.swp", "{{"),
        ]);
        let templates = Templates::load(Some(dir.path())).unwrap();
        assert_eq!(closing(&templates, "vi"), "Thân mến,");
        assert_eq!(closing(&templates, "en"), "Kind regards,");
        assert_eq!(templates.locale("en_GB"), "en-gb");
        assert_eq!(closing(&templates, "en-gb"), "Yours faithfully,");
        let ends = templates.render(
            "en-gb",
            "digest",
            &minijinja::context! { notices => 2, refs => ["A"] },
        );
        assert_eq!(ends.unwrap(), "2 matters: A");
    }

    #[test]
    fn a_directory_adds_a_language() {
        let names = names().map(|name| format!("fr/{name}.txt"));
        let files: Vec<(String, String)> = names.map(|name| (name, "Bonjour".into())).collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        let dir = dir(&files);
        let templates = Templates::load(Some(dir.path())).unwrap();
        let locales: Vec<&str> = templates.locales().collect();
        assert_eq!(locales, ["en", "fr", "vi"]);
        assert_eq!(closing(&templates, templates.locale("fr_CA")), "Bonjour");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (files, expected) in [
            (
                &[("en/warranty.txt", "x")][..],
                "no letter is written from it",
            ),
            (&[("readme.md", "x")], "expected LOCALE/NAME.txt"),
            (&[("fr/closing.txt", "x")], "a locale needs all letters"),
            (&[("en/closing.txt", "a\n{{ b")], "en/closing.txt, line 2: "),
        ] {
            let dir = dir(files);
            let error = Templates::load(Some(dir.path())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = Templates::load(Some(Path::new("nowhere"))).unwrap_err();
        assert!(error.to_string().starts_with("nowhere: cannot be read"));
    }
}
