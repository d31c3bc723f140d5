//! What happened, with its time: all that anybody types in or imports.
//!
//! Rows that were withdrawn never get here, but for the order's own flag.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::hold::Hold;
use crate::policy::{Currency, Instant, Wait};

/// What a unit is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A device, box, accessory or gift.
    Hardware,
    /// A program or a licence.
    Software,
}

/// What the customer asks for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ClaimType {
    /// Repair it.
    Repair,
    /// Take it back, it was faulty.
    Return,
    /// Give the money back.
    Refund,
    /// Give another one.
    Exchange,
}

/// What an inspection found.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Finding {
    // Hardware (2.1).
    /// A warranty stamp or seal is broken.
    SealBroken,
    /// Signs of impact.
    PhysicalDamage,
    /// The device was taken apart.
    Disassembled,
    /// The serial is not the one on the warranty card.
    SerialMismatch,
    /// The fault is not the manufacturer's.
    NotManufacturerFault,
    // Software (2.2).
    /// Another program of the customer causes the error.
    ThirdPartyConflict,
    /// The system was updated or installed again.
    OsReinstalled,
    /// The drive was taken out or replaced.
    DriveReplaced,
    /// The firmware was upgraded.
    FirmwareUpgraded,
    /// More devices are connected than were sold.
    ExtraDevices,
    /// The software's version was upgraded.
    VersionUpgraded,
    // Conditions of a return (3).
    /// The device is not as new.
    NotAsNew,
    /// The box is damaged.
    BoxDamaged,
    /// The serial on the box is not the device's.
    BoxSerialMismatch,
    /// The warranty card is missing.
    WarrantyCardMissing,
}

impl Finding {
    /// The clause that the finding breaks.
    pub fn clause(self) -> &'static str {
        match self {
            Self::SealBroken
            | Self::PhysicalDamage
            | Self::Disassembled
            | Self::SerialMismatch
            | Self::NotManufacturerFault => "2.1",
            Self::ThirdPartyConflict
            | Self::OsReinstalled
            | Self::DriveReplaced
            | Self::FirmwareUpgraded
            | Self::ExtraDevices
            | Self::VersionUpgraded => "2.2",
            _ => "3",
        }
    }

    /// The kind of product that the finding can be made on.
    pub fn kind(self) -> Kind {
        if self.clause() == "2.2" {
            Kind::Software
        } else {
            Kind::Hardware
        }
    }

    /// Whether it counts only when the customer wants the product taken back.
    pub fn is_return_condition(self) -> bool {
        self.clause() == "3"
    }
}

/// One order with everything that hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The order.
    pub order: Order,
    /// Its units.
    pub units: Vec<Unit>,
    /// The holds on it, or on a part of it, that nobody has lifted.
    pub holds: Vec<Hold>,
    /// Since when its customer wants no reminders.
    pub opted_out_at: Option<Instant>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The shop's name for it.
    pub order_ref: String,
    /// Who bought it.
    pub customer_ref: String,
    /// When it was placed: it exists from here on.
    pub placed_at: Instant,
    /// When it was paid.
    pub paid_at: Option<Instant>,
    /// When it left.
    pub shipped_at: Option<Instant>,
    /// When it arrived.
    pub delivered_at: Option<Instant>,
    /// When the customer cancelled it.
    pub cancelled_at: Option<Instant>,
    /// When a cancelled order was paid back.
    pub cancel_refunded_at: Option<Instant>,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What it cost, in minor units.
    pub total: i64,
    /// What sending it cost, in minor units.
    pub shipping_out: Option<i64>,
    /// What sending it back costs, in minor units.
    pub shipping_back: Option<i64>,
    /// Entered by mistake: counts as never having been.
    pub withdrawn: bool,
    /// When the row was last changed.
    pub changed_at: Instant,
}

/// One sold item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The shop's name for it.
    pub unit_ref: String,
    /// What it is called.
    pub product_name: String,
    /// Hardware or software.
    pub kind: Kind,
    /// Its serial number.
    pub serial: Option<String>,
    /// What it cost, in minor units of the order's currency.
    pub price: Option<i64>,
    /// When the customer received it, if that was entered.
    pub received_at: Option<Instant>,
    /// When the company confirmed that it works.
    pub company_confirmed_at: Option<Instant>,
    /// When the customer confirmed that it works.
    pub customer_confirmed_at: Option<Instant>,
    /// The name of its policy.
    pub policy: String,
    /// The first unit of the chain of replacements that it ends, if it
    /// replaces one.
    pub root: Option<WarrantyRoot>,
    /// Claims on it.
    pub claims: Vec<Claim>,
    /// When the row was last changed.
    pub changed_at: Instant,
}

/// The unit whose warranty a replacement carries on (1.2, 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarrantyRoot {
    /// The shop's name for it.
    pub unit_ref: String,
    /// When its order was placed.
    pub placed_at: Instant,
    /// When its order arrived.
    pub delivered_at: Option<Instant>,
    /// When the customer received it, if that was entered.
    pub received_at: Option<Instant>,
    /// When the company confirmed that it works.
    pub company_confirmed_at: Option<Instant>,
    /// When the customer confirmed that it works.
    pub customer_confirmed_at: Option<Instant>,
    /// The name of its policy.
    pub policy: String,
}

/// A customer's claim on a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The shop's name for it.
    pub claim_ref: String,
    /// What the customer asks for.
    pub claim_type: ClaimType,
    /// When it was opened: it exists from here on.
    pub opened_at: Instant,
    /// The technician who has it.
    pub assignee_email: Option<String>,
    /// The serial that the customer named.
    pub reported_serial: Option<String>,
    /// When technical support confirmed the fault.
    pub confirmed_at: Option<Instant>,
    /// When the goods reached the warehouse.
    pub received_at: Option<Instant>,
    /// When they were inspected.
    pub inspected_at: Option<Instant>,
    /// What the inspection found.
    pub findings: Vec<Finding>,
    /// Whether accessories are missing from a return.
    pub accessories_missing: bool,
    /// When it was repaired.
    pub repaired_at: Option<Instant>,
    /// When it was given up as beyond repair.
    pub unrepairable_at: Option<Instant>,
    /// When the customer sent the package back.
    pub returned_at: Option<Instant>,
    /// When the refund was paid.
    pub refunded_at: Option<Instant>,
    /// When another unit was given for it.
    pub exchanged_at: Option<Instant>,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// When it was rejected.
    pub rejected_at: Option<Instant>,
    /// Times in which it waits for the customer.
    pub waits: Vec<Wait>,
    /// When the row, or one of its waits, was last changed.
    pub changed_at: Instant,
}

impl Claim {
    /// The facts with a time, by the name of their column, but `opened_at`.
    pub fn times(&self) -> [(&'static str, Option<Instant>); 10] {
        [
            ("confirmed_at", self.confirmed_at),
            ("received_at", self.received_at),
            ("inspected_at", self.inspected_at),
            ("repaired_at", self.repaired_at),
            ("unrepairable_at", self.unrepairable_at),
            ("returned_at", self.returned_at),
            ("refunded_at", self.refunded_at),
            ("exchanged_at", self.exchanged_at),
            ("closed_at", self.closed_at),
            ("rejected_at", self.rejected_at),
        ]
    }

    fn times_mut(&mut self) -> [&mut Option<Instant>; 10] {
        [
            &mut self.confirmed_at,
            &mut self.received_at,
            &mut self.inspected_at,
            &mut self.repaired_at,
            &mut self.unrepairable_at,
            &mut self.returned_at,
            &mut self.refunded_at,
            &mut self.exchanged_at,
            &mut self.closed_at,
            &mut self.rejected_at,
        ]
    }

    /// The claim as it is seen at `now`: facts that come later are not known.
    pub(super) fn seen_at(&self, now: Instant) -> Self {
        let mut seen = self.clone();
        seen.times_mut()
            .into_iter()
            .for_each(|time| hide_future(time, now));
        seen.waits.retain(|wait| wait.from <= now);
        seen.waits
            .iter_mut()
            .for_each(|wait| hide_future(&mut wait.until, now));
        seen
    }
}

impl Order {
    /// The facts with a time, by the name of their column, but `placed_at`.
    pub fn times(&self) -> [(&'static str, Option<Instant>); 5] {
        [
            ("paid_at", self.paid_at),
            ("shipped_at", self.shipped_at),
            ("delivered_at", self.delivered_at),
            ("cancelled_at", self.cancelled_at),
            ("cancel_refunded_at", self.cancel_refunded_at),
        ]
    }

    /// The order as it is seen at `now`.
    pub(super) fn seen_at(&self, now: Instant) -> Self {
        let mut seen = self.clone();
        let times = [
            &mut seen.paid_at,
            &mut seen.shipped_at,
            &mut seen.delivered_at,
            &mut seen.cancelled_at,
            &mut seen.cancel_refunded_at,
        ];
        times.into_iter().for_each(|time| hide_future(time, now));
        seen
    }
}

impl Unit {
    /// The facts with a time, by the name of their column.
    pub fn times(&self) -> [(&'static str, Option<Instant>); 3] {
        [
            ("received_at", self.received_at),
            ("company_confirmed_at", self.company_confirmed_at),
            ("customer_confirmed_at", self.customer_confirmed_at),
        ]
    }
}

impl WarrantyRoot {
    /// The facts with a time that the root's warranty can start at.
    pub(super) fn times(&self) -> [Option<Instant>; 5] {
        [
            Some(self.placed_at),
            self.delivered_at,
            self.received_at,
            self.company_confirmed_at,
            self.customer_confirmed_at,
        ]
    }
}

fn hide_future(time: &mut Option<Instant>, now: Instant) {
    *time = time.filter(|at| *at <= now);
}

/// A serial number as it is compared: trimmed, without regard to case.
pub fn normalized_serial(serial: &str) -> String {
    serial.trim().to_lowercase()
}
