//! Letters, messages and their way to a mail server.
//!
//! What is to be told comes in as [`NoticeText`]s, becomes a [`Letter`] (words),
//! then the bytes of a message ([`build`]), then a [`Delivery`] ([`Transport`]).
//!
//! What comes back is read by [`read_bounce`].
//!
//! May touch: `policy`, the templates (built in, and those of a directory), the
//! network and, for the `file` transport, one directory. No SQL, no clock, no config.
//!
//! Invariant: what a customer wrote (names, products) is only ever text: it
//! adds no header, no line, no markup. A message counts as delivered only if
//! the server's answer to its last byte says so.

mod address;
mod answer;
mod bounce;
mod choose;
mod compliance;
mod conversation;
mod day;
mod delivery;
mod file;
mod files;
mod layout;
mod letter;
mod message;
mod notice;
mod opening;
mod samples;
mod scribe;
mod server;
mod session;
mod stream;
mod templates;
mod text;
mod trouble;
mod unbroken;
mod wire;
mod worklist;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod letter_tests;
#[cfg(test)]
mod locale_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod scripted_server;
#[cfg(test)]
mod session_tests;

pub use address::domain_of;
pub use bounce::{BOUNCE_BYTES, Bounce, Bounced, Returned, Severity, address_key, read_bounce};
pub use choose::letter_name;
pub use compliance::{KeptPromise, KeptPromises};
pub use day::{Count, DayReport, DueOn, LatePromise, OnTimeShare, OwedMoney, WORST_PER_LETTER};
pub use delivery::{Blame, Delivery, Envelope, Transport};
pub use file::FileTransport;
pub use files::{Carried, Files};
pub use letter::{ComposeError, Letter, Letters, NOTICES_PER_LETTER};
pub use message::{
    Attachment, BuildError, Headers, Mailbox, ReadMailbox, Unsubscribe, build, message_id,
    redirected,
};
pub use notice::{Addressee, NoticeText, Shop};
pub use samples::{Sample, ToShop, samples};
pub use server::{Login, Server, ServerError, Tls};
pub use session::{SmtpSettings, SmtpTransport, Timeouts};
pub use templates::TemplateError;
pub use trouble::{AddressGone, EndedAlarm, LastingAlarm, Trouble};
pub use worklist::{WORK_PER_LETTER, WorkLine, WorkPart, Worklist};
