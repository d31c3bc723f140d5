//! Mail that comes back: reports of well-known servers as they are written,
//! what they change, and what hostile ones do not.

mod changes;
pub mod command;
mod hostile;
mod shapes;

use std::fs;
use std::path::Path;

use crate::shop::Shop;

/// The message that the samples return, and its recipient.
pub const ID: &str = "<0123456789abcdef0123456789abcdef@example.com>";
pub const ADA: &str = "ada@example.com";

/// A sample by its name.
pub fn sample(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bounce/samples");
    fs::read_to_string(dir.join(format!("{name}.eml"))).unwrap()
}

/// A sample about a message of a shop's.
pub async fn about(shop: &Shop, name: &str, id: i64) -> String {
    let sql = format!("SELECT message_id FROM messages WHERE id = {id}");
    let header = shop.rows(&sql).await.remove(0);
    sample(name).replace(ID, &header)
}
