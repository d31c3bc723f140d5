//! `forget CUSTOMER_REF`: a customer's name and address, everywhere.

use anyhow::Result;

use super::Done;
use crate::clock;
use crate::jobs::{self, Shop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The customer, as orders name them
    customer_ref: String,
}

/// Forgets a customer.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    let forgotten = jobs::forget(&shop, &args.customer_ref, clock::now()).await?;
    println!(
        "erased from {} and {}; keep them out of the next import, too",
        jobs::number_of(forgotten.orders, "order"),
        jobs::number_of(forgotten.messages, "message")
    );
    println!("not looked through, and yours to clean:");
    for place in jobs::not_forgotten(&shop.config) {
        println!("  {place}");
    }
    Ok(Done::Well)
}
