//! Every letter, written from made-up values: for people to look at, and to
//! find a template that does not fit its values before a customer is owed it.

mod reports;
mod troubles;

use chrono::{Days, NaiveDate};
use strum::VariantArray;

use crate::policy::{Audience, Money, Outcome, Step, Subject, Window};

use super::choose::letter_name;
use super::compliance::KeptPromises;
use super::day::DayReport;
use super::files::Files;
use super::letter::{ComposeError, Letter, Letters};
use super::notice::{Addressee, NoticeText, Shop};
use super::trouble::Trouble;
use super::worklist::{WorkLine, WorkPart, Worklist};

/// Codes that a decline may come with, and one that no template knows.
pub(super) const REASONS: [&str; 18] = [
    "out_of_warranty",
    "unit_ended",
    "seal_broken",
    "physical_damage",
    "disassembled",
    "serial_mismatch",
    "not_manufacturer_fault",
    "third_party_conflict",
    "os_reinstalled",
    "drive_replaced",
    "firmware_upgraded",
    "extra_devices",
    "version_upgraded",
    "not_as_new",
    "box_damaged",
    "box_serial_mismatch",
    "warranty_card_missing",
    "another",
];

/// A letter to be written from made-up values.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The letter's name, that of its template.
    pub letter: &'static str,
    /// Which of its kind, such as `hardware_repair-due`.
    pub variant: String,
    /// Who reads it.
    pub addressee: Addressee,
    /// On which day it is written.
    pub today: NaiveDate,
    /// What it tells.
    pub notices: Vec<NoticeText>,
    /// What it tells instead to somebody in the shop.
    pub to_shop: Option<ToShop>,
}

/// What is told in the shop beside notices.
#[derive(Debug, Clone)]
pub enum ToShop {
    /// A list of work.
    List(Worklist),
    /// How the shop stands.
    Day(DayReport, Files),
    /// How promises were kept in a week or a month.
    Period(KeptPromises, Files),
    /// What has happened to the service.
    Trouble(Trouble),
}

impl Sample {
    /// Writes it.
    pub fn write(&self, letters: &Letters, shop: &Shop) -> Result<Letter, ComposeError> {
        match &self.to_shop {
            Some(ToShop::List(list)) => letters.worklist(shop, list),
            Some(ToShop::Day(day, files)) => letters.report(shop, day, files),
            Some(ToShop::Period(kept, files)) => letters.compliance(shop, kept, files),
            Some(ToShop::Trouble(trouble)) => letters.trouble(shop, trouble),
            None => letters.compose(shop, &self.addressee, self.today, &self.notices),
        }
    }
}

/// A sample of every letter about notices, for every window, outcome and
/// reason; to a customer who reads a locale.
pub fn samples(locale: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |variant: String, today, notice: NoticeText| {
        if let Some(letter) = letter_name(&notice, today) {
            samples.push(Sample {
                letter,
                variant,
                addressee: addressee(locale, notice.audience),
                today,
                notices: vec![notice],
                to_shop: None,
            });
        }
    };
    for audience in [Audience::Customer, Audience::Lead] {
        for window in Window::VARIANTS {
            for step in [Step::Start, Step::Before(7), Step::Due, Step::After(3)] {
                let notice = notice(Some(*window), step, audience);
                add(format!("{window}-{step}"), told_on(step), notice.clone());
                add(format!("{window}-{step}-bare"), told_on(step), bare(notice));
            }
        }
        for outcome in Outcome::VARIANTS {
            for step in [Step::Outcome(*outcome), Step::Withdrawn(*outcome)] {
                let notice = notice(None, step, audience);
                let at_shop = NoticeText {
                    goods_at_shop: true,
                    ..notice.clone()
                };
                add(format!("{step}"), told_on(step), notice.clone());
                add(format!("{step}-at_shop"), told_on(step), at_shop);
                add(format!("{step}-bare"), told_on(step), bare(notice));
            }
        }
        for reason in REASONS {
            let step = Step::Outcome(Outcome::Declined);
            let declined = NoticeText {
                reason: Some(reason.to_owned()),
                ..notice(None, step, audience)
            };
            add(format!("declined-{reason}"), told_on(step), declined);
        }
    }
    samples.push(digest(locale));
    samples.extend(worklists());
    samples.extend(reports::reports());
    samples.extend(troubles::troubles());
    samples
}

/// A list of each kind, and of each kind one with as little as there can be.
fn worklists() -> impl Iterator<Item = Sample> {
    let repair = Some(Window::HardwareRepair);
    let of = |whose, parts: &[(&'static str, Option<Window>)]| {
        let parts = parts
            .iter()
            .map(|(name, window)| part(whose, name, *window));
        (whose, parts.collect::<Vec<_>>())
    };
    let assignees = [
        ("late", repair),
        ("due", Some(Window::SoftwareFix)),
        ("paused", repair),
    ];
    let leads = [
        ("stuck", None),
        ("unassigned", repair),
        ("waiting", Some(Window::HardwareFix)),
    ];
    let finance = [
        ("late", Some(Window::RefundPayment)),
        ("due", Some(Window::CancellationRefund)),
    ];
    let whole = [
        of(Audience::Assignee, &assignees),
        of(Audience::Lead, &leads),
        of(Audience::Finance, &finance),
    ];
    whole.into_iter().flat_map(|(whose, parts)| {
        let list = Worklist {
            whose,
            today: LAST_DAY + Days::new(4),
            parts,
        };
        let mut bare_list = list.clone();
        for line in bare_list.parts.iter_mut().flat_map(|part| &mut part.lines) {
            line.about = bare(line.about.clone());
        }
        let lists = [("", list), ("-bare", bare_list)];
        lists.map(|(ending, list)| Sample {
            letter: "worklist",
            variant: format!("{whose}{ending}"),
            addressee: Addressee::Inside,
            today: list.today,
            notices: Vec::new(),
            to_shop: Some(ToShop::List(list)),
        })
    })
}

/// A part of a list: a claim in each stage that can stand there, and one more
/// that is not told.
fn part(whose: Audience, name: &'static str, window: Option<Window>) -> WorkPart {
    let is_paused = name == "paused";
    let later = if name == "due" { 9 } else { 0 };
    let mut about = notice(window, Step::Due, whose);
    about.last_day = window
        .map(|_| LAST_DAY + Days::new(later))
        .filter(|_| !is_paused);
    if name == "unassigned" {
        about.assignee = None;
    }
    let is_claim = window != Some(Window::CancellationRefund);
    let stages: &[&'static str] = match (whose, is_claim) {
        (_, false) => &[""],
        (Audience::Lead, _) if window.is_none() => &[
            "awaiting_confirmation",
            "in_repair",
            "refund_due",
            "exchange_due",
        ],
        (Audience::Finance, _) => &["refund_due"],
        _ => &["awaiting_confirmation", "in_repair"],
    };
    let lines = stages.iter().zip(17..).map(|(stage, n)| {
        let mut about = about.clone();
        let lapsed = name == "late" && *stage == "awaiting_confirmation";
        if lapsed {
            about.window = Some(Window::HardwareFix);
            clause(about.window, about.step).clone_into(&mut about.clause);
            about.days = about.window.map(days);
        }
        if is_claim {
            about.subject_ref = format!("C-{n}");
        }
        WorkLine {
            about,
            stage: is_claim.then_some(*stage),
            handled_as: is_claim.then_some(if name == "stuck" { "return" } else { "repair" }),
            since: is_claim.then_some(STARTED_ON),
            paused: is_paused,
            lapsed,
        }
    });
    let lines: Vec<WorkLine> = lines.collect();
    WorkPart {
        name,
        total: lines.len() as u64 + 1,
        lines,
    }
}

/// Several notices in one letter.
fn digest(locale: &str) -> Sample {
    let declined = notice(None, Step::Outcome(Outcome::Declined), Audience::Customer);
    let late = notice(Some(Window::HardwareRepair), Step::Due, Audience::Customer);
    let ends = notice(
        Some(Window::HardwareWarranty),
        Step::Before(7),
        Audience::Customer,
    );
    let ends = NoticeText {
        last_day: ends.last_day.map(|day| day + Days::new(7)),
        ..ends
    };
    Sample {
        letter: "digest",
        variant: "three".to_owned(),
        addressee: addressee(locale, Audience::Customer),
        today: told_on(Step::Due),
        notices: vec![late, ends, declined],
        to_shop: None,
    }
}

fn addressee(locale: &str, audience: Audience) -> Addressee {
    match audience {
        Audience::Customer => Addressee::Customer {
            customer_ref: "K-7".to_owned(),
            name: Some("Ana Sample".to_owned()),
            locale: Some(locale.to_owned()),
        },
        _ => Addressee::Inside,
    }
}

// Evaluated by the compiler.
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 6, 30).unwrap();
const STARTED_ON: NaiveDate = NaiveDate::from_ymd_opt(2026, 6, 10).unwrap();

/// The day on which a step is told of a window that ends on the samples' last
/// day.
fn told_on(step: Step) -> NaiveDate {
    let due_day = LAST_DAY + Days::new(1);
    match step {
        Step::Start => STARTED_ON,
        Step::Before(days) => due_day - Days::new(days.into()),
        Step::After(days) => due_day + Days::new(days.into()),
        Step::Due | Step::Outcome(_) | Step::Withdrawn(_) => due_day,
    }
}

/// A notice with everything that can be told.
fn notice(window: Option<Window>, step: Step, audience: Audience) -> NoticeText {
    let subject = window.map_or(Subject::Claim, Window::subject);
    let is_refund = matches!(
        window,
        Some(Window::RefundPayment | Window::CancellationRefund)
    ) || matches!(step, Step::Outcome(Outcome::ReturnDue | Outcome::RefundDue));
    let euros = |minor| "EUR".parse().ok().map(|currency| Money { minor, currency });
    let subject_ref = match subject {
        Subject::Claim => "C-17",
        Subject::Order => "A-100",
        Subject::Unit => "U-9",
    };
    let is_cancellation = window == Some(Window::CancellationRefund);
    NoticeText {
        audience,
        subject,
        subject_ref: subject_ref.to_owned(),
        order_ref: "A-100".to_owned(),
        unit_ref: (subject != Subject::Order).then(|| "U-9".to_owned()),
        window,
        step,
        clause: clause(window, step).to_owned(),
        days: window.map(days),
        working_days: false,
        product_name: (!is_cancellation).then(|| "Photo Frame 10".to_owned()),
        last_day: window.map(|_| LAST_DAY),
        level: if audience == Audience::Customer { 0 } else { 2 },
        amount: euros(129_990).filter(|_| is_refund),
        deductions: euros(1_300).filter(|_| is_refund),
        reason: (step == Step::Outcome(Outcome::Declined)).then(|| "seal_broken".to_owned()),
        goods_at_shop: false,
        accessories_missing: is_refund && !is_cancellation,
        assignee: Some("tech@shop.example".to_owned()),
        started_on: window.map(|_| STARTED_ON),
    }
}

/// As in the standard policy.
fn days(window: Window) -> u16 {
    match window {
        Window::HardwareWarranty => 180,
        Window::SoftwareWarranty => 365,
        Window::RefundRequest => 14,
        Window::HardwareRepair => 20,
        Window::FaultReturn | Window::SoftwareRepair | Window::HardwareFix => 7,
        Window::SoftwareFix => 5,
        Window::RefundPayment | Window::CancellationRefund => 3,
    }
}

fn clause(window: Option<Window>, step: Step) -> &'static str {
    match (window, step) {
        (Some(Window::HardwareWarranty | Window::FaultReturn), _) => "1.1",
        (Some(Window::SoftwareWarranty), _) => "1.2",
        (Some(Window::RefundRequest), _) => "3",
        (Some(Window::HardwareRepair), _) => "4.1",
        (Some(Window::SoftwareRepair), _) => "4.2",
        (Some(Window::CancellationRefund), _) => "5.2",
        (None, Step::Outcome(Outcome::Declined)) => "2.1",
        _ => "5.1",
    }
}

/// The same with as little as there can be.
fn bare(notice: NoticeText) -> NoticeText {
    NoticeText {
        unit_ref: None,
        days: None,
        product_name: None,
        level: 0,
        amount: None,
        deductions: None,
        reason: None,
        accessories_missing: false,
        assignee: None,
        started_on: None,
        ..notice
    }
}
