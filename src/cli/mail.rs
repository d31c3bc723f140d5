//! `mail`: the outbox.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use super::output::{Rows, TableFormat, one_of, or_dash};
use super::{Done, preview};
use crate::clock;
use crate::jobs::{self, Refused, Shop};
use crate::store::MessageState;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List messages, the newest first
    List {
        /// Only those of a state
        #[arg(long, value_parser = one_of::<MessageState>())]
        state: Option<MessageState>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// How the table is printed
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
    },
    /// Print a message as it is sent
    Show {
        /// Its number in `mail list`
        id: i64,
    },
    /// Write a letter to look at; nothing is sent
    Preview(preview::Args),
    /// Try a failed or uncertain message again
    Retry {
        /// Its number in `mail list`
        id: i64,
    },
}

/// Looks into the outbox.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    match args.what {
        What::List {
            state,
            limit,
            format,
        } => list(&shop, state, limit, format).await?,
        What::Show { id } => {
            let message = jobs::message(&shop, id).await?;
            let raw = message.with_context(|| no_message(id))?.draft.raw;
            if raw.is_empty() {
                let why = "was erased, by `forget` or after mail.keep_days";
                return Err(Refused(format!("what message {id} said {why}")).into());
            }
            print!("{raw}");
        }
        What::Preview(args) => preview::run(args, shop).await?,
        What::Retry { id } => {
            jobs::message(&shop, id)
                .await?
                .with_context(|| no_message(id))?;
            if !jobs::message_retry(&shop, id, clock::now()).await? {
                let what = "is neither failed nor uncertain: nothing to try again";
                return Err(Refused(format!("message {id} {what}")).into());
            }
            println!("message {id} is tried again with the next `deliver`");
        }
    }
    Ok(Done::Well)
}

fn no_message(id: i64) -> Refused {
    Refused(format!(
        "there is no message {id}: `warrantyd mail list` shows them"
    ))
}

async fn list(
    shop: &Shop,
    state: Option<MessageState>,
    limit: u32,
    format: TableFormat,
) -> Result<()> {
    let zone = shop.config.calendar.zone;
    let columns = [
        "id",
        "state",
        "kind",
        "audience",
        "recipient",
        "composed_at",
        "tries",
        "sent_at",
        "subject",
        "answer",
    ];
    let mut rows = Rows::new(&columns);
    for message in jobs::messages(shop, state, limit).await? {
        let sent_at = message
            .sent_at
            .map(|at| at.with_timezone(&zone).to_rfc3339());
        let composed_at = message.composed_at.with_timezone(&zone).to_rfc3339();
        rows.push([
            Value::from(message.id),
            message.state.to_string().into(),
            message.draft.kind.to_string().into(),
            message.draft.audience.into(),
            message.draft.recipient.into(),
            composed_at.into(),
            message.tries.into(),
            or_dash(sent_at).into(),
            message.draft.subject.into(),
            or_dash(message.answer).into(),
        ]);
    }
    rows.print(format)
}
