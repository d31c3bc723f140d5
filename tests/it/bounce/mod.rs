//! Mail that comes back: reports of well-known servers as they are written,
//! what they change, and what hostile ones do not.

mod changes;
mod command;
mod hostile;
mod shapes;

use std::fs;
use std::path::Path;

/// The message that the samples return, and its recipient.
pub const ID: &str = "<0123456789abcdef0123456789abcdef@example.com>";
pub const ADA: &str = "ada@example.com";

/// A sample by its name.
pub fn sample(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bounce/samples");
    fs::read_to_string(dir.join(format!("{name}.eml"))).unwrap()
}
