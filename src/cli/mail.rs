//! `mail`: the outbox.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use super::output::{Rows, TableFormat, one_of, or_dash};
use super::{Done, preview};
use crate::clock;
use crate::jobs::{self, LetGo, Refused, Shop};
use crate::policy::Audience;
use crate::store::{MessageKind, MessageState};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List messages, the newest first, and what is held before there is one
    List {
        /// Only those of a state
        #[arg(long, value_parser = one_of::<MessageState>())]
        state: Option<MessageState>,
        /// Only what is kept from customers, and why
        #[arg(long, conflicts_with = "state")]
        held: bool,
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
    /// Let go what the surge guard holds, or what is held since a restore
    Release {
        /// Only what is about an order, or all orders of a customer
        #[arg(long = "ref", value_name = "REF")]
        name: Option<String>,
    },
    /// Give up what is held so: nobody is ever told
    Discard {
        /// Only what is about an order, or all orders of a customer
        #[arg(long = "ref", value_name = "REF")]
        name: Option<String>,
    },
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
            held,
            limit,
            format,
        } => {
            let mut rows = Rows::new(&COLUMNS);
            if !held {
                add_messages(&mut rows, &shop, state, limit).await?;
            }
            if state.is_none() {
                add_kept_back(&mut rows, &shop, limit).await?;
            }
            rows.print(format)?;
        }
        What::Release { name } => {
            let let_go = jobs::release(&shop, name.as_deref(), clock::now()).await?;
            say(let_go, "are let go: the next `deliver` sends them");
        }
        What::Discard { name } => {
            let let_go = jobs::discard(&shop, name.as_deref(), clock::now()).await?;
            say(let_go, "are given up: nobody is ever told");
        }
        What::Show { id } => {
            let message = jobs::message(&shop, id).await?;
            let raw = message.with_context(|| no_message(id))?.draft.raw;
            if raw.is_empty() {
                let why = "was erased, by `forget` or after mail.keep_days";
                return Err(Refused(format!("what message {id} said {why}")).into());
            }
            // Not a word of ours into what is read as mail.
            for given in jobs::commands_on(&shop, id).await? {
                let at = given.at.with_timezone(&shop.config.calendar.zone);
                eprintln!("`{}` at {}", given.source, at.to_rfc3339());
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

/// Says what became of what was held.
fn say(let_go: LetGo, becomes: &str) {
    match let_go.notices {
        0 => println!("nothing is held by the surge guard or since a restore"),
        count => println!("{} {becomes}", jobs::number_of(count, "notice")),
    }
    if let_go.ends_restore {
        println!("customers' mail is held no more since the database was restored");
    }
}

fn no_message(id: i64) -> Refused {
    Refused(format!(
        "there is no message {id}: `warrantyd mail list` shows them"
    ))
}

const COLUMNS: [&str; 10] = [
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

async fn add_messages(
    rows: &mut Rows,
    shop: &Shop,
    state: Option<MessageState>,
    limit: u32,
) -> Result<()> {
    let zone = shop.config.calendar.zone;
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
    Ok(())
}

/// What is kept from customers and in no message: a row for each and each
/// cause.
async fn add_kept_back(rows: &mut Rows, shop: &Shop, limit: u32) -> Result<()> {
    let none = || Value::from(or_dash(None::<String>));
    for (kept, why) in jobs::kept_back(shop, limit).await? {
        rows.push([
            none(),
            kept.disposition.to_string().into(),
            MessageKind::Notices.to_string().into(),
            Audience::Customer.to_string().into(),
            kept.customer_ref.into(),
            none(),
            none(),
            none(),
            jobs::number_of(kept.notices, "notice").into(),
            why.into(),
        ]);
    }
    Ok(())
}
