//! What jobs and commands say in numbers.

use std::fmt::Display;

/// So many things as English counts them: `1 order`, `2 orders`.
pub fn number_of<N: Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    let many = if count == N::from(1) { "" } else { "s" };
    format!("{count} {one}{many}")
}
