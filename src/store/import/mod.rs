//! Staging and merging facts (spec, section 4; design, section 4).
//!
//! Rows of a batch are staged in temporary tables of one connection, which
//! takes no lock on the database and leaves nothing behind when the process
//! dies. [`staging_merge`] then applies them in one transaction.
//!
//! Invariant: whoever calls holds the import lock from [`staging_open`] on, so
//! nobody else changes facts; a batch is applied whole or not at all.

mod merge;
mod staging;

pub use merge::{Merged, staging_merge};
pub use staging::{
    KnownRow, StagedRow, UnitLink, has_stored, parent_facts, rows_stage, rows_staged, rows_stored,
    rows_unstage, staging_close, staging_open, unit_links,
};

use crate::case::Entity;

/// The facts of a row, in the order of [`Entity::fields`].
type Facts = Vec<Option<crate::case::Value>>;

/// What a row is known by: its name; a wait, by its claim and its beginning.
type Key = (String, Option<i64>);

/// The tables of an entity.
struct Tables {
    /// Where the facts are, and where they are staged.
    main: &'static str,
    staged: &'static str,
    /// The parent's table, the column that points to it, and the parent's name.
    parent: Option<(&'static str, &'static str, &'static str)>,
    /// What is unique in `main`.
    unique: &'static str,
}

fn tables(entity: Entity) -> Tables {
    let (main, staged, parent, unique) = match entity {
        Entity::Orders => ("orders", "staged_orders", None, "order_ref"),
        Entity::Units => (
            "units",
            "staged_units",
            Some(("orders", "order_id", "order_ref")),
            "unit_ref",
        ),
        Entity::Claims => (
            "claims",
            "staged_claims",
            Some(("units", "unit_id", "unit_ref")),
            "claim_ref",
        ),
        Entity::Waits => (
            "waits",
            "staged_waits",
            Some(("claims", "claim_id", "claim_ref")),
            "claim_id, \"from\"",
        ),
    };
    Tables {
        main,
        staged,
        parent,
        unique,
    }
}

/// Text for each field, with commas between.
fn list(entity: Entity, mut of: impl FnMut(usize, &str) -> String) -> String {
    let fields = entity.fields().iter().enumerate();
    let parts: Vec<String> = fields.map(|(place, field)| of(place, field.name)).collect();
    parts.join(", ")
}
