//! Reading a policy's text, and refusing what cannot be meant.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use chrono::NaiveDate;
use ring::digest::{Digest, SHA256, digest};
use serde::Deserialize;
use strum::VariantArray;
use toml::Spanned;

use super::{
    Audience, Counting, LadderStep, Outcome, OutcomeTerms, Policy, PolicyId, RefundTerms, Step,
    Subject, Window, WindowTerms,
};

/// Days that no window of a real policy has: a century.
const MAX_DAYS: i64 = 36_500;

/// Why a policy's text was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, with its table.
    pub key: String,
    /// What was found and what is expected.
    pub problem: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    name: Spanned<String>,
    effective_from: Spanned<toml::value::Datetime>,
    refund: RefundText,
    windows: BTreeMap<Window, WindowText>,
    outcomes: BTreeMap<Outcome, OutcomeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundText {
    accessories_missing_percent: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    clause: String,
    days: Spanned<i64>,
    #[serde(default = "calendar")]
    count: Counting,
    #[serde(default)]
    roll_forward: bool,
    #[serde(default)]
    pause_on_wait: Option<Spanned<bool>>,
    #[serde(default)]
    assumed: bool,
    #[serde(default)]
    steps: Vec<StepText>,
}

fn calendar() -> Counting {
    Counting::Calendar
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    at: Spanned<String>,
    to: Spanned<Vec<Audience>>,
    #[serde(default)]
    level: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeText {
    clause: String,
    to: Spanned<Vec<Audience>>,
}

/// Where in a TOML text something stands: the line, from 1, and the key with
/// its table.
pub(crate) fn place(text: &str, at: usize) -> (usize, String) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let name = |line: &str| line.split('=').next().unwrap_or("").trim().to_owned();
    let current = text.lines().nth(line - 1).unwrap_or("").trim();
    let table = text
        .lines()
        .take(line)
        .filter_map(|line| line.trim().strip_prefix('['))
        .last()
        .and_then(|header| header.split(']').next())
        .unwrap_or("");
    let key = match current {
        inside if inside.starts_with('{') => "steps".to_owned(),
        header if header.starts_with('[') => String::new(),
        other => name(other),
    };
    let key = [table, &key]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    (line, key.join("."))
}

/// What a TOML parser found, in one line.
pub(crate) fn problem(error: &toml::de::Error) -> String {
    error.message().trim().replace('\n', ": ")
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
}

impl Reader<'_> {
    fn refuse(&self, at: Range<usize>, problem: impl Into<String>) -> PolicyError {
        let (line, key) = place(self.text, at.start);
        PolicyError {
            file: self.file.to_owned(),
            line,
            key,
            problem: problem.into(),
        }
    }

    fn date(&self, found: &Spanned<toml::value::Datetime>) -> Result<NaiveDate, PolicyError> {
        found.get_ref().to_string().parse().map_err(|_| {
            self.refuse(
                found.span(),
                format!(
                    "found {}, expected a date such as 2025-01-01",
                    found.get_ref()
                ),
            )
        })
    }

    fn window(&self, window: Window, found: &WindowText) -> Result<WindowTerms, PolicyError> {
        let days = *found.days.get_ref();
        if !(0..=MAX_DAYS).contains(&days) {
            let problem = format!("found {days}, expected a number of days from 0 to {MAX_DAYS}");
            return Err(self.refuse(found.days.span(), problem));
        }
        let pause_on_wait = found
            .pause_on_wait
            .as_ref()
            .is_some_and(|pause| *pause.get_ref());
        if let Some(pause) = found.pause_on_wait.as_ref().filter(|_| pause_on_wait)
            && window.subject() != Subject::Claim
        {
            let problem = format!(
                "{window} hangs on the {}, expected false: only a claim waits for its customer",
                window.subject()
            );
            return Err(self.refuse(pause.span(), problem));
        }
        let steps = found.steps.iter().map(|step| self.step(window, step));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        for (i, pair) in steps.windows(2).enumerate() {
            if pair[0].at.order() >= pair[1].at.order() {
                let problem = format!(
                    "step `{}` stands behind `{}`, expected each step once, in the order of time",
                    pair[1].at, pair[0].at
                );
                return Err(self.refuse(found.steps[i + 1].at.span(), problem));
            }
        }
        Ok(WindowTerms {
            clause: found.clause.clone(),
            days: days as u16,
            count: found.count,
            roll_forward: found.roll_forward,
            pause_on_wait,
            assumed: found.assumed,
            steps,
        })
    }

    fn step(&self, window: Window, found: &StepText) -> Result<LadderStep, PolicyError> {
        let at: Step = found
            .at
            .get_ref()
            .parse()
            .ok()
            .filter(|step| !matches!(step, Step::Outcome(_) | Step::Withdrawn(_)))
            .ok_or_else(|| {
                let problem = super::StepParseError(found.at.get_ref().clone()).to_string();
                self.refuse(found.at.span(), problem)
            })?;
        let to = self.audiences(&found.to)?;
        if to.contains(&Audience::Assignee) && window.subject() != Subject::Claim {
            let problem = format!("{window} has no assignee: expected another audience");
            return Err(self.refuse(found.to.span(), problem));
        }
        if window.lapses() && matches!(at, Step::After(_)) {
            let problem = format!("{window} ends when it is due: expected `start`, `-Nd` or `due`");
            return Err(self.refuse(found.at.span(), problem));
        }
        Ok(LadderStep {
            at,
            to,
            level: found.level,
        })
    }

    fn audiences(&self, found: &Spanned<Vec<Audience>>) -> Result<Vec<Audience>, PolicyError> {
        let to = found.get_ref();
        let twice = to
            .iter()
            .enumerate()
            .any(|(i, audience)| to[..i].contains(audience));
        if to.is_empty() || twice {
            let problem = "expected at least one audience, each once";
            return Err(self.refuse(found.span(), problem));
        }
        Ok(to.clone())
    }

    fn each<K, V, T>(
        &self,
        what: &str,
        found: &BTreeMap<K, V>,
        take: impl Fn(K, &V) -> Result<T, PolicyError>,
    ) -> Result<Vec<T>, PolicyError>
    where
        K: VariantArray + Ord + Copy + fmt::Display,
    {
        let one = |key: &K| match found.get(key) {
            Some(value) => take(*key, value),
            None => Err(self.refuse(
                0..0,
                format!("table [{what}.{key}] is missing: expected all of them"),
            )),
        };
        K::VARIANTS.iter().map(one).collect()
    }
}

impl Policy {
    /// Reads one version of a policy. `file` is how messages name the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let reader = Reader { file, text };
        let found: PolicyText = toml::from_str(text)
            .map_err(|error| reader.refuse(error.span().unwrap_or(0..0), problem(&error)))?;
        let name = found.name.get_ref();
        if name.trim() != name || name.is_empty() || name.chars().any(char::is_control) {
            let problem = format!("found {name:?}, expected a name");
            return Err(reader.refuse(found.name.span(), problem));
        }
        let percent = &found.refund.accessories_missing_percent;
        let accessories_missing_percent = u8::try_from(*percent.get_ref())
            .ok()
            .filter(|p| *p <= 100)
            .ok_or_else(|| {
                let problem = format!("found {}, expected 0 to 100", percent.get_ref());
                reader.refuse(percent.span(), problem)
            })?;
        Ok(Self {
            id: PolicyId {
                name: name.clone(),
                effective_from: reader.date(&found.effective_from)?,
            },
            text: text.to_owned(),
            sha256: sha256_hex(text.as_bytes()),
            windows: reader.each("windows", &found.windows, |w, text| reader.window(w, text))?,
            outcomes: reader.each("outcomes", &found.outcomes, |_, text| {
                let to = reader.audiences(&text.to)?;
                Ok(OutcomeTerms {
                    clause: text.clause.clone(),
                    to,
                })
            })?,
            refund: RefundTerms {
                accessories_missing_percent,
            },
        })
    }
}

/// SHA-256 in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes))
}

/// A digest in hex.
pub fn hex(digest: Digest) -> String {
    let bytes = digest.as_ref().iter();
    bytes
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::STANDARD;
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (from, to, key, problem) in [
            (
                "days = 180",
                "dayz = 180",
                "windows.hardware_warranty.dayz",
                "unknown field `dayz`",
            ),
            (
                "days = 180",
                "days = -1",
                "windows.hardware_warranty.days",
                "found -1, expected a number of days from 0 to 36500",
            ),
            (
                "days = 180",
                "days = \"x\"",
                "windows.hardware_warranty.days",
                "expected i64",
            ),
            (
                "at = \"-30d\"",
                "at = \"-30x\"",
                "windows.hardware_warranty.steps",
                "`-30x` is no step",
            ),
            (
                "{ at = \"-30d\", to = [\"customer\"] }",
                "{ at = \"-30d\", to = [\"boss\"] }",
                "windows.hardware_warranty.steps",
                "unknown variant `boss`",
            ),
            (
                "{ at = \"-7d\"",
                "{ at = \"-40d\"",
                "windows.hardware_warranty.steps",
                "step `-40d` stands behind `-30d`",
            ),
            (
                "[windows.fault_return]",
                "[windows.foult_return]",
                "windows.foult_return",
                "unknown variant `foult_return`",
            ),
            (
                "effective_from = 2000-01-01",
                "effective_from = 1",
                "effective_from",
                "expected",
            ),
            (
                "days = 7\n",
                "days = 7\npause_on_wait = true\n",
                "windows.fault_return.pause_on_wait",
                "only a claim waits",
            ),
        ] {
            let text = STANDARD.replacen(from, to, 1);
            assert_ne!(text, STANDARD, "{from}");
            // What is refused stands on the last line of the edit.
            let place = STANDARD.find(from).unwrap();
            let line =
                1 + STANDARD[..place].matches('\n').count() + to.trim_end().matches('\n').count();
            let error = Policy::parse("p.toml", &text).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (line, key), "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
    }
}
