//! Which letter tells a notice.

use chrono::NaiveDate;

use crate::policy::{Audience, Outcome, Step, Window, WindowKind};

use super::NoticeText;

/// The name of the letter that tells a notice on a day. It tells what is true
/// then, so a step of a window chooses by whether the last day is past, not by
/// its own place on the ladder.
///
/// `None` if a step of a window comes without its window.
pub fn letter_name(notice: &NoticeText, today: NaiveDate) -> Option<&'static str> {
    let past = notice.last_day.is_some_and(|last_day| last_day < today);
    let for_customer = notice.audience == Audience::Customer;
    let started = notice.step == Step::Start;
    Some(match (notice.step, for_customer) {
        (Step::Outcome(outcome), true) => match outcome {
            Outcome::ReturnDue => "return_due",
            Outcome::RefundDue => "refund_due",
            Outcome::ExchangeDue => "exchange_due",
            Outcome::Declined => "declined",
        },
        (Step::Outcome(_), false) => "inside_outcome",
        (Step::Withdrawn(_), true) => "withdrawn",
        (Step::Withdrawn(_), false) => "inside_withdrawn",
        (_, true) => customer_letter(notice.window?, started, past),
        (_, false) => inside_letter(notice.window?, started, past),
    })
}

fn customer_letter(window: Window, started: bool, past: bool) -> &'static str {
    let [start, before, after] = match window {
        Window::HardwareWarranty | Window::SoftwareWarranty => {
            ["warranty_started", "warranty_ends", "warranty_ended"]
        }
        Window::FaultReturn | Window::RefundRequest => {
            ["right_started", "right_ends", "right_ended"]
        }
        Window::HardwareRepair | Window::SoftwareRepair => {
            ["repair_started", "promise_reminder", "repair_late"]
        }
        Window::HardwareFix | Window::SoftwareFix => {
            ["fix_started", "promise_reminder", "fix_ended"]
        }
        Window::RefundPayment | Window::CancellationRefund => {
            ["refund_started", "promise_reminder", "refund_late"]
        }
    };
    match (past, started) {
        (true, _) => after,
        (false, true) => start,
        (false, false) => before,
    }
}

fn inside_letter(window: Window, started: bool, past: bool) -> &'static str {
    match (window.kind(), past, started) {
        (WindowKind::Entitlement, _, _) => "inside_right",
        (WindowKind::Obligation, true, _) => "inside_late",
        (WindowKind::Obligation, false, true) => "inside_started",
        (WindowKind::Obligation, false, false) => "inside_reminder",
    }
}
