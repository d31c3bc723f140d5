//! What the demo left, in numbers.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::super::{Shop, status};
use crate::policy::Instant;
use crate::report::ReportName;

/// How many there are of something, and in which states.
#[derive(Debug)]
pub struct Count {
    /// Of what.
    pub what: &'static str,
    /// All of them.
    pub all: u64,
    /// By state; of what has none nothing.
    pub by_state: BTreeMap<String, u64>,
}

/// Counts what there is: as the reports say it, and for what they do not tell
/// of, the database.
pub async fn counts(shop: &Shop, reports: &Path, at: Instant) -> Result<Vec<Count>> {
    let status = status(shop, at).await?;
    let messages = status.messages.into_iter();
    let messages: BTreeMap<_, _> = messages
        .map(|(state, count)| (state, count.unsigned_abs()))
        .collect();
    let of = |name: ReportName, column| rows(name, reports, column);
    Ok(vec![
        Count {
            what: "orders",
            all: status.agenda.orders.unsigned_abs(),
            by_state: BTreeMap::new(),
        },
        of(ReportName::Claims, None)?,
        of(ReportName::Deadlines, Some("state"))?,
        of(ReportName::Notices, Some("disposition"))?,
        Count {
            what: "messages",
            all: messages.values().sum(),
            by_state: messages,
        },
        of(ReportName::Exceptions, None)?,
    ])
}

/// Counts the rows of a report, by what a column says.
fn rows(name: ReportName, reports: &Path, column: Option<&str>) -> Result<Count> {
    let path = reports.join(format!("{name}.csv"));
    let shown = || path.display().to_string();
    let mut reader = csv::Reader::from_path(&path).with_context(shown)?;
    let mut header = reader.headers().with_context(shown)?.iter();
    let place = column.and_then(|column| header.position(|name| name == column));
    let mut count = Count {
        what: name.into(),
        all: 0,
        by_state: BTreeMap::new(),
    };
    for row in reader.records() {
        let row = row.with_context(shown)?;
        count.all += 1;
        if let Some(state) = place.and_then(|place| row.get(place)) {
            *count.by_state.entry(state.to_owned()).or_default() += 1;
        }
    }
    Ok(count)
}
