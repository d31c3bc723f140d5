//! The page as HTML.

use std::collections::BTreeMap;
use std::io;

use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::NaiveDate;
use minijinja::value::Serde;
use ring::digest::{SHA256, digest};
use rust_decimal::Decimal;
use serde::Serialize;

use super::ageing::AGES;
use super::chart::{Bar, Parts, by_number, by_share, place};
use super::excerpt::{RunningPromise, Table};
use super::figures::Trend;
use super::repairs::Taken;
use super::{RECENT_DAYS, Summary};
use crate::policy::{Money, Window};
use crate::report::compliance::percent;
use crate::report::table::Scope;
use crate::report::template::render;

const TEMPLATE: &str = include_str!("../../../templates/report/summary.html");

/// What sorts and filters the tables, where scripts run.
const SCRIPT: &str = include_str!("../../../templates/report/tables.js");

/// Renders the page.
pub(in crate::report) fn page(scope: &Scope<'_>, summary: &Summary) -> io::Result<String> {
    let local = scope.at.with_timezone(&scope.rules.calendar.zone);
    let figures = &summary.figures;
    let page = Page {
        date: local.format("%Y-%m-%d").to_string(),
        time: local.format("%H:%M").to_string(),
        zone: scope.rules.calendar.zone.name(),
        version: env!("CARGO_PKG_VERSION"),
        script: SCRIPT,
        script_hash: BASE64_STANDARD.encode(digest(&SHA256, SCRIPT.as_bytes())),
        days: scope.days,
        recent_days: RECENT_DAYS,
        overdue_now: counted(&figures.overdue),
        missed: counted(&figures.missed),
        due_soon: figures.due_soon,
        owed: figures.refunds_owed.iter().map(owed).collect(),
        notices_failed: counted(&figures.notices_failed),
        notices_held: figures.notices_held,
        exceptions_in_all: figures.exceptions,
        on_time: figures.on_time.iter().map(on_time).collect(),
        overdue: summary.overdue.as_ref(),
        upcoming: summary.upcoming.as_ref(),
        refunds: summary.refunds.as_ref(),
        exceptions: &summary.exceptions,
        due: due(summary),
        mondays: summary.weeks.mondays().collect(),
        weeks: weeks(summary),
        repairs: repairs(summary),
        ageing: ageing(summary),
    };
    render(TEMPLATE, Serde(page))
}

/// All that the template may use.
#[derive(Serialize)]
struct Page<'p> {
    date: String,
    time: String,
    zone: &'static str,
    version: &'static str,
    script: &'static str,
    script_hash: String,
    days: u16,
    recent_days: u16,
    overdue_now: Figure,
    missed: Figure,
    due_soon: u64,
    owed: Vec<OwedFigure>,
    notices_failed: Figure,
    notices_held: u64,
    exceptions_in_all: u64,
    on_time: Vec<OnTimeFigure>,
    overdue: Option<&'p Table<RunningPromise>>,
    upcoming: Option<&'p Table<RunningPromise>>,
    refunds: Option<&'p Table<BTreeMap<&'static str, String>>>,
    exceptions: &'p BTreeMap<String, u64>,
    due: Vec<Day>,
    mondays: Vec<NaiveDate>,
    weeks: Vec<WeeksOf>,
    repairs: Vec<RepairsOf>,
    ageing: Option<AgeingChart>,
}

/// A figure, and by how much it went up or down.
#[derive(Serialize)]
struct Figure {
    now: String,
    since_yesterday: String,
    since_last_week: String,
}

#[derive(Serialize)]
struct OwedFigure {
    currency: String,
    refunds: Figure,
    sum: Figure,
}

#[derive(Serialize)]
struct OnTimeFigure {
    window: Window,
    decided: u64,
    percent: Figure,
}

fn counted(trend: &Trend<u64>) -> Figure {
    figure(&trend.map(|count| Some(Decimal::from(*count))))
}

fn owed(owed: &super::Owed) -> OwedFigure {
    let amount = |sum: &Money| Decimal::new(sum.minor, sum.currency.decimals().into());
    OwedFigure {
        currency: owed.sum.now.currency.to_string(),
        refunds: counted(&owed.refunds),
        sum: figure(&owed.sum.map(|sum| Some(amount(sum)))),
    }
}

fn on_time(found: &super::OnTime) -> OnTimeFigure {
    OnTimeFigure {
        window: found.window,
        decided: found.decided.now,
        percent: figure(&found.percent),
    }
}

fn figure(trend: &Trend<Option<Decimal>>) -> Figure {
    let since = |before| change(trend.now, before);
    Figure {
        now: trend
            .now
            .map_or_else(|| "–".to_owned(), |now| now.to_string()),
        since_yesterday: since(trend.yesterday),
        since_last_week: since(trend.last_week),
    }
}

/// By how much a figure went up or down, with its sign.
fn change(now: Option<Decimal>, before: Option<Decimal>) -> String {
    let (Some(now), Some(before)) = (now, before) else {
        return "–".to_owned();
    };
    let change = now.saturating_sub(before);
    match (change.is_zero(), change.is_sign_negative()) {
        (true, _) => "±0".to_owned(),
        (_, true) => format!("−{}", change.abs()),
        _ => format!("+{change}"),
    }
}

/// A day of the chart of what falls due.
#[derive(Serialize)]
struct Day {
    date: NaiveDate,
    weekday: String,
    day: String,
    is_working_day: bool,
    total: u64,
    promises: BTreeMap<Window, u64>,
    /// Where the day's place begins.
    x: String,
    bar: Bar,
}

fn due(summary: &Summary) -> Vec<Day> {
    let days = &summary.due;
    let parts = days.iter().map(|day| Parts {
        met: day.total(),
        late: 0,
    });
    let bars = by_number(&parts.collect::<Vec<_>>());
    let days = days
        .iter()
        .zip(bars)
        .enumerate()
        .map(|(at, (day, bar))| Day {
            date: day.date,
            weekday: day.date.format("%a").to_string(),
            day: day.date.format("%-d").to_string(),
            is_working_day: day.is_working_day,
            total: day.total(),
            promises: day.promises.clone(),
            x: place(at, summary.due.len()),
            bar,
        });
    days.collect()
}

/// A promise, week by week.
#[derive(Serialize)]
struct WeeksOf {
    window: Window,
    all: Parts,
    percent: Option<Decimal>,
    weeks: Vec<Parts>,
    bars: Vec<Bar>,
}

fn weeks(summary: &Summary) -> Vec<WeeksOf> {
    let windows = summary.weeks.windows.iter();
    let weeks = windows.map(|(window, weeks)| {
        let all = Parts {
            met: weeks.iter().map(|week| week.met).sum(),
            late: weeks.iter().map(|week| week.late).sum(),
        };
        WeeksOf {
            window: *window,
            all,
            percent: percent(all.met, all.total()),
            weeks: weeks.clone(),
            bars: by_share(weeks),
        }
    });
    weeks.collect()
}

/// How long the promises of one kind took.
#[derive(Serialize)]
struct RepairsOf {
    window: Window,
    done: u64,
    late: u64,
    lapsed: u64,
    paused: u64,
    half: Option<i64>,
    most: Option<i64>,
    longest: Option<i64>,
    net_half: Option<i64>,
    net_most: Option<i64>,
    promised: Vec<Promised>,
    days: BTreeMap<i64, Parts>,
    /// The last day of the chart; what took longer is in its last bar.
    last: i64,
    bars: Vec<Bar>,
}

/// How many days were promised.
#[derive(Serialize)]
struct Promised {
    days: u16,
    is_business: bool,
    /// Where those days end in the chart.
    x: String,
}

/// Days that a chart has at least.
const FEWEST_DAYS: i64 = 7;

/// Days that a chart has at most.
const MOST_DAYS: i64 = 60;

fn repairs(summary: &Summary) -> Vec<RepairsOf> {
    let windows = summary.repairs.windows.iter();
    windows
        .map(|(window, taken)| repairs_of(*window, taken))
        .collect()
}

fn repairs_of(window: Window, taken: &Taken) -> RepairsOf {
    let promised = taken.promised.iter().map(|(days, _)| i64::from(*days));
    // Twice what was promised, or all but the longest.
    let nearly_all = taken.gross.nearest_rank(95).unwrap_or(0);
    let last = (2 * promised.max().unwrap_or(0)).max(nearly_all);
    let last = last.clamp(FEWEST_DAYS, MOST_DAYS);
    let mut parts = vec![Parts::default(); usize::try_from(last + 1).unwrap_or(0)];
    for (days, some) in &taken.days {
        let bar = usize::try_from((*days).clamp(0, last)).unwrap_or(0);
        if let Some(bar) = parts.get_mut(bar) {
            bar.met += some.met;
            bar.late += some.late;
        }
    }
    let promised = taken.promised.iter().map(|(days, is_business)| Promised {
        days: *days,
        is_business: *is_business,
        x: place((usize::from(*days) + 1).min(parts.len()), parts.len()),
    });
    RepairsOf {
        window,
        done: taken.days.values().map(|parts| parts.total()).sum(),
        late: taken.days.values().map(|parts| parts.late).sum(),
        lapsed: taken.lapsed,
        paused: taken.paused,
        half: taken.gross.nearest_rank(50),
        most: taken.gross.nearest_rank(90),
        longest: taken.gross.nearest_rank(100),
        net_half: taken.net.nearest_rank(50),
        net_most: taken.net.nearest_rank(90),
        promised: promised.collect(),
        days: taken.days.clone(),
        last,
        bars: by_number(&parts),
    }
}

/// For how long what is overdue has been.
#[derive(Serialize)]
struct AgeingChart {
    ages: Vec<Age>,
    windows: BTreeMap<Window, [u64; AGES.len()]>,
}

#[derive(Serialize)]
struct Age {
    label: &'static str,
    total: u64,
    bar: Bar,
}

/// `None` if nothing is overdue.
fn ageing(summary: &Summary) -> Option<AgeingChart> {
    let ageing = &summary.ageing;
    let totals = ageing.totals();
    let bars = by_number(&totals.map(|late| Parts { met: 0, late }));
    let ages = AGES.iter().zip(totals).zip(bars);
    let ages = ages.map(|((age, total), bar)| Age {
        label: age.0,
        total,
        bar,
    });
    (!ageing.windows.is_empty()).then(|| AgeingChart {
        ages: ages.collect(),
        windows: ageing.windows.clone(),
    })
}
