//! `explain REF`: facts, windows with their arithmetic, steps, notices and
//! amounts of an order, a unit or a claim.

mod page;

use std::io::Write as _;

use anyhow::{Context, Result};

use super::{Done, time_of, time_or_now};
use crate::jobs::{self, Refused, Shop};
use page::Page;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The order's, unit's or claim's own name
    name: String,
    /// As of a time instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As far as had been recorded by a time, under the rules of then
    #[arg(long, value_name = "TIME")]
    known_at: Option<String>,
}

/// Explains a subject.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let at = time_or_now(&shop, args.at.as_deref())?;
    let known_at = time_of(&shop, "--known-at", args.known_at.as_deref())?;
    let then = known_at.map_or("", |_| " known by then");
    let none = || {
        Refused(format!(
            "there is no order, unit or claim `{}`{then}",
            args.name
        ))
    };
    let explained = jobs::explain(&shop, &args.name, at, known_at).await?;
    let explained = explained.with_context(none)?;
    let page = Page {
        name: &args.name,
        explained: &explained,
        at,
        known_at,
    };
    let text = page.text()?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Done::Well)
}
