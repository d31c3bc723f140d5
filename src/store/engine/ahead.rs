//! Pages that are read while those before are written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::link::TxOf;
use super::{Db, Store, StoreError, Tx, sqlite};

/// Writes pages that were read ahead. On PostgreSQL a page is read in the
/// transaction that writes it, which locks what it takes. SQLite has one
/// writer: a page is read from a snapshot, and holds if nobody else has
/// written since it was taken.
#[derive(Debug)]
pub struct Ahead {
    store: Store,
    reads_only: bool,
    others: Others,
    /// As of what was written last.
    mark: Mutex<sqlite::Mark>,
}

/// Reads the pages of an [`Ahead`].
#[derive(Debug)]
pub struct Reader {
    store: Store,
    reads_only: bool,
    others: Others,
    /// The snapshot that the last page was read from, for the next.
    snapshot: Option<Reading>,
}

/// How many times somebody else's writes were seen.
type Others = Arc<AtomicU64>;

/// A page that is being read.
#[derive(Debug)]
pub struct Reading {
    /// Where it is read.
    pub tx: Tx<'static>,
    others: u64,
    /// How many pages were read there before.
    pages: usize,
}

/// A page that was read: what is left of where it was.
#[derive(Debug)]
pub struct ReadAhead {
    tx: Option<Tx<'static>>,
    others: u64,
}

/// Pages that are read from one snapshot: what is in memory of the database
/// serves them all. SQLite's log grows for as long.
const PAGES_A_SNAPSHOT: usize = 16;

impl Store {
    /// Commits a transaction and goes on page by page. If that reads only, the
    /// pages do, too.
    pub async fn ahead(&self, tx: Tx<'_>) -> Result<Ahead, StoreError> {
        let ahead = Ahead {
            store: self.clone(),
            reads_only: tx.reads_only,
            others: Arc::default(),
            mark: Mutex::default(),
        };
        ahead.commit(tx).await?;
        Ok(ahead)
    }
}

impl Reader {
    /// Begins to read a page.
    pub async fn begin(&mut self) -> Result<Reading, StoreError> {
        if let Some(snapshot) = self.snapshot.take() {
            return Ok(snapshot);
        }
        // Before the snapshot: what is written in between is met again.
        let others = self.others.load(Ordering::SeqCst);
        let tx = match self.store.db {
            Db::Postgres(_) if !self.reads_only => self.store.write().await?,
            _ => self.store.read().await?,
        };
        let pages = 0;
        Ok(Reading { tx, others, pages })
    }

    /// Has read a page.
    pub fn end(&mut self, page: Reading) -> ReadAhead {
        let Reading { tx, others, pages } = page;
        if !tx.reads_only {
            let tx = Some(tx);
            return ReadAhead { tx, others };
        }
        let pages = pages + 1;
        let again = pages < PAGES_A_SNAPSHOT;
        self.snapshot = again.then_some(Reading { tx, others, pages });
        ReadAhead { tx: None, others }
    }
}

impl Ahead {
    /// Whatever reads the pages.
    pub fn reader(&self) -> Reader {
        Reader {
            store: self.store.clone(),
            reads_only: self.reads_only,
            others: Arc::clone(&self.others),
            snapshot: None,
        }
    }

    /// Whether a page can be read while the one before is written though both
    /// keep others out.
    pub fn reads_snapshots(&self) -> bool {
        matches!(self.store.db, Db::Sqlite(_))
    }

    /// Goes on to write a page, and says whether what was read holds. If not,
    /// it must be read again in the transaction given.
    pub async fn write(&self, read: ReadAhead) -> Result<(Tx<'static>, bool), StoreError> {
        if let Some(tx) = read.tx {
            return Ok((tx, true));
        }
        if self.reads_only {
            return Ok((self.store.read().await?, true));
        }
        let tx = self.write_beside().await?;
        Ok((tx, self.others.load(Ordering::SeqCst) == read.others))
    }

    /// Begins to write what no page is read from: whatever was read ahead holds
    /// as before.
    pub async fn write_beside(&self) -> Result<Tx<'static>, StoreError> {
        let mut tx = self.store.write().await?;
        if mark(&mut tx).await? != *self.mark.lock().unwrap_or_else(PoisonError::into_inner) {
            self.others.fetch_add(1, Ordering::SeqCst);
        }
        Ok(tx)
    }

    /// Makes what was written last.
    pub async fn commit(&self, mut tx: Tx<'_>) -> Result<(), StoreError> {
        if !self.reads_only {
            let mark = mark(&mut tx).await?;
            *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = mark;
        }
        tx.commit().await
    }
}

async fn mark(tx: &mut Tx<'_>) -> Result<sqlite::Mark, StoreError> {
    match &mut tx.of {
        TxOf::Sqlite(tx) => sqlite::mark(tx).await,
        TxOf::Postgres(_) => Ok(sqlite::Mark::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    async fn change(on: &mut Tx<'_>) {
        let sql = "UPDATE enforcement SET last_at = coalesce(last_at, 0) + 1";
        write(sql).execute(on).await.unwrap();
    }

    async fn written_by(other: Option<&Store>) {
        if let Some(other) = other {
            let mut tx = other.write().await.unwrap();
            change(&mut tx).await;
            tx.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn pages_of_sqlite_hold_until_somebody_else_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let store = Store::sqlite(&path).await.unwrap();
        let other_process = Store::sqlite(&path).await.unwrap();
        let begun = store.write().await.unwrap();
        let ahead = store.ahead(begun).await.unwrap();
        let others = [None, Some(&store), None, Some(&other_process), None];
        for other in others {
            // Two are read ahead; the other writes between them.
            let mut reader = ahead.reader();
            let first = reader.begin().await.unwrap();
            let first = reader.end(first);
            written_by(other).await;
            let second = reader.begin().await.unwrap();
            let second = reader.end(second);
            for page in [first, second] {
                let (mut tx, holds) = ahead.write(page).await.unwrap();
                assert_eq!(holds, other.is_none());
                change(&mut tx).await;
                ahead.commit(tx).await.unwrap();
                let mut beside = ahead.write_beside().await.unwrap();
                change(&mut beside).await;
                ahead.commit(beside).await.unwrap();
            }
        }
    }
}
