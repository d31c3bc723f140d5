//! The reports that there are, their columns and their order.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A report (spec, section 7). Its text is the name of the command and of the
/// file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum ReportName {
    /// Every window that has started.
    Deadlines,
    /// The promises that are late.
    Overdue,
    /// The promises that are due soon.
    Upcoming,
    /// Every claim that was opened.
    Claims,
    /// How well each promise was kept.
    Compliance,
    /// What is owed, or was paid, and to whom.
    Refunds,
    /// What was told to whom.
    Notices,
    /// What somebody should look at.
    Exceptions,
}

/// What reports are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Deadlines alone.
    Deadlines,
    /// Cases and their evaluations.
    Cases,
    /// Cases in which something is left to be done, and their evaluations.
    OpenCases,
    /// Recorded notices.
    Notices,
    /// Cases, notices and what only the store knows.
    Everything,
}

const DEADLINES: &[&str] = &[
    "order_ref",
    "subject",
    "ref",
    "window",
    "clause",
    "policy",
    "started_at",
    "due_at",
    "last_day",
    "state",
    "ended_at",
    "late_days",
    "level",
    "customer_ref",
    "assignee",
    "gross_days",
    "net_days",
];

const CLAIMS: &[&str] = &[
    "claim_ref",
    "unit_ref",
    "order_ref",
    "customer_ref",
    "type",
    "handled_as",
    "stage",
    "stage_since",
    "reason",
    "opened_at",
    "refund_amount",
    "currency",
];

const COMPLIANCE: &[&str] = &[
    "window",
    "clause",
    "started",
    "met",
    "missed",
    "open",
    "overdue",
    "paused",
    "void",
    "on_time_pct",
    "p50_days",
    "p90_days",
    "max_days",
    "net_p50_days",
    "net_p90_days",
    "net_max_days",
];

const REFUNDS: &[&str] = &[
    "ref",
    "kind",
    "customer_ref",
    "amount",
    "deductions",
    "currency",
    "due_at",
    "state",
    "refunded_at",
];

const NOTICES: &[&str] = &[
    "fires_at",
    "subject",
    "ref",
    "window",
    "step",
    "audience",
    "recipient",
    "disposition",
    "recorded_at",
    "message_id",
    "sent_at",
];

const EXCEPTIONS: &[&str] = &["code", "subject", "ref", "detail"];

impl ReportName {
    /// The columns, in the order of the file.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Deadlines | Self::Overdue | Self::Upcoming => DEADLINES,
            Self::Claims => CLAIMS,
            Self::Compliance => COMPLIANCE,
            Self::Refunds => REFUNDS,
            Self::Notices => NOTICES,
            Self::Exceptions => EXCEPTIONS,
        }
    }

    /// What it is made of.
    pub fn source(self) -> Source {
        match self {
            Self::Deadlines | Self::Overdue | Self::Upcoming | Self::Compliance => {
                Source::Deadlines
            }
            Self::Claims | Self::Refunds => Source::Cases,
            Self::Notices => Source::Notices,
            Self::Exceptions => Source::Everything,
        }
    }

    /// The columns that the rows are sorted by. Together they tell all rows
    /// of a report apart, so that the order never depends on chance.
    pub fn sorted_by(self) -> &'static [&'static str] {
        match self {
            Self::Deadlines => &["order_ref", "subject", "ref", "window"],
            Self::Overdue | Self::Upcoming => &["due_at", "order_ref", "subject", "ref", "window"],
            Self::Claims => &["claim_ref"],
            Self::Compliance => &["window"],
            Self::Refunds => &["due_at", "ref", "kind"],
            Self::Notices => &["fires_at", "subject", "ref", "window", "step", "audience"],
            Self::Exceptions => EXCEPTIONS,
        }
    }
}
