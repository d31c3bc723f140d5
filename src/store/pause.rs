//! A mail server that cannot be used: since when, and when it is tried again.

use super::StoreError;
use super::engine::{Tx, select, write};
use crate::policy::Instant;

/// Since when the mail server cannot be used, whichever node found it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailPause {
    /// When it was first found so.
    pub since: Instant,
    /// What it was found with last; holds no addresses.
    pub cause: String,
    /// How many runs in a row were refused by it, up to the last; 0: it could
    /// not be reached then, or did not get on.
    pub refusals: i64,
    /// When the daemon tries it again.
    pub next_try_at: Instant,
}

/// Reads the pause; `None`: nothing is known against the server.
pub async fn mail_pause_load(tx: &mut Tx<'_>) -> Result<Option<MailPause>, StoreError> {
    let columns = ["since", "cause", "faults", "next_try_at"];
    let query = select("mail_pause", columns, "FROM mail_pause WHERE id = 1");
    let Some(mut row) = query.row(tx).await? else {
        return Ok(None);
    };
    Ok(Some(MailPause {
        since: row.time("since")?,
        cause: row.get("cause")?,
        refusals: row.get("faults")?,
        next_try_at: row.time("next_try_at")?,
    }))
}

/// Writes the pause.
pub async fn mail_pause_write(tx: &mut Tx<'_>, pause: &MailPause) -> Result<(), StoreError> {
    let sql = "INSERT INTO mail_pause (id, since, cause, faults, next_try_at) \
         VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO UPDATE \
           SET since = excluded.since, cause = excluded.cause, faults = excluded.faults, \
               next_try_at = excluded.next_try_at";
    let query = write(sql).bind(pause.since).bind(&pause.cause);
    let query = query.bind(pause.refusals).bind(pause.next_try_at);
    query.execute(tx).await?;
    Ok(())
}

/// The server can be used.
pub async fn mail_pause_end(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    write("DELETE FROM mail_pause WHERE id = 1")
        .execute(tx)
        .await?;
    Ok(())
}
