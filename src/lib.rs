//! warrantyd keeps a shop's warranty clocks: it turns facts (an order was
//! placed, goods were received …) into deadlines, notices, mail and reports.
//!
//! # The one idea
//!
//! All that the program says is a pure function of facts, policy and time:
//! [`case::evaluate`] gives deadlines, stages, amounts, the steps that have come
//! due, and the next instant at which time alone can change any of it.
//! [`case::plan`] holds that against what was recorded before and says what to
//! write. The job `enforce` writes it; reports, `explain` and `--dry-run` are the
//! same functions at another time or without the writing.
//!
//! # The way of the data
//!
//! ```text
//! files ─ intake ─► facts ─ case ─► deadlines, notices ─ mail ─► messages      in jobs: import, enforce, deliver
//!                     └──── case ─► rows ─ report ─► CSV, HTML                 in jobs: report
//! ```
//!
//! # The rooms
//!
//! Each holds one invariant; its first lines say more.
//!
//! | room | what for | invariant |
//! |---|---|---|
//! | [`cli`] | one file a command | a command ends with 0, 1, 2 or 3 (`bounce`: or 75) and says why on stderr |
//! | [`daemon`] | the schedule and the signals | every slot is planned once, and run by one node, one job at a time |
//! | [`jobs`] | the list of jobs; the only room where the others meet | a job takes no input but the time |
//! | [`store`] | the only room with SQL | what belongs together is written in one transaction |
//! | [`intake`] | files to facts | a row that is let through keeps every rule of its file; memory is bounded by a page |
//! | [`mail`] | letters, messages, the mail server | a message is delivered only if the server's answer to its last byte says so |
//! | [`report`] | rows to CSV, JSON and HTML | the same cases, rules and time give the same bytes |
//! | [`case`] | facts, and what follows from them | the same facts, rules and time give the same answer |
//! | [`policy`] | the terms, the calendar, money | a policy that exists is valid |
//! | [`config`] | the settings | a config that exists is meant |
//! | [`clock`] | the system's clock | nobody else reads it |
//!
//! # Who may import whom
//!
//! Imports go down only. Rooms on one line of the chain never import each other:
//! `jobs` hands plain values from one to the next.
//!
//! ```text
//! main → cli → daemon → jobs → { store, intake, mail, report } → case → policy
//! ```
//!
//! | room | may import |
//! |---|---|
//! | `cli` | all of them, but asks nothing of SQL |
//! | `daemon` | `jobs`, `config`, `clock`, `policy` |
//! | `jobs` | `store`, `intake`, `mail`, `report`, `case`, `policy`, `config`, `clock` |
//! | `store`, `intake`, `report` | `case`, `policy` |
//! | `mail` | `policy` |
//! | `case` | `policy` |
//! | `config` | `case`, `policy` |
//! | `clock` | `policy` |
//! | `policy` | nothing of ours |
//!
//! # Where does a line go?
//!
//! A number of the terms: `templates/policy`. A rule about days, money or what
//! happens next: [`case`]. A question to tables: [`store`]. A sentence to a person:
//! `templates`. An order of steps: [`jobs`]. A tick or a signal: [`daemon`]. If it
//! fits two rooms, it is two lines.

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
