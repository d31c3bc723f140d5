//! The managers' letters, from made-up figures.

use chrono::Datelike;
use strum::VariantArray;

use crate::policy::{Money, Window, WindowKind};

use super::super::compliance::{KeptPromise, KeptPromises};
use super::super::day::{Count, DayReport, DueOn, LatePromise, OnTimeShare, OwedMoney};
use super::super::files::{Carried, Files};
use super::super::notice::Addressee;
use super::{LAST_DAY, STARTED_ON, Sample, ToShop};

/// The managers' letters, each with its files and in each way to carry them.
pub(super) fn reports() -> impl Iterator<Item = Sample> {
    let files = |pages: &[&str], carried| Files {
        pages: pages.iter().copied().map(str::to_owned).collect(),
        tables: vec!["missed.csv".to_owned(), "refunds.csv".to_owned()],
        carried,
    };
    let page = &["summary.html"];
    let zip = || Carried::Zipped("reports-2026-06-30.zip".to_owned());
    let left = || Carried::NotAtAll("/var/lib/warrantyd/reports/2026-06-30".to_owned());
    let day = |variant: &str, day, carried| {
        let told = ToShop::Day(day, files(page, carried));
        ("report", variant.to_owned(), told)
    };
    let period = |period: &'static str, name: &str, carried| {
        let kept = kept(period, name);
        let told = ToShop::Period(kept, files(&[], carried));
        ("compliance", period.to_owned(), told)
    };
    let all = [
        day("late", late_day(), zip()),
        day("calm", calm_day(), Carried::Each),
        period("week", "2026-W26", Carried::Each),
        period("month", "2026-06", left()),
    ];
    all.into_iter().map(|(letter, variant, told)| Sample {
        letter,
        variant,
        addressee: Addressee::Inside,
        today: LAST_DAY,
        notices: Vec::new(),
        to_shop: Some(told),
    })
}

/// A day on which much is late.
fn late_day() -> DayReport {
    let count = |now, since_yesterday, since_last_week| Count {
        now,
        since_yesterday,
        since_last_week,
    };
    let owed = |currency: &str, minor| {
        let currency = currency.parse().ok()?;
        Some(OwedMoney {
            refunds: count(3, 1, -2),
            sum: Money { minor, currency },
            since_yesterday: 129_990,
            since_last_week: -1_234_500,
        })
    };
    let on_time = Window::VARIANTS
        .iter()
        .filter(|window| window.kind() == WindowKind::Obligation);
    let on_time = on_time.zip(0..).map(|(window, n)| OnTimeShare {
        window: *window,
        decided: 40 + n,
        share: (n < 5).then_some(10_000 - 875 * i64::try_from(n).unwrap_or(0)),
        since_yesterday: (n < 4).then_some(-125),
        since_last_week: (n < 3).then_some(650),
    });
    let worst = [
        (Window::HardwareRepair, "C-17", "tech@shop.example"),
        (Window::RefundPayment, "C-18", "finance"),
        (Window::CancellationRefund, "A-101", "finance"),
        (Window::SoftwareRepair, "C-19", "lead"),
    ];
    let worst = worst
        .iter()
        .cycle()
        .zip(0..12)
        .map(|((window, name, who), n)| LatePromise {
            window: *window,
            subject_ref: (*name).to_owned(),
            order_ref: "A-100".to_owned(),
            days: 40 - 3 * n,
            who: (*who).to_owned(),
        });
    let due = LAST_DAY
        .iter_days()
        .take(14)
        .zip(0..)
        .map(|(date, n)| DueOn {
            date,
            is_working_day: date.weekday().num_days_from_monday() < 5,
            promises: n * 7 % 11,
        });
    DayReport {
        date: LAST_DAY,
        overdue: count(12, 3, -1),
        missed: count(7, 0, 2),
        recent_days: 30,
        refunds: [owed("EUR", 1_299_900), owed("VND", 1_299_000)]
            .into_iter()
            .flatten()
            .collect(),
        notices_failed: count(1, 1, 1),
        notices_held: 2,
        exceptions: 9,
        on_time: on_time.collect(),
        worst: worst.collect(),
        due: due.collect(),
    }
}

/// A day on which there is nothing to tell.
fn calm_day() -> DayReport {
    let none = Count {
        now: 0,
        since_yesterday: 0,
        since_last_week: 0,
    };
    let late = late_day();
    let due = late.due.iter().map(|due| DueOn {
        promises: 0,
        ..due.clone()
    });
    DayReport {
        overdue: none,
        missed: none,
        refunds: Vec::new(),
        notices_failed: none,
        notices_held: 0,
        exceptions: 0,
        on_time: Vec::new(),
        worst: Vec::new(),
        due: due.collect(),
        ..late
    }
}

/// How promises were kept: well, better than before, and without any to keep.
fn kept(period: &'static str, name: &str) -> KeptPromises {
    let figure = |window, percent: Option<&str>, before: Option<&str>| KeptPromise {
        window,
        decided: percent.map_or(0, |_| 17),
        percent: percent.map(str::to_owned),
        decided_before: before.map_or(0, |_| 4),
        percent_before: before.map(str::to_owned),
    };
    KeptPromises {
        period,
        name: name.to_owned(),
        from: STARTED_ON,
        to: LAST_DAY,
        figures: vec![
            figure(Window::HardwareRepair, Some("94.12"), Some("75.00")),
            figure(Window::RefundPayment, Some("100.00"), None),
            figure(Window::SoftwareRepair, None, None),
        ],
    }
}
