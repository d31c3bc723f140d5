//! `policy show`, `policy check` and `policy try`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use clap::Subcommand;
use serde_json::Value;

use super::output::{Rows, TableFormat, or_dash, progress};
use super::{Done, load, parse_date};
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::jobs::{self, Refused, Shop, Trial};
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
    /// Say what would have been different under a policy
    Try {
        /// Its file; it takes the place of the versions of its name
        file: PathBuf,
        /// For orders that were placed on this date or later
        #[arg(long, value_name = "DATE", value_parser = parse_date)]
        from: NaiveDate,
        /// Until this date
        #[arg(long, value_name = "DATE", value_parser = parse_date)]
        to: NaiveDate,
        /// How the table is printed
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
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
        What::Try {
            file,
            from,
            to,
            format,
        } => {
            let shop = Shop::open(load(config)?).await?;
            return policy_try(&shop, &file, [from, to], format).await;
        }
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

fn read(file: &Path) -> Result<Policy> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| Refused(name.clone()))?;
    Ok(Policy::parse(&name, &text)?)
}

async fn policy_try(
    shop: &Shop,
    file: &Path,
    [from, to]: [NaiveDate; 2],
    format: TableFormat,
) -> Result<Done> {
    if from > to {
        let why = format!("--from {from} is after --to {to}: expected the earlier date first");
        return Err(Refused(why).into());
    }
    let policy = read(file)?;
    let bar = progress("{spinner} {msg} {elapsed}", "policy try");
    let trial = jobs::policy_try(shop, policy, from, to, clock::now()).await;
    bar.finish_and_clear();
    let trial = trial?;
    let mut rows = Rows::new(&["order_ref", "subject", "ref", "what", "is", "would_be"]);
    for found in &trial.differences {
        rows.push([
            found.order_ref.clone(),
            found.subject.to_string(),
            found.subject_ref.clone(),
            found.what.clone(),
            or_dash(found.is.as_ref()),
            or_dash(found.would_be.as_ref()),
        ]);
    }
    rows.print(format)?;
    let Trial {
        orders,
        failed,
        differences,
    } = &trial;
    let different = differences.len();
    eprintln!(
        "{} placed from {from} to {to}: deadlines and claims that would differ: {different}; \
         nothing was changed",
        jobs::number_of(*orders, "order")
    );
    match failed {
        0 => Ok(Done::Well),
        _ => {
            let failed = jobs::number_of(*failed, "order");
            eprintln!("{failed} cannot be evaluated: see the report exceptions");
            Ok(Done::Partly)
        }
    }
}

fn check(files: &[PathBuf], format: TableFormat) -> Result<Done> {
    let mut rows = Rows::new(&[
        "file", "policy", "window", "clause", "days", "count", "steps",
    ]);
    for file in files {
        let name = file.display().to_string();
        let policy = read(file)?;
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
