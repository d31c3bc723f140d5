//! `demo [DIR]`: the quickstart.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::Done;
use super::output::{Rows, TableFormat};
use crate::jobs::{self, Count, Demo};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the demo is written; a former demo in it is made anew
    #[arg(default_value = "demo")]
    dir: PathBuf,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
}

/// Plays the demo and says where to look.
pub async fn run(args: Args) -> Result<Done> {
    let demo = jobs::demo(&args.dir).await?;
    let mut rows = Rows::new(&["what", "count", "of which"]);
    for Count {
        what,
        all,
        by_state,
    } in &demo.counts
    {
        let states = by_state
            .iter()
            .map(|(state, count)| format!("{count} {state}"));
        let states: Vec<String> = states.collect();
        rows.push([Value::from(*what), (*all).into(), states.join(", ").into()]);
    }
    if args.format == TableFormat::Json {
        let Demo {
            config, at, claim, ..
        } = &demo;
        let files: Vec<_> = demo.open_first.iter().map(|(_, path)| path).collect();
        let all = serde_json::json!({
            "counts": rows.objects(), "open_first": files, "config": config, "at": at,
            "claim": claim,
        });
        println!("{all:#}");
        return Ok(Done::Well);
    }
    rows.print(args.format)?;
    print_where(&demo);
    Ok(Done::Well)
}

fn print_where(demo: &Demo) {
    println!("\nopen first:");
    for (what, path) in &demo.open_first {
        println!("  {what:<28} {}", path.display());
    }
    let (config, claim, at) = (demo.config.display(), demo.claim, &demo.at);
    println!("\nthen: warrantyd --config {config} explain {claim} --at '{at}'");
}
