//! Letters to look at, from samples or from a real subject. Nothing is sent or
//! recorded.

use anyhow::{Context, Result};
use chrono::{Days, NaiveDate};

use super::compose::notice_text;
use super::explain::{Explained, explain};
use super::postbox::{letters, shop as letterhead};
use super::{Refused, Shop};
use crate::case::{Deadline, Disposition, NoticeKey, RecordedNotice};
use crate::mail::{self, Addressee, Letter, NoticeText, Sample, letter_name};
use crate::policy::{Audience, Calendar, Instant, PolicyId, Step};
use crate::store;

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The letter's name; `all` for each.
    pub letter: &'w str,
    /// The language; else the customer's, or the shop's.
    pub locale: Option<&'w str>,
    /// An order, a unit or a claim; else samples.
    pub name: Option<&'w str>,
    /// As of when the subject is looked at.
    pub at: Instant,
}

/// A letter, and which of its kind.
#[derive(Debug)]
pub struct Preview {
    /// The letter's name.
    pub letter: &'static str,
    /// Which of its kind, such as `hardware_repair-due`.
    pub variant: String,
    /// The words.
    pub words: Letter,
}

/// Writes the letters that are wanted.
pub async fn preview(shop: &Shop, wanted: Wanted<'_>) -> Result<Vec<Preview>> {
    let letters = letters(&shop.config)?;
    let mut letterhead = letterhead(&shop.config);
    if let Some(locale) = wanted.locale {
        locale.clone_into(&mut letterhead.locale);
    }
    let all = match wanted.name {
        None => mail::samples(&letterhead.locale),
        Some(name) => {
            let found = explain(shop, name, wanted.at, None).await?;
            let found = found
                .with_context(|| Refused(format!("there is no order, unit or claim `{name}`")))?;
            real(shop, name, &found, wanted).await?
        }
    };
    let names: Vec<&str> = unique(all.iter().map(|sample| sample.letter));
    let chosen = all
        .iter()
        .filter(|sample| matches!(wanted.letter, "all") || sample.letter == wanted.letter);
    let written = chosen.map(|sample| {
        Ok(Preview {
            letter: sample.letter,
            variant: sample.variant.clone(),
            words: sample.write(&letters, &letterhead)?,
        })
    });
    let written: Vec<Preview> = written.collect::<Result<_>>()?;
    if written.is_empty() {
        return Err(Refused(format!(
            "found no letter `{}`{}, expected {}",
            wanted.letter,
            wanted
                .name
                .map(|name| format!(" about {name}"))
                .unwrap_or_default(),
            match names.is_empty() {
                true => "a subject of which something is told".to_owned(),
                false => format!("all, {}", names.join(", ")),
            },
        ))
        .into());
    }
    Ok(written)
}

fn unique<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every letter that a subject's steps and outcomes would be told in, each as
/// on its day.
async fn real(
    shop: &Shop,
    name: &str,
    found: &Explained,
    wanted: Wanted<'_>,
) -> Result<Vec<Sample>> {
    let calendar = &found.rules.calendar;
    let mut tx = shop.store.read().await?;
    let customer_ref = found.case.order.customer_ref.as_str();
    let customer = store::customers_load(&mut tx, [customer_ref]).await?;
    let customer = customer.get(customer_ref);
    let customer = Addressee::Customer {
        customer_ref: customer_ref.to_owned(),
        name: customer.and_then(|customer| customer.name.clone()),
        locale: match wanted.locale {
            Some(locale) => Some(locale.to_owned()),
            None => customer.and_then(|customer| customer.locale.clone()),
        },
    };
    let keys = found
        .evaluation
        .deadlines
        .iter()
        .flat_map(|deadline| ladder(deadline, calendar));
    let keys = keys.chain(outcomes(found, calendar, wanted.at));
    // An order's name stands for all that hangs on it.
    let is_meant = |key: &NoticeKey| key.subject_ref == name || found.case.order.order_ref == name;
    let keys = keys.filter(|told| is_meant(&told.notice.key));
    Ok(keys
        .filter_map(|told| {
            let text = notice_text(
                &found.case,
                &found.evaluation,
                &told.notice.key,
                &told.notice.clause,
                calendar,
                wanted.at,
            );
            sample(text, told.today, &customer)
        })
        .collect())
}

/// A notice as it would be told on a day.
struct Told {
    notice: RecordedNotice,
    today: NaiveDate,
}

/// The steps of a deadline, those to come too.
fn ladder<'d>(deadline: &'d Deadline, calendar: &'d Calendar) -> impl Iterator<Item = Told> + 'd {
    let steps = deadline.policy.window(deadline.window).steps.iter();
    let steps = steps.flat_map(|step| step.to.iter().map(|audience| (step.at, *audience)));
    steps.filter_map(|(step, audience)| {
        let last_day = deadline.last_day?;
        let due_day = last_day.checked_add_days(Days::new(1))?;
        let today = match step {
            Step::Before(days) => due_day.checked_sub_days(Days::new(days.into()))?,
            Step::After(days) => due_day.checked_add_days(Days::new(days.into()))?,
            Step::Due => due_day,
            _ => calendar.date_of(deadline.started_at),
        };
        let key = NoticeKey {
            subject: deadline.subject,
            subject_ref: deadline.subject_ref.clone(),
            window: Some(deadline.window),
            last_day: Some(last_day),
            step,
            audience,
        };
        let clause = &deadline.policy.window(deadline.window).clause;
        Some(told(key, &deadline.policy.id, clause, today))
    })
}

fn outcomes<'f>(
    found: &'f Explained,
    calendar: &'f Calendar,
    at: Instant,
) -> impl Iterator<Item = Told> + 'f {
    let today = calendar.date_of(at);
    let steps = found.evaluation.due_steps.iter();
    let steps = steps.filter(|step| matches!(step.key.step, Step::Outcome(_)));
    steps.map(move |step| told(step.key.clone(), &step.policy, &step.clause, today))
}

fn told(key: NoticeKey, policy: &PolicyId, clause: &str, today: NaiveDate) -> Told {
    Told {
        notice: RecordedNotice {
            id: 0,
            key,
            disposition: Disposition::Queued,
            cause: None,
            policy: policy.clone(),
            clause: clause.to_owned(),
        },
        today,
    }
}

fn sample(text: NoticeText, today: NaiveDate, customer: &Addressee) -> Option<Sample> {
    let letter = letter_name(&text, today)?;
    let what = text.window.map(|window| window.to_string());
    let what = what.unwrap_or_else(|| "outcome".to_owned());
    Some(Sample {
        letter,
        variant: format!(
            "{}-{what}-{}-{}",
            text.subject_ref, text.step, text.audience
        ),
        addressee: match text.audience {
            Audience::Customer => customer.clone(),
            _ => Addressee::Inside,
        },
        today,
        notices: vec![text],
        to_shop: None,
    })
}
