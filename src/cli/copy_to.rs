//! `copy-to`: from SQLite to PostgreSQL.

use anyhow::Result;

use super::Done;
use super::output::{Rows, TableFormat, progress};
use crate::jobs::{self, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An empty database: postgres://[USER@]HOST[:PORT]/DATABASE
    url: String,
    /// How the list is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Copies, compares, and says what to do next.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let bar = progress("{spinner} {human_pos} rows, {per_sec}", "");
    let copied = jobs::copy_to(&shop, &args.url, &mut |rows| bar.inc(rows)).await;
    bar.finish_and_clear();
    let mut rows = Rows::new(&["table", "rows"]);
    for table in copied? {
        rows.push([serde_json::Value::from(table.table), table.rows.into()]);
    }
    rows.print(args.format)?;
    eprintln!("every row was read back and is equal; next: name the address in database.url");
    Ok(Done::Well)
}
