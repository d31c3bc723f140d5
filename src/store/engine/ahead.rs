//! Pages of which one is read while the one before is written.

use super::link::TxOf;
use super::{Db, Store, StoreError, Tx, sqlite};

/// See the module. On PostgreSQL a page is read in the transaction that writes
/// it, which locks what it takes. SQLite has one writer: a page is read from a
/// snapshot, and holds if nobody else has written since it was taken.
#[derive(Debug)]
pub struct Ahead {
    store: Store,
    reads_only: bool,
    mark: sqlite::Mark,
}

impl Store {
    /// Commits a transaction and goes on page by page. If that reads only, the
    /// pages do, too.
    pub async fn ahead(&self, tx: Tx<'_>) -> Result<Ahead, StoreError> {
        let mut ahead = Ahead {
            store: self.clone(),
            reads_only: tx.reads_only,
            mark: sqlite::Mark::default(),
        };
        ahead.commit(tx).await?;
        Ok(ahead)
    }
}

impl Ahead {
    /// Begins to read a page: the first, or the next one while one is written.
    pub async fn read(&self) -> Result<Tx<'static>, StoreError> {
        match self.store.db {
            Db::Postgres(_) if !self.reads_only => self.store.write().await,
            _ => self.store.read().await,
        }
    }

    /// Goes on to write a page, and says whether what was read holds. If not,
    /// it must be read again in the transaction given.
    pub async fn write(&self, read: Tx<'static>) -> Result<(Tx<'static>, bool), StoreError> {
        if self.reads_only || !read.reads_only {
            return Ok((read, true));
        }
        read.commit().await?;
        let mut tx = self.store.write().await?;
        let holds = mark(&mut tx).await? == self.mark;
        Ok((tx, holds))
    }

    /// Makes what was written last.
    pub async fn commit(&mut self, mut tx: Tx<'_>) -> Result<(), StoreError> {
        if !self.reads_only {
            self.mark = mark(&mut tx).await?;
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

    #[tokio::test]
    async fn a_page_of_sqlite_holds_until_somebody_else_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let store = Store::sqlite(&path).await.unwrap();
        let other_process = Store::sqlite(&path).await.unwrap();
        let begun = store.write().await.unwrap();
        let mut ahead = store.ahead(begun).await.unwrap();
        let others = [None, Some(&store), None, Some(&other_process), None];
        for other in others {
            let read = ahead.read().await.unwrap();
            if let Some(other) = other {
                let mut tx = other.write().await.unwrap();
                change(&mut tx).await;
                tx.commit().await.unwrap();
            }
            let (mut tx, holds) = ahead.write(read).await.unwrap();
            assert_eq!(holds, other.is_none());
            change(&mut tx).await;
            ahead.commit(tx).await.unwrap();
        }
    }
}
