//! Every letter in every locale, written from the samples.

use std::collections::BTreeSet;

use super::letter_tests::{date, letters, notice, shop};
use super::samples::REASONS;
use super::unbroken::read;
use super::{
    Addressee, DayReport, Files, Shop, ToShop, WORST_PER_LETTER, WorkLine, Worklist, samples,
};
use crate::policy::{Audience, Step, Window};

/// What a letter must say in each locale.
struct Says {
    locale: &'static str,
    clause: fn(&str) -> String,
    last_day: &'static str,
    /// Of the month in which the due day is.
    never: &'static str,
    amount: &'static str,
}

const SAYS: [Says; 2] = [
    Says {
        locale: "en",
        clause: |clause| format!("ection {clause}"),
        last_day: "Tuesday 30 June 2026",
        never: "July",
        amount: "EUR 1,299.90",
    },
    Says {
        locale: "vi",
        clause: |clause| format!("mục {clause}"),
        last_day: "thứ Ba, ngày 30 tháng 6 năm 2026",
        never: "tháng 7",
        amount: "1.299,90 EUR",
    },
];

pub(super) fn unescaped(html: &str) -> String {
    [
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn every_letter_in_every_locale_says_what_it_must_in_both_parts() {
    let letters = letters();
    let locales: Vec<&str> = letters.locales().collect();
    assert_eq!(locales, SAYS.map(|says| says.locale));
    for says in SAYS {
        let shop = Shop {
            locale: says.locale.into(),
            ..shop()
        };
        let mut seen = BTreeSet::new();
        for sample in samples(says.locale) {
            let case = format!("{} {} {}", says.locale, sample.letter, sample.variant);
            let letter = sample
                .write(&letters, &shop)
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            seen.insert(sample.letter);
            assert!(letter.html.len() < 100_000, "{case}");
            for outside in ["<img", "<script", "<link", "http", "url("] {
                assert!(!letter.html.contains(outside), "{case}: {outside}");
            }
            let long = letter.text.lines().find(|line| line.chars().count() > 72);
            assert_eq!(long, None, "{case}");
            // Wrapped lines hide what stands across their ends.
            let text = letter.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let html = read(&letter.html);
            for part in [&text, &html] {
                for notice in &sample.notices {
                    assert!(part.contains(&notice.subject_ref), "{case}\n{part}");
                    let clause = (says.clause)(&notice.clause);
                    assert!(part.contains(&clause), "{case}: {clause}\n{part}");
                    if notice.amount.is_some() {
                        assert!(part.contains(says.amount), "{case}\n{part}");
                    }
                }
                match &sample.to_shop {
                    Some(ToShop::List(list)) => assert_told(list, part, &case, &says),
                    Some(ToShop::Day(day, files)) => assert_day_told(day, files, part, &case),
                    None if sample.letter != "digest" && sample.notices[0].last_day.is_some() => {
                        assert!(part.contains(says.last_day), "{case}\n{part}");
                        assert!(!part.contains(says.never), "{case}\n{part}");
                    }
                    Some(ToShop::Period(..) | ToShop::Trouble(_)) | None => {}
                }
            }
            let is_report = ["compliance", "report"].contains(&sample.letter);
            let is_trouble = matches!(sample.to_shop, Some(ToShop::Trouble(_)));
            for wrong in ["none", "_", " .", " ,", "{", "undefined"] {
                // Of some figures there are none; ops read names of settings.
                let of_ops = is_trouble && ["none", "_"].contains(&wrong);
                let is_meant = is_report && wrong == "none" || of_ops;
                assert!(
                    is_meant || !text.contains(wrong),
                    "{case}: {wrong:?}\n{text}"
                );
            }
            // The next step is in both parts, and stands out in one.
            let step = html.split("class=\"step\"").nth(1);
            let step = step.and_then(|step| step.split_once('>')?.1.split_once("</p>"));
            let is_told = step.is_some_and(|(step, _)| text.contains(&unescaped(step)));
            assert!(
                is_told
                    || is_report
                    || is_trouble
                    || ["inside_right", "worklist"].contains(&sample.letter),
                "{case}: {step:?}"
            );
        }
        let parts = [
            "closing",
            "compliance_facts",
            "date",
            "facts",
            "files",
            "footnote",
            "greeting",
            "money",
            "report_figures",
            "report_late",
            "report_on_time",
            "report_words",
            "words",
            "worklist_item",
            "worklist_words",
        ];
        let all: BTreeSet<&str> = seen.into_iter().chain(parts).collect();
        assert_eq!(all, super::templates::names().collect());
    }
}

/// Every line of a list stands in a part of its letter, with its promise.
fn assert_told(list: &Worklist, letter: &str, case: &str, says: &Says) {
    for part in &list.parts {
        for WorkLine { about, .. } in &part.lines {
            assert!(letter.contains(&about.subject_ref), "{case}\n{letter}");
            assert!(letter.contains(&about.order_ref), "{case}\n{letter}");
            if about.window.is_some() {
                let clause = (says.clause)(&about.clause);
                assert!(letter.contains(&clause), "{case}: {clause}\n{letter}");
            }
            if about.amount.is_some() {
                assert!(letter.contains(says.amount), "{case}\n{letter}");
            }
            if about.last_day.is_some() && part.name != "due" {
                assert!(letter.contains(says.last_day), "{case}\n{letter}");
            }
        }
    }
}

/// Every figure stands in a part of the letter, and the worst that is late.
fn assert_day_told(day: &DayReport, files: &Files, letter: &str, case: &str) {
    let told = |what: &str| assert!(letter.contains(what), "{case}: {what}\n{letter}");
    for count in [day.overdue, day.missed, day.notices_failed] {
        let signed = |change: i64| match change {
            0 => "±0".to_owned(),
            1.. => format!("+{change}"),
            _ => format!("−{}", change.abs()),
        };
        told(&format!("{} ", count.now));
        told(&format!("{} ", signed(count.since_yesterday)));
        told(&format!(", {} ", signed(count.since_last_week)));
    }
    for n in [day.notices_held, day.exceptions] {
        told(&n.to_string());
    }
    for owed in &day.refunds {
        told(&owed.sum.currency.to_string());
        told("+1 (+");
        told("−2 (−");
    }
    for (n, late) in day.worst.iter().enumerate() {
        let days = format!(": {} day", late.days);
        let in_vi = format!("trễ {} ngày", late.days);
        let is_told = letter.contains(&days) || letter.contains(&in_vi);
        assert_eq!(is_told, n < WORST_PER_LETTER, "{case}: {late:?}\n{letter}");
    }
    for due in day.due.iter().filter(|due| due.promises > 0) {
        let year = due.date.format("%Y").to_string();
        let year = letter.matches(&year).count();
        assert!(year >= day.due.len(), "{case}\n{letter}");
    }
    for kept in day.on_time.iter().filter(|kept| kept.share.is_some()) {
        told(&format!(
            "% {} {}",
            if case.starts_with("vi") {
                "của"
            } else {
                "of"
            },
            kept.decided
        ));
    }
    for name in files.pages.iter().chain(&files.tables) {
        told(name);
    }
}

#[test]
fn every_reason_is_told_in_words_of_its_own() {
    let letters = letters();
    for says in SAYS {
        let mut told = BTreeSet::new();
        let declined = samples(says.locale).into_iter();
        for sample in declined.filter(|sample| sample.letter == "declined") {
            let text = sample.write(&letters, &shop()).unwrap().text;
            if sample.variant.starts_with("declined-") {
                told.insert(text);
            }
        }
        // The others are that of goods at the shop, and the bare one.
        assert_eq!(told.len(), REASONS.len() + 2, "{}", says.locale);
    }
}

#[test]
fn a_customer_is_written_to_in_their_language_and_others_in_the_shop_s() {
    let step = |audience| notice(Some(Window::HardwareRepair), Step::Due, audience);
    for (own, shops, audience, greeting) in [
        (
            Some("vi-VN"),
            "en",
            Audience::Customer,
            "Kính gửi Ana Sample,",
        ),
        (Some("fr"), "vi", Audience::Customer, "Dear Ana Sample,"),
        (None, "vi", Audience::Customer, "Kính gửi Ana Sample,"),
        (None, "en", Audience::Customer, "Dear Ana Sample,"),
        (Some("vi"), "en", Audience::Lead, "Hello,"),
        (None, "vi", Audience::Lead, "Xin chào,"),
    ] {
        let shop = Shop {
            locale: shops.into(),
            ..shop()
        };
        let addressee = match audience {
            Audience::Customer => Addressee::Customer {
                customer_ref: "K-7".into(),
                name: Some("Ana Sample".into()),
                locale: own.map(str::to_owned),
            },
            _ => Addressee::Inside,
        };
        let letter = letters().compose(&shop, &addressee, date("2026-07-01"), &[step(audience)]);
        let text = letter.unwrap().text;
        assert!(text.starts_with(greeting), "{own:?} {shops}: {text}");
    }
}

#[test]
fn a_replacement_is_not_promised_to_be_new() {
    for (locale, new) in [("en", " new "), ("vi", "sản phẩm mới")] {
        let letters = letters();
        let shop = Shop {
            locale: locale.into(),
            ..shop()
        };
        let exchanges = samples(locale).into_iter();
        let exchanges = exchanges.filter(|sample| sample.variant.starts_with("exchange_due"));
        let texts = exchanges.map(|sample| sample.write(&letters, &shop).unwrap().text);
        let texts: Vec<String> = texts.map(|text| text.to_lowercase()).collect();
        assert!(texts.len() >= 6, "{locale}");
        for text in texts {
            assert!(!text.contains(new), "{locale}: {text}");
        }
    }
}

#[test]
fn customers_and_nobody_else_read_what_the_law_wants() {
    let shop = Shop {
        legal: vec!["Register A 123".into(), "Tax 45 & 67".into()],
        ..shop()
    };
    for sample in samples("en") {
        let letter = sample.write(&letters(), &shop).unwrap();
        let is_customers = matches!(sample.addressee, Addressee::Customer { .. });
        let text_ends = letter.text.ends_with("Register A 123\nTax 45 & 67\n");
        assert_eq!(
            text_ends, is_customers,
            "{}\n{}",
            sample.variant, letter.text
        );
        let stands = letter.html.contains("Tax 45 &amp; 67");
        assert_eq!(stands, is_customers, "{}\n{}", sample.variant, letter.html);
    }
}
