//! The rooms together, as a user meets them.

mod case;
mod demo;
mod import;
