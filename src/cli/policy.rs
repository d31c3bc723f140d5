//! `policy show` and `policy check`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use super::output::{Rows, TableFormat};
use super::{Done, load};
use crate::config::{Config, ConfigError};
use crate::jobs::{self, Refused, Shop};
use crate::policy::{Policy, PolicyId, STANDARD};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the built-in policy, or the version NAME@DATE in force
    Show {
        /// NAME@DATE, for example standard@2000-01-01
        version: Option<String>,
    },
    /// Check policy files, and list what they say
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How the table is printed
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
    },
}

/// Prints or checks policies.
pub async fn run(args: Args, config: Option<PathBuf>) -> Result<Done> {
    match args.what {
        What::Show { version: None } => print!("{STANDARD}"),
        What::Show {
            version: Some(version),
        } => print!("{}", text_of(&version, config).await?),
        What::Check { files, format } => return check(&files, format),
    }
    Ok(Done::Well)
}

/// The text of a version: as it was used, else as the config's directory or
/// the program has it.
async fn text_of(version: &str, config: Option<PathBuf>) -> Result<String> {
    let id = version.rsplit_once('@').and_then(|(name, date)| {
        Some(PolicyId {
            name: name.to_owned(),
            effective_from: date.parse().ok()?,
        })
    });
    let id = id.with_context(|| {
        Refused(format!(
            "found `{version}`, expected NAME@DATE such as standard@2000-01-01"
        ))
    })?;
    let config: Option<Config> = match load(config) {
        Ok(config) => Some(config),
        // The built-in policy can be read without any config.
        Err(error) if error.is::<ConfigError>() => None,
        Err(error) => return Err(error),
    };
    let known = match config {
        Some(config) => jobs::policy_texts(&Shop::open(config).await?).await?,
        None => jobs::book(None)?
            .versions()
            .map(|policy| policy.as_ref().clone())
            .collect(),
    };
    let names: Vec<String> = known.iter().map(|policy| policy.id.to_string()).collect();
    let found = known.into_iter().find(|policy| policy.id == id);
    let found = found.with_context(|| {
        Refused(format!(
            "there is no policy {id}: expected one of {}",
            names.join(", ")
        ))
    })?;
    Ok(found.text)
}

fn check(files: &[PathBuf], format: TableFormat) -> Result<Done> {
    let mut rows = Rows::new(&[
        "file", "policy", "window", "clause", "days", "count", "steps",
    ]);
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| Refused(name.clone()))?;
        let policy = Policy::parse(&name, &text)?;
        for (window, terms) in policy.windows() {
            let steps = terms
                .steps
                .iter()
                .map(|step| step.at.to_string())
                .collect::<Vec<_>>();
            rows.push([
                Value::from(name.clone()),
                policy.id.to_string().into(),
                window.to_string().into(),
                terms.clause.clone().into(),
                terms.days.into(),
                terms.count.to_string().into(),
                steps.join(" ").into(),
            ]);
        }
    }
    rows.print(format)?;
    Ok(Done::Well)
}
