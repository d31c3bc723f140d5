//! Where the database is.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// The database of a business: `database.url`.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file of SQLite, created if it is missing.
    Sqlite(PathBuf),
    /// The address of a PostgreSQL database.
    Postgres(String),
}

impl Database {
    /// What an address may be, for messages.
    pub(super) const EXPECTED: &'static str =
        "sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE";

    /// The same, with a relative path joined to a directory.
    pub(super) fn below(self, base: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(base.join(path)),
            address => address,
        }
    }

    /// What tells it from others on the same machine, and is the same on all
    /// nodes: no host, no login, no options.
    pub fn label(&self) -> Cow<'_, str> {
        match self {
            Self::Sqlite(path) => path.to_string_lossy(),
            Self::Postgres(url) => {
                let address = url.split('?').next().unwrap_or(url);
                address.rsplit('/').next().unwrap_or(address).into()
            }
        }
    }
}

/// An address may hold a password.
impl fmt::Debug for Database {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(text, "{}", path.display()),
            Self::Postgres(_) => text.write_str("postgres://…"),
        }
    }
}
