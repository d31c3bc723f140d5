//! The lists: who is to do what, worst first. A list holds no more lines than
//! a mail tells, and counts the others.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::case::{Case, Evaluation, NoticeKey, Rules, State, Work, WorkGroup, work};
use crate::config::Contacts;
use crate::jobs::compose::{addresses, notice_text};
use crate::mail::{WORK_PER_LETTER, WorkLine, WorkPart, Worklist, address_key};
use crate::policy::{Audience, Instant, Step, Subject};

/// All lists, by whose they are and an assignee's address as addresses are
/// compared.
#[derive(Default)]
pub struct Lists(BTreeMap<(Audience, String), List>);

/// What somebody is to do.
pub struct List {
    /// Whose it is: of the assignee, the lead or finance.
    pub whose: Audience,
    /// Who gets it.
    pub to: Vec<String>,
    parts: BTreeMap<WorkGroup, Part>,
}

#[derive(Default)]
struct Part {
    total: u64,
    lines: Vec<(Rank, WorkLine)>,
}

/// The place of a line in its part: by the date, then by the names.
type Rank = (NaiveDate, String, String);

impl Lists {
    /// Takes from a case what belongs on a list.
    pub fn add(
        &mut self,
        case: &Case,
        evaluation: &Evaluation,
        rules: &Rules,
        contacts: &Contacts,
        now: Instant,
    ) {
        for found in work(case, evaluation, rules, now) {
            let own = found.assignee.filter(|_| found.whose == Audience::Assignee);
            let key = (found.whose, own.map(address_key).unwrap_or_default());
            let list = self.0.entry(key).or_insert_with(|| List {
                whose: found.whose,
                to: addresses(contacts, found.whose, own)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                parts: BTreeMap::new(),
            });
            let part = list.parts.entry(found.group).or_default();
            let line = line(case, evaluation, &found, rules, now);
            let about = &line.about;
            let rank = (
                found.sorted_by,
                about.order_ref.clone(),
                about.subject_ref.clone(),
            );
            part.push(rank, line);
        }
    }

    /// The lists that ask for something; one of what waits for customers alone
    /// does not.
    pub fn finish(self) -> impl Iterator<Item = List> {
        let asks = |list: &List| list.parts.keys().any(|group| *group != WorkGroup::Paused);
        self.0.into_values().filter(asks)
    }
}

impl Part {
    fn push(&mut self, rank: Rank, line: WorkLine) {
        self.total += 1;
        self.lines.push((rank, line));
        if self.lines.len() >= 2 * WORK_PER_LETTER {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.lines.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.lines.truncate(WORK_PER_LETTER);
    }
}

impl List {
    /// How many lines it has, those that a mail leaves out among them.
    pub fn total(&self) -> u64 {
        self.parts.values().map(|part| part.total).sum()
    }

    /// How many lines of it are worst: late, or stuck.
    pub fn worst(&self) -> u64 {
        let worst = [WorkGroup::Stuck, WorkGroup::Late].iter();
        let parts = worst.filter_map(|group| self.parts.get(group));
        parts.map(|part| part.total).sum()
    }

    /// The list as a letter tells it on a day.
    pub fn told(self, today: NaiveDate) -> Worklist {
        let parts = self.parts.into_iter().map(|(group, mut part)| {
            part.cut();
            WorkPart {
                name: group.into(),
                total: part.total,
                lines: part.lines.into_iter().map(|(_, line)| line).collect(),
            }
        });
        Worklist {
            whose: self.whose,
            today,
            parts: parts.collect(),
        }
    }
}

fn line(
    case: &Case,
    evaluation: &Evaluation,
    found: &Work<'_>,
    rules: &Rules,
    now: Instant,
) -> WorkLine {
    let calendar = &rules.calendar;
    let Work { claim, promise, .. } = *found;
    let (subject, subject_ref) = match claim {
        Some(claim) => (Subject::Claim, &claim.claim_ref),
        None => (Subject::Order, &case.order.order_ref),
    };
    let key = NoticeKey {
        subject,
        subject_ref: subject_ref.clone(),
        window: promise.map(|promise| promise.window),
        last_day: promise.and_then(|promise| promise.last_day),
        step: Step::Due,
        audience: found.whose,
    };
    let clause = promise.map_or("", |promise| promise.terms().clause.as_str());
    let paused = promise.filter(|promise| promise.state == State::Paused);
    let since = match (paused, claim) {
        (Some(promise), _) => promise.paused_since,
        (None, Some(claim)) => claim.waits_since.or(Some(claim.stage_since)),
        (None, None) => None,
    };
    WorkLine {
        about: notice_text(case, evaluation, &key, clause, calendar, now),
        stage: claim.map(|claim| claim.stage.into()),
        handled_as: claim.map(|claim| claim.handling.into()),
        since: since.map(|at| calendar.date_of(at)),
        paused: paused.is_some(),
        lapsed: promise.is_some_and(|promise| promise.lapsed),
    }
}
