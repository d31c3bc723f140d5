pub mod clock;
pub mod config;
pub mod daemon;
pub mod mail;
pub mod policy;
