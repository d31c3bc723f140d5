//! The machine-readable part of a report (RFC 3464, RFC 6533).

use super::judge::{Status, severity as judged};
use super::{Bounced, MOST_NAMED, Severity, address_key};
use crate::mail::answer::cleaned;

/// The fields of one recipient, their names in lower case.
type Fields = Vec<(String, String)>;

/// Those whose mail failed or is late. Of the others nothing is said here.
pub(super) fn recipients(text: &str) -> Vec<Bounced> {
    let groups = groups(text);
    groups
        .iter()
        .take(MOST_NAMED)
        .filter_map(recipient)
        .collect()
}

/// A blank line parts recipients; some servers forget it.
fn groups(text: &str) -> Vec<Fields> {
    let mut groups = vec![Fields::new()];
    for line in text.lines() {
        let line = line.trim_end();
        let Some(group) = groups.last_mut() else {
            break;
        };
        if line.is_empty() {
            groups.push(Fields::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let field = (name.trim().to_lowercase(), value.trim().to_owned());
            match field.0 == "final-recipient" && get(group, "final-recipient").is_some() {
                true => groups.push(vec![field]),
                false => group.push(field),
            }
        }
    }
    groups
}

fn get<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let mut named = fields.iter().filter(|(found, _)| found == name);
    named.next().map(|(_, value)| value.as_str())
}

fn recipient(fields: &Fields) -> Option<Bounced> {
    let to = get(fields, "final-recipient").or_else(|| get(fields, "original-recipient"));
    let action = get(fields, "action").map(word);
    // What is said of the message as a whole.
    if to.is_none() && action.is_none() {
        return None;
    }
    let diagnostic = get(fields, "diagnostic-code").unwrap_or_default();
    let field = get(fields, "status").unwrap_or_default();
    let status = Status::find(&format!("{field} {diagnostic}"));
    let class = status.map(|status| status.class);
    let severity = match action.as_deref() {
        Some("failed") => judged(status, diagnostic),
        Some("delayed") => Severity::Delayed,
        Some("delivered" | "relayed" | "expanded") => return None,
        _ if class == Some(5) => judged(status, diagnostic),
        _ if class == Some(4) => Severity::Delayed,
        _ => return None,
    };
    Some(Bounced {
        addresses: to.map(address).into_iter().collect(),
        severity,
        status: status.map(|status| status.to_string()),
        diagnostic: cleaned(after_type(diagnostic)),
    })
}

/// The first word, without what stands in brackets after it.
fn word(text: &str) -> String {
    let word = text.split([' ', '\t', '(', ';']).next();
    word.unwrap_or_default().to_lowercase()
}

/// `TYPE; TEXT`.
fn after_type(text: &str) -> &str {
    text.split_once(';').map_or(text, |(_, text)| text).trim()
}

fn address(text: &str) -> String {
    let text = after_type(text);
    let text = match text.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => text.split([' ', '\t']).next().unwrap_or(text),
    };
    address_key(text)
}
