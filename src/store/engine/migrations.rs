//! One text of the schema for both engines.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What an engine calls things.
pub struct Words {
    /// A number that it gives itself.
    pub id: &'static str,
    /// A number of another table that is a row's own.
    pub key: &'static str,
    /// A text.
    pub text: &'static str,
    /// What ends a comment where its rest is for PostgreSQL.
    pub postgres: &'static str,
}

/// The migrations in the words of an engine.
pub fn migrator(words: &Words) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        let sql = migration.sql.as_str();
        let sql = sql.replace("{id}", words.id).replace("{key}", words.key);
        let sql = sql.replace("{text}", words.text);
        let sql = sql.replace("{postgres}", words.postgres);
        Migration::new(
            migration.version,
            migration.description.clone(),
            migration.migration_type,
            AssertSqlSafe(sql).into_sql_str(),
            migration.no_tx,
        )
    });
    Migrator {
        migrations: Cow::Owned(migrations.collect()),
        ..Migrator::DEFAULT
    }
}

/// The newest version of the schema that this program knows.
pub fn known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// What a migration said, in this program's words.
pub fn checked(migrated: Result<(), MigrateError>, database: &str) -> Result<(), StoreError> {
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(found) => StoreError::Newer {
            database: database.to_owned(),
            found,
            known: known(),
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Migrate(other),
    })
}
