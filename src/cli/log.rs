//! What is logged, and how: one line an event on stderr, or an entry of the
//! journal.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::EVERYWHERE;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How events are logged: text, json (an object a line) or journald (with
    /// fields) [default: journald where stderr is the journal, else text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    #[arg(hide_possible_values = true, help_heading = EVERYWHERE)]
    log: Option<LogFormat>,
    /// Log more; twice: all. RUST_LOG stands above it
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = EVERYWHERE)]
    verbose: u8,
}

/// How events are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people, on stderr.
    Text,
    /// A JSON object a line, on stderr.
    Json,
    /// Entries with fields, by the journal's own protocol.
    Journald,
}

/// Logs go out from now on; what is logged without a word from anybody is
/// `usual`. Gives the format that was chosen.
pub fn start(args: &Args, usual: &str) -> LogFormat {
    let wanted = args.log.unwrap_or_else(|| match stderr_is_journal() {
        true => LogFormat::Journald,
        false => LogFormat::Text,
    });
    let usual = match args.verbose {
        0 => usual,
        1 => "warn,warrantyd=debug",
        _ => "info,warrantyd=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let (format, layer, problem) = match layer(wanted) {
        Ok(layer) => (wanted, layer, None),
        Err(problem) => (LogFormat::Text, text(), Some(problem)),
    };
    // Not a filter of the layer's own: by that one an event was lost that came
    // after others which were not wanted.
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
    if let Some(error) = problem {
        tracing::warn!(%error, "the journal cannot be reached: logs go to stderr");
    }
    format
}

type Boxed = Box<dyn Layer<Layered<EnvFilter, Registry>> + Send + Sync>;

fn layer(format: LogFormat) -> std::io::Result<Boxed> {
    Ok(match format {
        LogFormat::Text => text(),
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().json();
            json.flatten_event(true).with_writer(stderr).boxed()
        }
        LogFormat::Journald => {
            let journal =
                tracing_journald::layer()?.with_field_prefix(Some("WARRANTYD".to_owned()));
            let priorities = PriorityMappings {
                info: Priority::Informational,
                debug: Priority::Debug,
                ..PriorityMappings::new()
            };
            journal.with_priority_mappings(priorities).boxed()
        }
    })
}

fn text() -> Boxed {
    let text = tracing_subscriber::fmt::layer().with_ansi(stderr().is_terminal());
    text.with_writer(stderr).boxed()
}

/// Whether what is written to stderr ends up in the journal: systemd names its
/// device and inode (systemd.exec, `$JOURNAL_STREAM`).
fn stderr_is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let found = rustix::fs::fstat(stderr());
    found.is_ok_and(|found| named == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Says why the program ends: to a person, or as an event like the others.
pub fn fail(format: LogFormat, error: String) {
    match format {
        LogFormat::Text => eprintln!("error: {error}"),
        _ => tracing::error!(error, "ended"),
    }
}
