//! Text that came from outside, and text that is laid out.

/// One clean line: control characters and those that turn the direction of
/// writing become spaces, runs of white space one space.
pub(super) fn one_line(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    join_words(text.split(|c: char| c.is_whitespace() || c.is_control() || turns(c)))
}

fn join_words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
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
        .map(|part| join_words(part.split_whitespace()))
        .filter(|part| !part.is_empty())
        .collect()
}

/// Breaks a paragraph, in which single spaces part the words, into lines of at
/// most 72 characters (longer words stay whole); the lines after the first are
/// indented by `indent` spaces.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    const WIDTH: usize = 72;
    let words = text.trim_start_matches(' ');
    let mut column = text.len() - words.len();
    let mut wrapped = String::with_capacity(text.len() + indent);
    wrapped.push_str(&text[..column]);
    for (index, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
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
    }

    #[test]
    fn blank_lines_part_paragraphs() {
        assert_eq!(paragraphs("a\n b\n\n\n\nc \n\n"), ["a b", "c"]);
    }
}
