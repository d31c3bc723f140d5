//! Text that came from outside, and text that is laid out.

use std::iter;

/// One clean line: control characters and those that turn the direction of
/// writing become spaces, runs of white space one space.
pub(super) fn one_line(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_gap = |c: char| c.is_whitespace() || c.is_control() || turns(c);
    join_words(text, is_gap)
}

fn join_words(text: &str, is_gap: impl Fn(char) -> bool) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// At most `limit` characters; what is cut off shows as `…`.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// The paragraphs of a rendered text: what blank lines part, each on one line.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n")
        .map(|part| join_words(part, char::is_whitespace))
        .filter(|part| !part.is_empty())
        .collect()
}

/// Breaks a paragraph, in which single spaces part the words, into lines of at
/// most 72 characters (longer words stay whole); the lines after the first are
/// indented by `indent` spaces.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    const WIDTH: usize = 72;
    let mut wrapped = String::with_capacity(text.len() + indent);
    let mut rest = text;
    let mut width = WIDTH;
    while let Some(space) = last_space(rest, width) {
        wrapped.push_str(&rest[..space]);
        wrapped.push('\n');
        wrapped.extend(iter::repeat_n(' ', indent));
        rest = &rest[space + 1..];
        width = WIDTH - indent;
    }
    wrapped.push_str(rest);
    wrapped
}

/// Where a text of more than `width` characters is broken: at the last space
/// that leaves no more of them before it, or else at the first.
fn last_space(text: &str, width: usize) -> Option<usize> {
    if text.len() <= width {
        return None;
    }
    let (end, character) = text.char_indices().nth(width)?;
    let lead = text.len() - text.trim_start_matches(' ').len();
    if character == ' ' {
        return Some(end);
    }
    let before = text.get(lead..end).and_then(|line| line.rfind(' '));
    let after = || text.get(end..).and_then(|tail| tail.find(' '));
    before
        .map(|space| lead + space)
        .or_else(|| Some(end + after()?))
}

/// The text with its first letter in upper case.
pub(super) fn capfirst(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_control_character() {
        assert_eq!(
            one_line(" a\r\nBcc: b\u{0}\u{202e}c\u{2028}d\t"),
            "a Bcc: b c d"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shorten("żółw", 4), "żółw");
        assert_eq!(shorten("żó łwie", 4), "żó…");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let text = format!("  {} bb {}", "a".repeat(70), "c".repeat(90));
        let expected = format!("  {}\n    bb\n    {}", "a".repeat(70), "c".repeat(90));
        assert_eq!(wrap(&text, 4), expected);
        assert_eq!(wrap("", 4), "");
        // The 72nd character still fits; it is characters that count.
        let fits = "ż".repeat(72);
        assert_eq!(wrap(&fits, 0), fits);
        assert_eq!(wrap(&format!("{fits} b"), 0), format!("{fits}\nb"));
        let two = format!("{} ó", "ż".repeat(70));
        assert_eq!(wrap(&format!("{two} b"), 0), format!("{two}\nb"));
        assert_eq!(
            wrap(&format!("{two}ó b"), 0),
            two.replacen(' ', "\n", 1) + "ó b"
        );
        // The indent takes its part of the line.
        let long = format!("a {} b", "ż".repeat(70));
        assert_eq!(wrap(&long, 2), format!("a {}\n  b", "ż".repeat(70)));
        let long = format!("{long} {}", "ż".repeat(69));
        assert!(wrap(&long, 2).ends_with(&format!("  b\n  {}", "ż".repeat(69))));
    }

    #[test]
    fn blank_lines_part_paragraphs() {
        assert_eq!(paragraphs("a\n b\n\n\n\nc \n\n"), ["a b", "c"]);
    }
}
