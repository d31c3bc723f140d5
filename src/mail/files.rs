//! The files that a letter comes with, or speaks of.

use minijinja::{Error, context};

use super::letter::clean_lines;
use super::scribe::Scribe;
use super::text::one_line;

/// The files of a report.
#[derive(Debug, Clone)]
pub struct Files {
    /// Pages; they are attached.
    pub pages: Vec<String>,
    /// The names of the tables.
    pub tables: Vec<String>,
    /// Where the tables are.
    pub carried: Carried,
}

/// How the tables of a report reach their reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// Each is attached.
    Each,
    /// They are attached in one archive of this name.
    Zipped(String),
    /// They are too large; this is their directory.
    NotAtAll(String),
}

impl Files {
    /// What is said of them.
    pub(super) fn paragraphs(&self, scribe: &Scribe<'_>) -> Result<Vec<String>, Error> {
        let (zip, directory) = match &self.carried {
            Carried::Each => (None, None),
            Carried::Zipped(name) => (Some(one_line(name)), None),
            Carried::NotAtAll(directory) => (None, Some(one_line(directory))),
        };
        scribe.paragraphs(
            "files",
            &context! {
                pages => clean_lines(&self.pages),
                tables => clean_lines(&self.tables),
                zip,
                directory,
            },
        )
    }
}
