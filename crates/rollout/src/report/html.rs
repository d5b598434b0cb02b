//! HTML that no text can break out of.

use std::iter::Peekable;
use std::str::Chars;

/// Names and values of a tag's attributes.
pub(crate) type Attributes<'a> = [(&'static str, &'a str)];

/// A growing piece of HTML or of SVG inside it. Markup comes from string literals only and everything else goes through
/// [`escape`]; the types see to it, so that no prompt and no response can become markup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Html {
    written: String,
}

impl Html {
    /// Markup as it stands in the source.
    pub(crate) fn markup(&mut self, markup: &'static str) {
        self.written.push_str(markup);
    }

    /// Text from anywhere.
    pub(crate) fn text(&mut self, text: &str) {
        self.written.push_str(&escape(text));
    }

    /// An element and what is in it.
    pub(crate) fn element(&mut self, name: &'static str, attributes: &Attributes<'_>, fill: impl FnOnce(&mut Html)) {
        self.tag(name, attributes);
        self.written.push('>');
        fill(self);
        for part in ["</", name, ">"] {
            self.written.push_str(part);
        }
    }

    /// An element with nothing but text in it.
    pub(crate) fn leaf(&mut self, name: &'static str, attributes: &Attributes<'_>, text: &str) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element that closes itself.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: &Attributes<'_>) {
        self.tag(name, attributes);
        self.written.push_str("/>");
    }

    /// Another piece.
    pub(crate) fn append(&mut self, other: Html) {
        self.written.push_str(&other.written);
    }

    /// The piece as a string.
    pub(crate) fn into_string(self) -> String {
        self.written
    }

    fn tag(&mut self, name: &'static str, attributes: &Attributes<'_>) {
        self.written.push('<');
        self.written.push_str(name);
        for (key, value) in attributes {
            for part in [" ", key, "=\"", &escape(value), "\""] {
                self.written.push_str(part);
            }
        }
    }
}

/// Text as it may stand between tags and between the quotes of an attribute. Characters that HTML forbids or that a
/// reader could not see are replaced by their pictures, so that nothing is hidden and nothing breaks the file.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.extend(visible(other, &mut characters)),
        }
    }
    escaped
}

/// The character or its picture; nothing for the first half of a line's end that has two.
fn visible(character: char, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match character {
        '\r' if rest.peek() == Some(&'\n') => None,
        '\n' | '\t' => Some(character),
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)),
        '\x7f' => Some('\u{2421}'),
        // The C1 controls, the marks that reorder text, and the noncharacters.
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fdd0}'..='\u{fdef}' => {
            Some(char::REPLACEMENT_CHARACTER)
        }
        other if u32::from(other) & 0xfffe == 0xfffe => Some(char::REPLACEMENT_CHARACTER),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_be_markup_is_escaped() {
        assert_eq!(escape("<script>alert('1' & \"2\")</script>"), {
            "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"
        });
        assert_eq!(escape("<![CDATA[ ]]>"), "&lt;![CDATA[ ]]&gt;");
        assert_eq!(escape("&amp;"), "&amp;amp;");
    }

    #[test]
    fn what_cannot_be_seen_becomes_visible() {
        assert_eq!(escape("a\0b\x1b[31m\x7f"), "a␀b␛[31m␡");
        assert_eq!(escape("one\r\ntwo\rthree\tfour\n"), "one\ntwo␍three\tfour\n");
        assert_eq!(escape("\u{85}\u{202e}\u{fffe}\u{10ffff}"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(escape("Größe 日本 🙂 עברית"), "Größe 日本 🙂 עברית");
    }

    #[test]
    fn elements_nest_and_attributes_are_quoted() {
        let mut html = Html::default();
        html.element("p", &[("title", "a\"b")], |html| {
            html.leaf("b", &[], "1 < 2");
            html.empty("br", &[]);
        });
        assert_eq!(html.into_string(), "<p title=\"a&quot;b\"><b>1 &lt; 2</b><br/></p>");
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_character_that_means_something(text in ".*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let controls = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!escaped.contains(controls));
            for (at, _) in escaped.match_indices('&') {
                let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                prop_assert!(entities.iter().any(|entity| escaped[at..].starts_with(entity)));
            }
        }

        #[test]
        fn escaping_loses_nothing(text in "[ -~\n]*") {
            let mut back = escape(&text);
            for (entity, character) in
                [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            {
                back = back.replace(entity, character);
            }
            prop_assert_eq!(back, text);
        }
    }
}
