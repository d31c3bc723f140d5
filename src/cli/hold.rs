//! `hold`, `unhold`, `opt-out` and `opt-in`: what customers are not told.

use anyhow::Result;

use super::output::one_of;
use super::{Done, time_of};
use crate::case::HoldKind;
use crate::clock;
use crate::jobs::{self, Holding, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    what: What,
    /// Why, in a line: the exceptions report shows it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct What {
    /// The order's, unit's, claim's or customer's own name
    #[arg(value_name = "REF")]
    name: String,
    /// What it is, where several things have the name
    #[arg(long, value_parser = one_of::<HoldKind>())]
    kind: Option<HoldKind>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct OptOutArgs {
    /// The customer
    customer_ref: Option<String>,
    /// The customer that a message was written to, by its Message-ID or the
    /// part before the `@`
    #[arg(long, value_name = "ID")]
    message: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct OptInArgs {
    /// The customer
    customer_ref: String,
}

impl What {
    fn holding(&self) -> Holding<'_> {
        Holding {
            name: &self.name,
            kind: self.kind,
        }
    }
}

/// Holds customers' notices.
pub async fn hold(args: Args, shop: Shop) -> Result<Done> {
    let until = time_of(&shop, "--until", args.until.as_deref())?;
    let holding = args.what.holding();
    let held = jobs::hold(&shop, holding, &args.reason, until, clock::now()).await?;
    let name = &args.what.name;
    match held {
        Some(kind) => println!("{kind} {name} is held: deadlines run on, customers are not told"),
        None => println!("nothing changed: {name} is held so"),
    }
    Ok(Done::Well)
}

/// Lets customers' notices go.
pub async fn unhold(args: What, shop: Shop) -> Result<Done> {
    let lifted = jobs::unhold(&shop, args.holding(), clock::now()).await?;
    let name = &args.name;
    match lifted {
        Some(kind) => println!(
            "{kind} {name} is not held any more: after the next `enforce` what is still true is \
             sent"
        ),
        None => println!("nothing changed: {name} is not held"),
    }
    Ok(Done::Well)
}

/// Sends a customer no reminders any more.
pub async fn opt_out(args: OptOutArgs, shop: Shop) -> Result<Done> {
    let customer_ref = match (args.customer_ref, args.message) {
        (_, Some(message)) => jobs::customer_of_message(&shop, &message).await?,
        (named, None) => named.unwrap_or_default(),
    };
    match jobs::opt_out(&shop, &customer_ref, clock::now()).await? {
        true => println!("customer {customer_ref} gets no reminders any more"),
        false => println!("nothing changed: customer {customer_ref} gets no reminders"),
    }
    Ok(Done::Well)
}

/// Sends a customer reminders again.
pub async fn opt_in(args: OptInArgs, shop: Shop) -> Result<Done> {
    let customer_ref = &args.customer_ref;
    match jobs::opt_in(&shop, customer_ref, clock::now()).await? {
        true => println!("customer {customer_ref} gets reminders again"),
        false => println!("nothing changed: customer {customer_ref} gets reminders"),
    }
    Ok(Done::Well)
}
