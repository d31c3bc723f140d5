//! One row, laid over what is known of it, and held against the rules that it
//! and its parent can break.

use super::cell::{self, Rules, found};
use super::contradiction::contradictions;
use super::header::Header;
use super::reader::RawRow;
use crate::case::{Entity, FactType, Value};
use crate::policy::Currency;

/// The facts of a row, in the order of [`Entity::fields`].
pub type Facts = Vec<Option<Value>>;

/// What a row is known by: its own name; a wait, by its claim and by when it
/// began (microseconds since 1970).
pub type Key = (String, Option<i64>);

/// The fact of its parent that a row is held against, by column.
pub fn parent_fact(entity: Entity) -> Option<(Entity, &'static str)> {
    let (parent, _) = entity.parent()?;
    let fact = match entity {
        Entity::Orders => return None,
        Entity::Units => "currency",
        Entity::Claims => "kind",
        Entity::Waits => "opened_at",
    };
    Some((parent, fact))
}

/// What a row is known by. The error says what is wrong with it.
pub fn key_of(header: &Header, row: &RawRow, rules: Rules<'_>) -> Result<Key, String> {
    let own = |place: usize| -> Result<Option<Value>, String> {
        match header.cell(row, place) {
            "" | "null" => {
                Err(header.problem(place, "is empty, expected what the row is known by"))
            }
            text => cell::parse(header, place, text, rules, None)
                .map_err(|problem| header.problem(place, &problem)),
        }
    };
    let name = match own(0)? {
        Some(Value::Text(name)) => name,
        _ => String::new(),
    };
    let from = match header.entity {
        Entity::Waits => own(1)?.as_ref().and_then(number),
        _ => None,
    };
    Ok((name, from))
}

/// The name of the row's parent: the known one, for it cannot be changed.
pub fn parent_of<'a>(
    header: &'a Header,
    row: &'a RawRow,
    prior: Option<&'a Facts>,
) -> Option<&'a str> {
    let (_, place) = header.entity.parent()?;
    match prior.and_then(|facts| fact(facts, place)) {
        Some(Value::Text(name)) => Some(name),
        _ => Some(header.cell(row, place)),
    }
}

/// Lays a row over what is known of it (`prior`). `parent` is the value of
/// [`parent_fact`], `None` if there is no such parent. The error names every
/// problem of the row.
pub fn check(
    header: &Header,
    row: &RawRow,
    prior: Option<&Facts>,
    parent: Option<&Value>,
    rules: Rules<'_>,
) -> Result<Facts, String> {
    let entity = header.entity;
    let mut merge = Merge {
        header,
        facts: Facts::with_capacity(entity.fields().len()),
        parent,
        problems: Vec::new(),
    };
    if let Some((kind, place)) = entity.parent() {
        let name = parent_of(header, row, prior).unwrap_or_default();
        if parent.is_none() && !name.is_empty() {
            merge.refuse(place, unknown_parent(kind, name));
        }
    }
    merge.cells(row, prior, rules);
    let Merge {
        facts,
        mut problems,
        ..
    } = merge;
    if problems.is_empty() {
        let found = contradictions(entity, &facts, prior, parent, rules.calendar).into_iter();
        problems = found
            .map(|(place, problem)| header.problem(place, &problem))
            .collect();
    }
    if problems.is_empty() {
        Ok(facts)
    } else {
        Err(problems.join("; "))
    }
}

fn unknown_parent(kind: Entity, name: &str) -> String {
    let (one, name) = (kind.one(), found(name));
    format!("there is no {one} {name}: expected one that was imported before, or in this batch")
}

/// A row in the making.
struct Merge<'a> {
    header: &'a Header,
    facts: Facts,
    parent: Option<&'a Value>,
    problems: Vec<String>,
}

impl Merge<'_> {
    fn refuse(&mut self, place: usize, problem: String) {
        self.problems.push(self.header.problem(place, &problem));
    }

    fn cells(&mut self, row: &RawRow, prior: Option<&Facts>, rules: Rules<'_>) {
        let header = self.header;
        let mut missing = Vec::new();
        for (place, field) in header.entity.fields().iter().enumerate() {
            let known = prior.and_then(|prior| fact(prior, place));
            let text = header.cell(row, place);
            let value = match text {
                "" => {
                    if field.required && prior.is_none() {
                        missing.push(header.label(place));
                    }
                    Ok(known.cloned())
                }
                "null" if field.required => Err("found `null`, but it must be known: \
                     expected a value"
                    .to_owned()),
                "null" => Ok(None),
                _ if field.fact_type == FactType::Money => {
                    cell::parse(header, place, text, rules, self.currency())
                }
                _ => cell::parse(header, place, text, rules, None),
            };
            let value = value.and_then(|value| match self.is_moved(place, value.as_ref(), prior) {
                true => Err(self.moved(text, known)),
                false => Ok(value),
            });
            let fact = value.unwrap_or_else(|problem| {
                self.refuse(place, problem);
                known.cloned()
            });
            self.facts.push(fact);
        }
        if !missing.is_empty() {
            self.problems.push(format!(
                "the {} is not known yet: expected a value in `{}`",
                header.entity.one(),
                missing.join("`, `")
            ));
        }
    }

    fn moved(&self, text: &str, known: Option<&Value>) -> String {
        format!(
            "found {}, but the {one} is known as one of {} and stays there: withdraw it \
             (`withdrawn` = `true`) and enter it under another name",
            found(text),
            found(known.and_then(self::text).unwrap_or_default()),
            one = self.header.entity.one(),
        )
    }

    /// Whether a value would hang a known row on another parent.
    fn is_moved(&self, place: usize, value: Option<&Value>, prior: Option<&Facts>) -> bool {
        let is_parent = self
            .header
            .entity
            .parent()
            .is_some_and(|(_, of)| of == place);
        is_parent && prior.is_some_and(|facts| fact(facts, place) != value)
    }

    /// The currency of the order's amounts, as far as the row was read.
    fn currency(&self) -> Option<Currency> {
        let entity = self.header.entity;
        let code = match entity {
            Entity::Orders => self.text(entity.field("currency")?),
            Entity::Units => self.parent.and_then(text),
            Entity::Claims | Entity::Waits => None,
        };
        code?.parse().ok()
    }

    fn text(&self, place: usize) -> Option<&str> {
        fact(&self.facts, place).and_then(text)
    }
}

pub(super) fn fact(facts: &Facts, place: usize) -> Option<&Value> {
    facts.get(place)?.as_ref()
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Flag(_) | Value::Text(_) => None,
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Flag(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::{Calendar, Instant};

    /// Checks `name=value` cells over a row that an earlier check gave.
    fn merged(
        entity: Entity,
        cells: &[(&str, &str)],
        prior: Option<&Facts>,
        parent: Option<&str>,
    ) -> Result<Facts, String> {
        let calendar = Calendar::new(chrono_tz::Europe::Berlin, vec![], BTreeSet::new()).unwrap();
        let rules = Rules {
            calendar: &calendar,
            policies: &["standard".to_owned()].into(),
        };
        let names = cells.iter().map(|(name, _)| (*name).to_owned()).collect();
        let header = Header::of(entity, names).unwrap();
        let row = RawRow {
            line: 2,
            cells: cells.iter().map(|(_, cell)| cell).collect(),
            problem: None,
        };
        let parent = parent.map(|fact| match entity {
            Entity::Waits => Value::Number(fact.parse::<Instant>().unwrap().timestamp_micros()),
            _ => Value::Text(fact.into()),
        });
        check(&header, &row, prior, parent.as_ref(), rules)
    }

    const ORDER: [(&str, &str); 6] = [
        ("order_ref", "O-1"),
        ("customer_ref", "C-1"),
        ("customer_email", "anna@example.com"),
        ("placed_at", "2026-03-01 15:00"),
        ("currency", "EUR"),
        ("total", "100"),
    ];
    const CLAIM: [(&str, &str); 4] = [
        ("claim_ref", "C-1"),
        ("unit_ref", "U-1"),
        ("type", "repair"),
        ("opened_at", "2026-03-01 15:00"),
    ];

    #[test]
    fn empty_keeps_null_erases_and_the_rest_replaces() {
        let order = merged(Entity::Orders, &ORDER, None, None).unwrap();
        let cells = [
            ("order_ref", "O-1"),
            ("customer_name", "Anna Example"),
            ("total", ""),
            ("paid_at", "2026-03-02"),
        ];
        let named = merged(Entity::Orders, &cells, Some(&order), None).unwrap();
        let place = |name| Entity::Orders.field(name).unwrap();
        assert_eq!(named[place("total")], order[place("total")]);
        assert_eq!(
            named[place("customer_name")],
            Some(Value::Text("Anna Example".into()))
        );
        let cells = [
            ("order_ref", "O-1"),
            ("customer_name", "null"),
            ("total", "90"),
        ];
        let erased = merged(Entity::Orders, &cells, Some(&named), None).unwrap();
        assert_eq!(erased[place("customer_name")], None);
        assert_eq!(erased[place("total")], Some(Value::Number(9_000)));
        assert_eq!(erased[place("paid_at")], named[place("paid_at")]);
    }

    #[test]
    fn a_known_row_is_held_against_the_rules_as_merged() {
        let order = merged(Entity::Orders, &ORDER, None, None).unwrap();
        let claim = merged(Entity::Claims, &CLAIM, None, Some("software")).unwrap();
        let opened = Some("2026-03-01T14:00:00Z");
        let wait = [("claim_ref", "C-1"), ("from", "2026-03-02 10:00")];
        let wait = merged(Entity::Waits, &wait, None, opened).unwrap();
        for (entity, prior, parent, name, value, expected) in [
            (Entity::Orders, &order, None, "paid_at", "2026-03-01", ""),
            (
                Entity::Orders,
                &order,
                None,
                "paid_at",
                "2026-03-01 15:00",
                "",
            ),
            (
                Entity::Orders,
                &order,
                None,
                "paid_at",
                "2026-03-01 14:59",
                "paid_at: found `2026-03-01T14:59:00+01:00`, expected a time that is not before \
                 placed_at, `2026-03-01T15:00:00+01:00`",
            ),
            (
                Entity::Orders,
                &order,
                None,
                "paid_at",
                "2026-02-28",
                "paid_at: found",
            ),
            (
                Entity::Orders,
                &order,
                None,
                "placed_at",
                "null",
                "placed_at: found `null`",
            ),
            (Entity::Orders, &order, None, "currency", "USD", ""),
            (
                Entity::Orders,
                &order,
                None,
                "currency",
                "JPY",
                "currency: found `JPY`, but",
            ),
            (
                Entity::Claims,
                &claim,
                Some("software"),
                "unit_ref",
                "U-1",
                "",
            ),
            (
                Entity::Claims,
                &claim,
                Some("software"),
                "unit_ref",
                "U-2",
                "unit_ref: found `U-2`, but the claim is known as one of `U-1` and stays there",
            ),
            (
                Entity::Claims,
                &claim,
                Some("software"),
                "closed_at",
                "2026-03-01",
                "",
            ),
            (
                Entity::Claims,
                &claim,
                Some("software"),
                "closed_at",
                "2026-02-28",
                "closed_at: fo",
            ),
            (
                Entity::Claims,
                &claim,
                Some("software"),
                "findings",
                "os_reinstalled",
                "findings: found codes without a time: expected `inspected_at`",
            ),
            (Entity::Waits, &wait, opened, "until", "2026-03-02", ""),
            (
                Entity::Waits,
                &wait,
                opened,
                "until",
                "2026-03-01 23:00",
                "until: found",
            ),
        ] {
            let cells = [(name, value)];
            let result = merged(entity, &cells, Some(prior), parent);
            let problem = result.err().unwrap_or_default();
            let is_expected =
                problem.starts_with(expected) && problem.is_empty() == expected.is_empty();
            assert!(is_expected, "{name} {value}: {problem}");
        }
    }

    #[test]
    fn a_corrected_start_is_held_against_what_came_after() {
        let paid = [ORDER.as_slice(), &[("paid_at", "2026-03-02 10:00")]].concat();
        let order = merged(Entity::Orders, &paid, None, None).unwrap();
        let late = [("order_ref", "O-1"), ("placed_at", "2026-03-03 10:00")];
        let problem = merged(Entity::Orders, &late, Some(&order), None).unwrap_err();
        assert!(problem.starts_with("paid_at: found"), "{problem}");
    }

    #[test]
    fn a_row_that_nobody_knows_needs_its_required_facts_and_its_parent() {
        for (entity, cells, parent, expected) in [
            (
                Entity::Orders,
                [("order_ref", "O-1"), ("total", "x")].as_slice(),
                None,
                "the order is not known yet: expected a value in `customer_ref`, \
                 `customer_email`, `placed_at`, `currency`",
            ),
            (
                Entity::Claims,
                &CLAIM,
                None,
                "unit_ref: there is no unit `U-1`: expected one that was imported before, or in \
                 this batch",
            ),
            (
                Entity::Waits,
                &[("claim_ref", "C-1"), ("from", "2026-03-01 10:00")],
                Some("2026-03-01T14:00:00Z"),
                "from: found `2026-03-01T10:00:00+01:00`, expected a time that is not before the \
                 claim's opened_at, `2026-03-01T15:00:00+01:00`",
            ),
        ] {
            let problem = merged(entity, cells, None, parent).unwrap_err();
            assert_eq!(problem, expected);
        }
    }

    #[test]
    fn findings_are_those_of_the_unit_s_kind_and_every_problem_is_told() {
        let more = [("inspected_at", "2026-03-02"), ("findings", "seal_broken")];
        let cells = [CLAIM.as_slice(), &more].concat();
        assert!(merged(Entity::Claims, &cells, None, Some("hardware")).is_ok());
        let problem = merged(Entity::Claims, &cells, None, Some("software")).unwrap_err();
        assert!(problem.contains("but the unit is software"), "{problem}");
        let more = [("assignee_email", "x"), ("findings", "wet")];
        let cells = [CLAIM.as_slice(), &more].concat();
        let problem = merged(Entity::Claims, &cells, None, Some("software")).unwrap_err();
        let fields: Vec<&str> = problem.split("; ").collect();
        assert!(
            fields[0].starts_with("assignee_email: found `x`"),
            "{problem}"
        );
        assert!(fields[1].starts_with("findings: found `wet`"), "{problem}");
    }

    #[test]
    fn a_price_is_read_in_the_order_s_currency() {
        let cells = [
            ("unit_ref", "U-1"),
            ("order_ref", "O-1"),
            ("product_name", "Lamp"),
            ("kind", "hardware"),
            ("price", "12.50"),
        ];
        let unit = merged(Entity::Units, &cells, None, Some("EUR")).unwrap();
        let price = Entity::Units.field("price").unwrap();
        assert_eq!(unit[price], Some(Value::Number(1_250)));
        let problem = merged(Entity::Units, &cells, None, Some("VND")).unwrap_err();
        assert!(problem.contains("more decimals than VND has"), "{problem}");
    }
}
