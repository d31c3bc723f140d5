//! Facts of one row that cannot be true together, or beside its parent's.

use std::str::FromStr;

use chrono::SecondsFormat;

use super::row::{Facts, fact, number, text};
use crate::case::{Entity, FactType, Finding, Kind, Value};
use crate::policy::{Calendar, Currency, Instant};

/// What is wrong with a row as merged (spec, section 4), by the place of the
/// column that it is about. `prior` is what was known of it, `parent` the fact of its parent that it is held against.
pub(super) fn contradictions(
    entity: Entity,
    facts: &Facts,
    prior: Option<&Facts>,
    parent: Option<&Value>,
    calendar: &Calendar,
) -> Vec<(usize, String)> {
    match entity {
        Entity::Orders => {
            let mut problems = times(entity, facts, "placed_at", calendar);
            problems.extend(prior.and_then(|prior| other_decimals(facts, prior)));
            problems
        }
        Entity::Units => Vec::new(),
        Entity::Claims => {
            let mut problems = times(entity, facts, "opened_at", calendar);
            problems.extend(findings(facts, parent));
            problems
        }
        Entity::Waits => {
            let opened_at = parent.and_then(number).zip(time(entity, facts, "from"));
            let begun = opened_at.and_then(|(opened_at, (place, from))| {
                let problem = before(from, opened_at, "the claim's opened_at", calendar)?;
                Some((place, problem))
            });
            let ended = times(entity, facts, "from", calendar);
            begun.into_iter().chain(ended).collect()
        }
    }
}

/// Times that are before the first one of their row.
fn times(entity: Entity, facts: &Facts, first: &str, calendar: &Calendar) -> Vec<(usize, String)> {
    let Some((_, earliest)) = time(entity, facts, first) else {
        return Vec::new();
    };
    let fields = std::iter::zip(entity.fields(), facts).enumerate();
    fields
        .filter(|(_, (field, _))| field.fact_type == FactType::Time)
        .filter_map(|(place, (_, at))| {
            let at = at.as_ref().and_then(number)?;
            let problem = before(at, earliest, first, calendar)?;
            Some((place, problem))
        })
        .collect()
}

fn time(entity: Entity, facts: &Facts, name: &str) -> Option<(usize, i64)> {
    let place = entity.field(name)?;
    Some((place, fact(facts, place).and_then(number)?))
}

/// What to say of a time that is before another; by date, if either is a local
/// midnight: it was given without a time of day.
fn before(at: i64, earliest: i64, first: &str, calendar: &Calendar) -> Option<String> {
    if at >= earliest {
        return None;
    }
    let at = Instant::from_timestamp_micros(at)?;
    let earliest = Instant::from_timestamp_micros(earliest)?;
    let (day, first_day) = (calendar.date_of(at), calendar.date_of(earliest));
    let is_date = calendar.day_start(day) == at || calendar.day_start(first_day) == earliest;
    if is_date && day == first_day {
        return None;
    }
    let shown = |at: Instant| {
        let local = at.with_timezone(&calendar.zone);
        local.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    };
    Some(format!(
        "found `{}`, expected a time that is not before {first}, `{}`",
        shown(at),
        shown(earliest)
    ))
}

/// Amounts are kept in minor units: another number of decimals would change
/// those that are not in the row.
fn other_decimals(facts: &Facts, prior: &Facts) -> Option<(usize, String)> {
    let entity = Entity::Orders;
    let place = entity.field("currency")?;
    let currency = |facts| -> Option<Currency> { text(fact(facts, place)?)?.parse().ok() };
    let (known, given) = (currency(prior)?, currency(facts)?);
    let problem = format!(
        "found `{given}`, but the order's amounts are kept with the decimals of `{known}`: \
         withdraw it (`withdrawn` = `true`) and enter it under another name"
    );
    (known.decimals() != given.decimals()).then_some((place, problem))
}

/// Findings are those of the unit's kind, and have a time.
fn findings(facts: &Facts, kind: Option<&Value>) -> Vec<(usize, String)> {
    let entity = Entity::Claims;
    let Some(place) = entity.field("findings") else {
        return Vec::new();
    };
    let Some(codes) = fact(facts, place).and_then(text) else {
        return Vec::new();
    };
    let kind = kind
        .and_then(text)
        .and_then(|kind| Kind::from_str(kind).ok());
    let mut problems = Vec::new();
    for code in codes.split(';') {
        let of = Finding::from_str(code).ok().map(Finding::kind);
        if let (Some(of), Some(kind)) = (of, kind)
            && of != kind
        {
            problems.push(format!(
                "found `{code}`, a finding on {of}, but the unit is {kind}: expected findings on \
                 {kind}"
            ));
        }
    }
    if time(entity, facts, "inspected_at").is_none() {
        problems.push("found codes without a time: expected `inspected_at` with them".into());
    }
    let told = problems.into_iter();
    told.map(|problem| (place, problem)).collect()
}
