//! The import files as data: which facts there are, of which type.
//!
//! Reading a cell, writing a column and keeping a change all follow this one
//! table (spec, section 4).

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A kind of import file, and the table that its rows go to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Entity {
    /// `orders.csv`.
    Orders,
    /// `units.csv`.
    Units,
    /// `claims.csv`.
    Claims,
    /// `waits.csv`.
    Waits,
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactType {
    /// A name of the shop's own: trimmed, compared exactly.
    Ref,
    /// A line of text.
    Text,
    /// An e-mail address.
    Email,
    /// RFC 3339, or a local date with or without a time.
    Time,
    /// An amount in the order's currency, 0 or more.
    Money,
    /// An ISO 4217 code.
    Currency,
    /// `true` or `false`.
    Flag,
    /// `hardware` or `software`.
    Kind,
    /// What the customer asks for.
    ClaimType,
    /// Codes separated by `;`.
    Findings,
}

/// One column of an import file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The column's name, in the file and in the table.
    pub name: &'static str,
    /// What a cell holds.
    pub fact_type: FactType,
    /// Whether every row must have it.
    pub required: bool,
}

const fn required(name: &'static str, fact_type: FactType) -> Field {
    Field {
        name,
        fact_type,
        required: true,
    }
}

const fn optional(name: &'static str, fact_type: FactType) -> Field {
    Field {
        name,
        fact_type,
        required: false,
    }
}

const ORDERS: &[Field] = &[
    required("order_ref", FactType::Ref),
    required("customer_ref", FactType::Ref),
    optional("customer_name", FactType::Text),
    required("customer_email", FactType::Email),
    optional("customer_locale", FactType::Text),
    required("placed_at", FactType::Time),
    optional("paid_at", FactType::Time),
    optional("shipped_at", FactType::Time),
    optional("delivered_at", FactType::Time),
    optional("cancelled_at", FactType::Time),
    optional("cancel_refunded_at", FactType::Time),
    required("currency", FactType::Currency),
    required("total", FactType::Money),
    optional("shipping_out", FactType::Money),
    optional("shipping_back", FactType::Money),
    optional("withdrawn", FactType::Flag),
];

const UNITS: &[Field] = &[
    required("unit_ref", FactType::Ref),
    required("order_ref", FactType::Ref),
    optional("sku", FactType::Text),
    required("product_name", FactType::Text),
    required("kind", FactType::Kind),
    optional("serial", FactType::Text),
    optional("price", FactType::Money),
    optional("received_at", FactType::Time),
    optional("company_confirmed_at", FactType::Time),
    optional("customer_confirmed_at", FactType::Time),
    optional("replaces_unit_ref", FactType::Ref),
    optional("policy", FactType::Text),
    optional("withdrawn", FactType::Flag),
];

const CLAIMS: &[Field] = &[
    required("claim_ref", FactType::Ref),
    required("unit_ref", FactType::Ref),
    required("type", FactType::ClaimType),
    required("opened_at", FactType::Time),
    optional("assignee_email", FactType::Email),
    optional("reported_serial", FactType::Text),
    optional("confirmed_at", FactType::Time),
    optional("received_at", FactType::Time),
    optional("inspected_at", FactType::Time),
    optional("findings", FactType::Findings),
    optional("accessories_missing", FactType::Flag),
    optional("repaired_at", FactType::Time),
    optional("unrepairable_at", FactType::Time),
    optional("returned_at", FactType::Time),
    optional("refunded_at", FactType::Time),
    optional("exchanged_at", FactType::Time),
    optional("closed_at", FactType::Time),
    optional("rejected_at", FactType::Time),
    optional("withdrawn", FactType::Flag),
];

const WAITS: &[Field] = &[
    required("claim_ref", FactType::Ref),
    required("from", FactType::Time),
    optional("until", FactType::Time),
    optional("withdrawn", FactType::Flag),
];

impl Entity {
    /// The columns, the row's own name first.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Orders => ORDERS,
            Self::Units => UNITS,
            Self::Claims => CLAIMS,
            Self::Waits => WAITS,
        }
    }

    /// The place of a column.
    pub fn field(self, name: &str) -> Option<usize> {
        self.fields().iter().position(|field| field.name == name)
    }

    /// The row that a row hangs on: the kind, and the column that names it.
    pub fn parent(self) -> Option<(Self, usize)> {
        match self {
            Self::Orders => None,
            Self::Units => Some((Self::Orders, 1)),
            Self::Claims => Some((Self::Units, 1)),
            Self::Waits => Some((Self::Claims, 0)),
        }
    }

    /// What one row is called.
    pub fn one(self) -> &'static str {
        match self {
            Self::Orders => "order",
            Self::Units => "unit",
            Self::Claims => "claim",
            Self::Waits => "wait",
        }
    }
}

/// A fact as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// Microseconds since 1970 (UTC) of a time, or minor units of an amount.
    Number(i64),
    /// Everything else.
    Text(String),
}
