//! warrantyd keeps a shop's warranty clocks.

pub mod case;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod intake;
pub mod jobs;
pub mod mail;
pub mod policy;
pub mod report;
pub mod store;
