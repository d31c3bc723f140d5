//! Replacements: which of a file's units cannot replace what they name.

use std::collections::{BTreeMap, HashMap, HashSet};

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
        let mut found = problems(&links, &changed);
        if found.is_empty() {
            return broken;
        }
        let mut replacing: HashMap<String, Vec<String>> = HashMap::new();
        for name in changed.keys() {
            if let Some(replaced) = links.get(name).and_then(|link| link.replaces.clone()) {
                replacing.entry(replaced).or_default().push(name.clone());
            }
        }
        while let Some((name, problem)) = found.pop_first() {
            match changed.remove(&name) {
                None => continue,
                Some(Some(before)) => {
                    links.insert(name.clone(), before);
                }
                Some(None) => {
                    links.remove(&name);
                    for other in replacing.remove(&name).unwrap_or_default() {
                        found.entry(other).or_insert_with(|| unknown(&name));
                    }
                }
            }
            broken.push((name, problem));
        }
    }
}

fn problems(
    links: &HashMap<String, Link>,
    changed: &BTreeMap<String, Option<Link>>,
) -> BTreeMap<String, String> {
    let cycles = on_cycles(links);
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
            None => unknown(replaced),
            Some(kind) if is_other_kind => format!(
                "replaces_unit_ref: found {shown}, which is {kind}, but the unit is {}: expected a unit of the same \
                 kind",
                link.kind
            ),
            Some(_) if cycles.contains(name.as_str()) => format!(
                "replaces_unit_ref: found {shown}, which replaces this unit itself, directly or through others: \
                 expected a unit that was sold before it"
            ),
            Some(_) => continue,
        };
        problems.insert(name.clone(), problem);
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

fn unknown(name: &str) -> String {
    format!(
        "replaces_unit_ref: there is no unit {}: expected one that was imported before, or in \
         this batch",
        found(name)
    )
}

/// The units that replace themselves, directly or through others. Each unit is
/// walked over once, however long the chains.
fn on_cycles(links: &HashMap<String, Link>) -> HashSet<&str> {
    let mut cycles = HashSet::new();
    // In which walk a unit was met, and as which of its steps.
    let mut met: HashMap<&str, (usize, usize)> = HashMap::new();
    for (walk, start) in links.keys().enumerate() {
        let mut path = Vec::new();
        let mut at = Some(start.as_str());
        while let Some(unit) = at {
            if let Some((of, step)) = met.get(unit) {
                if *of == walk {
                    cycles.extend(path.into_iter().skip(*step));
                }
                break;
            }
            met.insert(unit, (walk, path.len()));
            path.push(unit);
            at = links.get(unit).and_then(|link| link.replaces.as_deref());
        }
    }
    cycles
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
    fn a_long_chain_costs_its_length() {
        let names: Vec<String> = (0..20_000).map(|at| format!("U{at}")).collect();
        let chain = std::iter::zip(&names, names.iter().skip(1));
        let units = units(
            &chain
                .map(|(one, other)| format!("{one}>{other} "))
                .collect::<String>(),
        );
        let changed = units.keys().map(|name| (name.clone(), None)).collect();
        // The last one is not there: all fall.
        assert_eq!(broken_links(units, changed).len(), 19_999);
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
