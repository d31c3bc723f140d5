//! The rooms together, as a user meets them.

mod bad_disk;
mod bad_input;
mod case;
mod crash;
mod daemon;
mod deliver;
mod demo;
mod enforce;
mod faults;
mod house;
mod import;
mod nodes;
mod outbox;
mod postfix;
mod postgres;
mod reconnect;
mod report;
mod same_bytes;
mod senders;
mod sheets;
mod shop;
mod staging;
mod standby;
mod statements;
mod work;
