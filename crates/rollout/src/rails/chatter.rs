//! Talk about the rewrite that is not part of it.

use std::sync::LazyLock;

use regex::Regex;

use crate::reward::constraint::pattern;

/// A text without the chatter around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped<'a> {
    /// The rewrite itself.
    pub kept: &'a str,
    /// What was stripped, from the outside in.
    pub removed: Vec<&'a str>,
}

/// "Sure! Here is the rewritten prompt:" and the like, up to the colon or the end of the line.
static OPENING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix) ^ (?: (?: sure | certainly | of\ course | absolutely | okay | ok | great | no\ problem ) [!.,:]* \s* )?
          (?: here (?: \ is | \ are | ['’]s ) | this\ is | below\ is ) \b [^:\n]{0,100}
          \b (?: prompt | rewrite | version | request | question | instruction | addition ) s? \b [^:\n]{0,60} (?: : | \n )",
    )
});

/// An acknowledgement alone on the first line.
static ACKNOWLEDGEMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^(?:sure|certainly|of course|absolutely|okay|ok|great|no problem)\b[^\n]{0,60}[!.:,]?[ \t]*\n")
});

/// "Golden prompt:", "**Rewritten request:**" and the like.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix) ^ [*\#\s]* (?: the\ )? (?: prompt | rewrite | addition
          | (?: (?: new | improved | rewritten | revised | optimi[sz]ed | better | golden | final | updated ) \ )+
            (?: prompt | rewrite | request | question | instruction | version | addition ) ) s? \s* [*]* : [*]*",
    )
});

/// A last paragraph about the rewrite.
static CLOSING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix) \n \s* (?: i\ hope\ this | let\ me\ know\ if | feel\ free\ to | (?: note | explanation ) \s* :
          | (?: this | the | in\ this ) \ (?: (?: new | improved | rewritten | revised | golden ) \ )*
            (?: prompt | rewrite | version ) \b ) [^\n]* \s* $",
    )
});

/// Strips chatter: openings, labels, closing remarks, and quotation marks or code fences around the whole.
///
/// What the user's own prompt has too is not chatter: if stripping would change the prompt, nothing is stripped.
pub fn strip_chatter<'a>(prompt: &str, text: &'a str) -> Stripped<'a> {
    if strip(prompt.trim()).removed.is_empty() {
        strip(text)
    } else {
        Stripped { kept: text.trim(), removed: Vec::new() }
    }
}

fn strip(text: &str) -> Stripped<'_> {
    let mut kept = text.trim();
    let mut removed = Vec::new();
    while let Some((rest, piece)) = strip_once(kept) {
        removed.push(piece.trim());
        kept = rest.trim();
    }
    Stripped { kept, removed }
}

/// The text without its outermost piece of chatter, and that piece.
fn strip_once(text: &str) -> Option<(&str, &str)> {
    for opening in [&OPENING, &ACKNOWLEDGEMENT, &LABEL] {
        if let Some(found) = opening.find(text) {
            return Some((&text[found.end()..], found.as_str()));
        }
    }
    if let Some(found) = CLOSING.find(text) {
        return Some((&text[..found.start()], found.as_str()));
    }
    for (open, close) in [("\"", "\""), ("“", "”")] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains(open) && !inner.contains(close)) {
            return Some((inner, open));
        }
    }
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let (first_line, inner) = fenced.filter(|inner| !inner.contains("```"))?.split_once('\n')?;
    Some((inner, &text[..3 + first_line.len()]))
}
