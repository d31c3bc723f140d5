//! What no line breaks in, as long as it fits into one: refs, amounts, a phone
//! number.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use memchr::memmem::Finder;
use minijinja::HtmlEscape;

/// By its class it goes to the next line whole, and is broken if it is wider
/// than a line. A style in each would make long letters too long.
const OPEN: &str = "<span class=\"whole\">";
const CLOSE: &str = "</span>";

/// Whether a line could break in it.
pub(super) fn may_break(text: &str) -> bool {
    text.chars().any(|c| !c.is_alphanumeric())
}

/// What looks for the pieces, in however many texts.
pub(super) fn finders(pieces: &BTreeSet<String>) -> Vec<Finder<'_>> {
    pieces.iter().map(Finder::new).collect()
}

/// A text as HTML, in which none of the pieces is broken, nor parted from the
/// bracket or the full stop beside it.
pub(super) fn unbroken(text: &str, pieces: &[Finder<'_>]) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for whole in places(text, pieces) {
        add_breaking(&mut html, &text[done..whole.start]);
        html += OPEN;
        add_escaped(&mut html, &text[whole.clone()]);
        html += CLOSE;
        done = whole.end;
    }
    add_breaking(&mut html, &text[done..]);
    html
}

/// The same of a text of the program's: what stands between backticks is a
/// command to type. Its options are not parted from their hyphens.
pub(super) fn with_commands(text: &str, pieces: &[Finder<'_>]) -> String {
    let html = |text| unbroken(text, pieces);
    let command_html = |command: &str| {
        let options = command.split(' ').filter(|word| word.starts_with('-'));
        let options = options.map(Finder::new);
        let pieces: Vec<_> = pieces.iter().map(Finder::as_ref).chain(options).collect();
        unbroken(command, &pieces)
    };
    let mut marked = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((command, after)) = after.split_once('`') else {
            break;
        };
        marked += &[&html(before), "<code>", &command_html(command), "</code>"].concat();
        rest = after;
    }
    marked + &html(rest)
}

/// An address that is too long for a line is broken where a reader expects it.
fn add_breaking(html: &mut String, text: &str) {
    for part in text.split_inclusive('@') {
        add_escaped(html, part);
        if part.ends_with('@') {
            *html += "<wbr>";
        }
    }
}

fn add_escaped(html: &mut String, text: &str) {
    // A string takes all that is written into it.
    let _always = write!(html, "{}", HtmlEscape(text));
}

/// Where the pieces stand with what adjoins them, in order and apart.
fn places(text: &str, pieces: &[Finder<'_>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for piece in pieces {
        for start in piece.find_iter(text.as_bytes()) {
            let end = start + piece.needle().len();
            let (before, after) = (&text[..start], &text[end..]);
            // A part of another word is no piece.
            if before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric) {
                continue;
            }
            let start = before.trim_end_matches(|c: char| !c.is_whitespace()).len();
            let tail = after.find(char::is_whitespace).unwrap_or(after.len());
            found.push(start..end + tail);
        }
    }
    found.sort_unstable_by_key(|place| place.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for place in found {
        match apart.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => apart.push(place),
        }
    }
    apart
}

/// A text as it is read, whatever its lines break in.
#[cfg(test)]
pub(super) fn read(html: &str) -> String {
    ["<wbr>", OPEN, CLOSE]
        .iter()
        .fold(html.to_owned(), |text, tag| text.replace(tag, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_out() {
        for (text, expected) in [
            (
                "run `a <b`, `c`.",
                "run <code>a &lt;b</code>, <code>c</code>.",
            ),
            ("a ` is one", "a ` is one"),
            ("`a` or `", "<code>a</code> or `"),
            (
                "`retry O-1 --at now`",
                "<code>retry [O-1] [--at] now</code>",
            ),
        ] {
            let expected = expected.replace('[', OPEN).replace(']', CLOSE);
            let pieces = BTreeSet::from(["O-1".to_owned()]);
            assert_eq!(with_commands(text, &finders(&pieces)), expected);
        }
    }

    #[test]
    fn pieces_are_kept_whole_with_what_adjoins_them() {
        let pieces = ["EUR 12.50", "O-1", "+00 <0>", "\u{111}-2"];
        let pieces: BTreeSet<String> = pieces.map(str::to_owned).into();
        for (text, expected) in [
            ("", ""),
            ("an@a.example", "an@<wbr>a.example"),
            ("a < b", "a &lt; b"),
            ("O-1", "[O-1]"),
            ("Pay (EUR 12.50).", "Pay [(EUR 12.50).]"),
            ("call +00 <0>", "call [+00 &lt;0&gt;]"),
            ("O-1, O-1 or O-12, PO-1", "[O-1,] [O-1] or O-12, PO-1"),
            ("O-1:EUR 12.50 \u{111}-2!", "[O-1:EUR 12.50] [\u{111}-2!]"),
        ] {
            let expected = expected.replace('[', OPEN).replace(']', CLOSE);
            assert_eq!(unbroken(text, &finders(&pieces)), expected, "{text}");
        }
        assert!(may_break("O-1") && may_break("1 2") && !may_break("O1"));
    }
}
