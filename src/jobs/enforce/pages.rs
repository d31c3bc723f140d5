//! The pages of a run: read and decided while those before are written.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::decide::{Decided, Decider, Found, Next};
use crate::store::{ReadAhead, Reader};

/// A page with what follows from it, as soon as that is worked out.
type Page = (ReadAhead, Found<JoinHandle<Decided>>);

/// The pages from a place on.
pub struct Pages {
    pages: Receiver<Result<Page>>,
    /// Ends with its last page, or when this is dropped.
    _reading: JoinSet<()>,
}

impl Pages {
    /// Reads the pages, up to two ahead of the one that is asked for.
    pub fn read(reader: Reader, decider: Arc<Decider>, next: Next) -> Self {
        let (to, pages) = channel(1);
        let mut reading = JoinSet::new();
        reading.spawn(read(reader, decider, next, to));
        Self {
            pages,
            _reading: reading,
        }
    }

    /// The next one. The last has no cases.
    pub async fn next(&mut self) -> Result<Page> {
        let page = self.pages.recv().await;
        page.context("the pages end before the last")?
    }
}

async fn read(mut reader: Reader, decider: Arc<Decider>, mut next: Next, to: Sender<Result<Page>>) {
    loop {
        let page = read_page(&mut reader, &decider, next).await;
        let after = match &page {
            Ok((_, Found::Cases(after, _))) => Some(*after),
            _ => None,
        };
        if to.send(page).await.is_err() {
            return;
        }
        match after {
            Some(after) => next = after,
            None => return,
        }
    }
}

async fn read_page(reader: &mut Reader, decider: &Arc<Decider>, next: Next) -> Result<Page> {
    let mut begun = reader.begin().await?;
    let found = decider.read(&mut begun.tx, next).await?;
    let read = reader.end(begun);
    let found = match found {
        Found::Cases(after, cases) => {
            let decider = Arc::clone(decider);
            Found::Cases(after, spawn_blocking(move || decider.decide(cases)))
        }
        Found::Nothing => Found::Nothing,
        Found::Overtaken => Found::Overtaken,
    };
    Ok((read, found))
}
