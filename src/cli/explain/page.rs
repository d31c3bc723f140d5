//! A subject on one page of text.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};

use super::super::output::or_dash;
use crate::case::{Case, Claim, ClaimView, Deadline, Hold, Order, Refund, Unit};
use crate::jobs::{Explained, number_of};
use crate::policy::{Calendar, Instant, Money, SkipReason, Step, Subject};

/// All that is said of a subject.
pub(super) struct Page<'e> {
    /// The subject's name.
    pub name: &'e str,
    pub explained: &'e Explained,
    /// As of when.
    pub at: Instant,
    /// By when it had been recorded; `None`: all counts.
    pub known_at: Option<Instant>,
}

type Written = Result<(), std::fmt::Error>;

impl Page<'_> {
    fn calendar(&self) -> &Calendar {
        &self.explained.rules.calendar
    }

    fn local(&self, at: Instant) -> String {
        at.with_timezone(&self.calendar().zone)
            .format("%a %Y-%m-%d %H:%M")
            .to_string()
    }

    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let Case { order, units, .. } = &self.explained.case;
        let mut out = String::new();
        let zone = self.calendar().zone;
        let known_at = self.known_at.map(|at| self.local(at));
        let known = known_at.map(|at| format!(", known by {at}"));
        let (at, known) = (self.local(self.at), known.unwrap_or_default());
        writeln!(out, "{} as of {at}{known} ({zone})\n", self.name)?;
        self.order(&mut out, order)?;
        for unit in units.iter().filter(|unit| self.is_about_unit(unit)) {
            self.unit(&mut out, unit)?;
            for claim in unit
                .claims
                .iter()
                .filter(|claim| self.is_about_claim(unit, claim))
            {
                self.claim(&mut out, claim)?;
            }
        }
        if !self.is_there() {
            let name = self.name;
            writeln!(
                out,
                "{name} was withdrawn: it counts as never having been\n"
            )?;
        }
        let next_at = self.explained.evaluation.next_at.map(|at| self.local(at));
        writeln!(out, "next change by time alone: {}", or_dash(next_at))?;
        Ok(out)
    }

    /// Whether the name is that of anything that counts.
    fn is_there(&self) -> bool {
        let Case { order, units, .. } = &self.explained.case;
        self.name == order.order_ref || units.iter().any(|unit| self.is_about_unit(unit))
    }

    fn is_about_unit(&self, unit: &Unit) -> bool {
        self.name == self.explained.case.order.order_ref
            || self.name == unit.unit_ref
            || unit.claims.iter().any(|claim| claim.claim_ref == self.name)
    }

    fn is_about_claim(&self, unit: &Unit, claim: &Claim) -> bool {
        self.name == claim.claim_ref || !unit.claims.iter().any(|own| own.claim_ref == self.name)
    }

    fn order(&self, out: &mut String, order: &Order) -> Written {
        writeln!(
            out,
            "order {} of customer {}",
            order.order_ref, order.customer_ref
        )?;
        if order.withdrawn {
            writeln!(out, "  withdrawn: it counts as never having been")?;
        }
        let money = |minor| Money {
            minor,
            currency: order.currency,
        };
        if let Some(since) = self.explained.case.opted_out_at {
            writeln!(out, "  no reminders: opted out {}", self.local(since))?;
        }
        self.holds(out)?;
        writeln!(out, "  total {} {}", money(order.total), order.currency)?;
        let costs = [
            ("shipping out", order.shipping_out),
            ("shipping back", order.shipping_back),
        ];
        for (name, minor) in costs {
            if let Some(minor) = minor {
                writeln!(out, "  {name} {} {}", money(minor), order.currency)?;
            }
        }
        self.facts(
            out,
            [("placed_at", Some(order.placed_at))]
                .into_iter()
                .chain(order.times()),
        )?;
        if let Some(refund) = &self.explained.evaluation.cancellation {
            self.refund(out, refund)?;
        }
        self.deadlines(out, Subject::Order, &order.order_ref)?;
        self.exceptions(out, Subject::Order, &order.order_ref)
    }

    /// The holds that ended; one in force is an exception.
    fn holds(&self, out: &mut String) -> Written {
        for past in &self.explained.holds {
            let Hold {
                kind,
                name,
                held_at,
                reason,
                ..
            } = &past.hold;
            let Some(ended_at) = past.ended_at().filter(|ended_at| *ended_at <= self.at) else {
                continue;
            };
            let (from, until) = (self.local(*held_at), self.local(ended_at));
            let lifted = past.lifted.as_ref().filter(|lifted| lifted.at == ended_at);
            let by = lifted.map(|lifted| format!(" by `{}`", lifted.by));
            let by = by.unwrap_or_default();
            writeln!(
                out,
                "  was held: {kind} {name}, {from} – {until}{by}: {reason}"
            )?;
        }
        Ok(())
    }

    fn unit(&self, out: &mut String, unit: &Unit) -> Written {
        let Unit {
            unit_ref,
            product_name,
            kind,
            policy,
            ..
        } = unit;
        writeln!(
            out,
            "unit {unit_ref}: {product_name:?} ({kind}), policy {policy}"
        )?;
        let currency = self.explained.case.order.currency;
        let money = |minor| format!("{} {currency}", Money { minor, currency });
        let price = unit.price.map(money);
        self.words(out, [("serial", unit.serial.clone()), ("price", price)])?;
        if let Some(root) = &unit.root {
            writeln!(
                out,
                "  replacement: keeps the warranty of {}",
                root.unit_ref
            )?;
        }
        self.facts(out, unit.times().into_iter())?;
        self.deadlines(out, Subject::Unit, unit_ref)?;
        self.exceptions(out, Subject::Unit, unit_ref)
    }

    fn claim(&self, out: &mut String, claim: &Claim) -> Written {
        writeln!(out, "claim {} ({})", claim.claim_ref, claim.claim_type)?;
        let opened = [("opened_at", Some(claim.opened_at))];
        self.facts(out, opened.into_iter().chain(claim.times()))?;
        let findings: Vec<String> = claim.findings.iter().map(ToString::to_string).collect();
        let missing = claim.accessories_missing.then(|| "true".to_owned());
        self.words(
            out,
            [
                ("assignee_email", claim.assignee_email.clone()),
                ("reported_serial", claim.reported_serial.clone()),
                (
                    "findings",
                    (!findings.is_empty()).then(|| findings.join(";")),
                ),
                ("accessories_missing", missing),
            ],
        )?;
        for wait in &claim.waits {
            let until = wait.until.map(|at| self.local(at));
            writeln!(
                out,
                "  {:<24}{} – {}",
                "waits for the customer",
                self.local(wait.from),
                or_dash(until)
            )?;
        }
        if let Some(view) = self.explained.evaluation.claim(&claim.claim_ref) {
            self.view(out, view)?;
        }
        self.deadlines(out, Subject::Claim, &claim.claim_ref)?;
        self.exceptions(out, Subject::Claim, &claim.claim_ref)
    }

    fn view(&self, out: &mut String, view: &ClaimView) -> Written {
        writeln!(out, "  {:<24}{}", "handled as", view.handling)?;
        writeln!(
            out,
            "  {:<24}{} since {}",
            "stage",
            view.stage,
            self.local(view.stage_since)
        )?;
        if let Some(decline) = &view.decline {
            let at = self.local(decline.at);
            let name = "declined";
            writeln!(
                out,
                "  {name:<24}{} (clause {}) from {at}",
                decline.reason, decline.clause
            )?;
        }
        for (outcome, at) in &view.outcomes {
            writeln!(out, "  {:<24}{outcome} at {}", "outcome", self.local(*at))?;
        }
        view.refund
            .as_ref()
            .map_or(Ok(()), |refund| self.refund(out, refund))?;
        self.notices(out, Subject::Claim, &view.claim_ref, None)
    }

    fn refund(&self, out: &mut String, refund: &Refund) -> Written {
        let Refund {
            amount,
            deductions,
            currency,
            ..
        } = refund;
        let money = |minor| Money {
            minor,
            currency: *currency,
        };
        let (base, kept) = (money(amount + deductions), money(*deductions));
        writeln!(
            out,
            "  {:<24}{base} − {kept} = {} {currency}",
            "refund",
            refund.money()
        )
    }

    fn facts(
        &self,
        out: &mut String,
        facts: impl Iterator<Item = (&'static str, Option<Instant>)>,
    ) -> Written {
        for (name, at) in facts.filter_map(|(name, at)| Some((name, at?))) {
            let future = if at > self.at {
                "  (in the future: not seen yet)"
            } else {
                ""
            };
            writeln!(out, "  {name:<24}{}{future}", self.local(at))?;
        }
        Ok(())
    }

    /// Facts without a time, as far as they are known.
    fn words<const N: usize>(
        &self,
        out: &mut String,
        facts: [(&'static str, Option<String>); N],
    ) -> Written {
        for (name, word) in facts {
            if let Some(word) = word {
                writeln!(out, "  {name:<24}{word}")?;
            }
        }
        Ok(())
    }

    fn exceptions(&self, out: &mut String, subject: Subject, name: &str) -> Written {
        let of_subject = self.explained.evaluation.exceptions.iter();
        for found in of_subject.filter(|e| e.subject == subject && e.subject_ref == name) {
            writeln!(out, "  ! {}: {}", found.code, found.detail)?;
        }
        writeln!(out)
    }

    fn deadlines(&self, out: &mut String, subject: Subject, name: &str) -> Written {
        let of_subject = self.explained.evaluation.deadlines.iter();
        for deadline in of_subject.filter(|d| d.subject == subject && d.subject_ref == name) {
            self.deadline(out, deadline)?;
        }
        Ok(())
    }

    fn deadline(&self, out: &mut String, deadline: &Deadline) -> Written {
        let terms = deadline.terms();
        let Deadline {
            window,
            policy,
            state,
            ..
        } = deadline;
        let assumed = if terms.assumed { ", assumed" } else { "" };
        writeln!(
            out,
            "  {window} (clause {}{assumed}, policy {}): {state}",
            terms.clause, policy.id
        )?;
        let started = self.local(deadline.started_at);
        writeln!(
            out,
            "    starts    {started}, + {}",
            number_of(terms.days, &format!("{} day", terms.count))
        )?;
        if !deadline.skipped.is_empty() {
            self.day_by_day(out, deadline)?;
        }
        match (deadline.last_day, deadline.due_at) {
            (Some(last_day), Some(due_at)) => {
                writeln!(out, "    last day  {}", last_day.format("%a %Y-%m-%d"))?;
                writeln!(out, "    due at    {}", self.local(due_at))?;
            }
            _ => {
                let since = deadline.paused_since.map(|at| self.local(at));
                writeln!(
                    out,
                    "    no due date while it waits, since {}",
                    or_dash(since)
                )?;
            }
        }
        if let Some(ended) = deadline.ended_at {
            writeln!(out, "    ended     {}", self.local(ended))?;
        }
        let (gross, net) = (
            deadline.gross_days(self.calendar()),
            deadline.net_days(self.calendar()),
        );
        if let (Some(gross), Some(net)) = (gross, net)
            && gross != net
        {
            writeln!(
                out,
                "    took      {}, {net} without those that waits took",
                number_of(gross, "day")
            )?;
        }
        if deadline.late_days > 0 || deadline.level > 0 {
            let (late, level) = (number_of(deadline.late_days, "day"), deadline.level);
            writeln!(out, "    late      {late}, escalation level {level}")?;
        }
        self.ladder(out, deadline)
    }

    /// Every day from the first that counts to the last, where some did not.
    fn day_by_day(&self, out: &mut String, deadline: &Deadline) -> Written {
        let skipped = |day| deadline.skipped.iter().find(|skipped| skipped.date == day);
        let end = deadline
            .skipped
            .last()
            .map(|skipped| skipped.date)
            .max(deadline.last_day);
        let first = self.calendar().date_of(deadline.started_at);
        // What comes after an open wait began is not number_of yet.
        let paused_on = deadline.paused_since.map(|at| self.calendar().date_of(at));
        let mut number_of = 0;
        for day in first.iter_days().skip(1).take_while(|day| {
            Some(*day) <= end && paused_on.is_none_or(|paused_on| *day < paused_on)
        }) {
            write!(out, "      {} ", day.format("%a %Y-%m-%d"))?;
            match skipped(day) {
                Some(skipped) => writeln!(out, "  –  {}", why(skipped.why, self.calendar(), day))?,
                None if number_of < deadline.terms().days => {
                    number_of += 1;
                    writeln!(out, "{number_of:>3}")?;
                }
                None => writeln!(out, "     the last day")?,
            }
        }
        Ok(())
    }

    fn ladder(&self, out: &mut String, deadline: &Deadline) -> Written {
        for step in &deadline.terms().steps {
            let Some(fires_at) = deadline.fires_at(step.at, self.calendar()) else {
                continue;
            };
            let ended = deadline.ended_at.is_some_and(|ended| ended < fires_at);
            let when = match fires_at <= self.at {
                _ if ended => "not any more",
                true => "passed",
                false => "to come",
            };
            let told: Vec<String> = step.to.iter().map(ToString::to_string).collect();
            let level = match step.level {
                0 => String::new(),
                level => format!(", level {level}"),
            };
            let (at, told) = (self.local(fires_at), told.join(", "));
            writeln!(
                out,
                "    {:<9} {at}  {when}: {told}{level}",
                step.at.to_string()
            )?;
            let key = Some((deadline, step.at));
            self.notices(out, deadline.subject, &deadline.subject_ref, key)?;
        }
        Ok(())
    }

    /// What was recorded for a step of a deadline, or for a claim's outcomes.
    fn notices(
        &self,
        out: &mut String,
        subject: Subject,
        name: &str,
        step: Option<(&Deadline, Step)>,
    ) -> Written {
        let window = step.map(|(deadline, _)| deadline.window);
        let recorded = self.explained.notices.iter().filter(|notice| {
            let key = &notice.key;
            let is_step = step.is_none_or(|(deadline, at)| {
                at == key.step && (key.last_day.is_none() || key.last_day == deadline.last_day)
            });
            key.subject == subject && key.subject_ref == name && key.window == window && is_step
        });
        for notice in recorded {
            let key = &notice.key;
            let what = if window.is_none() {
                format!("{} ", key.step)
            } else {
                String::new()
            };
            let cause = notice.cause.map(|cause| format!(" ({cause})"));
            let given = self.explained.commands.iter();
            let given = given.filter(|(notice_id, _)| *notice_id == notice.id);
            let given: String = given
                .map(|(_, given)| format!(", `{}` {}", given.source, self.local(given.at)))
                .collect();
            writeln!(
                out,
                "              {what}notice to {}: {}{}{given}",
                key.audience,
                notice.disposition,
                cause.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

fn why(reason: SkipReason, calendar: &Calendar, day: NaiveDate) -> &'static str {
    match reason {
        SkipReason::Waiting => "waits for the customer at the end of the day",
        SkipReason::RolledForward => "not a working day: the last day moves on",
        SkipReason::NotWorking if calendar.weekend().contains(&day.weekday()) => "weekend",
        SkipReason::NotWorking => "holiday",
    }
}
