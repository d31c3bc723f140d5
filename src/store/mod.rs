//! The store room.

pub mod import;
