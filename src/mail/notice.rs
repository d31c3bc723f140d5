//! What a letter is written from: plain values.

use chrono::NaiveDate;

use crate::policy::{Audience, Money, Step, Subject, Window};

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// The business's name.
    pub name: String,
    /// Its address, a line each; parcels go there too.
    pub address: Vec<String>,
    /// Its phone number, as customers dial it.
    pub phone: Option<String>,
    /// What the law wants under a letter to a customer, a line each.
    pub legal: Vec<String>,
    /// The language of its letters, such as `en` or `pt-BR`.
    pub locale: String,
}

/// Who reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// A customer.
    Customer {
        /// The shop's name for the customer.
        customer_ref: String,
        /// The customer's name, if known.
        name: Option<String>,
        /// The language, if known.
        locale: Option<String>,
    },
    /// Somebody inside the shop.
    Inside,
}

impl NoticeText {
    /// A promise of which nothing but its name is told.
    pub(super) fn named(window: Window, subject_ref: &str) -> Self {
        Self {
            audience: Audience::Manager,
            subject: window.subject(),
            subject_ref: subject_ref.to_owned(),
            order_ref: String::new(),
            unit_ref: None,
            window: Some(window),
            step: Step::Due,
            clause: String::new(),
            days: None,
            working_days: false,
            product_name: None,
            last_day: None,
            level: 0,
            amount: None,
            deductions: None,
            reason: None,
            goods_at_shop: false,
            accessories_missing: false,
            assignee: None,
            started_on: None,
        }
    }
}

impl Addressee {
    /// The reader's own language, if known.
    pub(super) fn locale(&self) -> Option<&str> {
        match self {
            Self::Customer { locale, .. } => locale.as_deref(),
            Self::Inside => None,
        }
    }
}

/// What one notice tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeText {
    /// Who is told. Decides between the customer's letter and the one for inside.
    pub audience: Audience,
    /// What the deadline or the outcome hangs on.
    pub subject: Subject,
    /// The shop's name for it.
    pub subject_ref: String,
    /// The order that it belongs to.
    pub order_ref: String,
    /// The unit, if one is concerned.
    pub unit_ref: Option<String>,
    /// The window; none for an outcome.
    pub window: Option<Window>,
    /// The step that fired, or the outcome.
    pub step: Step,
    /// The clause of the policy: of the window, the outcome or the reason.
    pub clause: String,
    /// How many days the policy gives the window, if it is known.
    pub days: Option<u16>,
    /// Whether only working days are counted.
    pub working_days: bool,
    /// What the unit is called.
    pub product_name: Option<String>,
    /// The window's last day (not the due day after it); needed with a window.
    pub last_day: Option<NaiveDate>,
    /// The escalation level, 0 for none. Told inside only.
    pub level: u8,
    /// What is refunded.
    pub amount: Option<Money>,
    /// What was taken off the amount.
    pub deductions: Option<Money>,
    /// The code of a decline: `out_of_warranty`, `unit_ended` or a finding.
    pub reason: Option<String>,
    /// Whether the device is already in the shop's warehouse.
    pub goods_at_shop: bool,
    /// Whether the deductions are for missing accessories.
    pub accessories_missing: bool,
    /// Who has the claim. Told inside only.
    pub assignee: Option<String>,
    /// The local date on which the window started.
    pub started_on: Option<NaiveDate>,
}
