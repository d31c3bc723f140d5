//! `doctor`: whether all is in place.

use anyhow::Result;
use serde_json::Value;

use super::Done;
use super::output::{Rows, TableFormat};
use crate::jobs::{self, Health, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the table is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Looks at everything and changes nothing.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let checks = jobs::doctor(&shop).await?;
    let mut rows = Rows::new(&["what", "health", "found"]);
    for check in &checks {
        rows.push([
            Value::from(check.what),
            check.health.to_string().into(),
            check.found.clone().into(),
        ]);
    }
    rows.print(args.format)?;
    match checks.iter().any(|check| check.health == Health::Fail) {
        true => Ok(Done::Failed),
        false => Ok(Done::Well),
    }
}
