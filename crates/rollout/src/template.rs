//! Texts with named slots, filled in one pass.

use crate::Error;

/// A text with slots written `{name}`; `{{` and `}}` stand for braces.
///
/// Rendering copies each value once and never looks into it, so a value that looks like a slot stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(String),
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Template, Error> {
        let stray = |at: usize| Error::StrayBrace { excerpt: text[at..].chars().take(20).collect() };
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(brace);
            literal.push_str(before);
            if let Some(after) = from_brace.strip_prefix("{{").or_else(|| from_brace.strip_prefix("}}")) {
                literal.push_str(&from_brace[..1]);
                rest = after;
                continue;
            }
            let at = text.len() - from_brace.len();
            let (name, after) = from_brace[1..].split_once('}').ok_or_else(|| stray(at))?;
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
            if from_brace.starts_with('}') || !is_name {
                return Err(stray(at));
            }
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
            pieces.push(Piece::Slot(name.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(Piece::Text(literal));
        Ok(Template { pieces })
    }

    /// The names of the slots, in order, as often as they occur.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Slot(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills every slot. Values without a slot are left out; a slot without a value is an error.
    pub fn render(&self, values: &[(&str, &str)]) -> Result<String, Error> {
        let mut text = String::new();
        for piece in &self.pieces {
            text.push_str(match piece {
                Piece::Text(literal) => literal,
                Piece::Slot(name) => match values.iter().find(|(known, _)| known == name) {
                    Some((_, value)) => value,
                    None => {
                        let known = values.iter().map(|(known, _)| (*known).to_owned()).collect();
                        return Err(Error::UnknownSlot { slot: name.clone(), known });
                    }
                },
            });
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, values: &[(&str, &str)]) -> Result<String, String> {
        Template::parse(template).and_then(|template| template.render(values)).map_err(|error| error.to_string())
    }

    #[test]
    fn slots_are_filled_once() {
        assert_eq!(render("{a} and {b-1}{a}", &[("a", "x"), ("b-1", "y")]).unwrap(), "x and yx");
        assert_eq!(render("{{{a}}} }}{{", &[("a", "x")]).unwrap(), "{x} }{");
        // A value that looks like a slot is a value.
        assert_eq!(render("{a}{b}", &[("a", "{b}"), ("b", "{a}")]).unwrap(), "{b}{a}");
        assert_eq!(Template::parse("{a} {b} {a}").unwrap().slots().collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    #[test]
    fn mistakes_are_shown() {
        let stray =
            |excerpt| Err(format!("a brace that begins or ends no slot: `{excerpt}`; write it twice to mean itself"));
        assert_eq!(render("ab {c", &[]), stray("{c"));
        assert_eq!(render("ab } {c}", &[]), stray("} {c}"));
        assert_eq!(render("{two words}", &[]), stray("{two words}"));
        assert_eq!(render("{x}", &[("a", ""), ("b", "")]), Err("no slot is called `x`; there are a, b".to_owned()));
    }

    proptest! {
        #[test]
        fn text_without_braces_is_itself_and_no_text_panics(plain in "[^{}]*", any in "[a{} ]*") {
            prop_assert_eq!(render(&plain, &[]).unwrap(), plain);
            let _ = render(&any, &[("a", "{a}")]);
        }
    }
}
