//! Stub until merged.
use super::{Outcome, Shop, When};
pub async fn import_dir(_: &Shop, _: When) -> anyhow::Result<Outcome> {
    Ok(Outcome::default())
}
