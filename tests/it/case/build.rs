//! A shop and its cases from a few words. Times are local to the shop.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{Duration, NaiveDate, NaiveDateTime, Weekday};
use warrantyd::case::{Case, Claim, Evaluation, Order, Rules, Unit, WarrantyRoot, evaluate};
use warrantyd::policy::{Book, Calendar, Instant, Policy, STANDARD, Wait, Window};

/// A shop: its rules, and its time zone to read and write times in.
#[derive(Clone)]
pub struct Shop {
    pub rules: Rules,
}

impl fmt::Debug for Shop {
    /// Its zone, and what sets it apart from others in a failed property.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policies = self.rules.policies.versions();
        let hashes: Vec<_> = policies.map(|policy| &policy.sha256).collect();
        write!(f, "{} {hashes:?}", self.rules.calendar.zone)
    }
}

impl Shop {
    /// A shop in Rome under the built-in policy.
    pub fn standard() -> Self {
        Self::in_zone("Europe/Rome")
    }

    /// A shop elsewhere.
    pub fn in_zone(zone: &str) -> Self {
        let mut policies = Book::default();
        policies.add(policy(&[]));
        let weekend = vec![Weekday::Sat, Weekday::Sun];
        Self {
            rules: Rules {
                policies,
                calendar: Calendar::new(zone.parse().unwrap(), weekend, BTreeSet::new()).unwrap(),
                stuck_after: Duration::days(14),
            },
        }
    }

    /// The same shop under the built-in policy with edits of its text.
    pub fn with(mut self, edits: &[(&str, &str)]) -> Self {
        self.rules.policies.add(policy(edits));
        self
    }

    /// The same shop on holiday.
    pub fn closed_on(mut self, days: &[&str]) -> Self {
        let days = days.iter().map(|day| day.parse().unwrap()).collect();
        let weekend = vec![Weekday::Sat, Weekday::Sun];
        self.rules.calendar = Calendar::new(self.rules.calendar.zone, weekend, days).unwrap();
        self
    }

    /// A local time, such as `2025-01-31` or `2025-01-31 10:00`.
    pub fn at(&self, local: &str) -> Instant {
        if let Ok(date) = local.parse::<NaiveDate>() {
            return self.rules.calendar.day_start(date);
        }
        let parsed = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S")
            .or_else(|_| NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M"));
        let local = parsed.unwrap_or_else(|_| panic!("`{local}` is no local time"));
        let local = local.and_local_timezone(self.rules.calendar.zone);
        local.earliest().unwrap().to_utc()
    }

    /// A time as it is written in tables: without a time of day at midnight.
    pub fn local(&self, at: Instant) -> String {
        let local = at.with_timezone(&self.rules.calendar.zone);
        let text = local.format("%Y-%m-%d %H:%M").to_string();
        text.strip_suffix(" 00:00").unwrap_or(&text).to_owned()
    }

    /// An order of 100.00 EUR, such as `placed 2025-01-01, paid 2025-01-02`.
    pub fn order(&self, words: &str) -> Draft {
        let mut order = Order {
            order_ref: "O-1".into(),
            customer_ref: "C-1".into(),
            placed_at: self.at("2025-01-01"),
            paid_at: None,
            shipped_at: None,
            delivered_at: None,
            cancelled_at: None,
            cancel_refunded_at: None,
            currency: "EUR".parse().unwrap(),
            total: 10_000,
            shipping_out: None,
            shipping_back: None,
            withdrawn: false,
            changed_at: self.at("2025-01-01"),
        };
        for (word, value) in pairs(words) {
            let at = || Some(self.at(value));
            match word {
                "placed" => order.placed_at = self.at(value),
                "paid" => order.paid_at = at(),
                "shipped" => order.shipped_at = at(),
                "delivered" => order.delivered_at = at(),
                "cancelled" => order.cancelled_at = at(),
                "cancel_refunded" => order.cancel_refunded_at = at(),
                "currency" => order.currency = value.parse().unwrap(),
                "total" => order.total = value.parse().unwrap(),
                "shipping_out" => order.shipping_out = value.parse().ok(),
                "shipping_back" => order.shipping_back = value.parse().ok(),
                "changed" => order.changed_at = self.at(value),
                other => panic!("`{other}` is no word of an order"),
            }
        }
        Draft {
            shop: self.clone(),
            case: Case {
                order,
                units: Vec::new(),
                holds: Vec::new(),
                opted_out_at: None,
            },
        }
    }

    /// One hardware unit with one claim.
    pub fn hardware(&self, unit: &str, claim: &str) -> Case {
        let draft = self.order("placed 2024-12-20");
        draft
            .unit("U-1", &format!("hardware {unit}"))
            .claim("K-1", claim)
            .case
    }

    /// One software unit with one claim.
    pub fn software(&self, unit: &str, claim: &str) -> Case {
        let draft = self.order("placed 2024-12-20");
        draft
            .unit("U-1", &format!("software {unit}"))
            .claim("K-1", claim)
            .case
    }

    /// The case as it stands at a local time.
    pub fn see(&self, case: &Case, now: &str) -> Evaluation {
        evaluate(case, &self.rules, self.at(now)).unwrap()
    }

    /// A window of the case in words: its state, when it is due, and when it
    /// ended, how late and at which level, where it did or is; `-` before it
    /// starts.
    pub fn window(&self, case: &Case, window: &str, now: &str) -> String {
        let window: Window = window.parse().unwrap();
        let seen = self.see(case, now);
        let Some(found) = seen.deadlines.iter().find(|d| d.window == window) else {
            return "-".into();
        };
        let mut words = vec![found.state.to_string()];
        words.extend(found.due_at.map(|at| format!("due {}", self.local(at))));
        words.extend(found.ended_at.map(|at| format!("ended {}", self.local(at))));
        if found.late_days != 0 {
            words.push(format!("late {}", found.late_days));
        }
        if found.level != 0 {
            words.push(format!("level {}", found.level));
        }
        words.join(", ")
    }

    /// The first claim's stage and since when, such as `in_repair 2025-01-31`.
    pub fn stage(&self, case: &Case, now: &str) -> String {
        let seen = self.see(case, now);
        let claim = &seen.claims[0];
        format!("{} {}", claim.stage, self.local(claim.stage_since))
    }

    /// The steps and outcomes of the case that speak: window, step, time and
    /// audiences, in the order of time.
    pub fn steps(&self, case: &Case, now: &str) -> Vec<String> {
        let mut due = self.see(case, now).due_steps;
        due.sort_by_key(|due| (due.fires_at, due.key.step.order()));
        let mut lines: Vec<(String, String)> = Vec::new();
        for due in due {
            let window = due.key.window.map_or("outcome".into(), |w| w.to_string());
            let line = format!("{window} {} {}:", due.key.step, self.local(due.fires_at));
            let audience = due.key.audience.to_string();
            match lines.iter_mut().find(|(at, _)| *at == line) {
                Some((_, to)) => *to = format!("{to} {audience}"),
                None => lines.push((line, audience)),
            }
        }
        let lines = lines.into_iter();
        lines.map(|(line, to)| format!("{line} {to}")).collect()
    }
}

/// The built-in policy with edits of its text. An edit of `WINDOW: KEY` stands
/// behind that window's clause.
pub fn policy(edits: &[(&str, &str)]) -> Policy {
    let mut text = STANDARD.to_owned();
    for (place, line) in edits {
        let edited = match place.strip_prefix("in ") {
            Some(window) => {
                let (before, after) = text.split_once(&format!("[windows.{window}]\n")).unwrap();
                let (key, _) = line.split_once(" = ").unwrap();
                let (table, rest) = after.split_at(after.find("\n[").unwrap_or(after.len()));
                let others = table
                    .lines()
                    .filter(|l| !l.starts_with(&format!("{key} =")));
                let others: Vec<&str> = others.collect();
                format!(
                    "{before}[windows.{window}]\n{line}\n{}{rest}",
                    others.join("\n")
                )
            }
            None => text.replacen(place, line, 1),
        };
        assert_ne!(edited, text, "{place} is not in the policy");
        text = edited;
    }
    Policy::parse("edited.toml", &text).unwrap()
}

/// A case that is being written down.
pub struct Draft {
    shop: Shop,
    pub case: Case,
}

impl Draft {
    /// A unit, such as `hardware received 2025-01-10, price 5000`.
    pub fn unit(mut self, unit_ref: &str, words: &str) -> Self {
        let (kind, words) = words.split_once(' ').unwrap_or((words, ""));
        let mut unit = Unit {
            unit_ref: unit_ref.into(),
            product_name: "Thing".into(),
            kind: kind.parse().unwrap(),
            serial: None,
            price: None,
            received_at: None,
            company_confirmed_at: None,
            customer_confirmed_at: None,
            policy: "standard".into(),
            root: None,
            claims: Vec::new(),
            changed_at: self.case.order.changed_at,
        };
        for (word, value) in pairs(words) {
            let at = || Some(self.shop.at(value));
            match word {
                "received" => unit.received_at = at(),
                "company_confirmed" => unit.company_confirmed_at = at(),
                "customer_confirmed" => unit.customer_confirmed_at = at(),
                "serial" => unit.serial = Some(value.into()),
                "price" => unit.price = value.parse().ok(),
                "policy" => unit.policy = value.into(),
                other => panic!("`{other}` is no word of a unit"),
            }
        }
        self.case.units.push(unit);
        self
    }

    /// The unit before is a replacement, down to one of which this is known.
    pub fn replaces(mut self, words: &str) -> Self {
        let mut root = WarrantyRoot {
            unit_ref: "U-0".into(),
            placed_at: self.shop.at("2024-12-01"),
            delivered_at: None,
            received_at: None,
            company_confirmed_at: None,
            customer_confirmed_at: None,
            policy: "standard".into(),
        };
        for (word, value) in pairs(words) {
            let at = || Some(self.shop.at(value));
            match word {
                "placed" => root.placed_at = self.shop.at(value),
                "delivered" => root.delivered_at = at(),
                "received" => root.received_at = at(),
                "company_confirmed" => root.company_confirmed_at = at(),
                "customer_confirmed" => root.customer_confirmed_at = at(),
                "policy" => root.policy = value.into(),
                other => panic!("`{other}` is no word of a replaced unit"),
            }
        }
        self.case.units.last_mut().unwrap().root = Some(root);
        self
    }

    /// A claim on the unit before, such as `repair opened 2025-02-01`.
    pub fn claim(mut self, claim_ref: &str, words: &str) -> Self {
        let (claim_type, words) = words.split_once(' ').unwrap();
        let mut claim = Claim {
            claim_ref: claim_ref.into(),
            claim_type: claim_type.parse().unwrap(),
            opened_at: self.case.order.placed_at,
            assignee_email: Some("technician@example.com".into()),
            reported_serial: None,
            confirmed_at: None,
            received_at: None,
            inspected_at: None,
            findings: Vec::new(),
            accessories_missing: false,
            repaired_at: None,
            unrepairable_at: None,
            returned_at: None,
            refunded_at: None,
            exchanged_at: None,
            closed_at: None,
            rejected_at: None,
            waits: Vec::new(),
            changed_at: self.case.order.changed_at,
        };
        for (word, value) in pairs(words) {
            let at = || Some(self.shop.at(value));
            match word {
                "opened" => claim.opened_at = self.shop.at(value),
                "confirmed" => claim.confirmed_at = at(),
                "received" => claim.received_at = at(),
                "inspected" => claim.inspected_at = at(),
                "findings" => {
                    let codes = value.split(' ');
                    claim.findings = codes.map(|code| code.parse().unwrap()).collect();
                }
                "accessories" => claim.accessories_missing = value == "missing",
                "repaired" => claim.repaired_at = at(),
                "unrepairable" => claim.unrepairable_at = at(),
                "returned" => claim.returned_at = at(),
                "refunded" => claim.refunded_at = at(),
                "exchanged" => claim.exchanged_at = at(),
                "closed" => claim.closed_at = at(),
                "rejected" => claim.rejected_at = at(),
                "nobody's" => claim.assignee_email = None,
                "serial" => claim.reported_serial = Some(value.into()),
                "changed" => claim.changed_at = self.shop.at(value),
                "waits" => {
                    let (from, until) = value
                        .split_once(" until ")
                        .map_or((value, None), |w| (w.0, Some(w.1)));
                    claim.waits.push(Wait {
                        from: self.shop.at(from),
                        until: until.map(|until| self.shop.at(until)),
                    });
                }
                other => panic!("`{other}` is no word of a claim"),
            }
        }
        self.case.units.last_mut().unwrap().claims.push(claim);
        self
    }
}

/// `word value, word value`.
fn pairs(words: &str) -> impl Iterator<Item = (&str, &str)> {
    let each = words.split(", ").map(str::trim).filter(|w| !w.is_empty());
    each.map(|pair| pair.split_once(' ').unwrap_or((pair, "")))
}
