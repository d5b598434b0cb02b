//! What somebody may have meant.

use super::fields::{Field, ROOT};

/// The known name that is closest to `name`, if any is close.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const CLOSE: f64 = 0.6;
    // Names of snake case are meant as they are in kebab case.
    let name = name.to_lowercase().replace('_', "-");
    let scored =
        known.into_iter().map(|known| (strsim::normalized_damerau_levenshtein(&name, &known.replace('_', "-")), known));
    scored.filter(|(score, _)| *score >= CLOSE).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// The table that has a key of exactly this name.
pub(super) fn place_elsewhere(name: &str) -> Option<String> {
    fn search(fields: &'static [Field], name: &str, keys: &mut Vec<&'static str>) -> Option<String> {
        if fields.iter().any(|field| field.name == name) {
            return Some(keys.join("."));
        }
        fields.iter().find_map(|field| {
            keys.push(field.name);
            let found = search(field.kind.fields(), name, keys);
            keys.pop();
            found
        })
    }
    search(ROOT.fields(), name, &mut Vec::new()).filter(|place| !place.is_empty())
}
