//! A page of cases, evaluated. One bad case never stops it.

use anyhow::Result;

use crate::case::{Case, Evaluation, Rules, evaluate};
use crate::policy::Instant;
use crate::store::{self, StoreError, Tx};

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

/// Loads and evaluates the cases of a page.
pub async fn evaluate_page(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    rules: &Rules,
    now: Instant,
) -> Result<Vec<Evaluated>> {
    let cases = match store::case_load(tx, order_ids).await {
        Err(StoreError::Row { .. }) => return evaluate_singly(tx, order_ids, rules, now).await,
        cases => cases?,
    };
    Ok(cases
        .into_iter()
        .map(|(order_id, case)| one(order_id, case, rules, now))
        .collect())
}

fn one(order_id: i64, case: Case, rules: &Rules, now: Instant) -> Evaluated {
    let found = match evaluate(&case, rules, now) {
        Ok(evaluation) => Ok((case, evaluation)),
        Err(error) => Err(error.to_string()),
    };
    Evaluated { order_id, found }
}

/// A row that cannot be read fails its own case alone.
async fn evaluate_singly(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    rules: &Rules,
    now: Instant,
) -> Result<Vec<Evaluated>> {
    let mut all = Vec::with_capacity(order_ids.len());
    for order_id in order_ids {
        match store::case_load(tx, &[*order_id]).await {
            Ok(cases) => {
                all.extend(
                    cases
                        .into_iter()
                        .map(|(id, case)| one(id, case, rules, now)),
                );
            }
            Err(error @ StoreError::Row { .. }) => {
                all.push(Evaluated {
                    order_id: *order_id,
                    found: Err(error.to_string()),
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
