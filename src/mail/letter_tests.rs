//! Every letter is written once for every reader and case.

use chrono::NaiveDate;
use strum::VariantArray;

use crate::policy::{Audience, Money, Outcome, Step, Subject, Window};

use super::samples::REASONS;
use super::unbroken::read;
use super::{
    Addressee, ComposeError, Letter, Letters, NOTICES_PER_LETTER, NoticeText, Shop, Trouble,
};

pub(super) fn letters() -> Letters {
    Letters::load(None).unwrap()
}

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn shop() -> Shop {
    Shop {
        name: "Example Frames".into(),
        address: vec!["1 Sample Street".into(), "10000 Exampletown".into()],
        phone: Some("+00 000 0000".into()),
        legal: Vec::new(),
        locale: "en".into(),
    }
}

fn customer() -> Addressee {
    Addressee::Customer {
        customer_ref: "K-7".into(),
        name: Some("Ana Sample".into()),
        locale: None,
    }
}

fn euros(minor: i64) -> Option<Money> {
    Some(Money {
        minor,
        currency: "EUR".parse().unwrap(),
    })
}

pub(super) fn notice(window: Option<Window>, step: Step, audience: Audience) -> NoticeText {
    let subject = window.map_or(Subject::Claim, Window::subject);
    let subject_ref = match subject {
        Subject::Claim => "C-17",
        Subject::Order => "A-100",
        Subject::Unit => "U-9",
    };
    let is_refund = matches!(
        window,
        Some(Window::RefundPayment | Window::CancellationRefund)
    ) || matches!(step, Step::Outcome(Outcome::ReturnDue | Outcome::RefundDue));
    NoticeText {
        audience,
        subject,
        subject_ref: subject_ref.into(),
        order_ref: "A-100".into(),
        unit_ref: (subject != Subject::Order).then(|| "U-9".into()),
        window,
        step,
        clause: "4.1".into(),
        days: window.map(|_| 20),
        working_days: false,
        product_name: Some("Photo Frame 10".into()),
        last_day: window.map(|_| date("2026-06-30")),
        level: 0,
        amount: if is_refund { euros(12_990) } else { None },
        deductions: None,
        reason: None,
        goods_at_shop: false,
        accessories_missing: false,
        assignee: Some("tech@shop.example".into()),
        started_on: window.map(|_| date("2026-06-10")),
    }
}

fn write(today: &str, notices: &[NoticeText]) -> Result<Letter, ComposeError> {
    let for_customer = notices.iter().any(|n| n.audience == Audience::Customer);
    let addressee = if for_customer {
        customer()
    } else {
        Addressee::Inside
    };
    letters().compose(&shop(), &addressee, date(today), notices)
}

/// The day on which a step of a window with the last day 30 June is told.
fn told_on(step: Step) -> NaiveDate {
    let due_day = date("2026-07-01");
    match step {
        Step::Start => date("2026-06-10"),
        Step::Before(days) => due_day - chrono::Days::new(days.into()),
        Step::After(days) => due_day + chrono::Days::new(days.into()),
        _ => due_day,
    }
}

fn check(letter: &Letter, notice: &NoticeText, case: &str) {
    assert!(
        !letter.subject.contains(['\n', '\r']),
        "{case}: {}",
        letter.subject
    );
    assert!(
        letter.subject.chars().count() <= 120,
        "{case}: {}",
        letter.subject
    );
    assert!(letter.subject.len() > 10, "{case}: {}", letter.subject);
    for part in [&letter.text, &read(&letter.html)] {
        assert!(
            part.contains(&notice.subject_ref),
            "{case}: no reference\n{part}"
        );
        assert!(
            part.contains(&format!("ection {}", notice.clause)),
            "{case}: no clause\n{part}"
        );
        if notice.last_day.is_some() {
            assert!(
                part.contains("Tuesday 30 June 2026"),
                "{case}: no last day\n{part}"
            );
            assert!(
                !part.contains("July"),
                "{case}: the due day is not the last day\n{part}"
            );
        }
        if notice.amount.is_some() {
            assert!(part.contains("EUR 129.90"), "{case}: no amount\n{part}");
        }
    }
    for wrong in ["none", "_", "  .", " ,"] {
        let text = &letter.text;
        assert!(!text.contains(wrong), "{case}: {wrong:?}\n{text}");
    }
    assert!(
        letter.text.lines().all(|line| line.chars().count() <= 72),
        "{case}\n{}",
        letter.text
    );
    assert!(letter.html.len() < 100_000, "{case}");
}

#[test]
fn every_window_step_and_audience_has_a_letter() {
    let letters = letters();
    let steps = [
        Step::Start,
        Step::Before(1),
        Step::Before(7),
        Step::Before(30),
        Step::Due,
        Step::After(1),
        Step::After(3),
    ];
    for &window in Window::VARIANTS {
        for step in steps {
            for &audience in Audience::VARIANTS {
                for bare in [false, true] {
                    let mut notice = notice(Some(window), step, audience);
                    if bare {
                        notice.product_name = None;
                        notice.unit_ref = None;
                        notice.assignee = None;
                        notice.started_on = None;
                        notice.amount = None;
                    } else {
                        notice.deductions = euros(500);
                        notice.level = 2;
                    }
                    let addressee = match audience {
                        Audience::Customer => customer(),
                        _ => Addressee::Inside,
                    };
                    let case = format!("{window} {step} {audience}");
                    let letter = letters
                        .compose(
                            &shop(),
                            &addressee,
                            told_on(step),
                            std::slice::from_ref(&notice),
                        )
                        .unwrap_or_else(|error| panic!("{case}: {error}"));
                    check(&letter, &notice, &case);
                    let told_inside = letter.text.contains("\n  Level: 2");
                    assert_eq!(
                        told_inside,
                        !bare && audience != Audience::Customer,
                        "{case}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_outcome_and_reason_has_a_letter() {
    for &outcome in Outcome::VARIANTS {
        for step in [Step::Outcome(outcome), Step::Withdrawn(outcome)] {
            for &audience in Audience::VARIANTS {
                for reason in REASONS.map(Some).into_iter().chain([None]) {
                    for goods_at_shop in [false, true] {
                        let mut notice = notice(None, step, audience);
                        notice.reason = reason.map(str::to_owned);
                        notice.goods_at_shop = goods_at_shop;
                        let case = format!("{step} {audience} {reason:?}");
                        let letter = write("2026-07-01", std::slice::from_ref(&notice)).unwrap();
                        check(&letter, &notice, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn the_letters_of_the_default_ladder() {
    let mut declined = notice(None, Step::Outcome(Outcome::Declined), Audience::Customer);
    declined.reason = Some("seal_broken".into());
    declined.clause = "2.1".into();
    let mut return_due = notice(None, Step::Outcome(Outcome::ReturnDue), Audience::Customer);
    return_due.goods_at_shop = true;
    return_due.accessories_missing = true;
    return_due.deductions = euros(1_300);
    let mut late = notice(
        Some(Window::HardwareRepair),
        Step::After(1),
        Audience::Manager,
    );
    late.level = 2;
    let customer_step = |window, step| notice(Some(window), step, Audience::Customer);
    for (name, today, notices) in [
        (
            "warranty_ends",
            "2026-06-24",
            vec![customer_step(Window::HardwareWarranty, Step::Before(7))],
        ),
        (
            "warranty_ended",
            "2026-07-01",
            vec![customer_step(Window::SoftwareWarranty, Step::Due)],
        ),
        (
            "repair_late",
            "2026-07-01",
            vec![customer_step(Window::HardwareRepair, Step::Due)],
        ),
        (
            "refund_started",
            "2026-06-28",
            vec![customer_step(Window::RefundPayment, Step::Start)],
        ),
        ("return_due", "2026-07-01", vec![return_due.clone()]),
        ("declined", "2026-07-01", vec![declined.clone()]),
        ("inside_late", "2026-07-02", vec![late]),
        (
            "digest",
            "2026-07-01",
            vec![
                declined,
                return_due,
                customer_step(Window::CancellationRefund, Step::Due),
            ],
        ),
    ] {
        let letter = write(today, &notices).unwrap();
        insta::assert_snapshot!(
            name,
            format!("Subject: {}\n\n{}", letter.subject, letter.text)
        );
        if name == "digest" {
            insta::assert_snapshot!("digest_html", letter.html);
        }
    }
}

#[test]
fn what_a_customer_typed_is_only_text() {
    let mut bad = notice(
        Some(Window::HardwareWarranty),
        Step::Before(7),
        Audience::Customer,
    );
    bad.product_name = Some("<b>Frame</b>\r\nBcc: x@y.example\u{202e}{{ 7*7 }}\u{0}".repeat(9));
    let addressee = Addressee::Customer {
        customer_ref: "K\n\nK".into(),
        name: Some("=cmd()\r\n\r\n<script>alert(1)</script>".into()),
        locale: Some("\r\nen\0".into()),
    };
    let letter = letters()
        .compose(&shop(), &addressee, date("2026-06-24"), &[bad])
        .unwrap();
    assert!(letter.subject.chars().count() <= 120 && !letter.subject.contains(char::is_control));
    assert!(
        letter
            .text
            .starts_with("Dear =cmd() <script>alert(1)</script>,\n\n")
    );
    assert!(!letter.text.contains(['\r', '\0', '\u{202e}']));
    assert!(
        letter.text.contains("{{ 7*7 }}"),
        "templates in values are not run"
    );
    assert!(!letter.html.contains("<script>") && !letter.html.contains("<b>Frame"));
    assert!(letter.html.contains("&lt;b&gt;Frame"));
}

#[test]
fn a_digest_tells_everything_in_one_letter() {
    let many: Vec<NoticeText> = (0..NOTICES_PER_LETTER)
        .map(|index| {
            let mut notice = notice(Some(Window::RefundPayment), Step::After(3), Audience::Lead);
            notice.subject_ref = format!("CLAIM-{index:06}");
            notice.product_name = Some("A product with a name of usual length".into());
            notice.deductions = euros(100);
            notice.level = 3;
            notice
        })
        .collect();
    let letter = write("2026-07-04", &many).unwrap();
    assert!(
        letter
            .subject
            .starts_with("30 matters: CLAIM-000000, CLAIM-000001")
    );
    assert!(letter.html.len() < 100_000, "{}", letter.html.len());
    let vietnamese = Shop {
        locale: "vi".into(),
        ..shop()
    };
    let longest = letters().compose(&vietnamese, &Addressee::Inside, date("2026-07-04"), &many);
    let longest = longest.unwrap().html.len();
    assert!(longest < 100_000, "{longest}");
    for notice in &many {
        check(&letter, notice, &notice.subject_ref);
    }
    assert_eq!(letter.text.matches("Hello,").count(), 1);
    let too_many = [many.as_slice(), &many[..1]].concat();
    assert!(matches!(
        write("2026-07-04", &too_many),
        Err(ComposeError::Count(31))
    ));
    assert!(matches!(
        write("2026-07-04", &[]),
        Err(ComposeError::Count(0))
    ));
}

#[test]
fn a_letter_that_would_mislead_is_refused() {
    let mut open_end = notice(Some(Window::HardwareRepair), Step::Due, Audience::Customer);
    open_end.last_day = None;
    let error = write("2026-07-01", &[open_end]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "notice `due` on C-17: a step needs its window and the last day"
    );
    let customer_s = notice(Some(Window::HardwareRepair), Step::Due, Audience::Customer);
    let lead_s = notice(Some(Window::HardwareRepair), Step::Due, Audience::Lead);
    let error = write("2026-07-01", &[customer_s, lead_s]).unwrap_err();
    assert!(matches!(
        error,
        ComposeError::NotForCustomer {
            audience: Audience::Lead,
            ..
        }
    ));
}

#[test]
fn a_letter_tells_what_is_true_on_its_day() {
    let soon = notice(
        Some(Window::HardwareWarranty),
        Step::Before(1),
        Audience::Customer,
    );
    let on_last_day = write("2026-06-30", std::slice::from_ref(&soon)).unwrap();
    assert!(
        on_last_day.text.contains("ends today"),
        "{}",
        on_last_day.text
    );
    let day_after = write("2026-07-01", &[soon]).unwrap();
    assert!(day_after.text.contains("has ended"), "{}", day_after.text);
}

#[test]
fn the_managers_read_the_worst_first() {
    let samples = super::samples("en");
    let day = samples.iter().find(|sample| sample.variant == "late");
    let report = day.unwrap().write(&letters(), &shop()).unwrap();
    insta::assert_snapshot!(
        "report",
        format!("Subject: {}\n\n{}", report.subject, report.text)
    );
}

#[test]
fn ops_mails_list_what_they_are_given() {
    let trouble = Trouble::Clock {
        reason: "it went\non, or <b>".into(),
    };
    let ops = letters().trouble(&shop(), &trouble).unwrap();
    let subject = "Customers' messages are held: the clock has jumped";
    assert_eq!(ops.subject, subject);
    let list = "- Why: it went on, or <b>.\n- Customers' messages are held; those";
    assert!(ops.text.contains(list), "{}", ops.text);
    let item = "<li>Why: it went on, or &lt;b&gt;.</li>";
    assert!(ops.html.contains(item), "{}", ops.html);
}
