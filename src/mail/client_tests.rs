//! What mail programs demand of HTML, held over every letter in every locale.

use std::collections::BTreeSet;

use super::letter_tests::{letters, shop};
use super::{Shop, samples};

/// All that is used: Gmail, Outlook (by its Word engine), Apple Mail and
/// Thunderbird draw these as they are meant, or pass over them without harm.
const ELEMENTS: &str = "html head meta title style body table tr td h2 p ul li b br wbr span code";

/// The same of inline styles. No float, no flex, no position, no background
/// image.
const PROPERTIES: &str = "background border-left color font font-size height line-height \
    list-style margin max-width overflow-wrap padding padding-left text-align white-space";

const ATTRIBUTES: &str = "align cellpadding cellspacing charset class colspan content height lang \
    name role style valign width";

/// What has no end tag.
const VOID: [&str; 4] = ["meta", "br", "wbr", "!DOCTYPE"];

/// Every letter in every locale, with its name.
fn all() -> impl Iterator<Item = (String, String, String)> {
    ["en", "vi"].into_iter().flat_map(|locale| {
        let shop = Shop {
            locale: locale.into(),
            ..shop()
        };
        let letters = letters();
        samples(locale).into_iter().map(move |sample| {
            let letter = sample.write(&letters, &shop).unwrap();
            let name = format!("{locale} {} {}", sample.letter, sample.variant);
            (name, locale.to_owned(), letter.html)
        })
    })
}

/// A tag with its attributes.
struct Tag<'h> {
    name: &'h str,
    is_end: bool,
    attributes: Vec<(&'h str, &'h str)>,
}

/// Those for Outlook alone stand in comments, and are nobody else's.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let texts = html.split("<!--").map(|text| {
        let after = text.split_once("-->").map(|(_, after)| after);
        after.unwrap_or(text)
    });
    let pieces = texts.flat_map(|text| text.split('<').skip(1));
    let pieces = pieces.filter_map(|piece| Some(piece.split_once('>')?.0));
    pieces
        .map(|piece| {
            let (name, rest) = piece.split_once(' ').unwrap_or((piece, ""));
            let attributes = rest.split("\" ").filter_map(|pair| pair.split_once("=\""));
            Tag {
                name: name.trim_start_matches('/'),
                is_end: name.starts_with('/'),
                attributes: attributes
                    .map(|(name, value)| (name.trim(), value.trim_end_matches('"')))
                    .collect(),
            }
        })
        .collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

#[test]
fn every_letter_keeps_to_what_mail_programs_draw() {
    let (elements, known, properties) = (words(ELEMENTS), words(ATTRIBUTES), words(PROPERTIES));
    for (name, _, html) in all() {
        // Gmail cuts off what is above 102 kB.
        assert!(html.len() < 100_000, "{name}: {}", html.len());
        let mut open = Vec::new();
        for tag in tags(&html) {
            if tag.is_end {
                assert_eq!(open.pop(), Some(tag.name), "{name}: in order");
                continue;
            }
            if !VOID.contains(&tag.name) {
                open.push(tag.name);
            }
            let is_known = tag.name == "!DOCTYPE" || elements.contains(tag.name);
            assert!(is_known, "{name}: <{}>", tag.name);
            for (attribute, value) in &tag.attributes {
                assert!(known.contains(attribute), "{name}: {attribute}");
                if *attribute != "style" {
                    continue;
                }
                for rule in value.split(';') {
                    let (property, _) = rule.split_once(':').unwrap_or((rule, ""));
                    assert!(properties.contains(property), "{name}: {property}");
                }
            }
            // To a screen reader these are no tables.
            let role = tag.attributes.iter().find(|(name, _)| *name == "role");
            let is_layout = role.is_some_and(|(_, role)| *role == "presentation");
            assert!(tag.name != "table" || is_layout, "{name}: <table>");
        }
        assert_eq!(open, [""; 0], "{name}: all ended");
    }
}

#[test]
fn every_letter_says_what_it_is_and_that_it_knows_the_dark() {
    for (name, locale, html) in all() {
        let (head, body) = html.split_once("<body").unwrap();
        for expected in [
            format!("<!DOCTYPE html>\n<html lang=\"{locale}\">").as_str(),
            "<meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
            "<meta name=\"color-scheme\" content=\"light dark\">",
            "<meta name=\"supported-color-schemes\" content=\"light dark\">",
            "@media (prefers-color-scheme: dark)",
        ] {
            assert!(head.contains(expected), "{name}: {expected}");
        }
        let title = head.split_once("<title>").unwrap().1;
        let (title, _) = title.split_once("</title>").unwrap();
        assert!(title.len() > 10, "{name}: {title}");
        assert!(body.contains("max-width:600px"), "{name}");
        // What is to be loaded would be blocked, and tells on the reader.
        for outside in ["http", "url(", "src=", "@import", "javascript", "cid:"] {
            assert!(!html.contains(outside), "{name}: {outside}");
        }
    }
}

/// Gmail takes away all of a style block that it does not like, others always
/// do: it may add colours of the dark and keep pieces whole, and hides nothing.
#[test]
fn without_its_style_block_a_letter_is_whole() {
    for (name, _, html) in all() {
        assert_eq!(html.matches("<style>").count(), 1, "{name}");
        let style = html.split_once("<style>").unwrap().1;
        let (style, _) = style.split_once("</style>").unwrap();
        let rules = style.split('}').filter_map(|rule| rule.rsplit_once('{'));
        for (_, rule) in rules {
            let rules = rule.split(';').filter_map(|rule| rule.split_once(':'));
            for (property, value) in rules {
                let expected = match property.trim() {
                    "background" | "color" | "border-color" => "#",
                    "display" => "inline-block",
                    "max-width" => "100%",
                    other => panic!("{name}: {other}"),
                };
                assert!(value.trim().starts_with(expected), "{name}: {value}");
            }
        }
        let (_, body) = html.split_once("</style>").unwrap();
        for hidden in ["display:", "visibility", "opacity", "font-size:0"] {
            assert!(!body.contains(hidden), "{name}: {hidden}");
        }
    }
}
