//! The jobs room.

pub mod import;
