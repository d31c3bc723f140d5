//! What the managers' page says, as values for their mail.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::mail::{Count, DayReport, DueOn, LatePromise, OnTimeShare, OwedMoney, WORST_PER_LETTER};
use crate::report::{OnTime, Owed, RECENT_DAYS, RunningPromise, Summary, Trend};

/// What is told of a day.
pub fn told(summary: &Summary, date: NaiveDate) -> DayReport {
    let figures = &summary.figures;
    let worst = summary.worst().iter().take(WORST_PER_LETTER).map(late);
    let due = summary.due.iter().map(|day| DueOn {
        date: day.date,
        is_working_day: day.is_working_day,
        promises: day.total(),
    });
    DayReport {
        date,
        overdue: count(&figures.overdue),
        missed: count(&figures.missed),
        recent_days: RECENT_DAYS,
        refunds: figures.refunds_owed.iter().map(owed).collect(),
        notices_failed: count(&figures.notices_failed),
        notices_held: figures.notices_held,
        exceptions: figures.exceptions,
        on_time: figures.on_time.iter().map(on_time).collect(),
        worst: worst.collect(),
        due: due.collect(),
    }
}

fn count(trend: &Trend<u64>) -> Count {
    let since = |before: u64| trend.now.cast_signed().wrapping_sub(before.cast_signed());
    Count {
        now: trend.now,
        since_yesterday: since(trend.yesterday),
        since_last_week: since(trend.last_week),
    }
}

fn owed(owed: &Owed) -> OwedMoney {
    let Trend {
        now,
        yesterday,
        last_week,
    } = owed.sum;
    OwedMoney {
        refunds: count(&owed.refunds),
        sum: now,
        since_yesterday: now.minor.saturating_sub(yesterday.minor),
        since_last_week: now.minor.saturating_sub(last_week.minor),
    }
}

fn on_time(found: &OnTime) -> OnTimeShare {
    let hundredths = |percent: Decimal| (percent * Decimal::ONE_HUNDRED).to_i64();
    let Trend {
        now,
        yesterday,
        last_week,
    } = found.percent.map(|percent| percent.and_then(hundredths));
    let since = |before: Option<i64>| Some(now? - before?);
    OnTimeShare {
        window: found.window,
        decided: found.decided.now,
        share: now,
        since_yesterday: since(yesterday),
        since_last_week: since(last_week),
    }
}

fn late(late: &RunningPromise) -> LatePromise {
    LatePromise {
        window: late.window,
        subject_ref: late.subject_ref.clone(),
        order_ref: late.order_ref.clone(),
        days: late.late_days,
        who: late.who.clone(),
    }
}
