//! Which file is which, and which column is where.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use strum::VariantArray;

use super::reader::RawRow;
use crate::case::{Dialect, Dialects, Entity, Field};

/// Columns that a rejects file adds: passed over when it is imported again.
pub(super) const ADDED: [&str; 2] = ["line", "error"];

/// A file that cannot be taken at all.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct FileError {
    /// The file.
    pub file: String,
    /// What is wrong with it, and what is expected.
    pub problem: String,
}

/// The columns of one file.
#[derive(Debug, Clone)]
pub struct Header {
    /// What the rows are.
    pub entity: Entity,
    /// How the file is written.
    pub dialect: Arc<Dialect>,
    /// The columns as the file names them.
    pub names: Vec<String>,
    /// The same as messages name them: with ours, where that is another.
    pub labels: Vec<String>,
    /// Where each field is.
    sources: Vec<Source>,
}

/// Where a field's cells are.
#[derive(Debug, Clone)]
struct Source {
    /// The column that holds it.
    place: Option<usize>,
    /// What it is where there is no column.
    constant: Option<String>,
    /// What the file's own words stand for.
    values: BTreeMap<String, String>,
    /// What messages call it.
    label: String,
}

/// The kind of an import file by its name: `orders.csv`, `2026-01-orders.csv`.
pub fn entity_of(path: &Path) -> Option<Entity> {
    if !path.extension()?.eq_ignore_ascii_case("csv") {
        return None;
    }
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    let named = |entity: &&Entity| stem.ends_with(<&str>::from(**entity));
    Entity::VARIANTS.iter().find(named).copied()
}

/// The same, where a shop's own names are known.
pub fn kind_of(path: &Path, dialects: &Dialects) -> Option<Entity> {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let own = name.and_then(|name| dialects.entity_of(&name));
    own.or_else(|| entity_of(path))
}

impl Header {
    /// Takes the first row of a file; gives a warning for each column that
    /// nobody knows. Refused, with the reason: a column that is there twice,
    /// or a required one that is not.
    pub fn read(
        entity: Entity,
        dialect: Arc<Dialect>,
        names: Vec<String>,
    ) -> Result<(Self, Vec<String>), String> {
        let header = Self::with(entity, dialect, names)?;
        let missing: Vec<&str> = std::iter::zip(entity.fields(), &header.sources)
            .filter(|(field, source)| {
                field.required && source.place.is_none() && source.constant.is_none()
            })
            .map(|(_, source)| source.label.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(header.missing_columns(&missing));
        }
        let is_taken = |place| {
            header
                .sources
                .iter()
                .any(|source| source.place == Some(place))
        };
        let columns = header.names.iter().enumerate();
        let unknown = columns.filter(|(place, name)| !is_taken(*place) && !is_added(name));
        let warnings = unknown.map(|(_, name)| match header.displaced_by(name) {
            Some(own) => format!(
                "column `{name}` is ignored: [{}.columns] has `{own}` for it",
                section(entity)
            ),
            None => {
                let one = entity.one();
                format!("column `{name}` is not a fact of {one}s: it is ignored")
            }
        });
        let warnings = warnings.collect();
        Ok((header, warnings))
    }

    /// The header that the dialect has in place of one of ours.
    fn displaced_by(&self, name: &str) -> Option<&String> {
        self.dialect.columns.get(name.to_ascii_lowercase().as_str())
    }

    /// Columns of which none is required, by the manual's names. A name that
    /// is there twice is refused.
    pub fn of(entity: Entity, names: Vec<String>) -> Result<Self, String> {
        Self::with(entity, Arc::default(), names)
    }

    fn with(entity: Entity, dialect: Arc<Dialect>, names: Vec<String>) -> Result<Self, String> {
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        for (place, name) in names.iter().enumerate() {
            let before = names.iter().take(place);
            if !name.is_empty() && before.into_iter().any(|other| same(other, name)) {
                return Err(format!(
                    "column `{name}` is there twice: expected each column once"
                ));
            }
        }
        let fields = entity.fields().iter();
        let sources: Vec<Source> = fields
            .map(|field| source(field, &dialect, &names))
            .collect();
        let mut labels = names.clone();
        for source in &sources {
            if let Some(label) = source.place.and_then(|place| labels.get_mut(place)) {
                *label = source.label.clone();
            }
        }
        Ok(Self {
            entity,
            dialect,
            names,
            labels,
            sources,
        })
    }

    /// The cell of a field, trimmed, in our words; empty where the file has no
    /// such column, and no constant stands for it.
    pub fn cell<'a>(&'a self, row: &'a RawRow, field: usize) -> &'a str {
        let Some(source) = self.sources.get(field) else {
            return "";
        };
        match source.place {
            Some(place) => {
                let text = row.cells.get(place).map_or("", str::trim);
                source.values.get(text).map_or(text, String::as_str)
            }
            None => source.constant.as_deref().unwrap_or(""),
        }
    }

    /// What a word of the file stands for.
    pub(super) fn meant<'a>(&'a self, field: usize, word: &'a str) -> &'a str {
        let values = self.sources.get(field).map(|source| &source.values);
        let meant = values.and_then(|values| values.get(word));
        meant.map_or(word, String::as_str)
    }

    /// What messages call a field.
    pub(super) fn label(&self, field: usize) -> &str {
        self.sources.get(field).map_or("", |source| &source.label)
    }

    /// A problem of a row, with the field that it is about.
    pub(super) fn problem(&self, field: usize, problem: &str) -> String {
        format!("{}: {problem}", self.label(field))
    }

    fn missing_columns(&self, missing: &[&str]) -> String {
        let one = self.entity.one();
        let columns = missing.join("`, `");
        let mut text = format!(
            "the header has no column `{columns}`, which every file of {one}s needs: \
             expected a first row of column names, as CSV in {}",
            self.dialect.encoding.name()
        );
        let separators = [',', ';', '\t', '|'];
        if let [single] = self.names.as_slice()
            && single.contains(separators)
        {
            let expected = match self.dialect.delimiter {
                b',' => "commas".to_owned(),
                b'\t' => "tabs".to_owned(),
                other => format!("`{}`", char::from(other)),
            };
            let section = section(self.entity);
            text.push_str(&format!(
                "; the columns must be separated by {expected}, as `delimiter` in [{section}] has it"
            ));
        }
        text
    }
}

/// The section of the config that holds a dialect.
pub(super) fn section(entity: Entity) -> String {
    format!("import.{entity}")
}

fn source(field: &Field, dialect: &Dialect, names: &[String]) -> Source {
    let own = dialect.columns.get(field.name);
    let wanted = own.map_or(field.name, String::as_str);
    let label = match own {
        Some(own) if !same(own, field.name) => format!("{own} ({})", field.name),
        _ => field.name.to_owned(),
    };
    Source {
        place: names.iter().position(|name| same(name, wanted)),
        constant: dialect.constants.get(field.name).cloned(),
        values: dialect.values.get(field.name).cloned().unwrap_or_default(),
        label,
    }
}

/// Whether a column is one that a rejects file adds.
pub(super) fn is_added(name: &str) -> bool {
    ADDED.iter().any(|added| same(added, name))
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        for (path, expected) in [
            ("orders.csv", Some(Entity::Orders)),
            ("in/Units.CSV", Some(Entity::Units)),
            ("2026-01-claims.csv", Some(Entity::Claims)),
            ("waits.csv", Some(Entity::Waits)),
            ("orders.csv.rejects.csv", None),
            ("orders.txt", None),
            ("orders", None),
            ("customers.csv", None),
        ] {
            assert_eq!(entity_of(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn columns_come_in_any_order_and_unknown_ones_are_told() {
        let (header, warnings) = Header::read(
            Entity::Waits,
            Arc::default(),
            names("error, FROM ,colour,claim_ref,until,line"),
        )
        .unwrap();
        let row = RawRow {
            line: 2,
            cells: "old, 2026-01-01 ,red,C-1,,7".split(',').collect(),
            problem: None,
        };
        let cells: Vec<&str> = (0..4).map(|field| header.cell(&row, field)).collect();
        assert_eq!(cells, ["C-1", "2026-01-01", "", ""]);
        assert_eq!(
            warnings,
            ["column `colour` is not a fact of waits: it is ignored"]
        );
    }

    #[test]
    fn a_header_without_a_required_column_or_with_one_twice_is_refused() {
        for (columns, expected) in [
            ("claim_ref", "no column `from`, which every file of waits"),
            ("claim_ref;from;until", "must be separated by commas"),
            ("claim_ref,from,From", "column `From` is there twice"),
            ("", "no column `claim_ref`, `from`"),
        ] {
            let problem = Header::read(Entity::Waits, Arc::default(), names(columns)).unwrap_err();
            assert!(problem.contains(expected), "{columns}: {problem}");
        }
    }
}
