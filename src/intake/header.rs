//! Which file is which, and which column is where.

use std::path::Path;

use strum::VariantArray;

use super::reader::RawRow;
use crate::case::{Entity, Field};

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
    /// The columns as the file names them.
    pub names: Vec<String>,
    /// Of each field, the column that holds it.
    places: Vec<Option<usize>>,
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

impl Header {
    /// Takes the first row of a file; gives a warning for each column that
    /// nobody knows. Refused, with the reason: a column that is there twice,
    /// or a required one that is not.
    pub fn read(entity: Entity, names: Vec<String>) -> Result<(Self, Vec<String>), String> {
        let header = Self::of(entity, names)?;
        let missing: Vec<&str> = std::iter::zip(entity.fields(), &header.places)
            .filter(|(field, place)| field.required && place.is_none())
            .map(|(field, _)| field.name)
            .collect();
        if !missing.is_empty() {
            return Err(header.missing_columns(&missing));
        }
        let unknown =
            |name: &&String| entity.field(&name.to_ascii_lowercase()).is_none() && !is_added(name);
        let warnings = header.names.iter().filter(unknown).map(|name| {
            let one = entity.one();
            format!("column `{name}` is not a fact of {one}s: it is ignored")
        });
        let warnings = warnings.collect();
        Ok((header, warnings))
    }

    /// Columns of which none is required. A name that is there twice is
    /// refused.
    pub fn of(entity: Entity, names: Vec<String>) -> Result<Self, String> {
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        for (place, name) in names.iter().enumerate() {
            let before = names.iter().take(place);
            if !name.is_empty() && before.into_iter().any(|other| same(other, name)) {
                return Err(format!(
                    "column `{name}` is there twice: expected each column once"
                ));
            }
        }
        let place_of = |field: &Field| names.iter().position(|name| same(name, field.name));
        let places = entity.fields().iter().map(place_of).collect();
        Ok(Self {
            entity,
            names,
            places,
        })
    }

    /// The cell of a field, trimmed; empty where the file has no such column.
    pub fn cell<'a>(&self, row: &'a RawRow, field: usize) -> &'a str {
        let place = self.places.get(field).copied().flatten();
        place
            .and_then(|place| row.cells.get(place))
            .map_or("", str::trim)
    }

    fn missing_columns(&self, missing: &[&str]) -> String {
        let one = self.entity.one();
        let columns = missing.join("`, `");
        let mut text = format!(
            "the header has no column `{columns}`, which every file of {one}s needs: \
             expected a first row of column names, as CSV in UTF-8"
        );
        if let [single] = self.names.as_slice()
            && (single.contains(';') || single.contains('\t'))
        {
            text.push_str("; the columns must be separated by commas");
        }
        text
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
            let problem = Header::read(Entity::Waits, names(columns)).unwrap_err();
            assert!(problem.contains(expected), "{columns}: {problem}");
        }
    }
}
