//! What a try leaves of its message.

use chrono::TimeDelta;

use crate::config::{Mail, OnUncertain};
use crate::mail::{Blame, Delivery};
use crate::policy::{Instant, sha256_hex};
use crate::store::{Message, MessageState, Try};

/// The first wait before a message is tried again; it doubles up to the last.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(5);
const LAST_WAIT: TimeDelta = TimeDelta::hours(4);

/// What is left of a message that was not handed over.
pub(super) fn given_back(message: &Message) -> Try {
    Try {
        counts: false,
        next_try_at: message.next_try_at,
        answer: None,
        refused: message.refused,
        ..tried(MessageState::Ready, String::new())
    }
}

/// What a delivery leaves of its message, and the fault of the transport, if
/// it has one.
pub(super) fn settled(
    mail: &Mail,
    message: &Message,
    delivery: Delivery,
    now: Instant,
) -> (Try, Option<String>) {
    match delivery {
        Delivery::Delivered { answer } => (tried(MessageState::Sent, answer), None),
        Delivery::RefusedForGood { answer } => {
            let refused = Try {
                refused: true,
                ..tried(MessageState::Failed, answer)
            };
            (refused, None)
        }
        Delivery::RefusedForNow { answer }
        | Delivery::NotSent {
            cause: answer,
            blame: Blame::Message,
        } => (later(mail, message, answer, now), None),
        // The message is not to blame: it keeps its tries and its turn.
        Delivery::NotSent {
            cause,
            blame: Blame::Transport | Blame::Us,
        } => {
            let waits = Try {
                counts: false,
                next_try_at: message.next_try_at,
                ..tried(MessageState::Ready, cause.clone())
            };
            (waits, Some(cause))
        }
        Delivery::Uncertain { cause } => (uncertain(mail, message, &cause, now), None),
    }
}

fn tried(state: MessageState, answer: String) -> Try {
    Try {
        state,
        counts: true,
        next_try_at: None,
        answer: Some(answer),
        refused: false,
        maybe_taken: false,
    }
}

/// The server may have the message: it is sent again byte for byte, or waits
/// for a person.
pub(super) fn uncertain(mail: &Mail, message: &Message, cause: &str, now: Instant) -> Try {
    let answer = format!("uncertain: {cause}");
    let tried = match mail.on_uncertain {
        OnUncertain::Resend => later(mail, message, answer, now),
        OnUncertain::Hold => tried(MessageState::Uncertain, answer),
    };
    Try {
        maybe_taken: true,
        ..tried
    }
}

/// Another try, after a wait that doubles; or none any more.
fn later(mail: &Mail, message: &Message, answer: String, now: Instant) -> Try {
    let next_try_at = now + wait(message);
    let first_try_at = message.first_try_at.unwrap_or(now);
    if next_try_at > first_try_at + mail.give_up_after {
        let answer = format!("given up after {} tries: {answer}", message.tries + 1);
        return tried(MessageState::Failed, answer);
    }
    Try {
        next_try_at: Some(next_try_at),
        ..tried(MessageState::Ready, answer)
    }
}

/// Doubles with each try; up to a fifth longer, so that messages that were
/// refused together are not tried together for ever.
fn wait(message: &Message) -> TimeDelta {
    let doublings = u32::try_from(message.tries).unwrap_or(u32::MAX).min(10);
    let wait = (FIRST_WAIT * 2_i32.pow(doublings)).min(LAST_WAIT);
    let digest = sha256_hex(format!("{} {}", message.draft.message_id, message.tries).as_bytes());
    let jitter = i32::from_str_radix(&digest[..2], 16).unwrap_or(0);
    wait + wait / 5 * jitter / 255
}
