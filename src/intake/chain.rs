//! Replacements: which of a file's units cannot replace what they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::cell::found;

/// What a chain of replacements needs to know of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Hardware or software.
    pub kind: String,
    /// The unit that it replaces.
    pub replaces: Option<String>,
}

/// The units that break a rule of replacements, each with what is wrong: one
/// that nobody knows, another kind, a cycle.
///
/// `links` are all units that a chain can meet, `changed` those that may be
/// refused, with what they were before (`None`: not known). Refusing one can
/// break another, so it goes on until nothing is broken.
pub fn broken_links(
    mut links: HashMap<String, Link>,
    mut changed: BTreeMap<String, Option<Link>>,
) -> Vec<(String, String)> {
    let mut broken = Vec::new();
    loop {
        let found = problems(&links, &changed);
        if found.is_empty() {
            return broken;
        }
        for name in found.keys() {
            match changed.remove(name).flatten() {
                Some(before) => links.insert(name.clone(), before),
                None => links.remove(name),
            };
        }
        broken.extend(found);
    }
}

fn problems(
    links: &HashMap<String, Link>,
    changed: &BTreeMap<String, Option<Link>>,
) -> BTreeMap<String, String> {
    let mut problems = BTreeMap::new();
    for (name, link) in links {
        let Some(replaced) = &link.replaces else {
            continue;
        };
        let kind = links.get(replaced).map(|replaced| replaced.kind.as_str());
        let is_other_kind = kind.is_some_and(|kind| kind != link.kind);
        if !changed.contains_key(name) {
            // What was there before is right, unless the other end changed.
            if is_other_kind && changed.contains_key(replaced) {
                problems.insert(replaced.clone(), left_behind(name, link));
            }
            continue;
        }
        let shown = found(replaced);
        let problem = match kind {
            None => format!(
                "there is no unit {shown}: expected one that was imported before, or in this batch"
            ),
            Some(kind) if is_other_kind => format!(
                "found {shown}, which is {kind}, but the unit is {}: expected a unit of the same \
                 kind",
                link.kind
            ),
            Some(_) if is_on_cycle(links, name) => format!(
                "found {shown}, which replaces this unit itself, directly or through others: \
                 expected a unit that was sold before it"
            ),
            Some(_) => continue,
        };
        problems.insert(name.clone(), format!("replaces_unit_ref: {problem}"));
    }
    problems
}

fn left_behind(name: &str, link: &Link) -> String {
    format!(
        "kind: expected {}, the kind of unit {}, which replaces it",
        link.kind,
        found(name)
    )
}

/// Whether the chain that begins at a unit comes back to it.
fn is_on_cycle(links: &HashMap<String, Link>, name: &str) -> bool {
    let next = |name: &str| links.get(name)?.replaces.as_deref();
    let mut seen = BTreeSet::new();
    let mut at = next(name);
    while let Some(unit) = at {
        if unit == name {
            return true;
        }
        if !seen.insert(unit) {
            return false;
        }
        at = next(unit);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A>B` is a unit A of hardware that replaces B; `~` makes it software.
    fn units(text: &str) -> HashMap<String, Link> {
        text.split_whitespace()
            .map(|unit| {
                let (name, replaces) = unit.split_once('>').unwrap_or((unit, ""));
                let kind = if name.starts_with('~') {
                    "software"
                } else {
                    "hardware"
                };
                let link = Link {
                    kind: kind.into(),
                    replaces: (!replaces.is_empty()).then(|| replaces.into()),
                };
                (name.trim_start_matches('~').to_owned(), link)
            })
            .collect()
    }

    #[test]
    fn replacements_that_cannot_be_are_refused_and_the_rest_stands() {
        for (what, before, after, expected) in [
            ("a chain", "", "A B>A C>B", ""),
            ("nobody knows it", "", "B>A", "B: there is no unit `A`"),
            (
                "itself",
                "",
                "A>A",
                "A: found `A`, which replaces this unit itself",
            ),
            (
                "a cycle of two, with one that leads to it",
                "",
                "A>B B>A C>B",
                "A: found `B`|B: found `A`|C: there is no unit `B`",
            ),
            (
                "one falls after the other",
                "",
                "C>B B>A",
                "B: there is no|C: there is no",
            ),
            (
                "another kind",
                "~A",
                "B>A",
                "B: found `A`, which is software",
            ),
            (
                "the replaced one's kind was corrected alone",
                "A B>A",
                "~A",
                "A: kind: expected hardware, the kind of unit `B`",
            ),
            ("both kinds were corrected", "A B>A", "~A ~B>A", ""),
            // Taking B back restores B>A, which makes A>B a cycle.
            (
                "a refusal uncovers a cycle",
                "A B>A",
                "B>X A>B",
                "A: found `B`, which|B: there is no unit `X`",
            ),
        ] {
            let mut links = units(before);
            let mut changed = BTreeMap::new();
            for (name, link) in units(after) {
                changed.insert(name.clone(), links.insert(name, link));
            }
            let mut broken: Vec<String> = broken_links(links, changed)
                .into_iter()
                .map(|(name, problem)| {
                    format!(
                        "{name}: {}",
                        problem.trim_start_matches("replaces_unit_ref: ")
                    )
                })
                .collect();
            broken.sort();
            let expected: Vec<&str> = expected.split('|').filter(|e| !e.is_empty()).collect();
            assert_eq!(broken.len(), expected.len(), "{what}: {broken:?}");
            for (problem, expected) in std::iter::zip(&broken, expected) {
                assert!(problem.starts_with(expected), "{what}: {problem}");
            }
        }
    }
}
