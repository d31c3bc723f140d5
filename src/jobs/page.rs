//! A page of cases, evaluated. One bad case never stops it.

use anyhow::Result;

use crate::case::{Case, Evaluation, Rules, evaluate};
use crate::policy::Instant;
use crate::store::{self, Cut, StoreError, Tx};

/// Units in a page: it is bounded by rows, not by cases, and one order of any
/// size fits.
const UNITS_A_PAGE: i64 = 5_000;

/// A case with what follows from it, or why nothing does.
pub struct Evaluated {
    /// The order's number.
    pub order_id: i64,
    /// The case and its evaluation.
    pub found: Result<(Case, Evaluation), String>,
}

/// How many of the next orders make a page, by how many units they have.
pub fn page_len(units: impl Iterator<Item = i64>) -> usize {
    let mut sum = 0;
    let fits = units.take_while(|units| {
        sum += 1 + units;
        sum <= UNITS_A_PAGE
    });
    fits.count().max(1)
}

/// A case that was loaded, or why it cannot be read.
pub struct Loaded {
    /// The order's number.
    pub order_id: i64,
    /// The case, or why it cannot be read.
    pub(super) found: Result<Case, String>,
}

/// Loads and evaluates the cases of a page.
pub async fn evaluate_page(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    rules: &Rules,
    now: Instant,
) -> Result<Vec<Evaluated>> {
    let loaded = load_page(tx, order_ids, None).await?.into_iter();
    Ok(loaded.map(|loaded| loaded.evaluate(rules, now)).collect())
}

/// Loads the cases of a page: of all that was recorded, or up to a place in the
/// history, when some orders may not have been known.
pub async fn load_page(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    known: Option<Cut>,
) -> Result<Vec<Loaded>> {
    let cases = match store::case_load(tx, order_ids, known).await {
        Err(StoreError::Row { .. }) => return load_singly(tx, order_ids, known).await,
        cases => cases?.into_iter(),
    };
    Ok(cases.map(loaded).collect())
}

fn loaded((order_id, case): (i64, Case)) -> Loaded {
    Loaded {
        order_id,
        found: Ok(case),
    }
}

/// A row that cannot be read fails its own case alone.
async fn load_singly(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    known: Option<Cut>,
) -> Result<Vec<Loaded>> {
    let mut all = Vec::with_capacity(order_ids.len());
    for order_id in order_ids {
        match store::case_load(tx, &[*order_id], known).await {
            Ok(cases) => all.extend(cases.into_iter().map(loaded)),
            Err(error @ StoreError::Row { .. }) => all.push(Loaded {
                order_id: *order_id,
                found: Err(error.to_string()),
            }),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

impl Loaded {
    /// Works out what follows from the case.
    pub fn evaluate(self, rules: &Rules, now: Instant) -> Evaluated {
        let found = self.found.and_then(|case| {
            let evaluation = evaluate(&case, rules, now).map_err(|error| error.to_string())?;
            Ok((case, evaluation))
        });
        Evaluated {
            order_id: self.order_id,
            found,
        }
    }
}
