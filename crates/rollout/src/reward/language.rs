//! Which language a text is in, decided the same way every time.

use whatlang::Lang;

/// A language by its ISO 639-1 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// English.
    pub const ENGLISH: Language = Language("en");
    /// Swahili, which the trigram detector does not know; see [`detect`].
    const SWAHILI: Language = Language("sw");

    /// The language of a code, if [`detect`] can name it.
    pub fn from_code(code: &str) -> Option<Language> {
        let named = |lang: &Lang| code_of(*lang).filter(|&known| known == code).map(Language);
        if code == Language::SWAHILI.0 { Some(Language::SWAHILI) } else { Lang::all().iter().find_map(named) }
    }

    /// The ISO 639-1 code.
    pub fn code(self) -> &'static str {
        self.0
    }
}

/// The language of a text, or `None` where it has no letters to tell by.
///
/// Scripts with one language decide by themselves, the others by trigrams (crate `whatlang`). Swahili, which has no
/// trigrams there, is told by common words: it wins where they make up more than an eighth of all words.
pub fn detect(text: &str) -> Option<Language> {
    let found = whatlang::detect(text)?;
    if found.script() == whatlang::Script::Latin && is_swahili(text) {
        return Some(Language::SWAHILI);
    }
    code_of(found.lang()).map(Language)
}

/// The languages of two texts that are surely not in the same one: `before` is long enough to be sure of its language,
/// and `after` has another script, or is beyond doubt in another language (English, or else the likeliest) when that one and
/// the language of `before` are the only two considered.
pub fn language_change(before: &str, after: &str) -> Option<(Language, Language)> {
    let old = whatlang::detect(before).filter(whatlang::Info::is_reliable)?;
    let new = whatlang::detect(after)?;
    let is_beyond_doubt = |&lang: &Lang| {
        let either = whatlang::Detector::with_allowlist(vec![old.lang(), lang]);
        either.detect(after).is_some_and(|found| found.lang() == lang && found.is_reliable())
    };
    let changed = if new.script() == old.script() {
        [Lang::Eng, new.lang()].into_iter().filter(|&lang| lang != old.lang()).find(is_beyond_doubt)?
    } else {
        new.lang()
    };
    Some((Language(code_of(old.lang())?), Language(code_of(changed)?)))
}

/// Whether a text passes for English: trigrams say so, or it is in Latin letters, has more than 20 of them, and trigrams
/// name another language without confidence.
///
/// Trigrams mistake a few English words, such as a list of names, for almost anything, so there the doubt counts for the
/// text. A lone word says too little to have the benefit of it.
pub fn passes_for_english(text: &str) -> bool {
    whatlang::detect(text).is_none_or(|found| {
        let in_doubt = found.script() == whatlang::Script::Latin && !found.is_reliable();
        found.lang() == Lang::Eng || (in_doubt && text.chars().filter(|c| c.is_alphabetic()).count() > 20)
    })
}

/// Common Swahili words, most of which are words in no other language here.
const SWAHILI_WORDS: [&str; 48] = [
    "na", "ya", "wa", "kwa", "ni", "za", "la", "katika", "cha", "kama", "hii", "ili", "kuwa", "yake", "yako", "yangu",
    "wako", "wangu", "hiyo", "huo", "huu", "sana", "pia", "lakini", "watu", "mtu", "moja", "vya", "baada", "kila",
    "hivyo", "kutoka", "zaidi", "sasa", "tu", "bado", "kabla", "hapa", "mimi", "wewe", "yeye", "sisi", "wao",
    "ninaweza", "unaweza", "anaweza", "habari", "asante",
];

fn is_swahili(text: &str) -> bool {
    let words = text.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty());
    let (mut n_words, mut n_known) = (0usize, 0usize);
    for word in words {
        n_words += 1;
        n_known += usize::from(SWAHILI_WORDS.contains(&word.to_lowercase().as_str()));
    }
    n_known * 8 > n_words
}

/// ISO 639-1 for the detector's ISO 639-3; the few it names that have no two-letter code stay without.
fn code_of(lang: Lang) -> Option<&'static str> {
    let code = lang.code();
    CODES.iter().find(|(three, _)| *three == code).map(|(_, two)| *two)
}

const CODES: [(&str, &str); 70] = [
    ("epo", "eo"),
    ("eng", "en"),
    ("rus", "ru"),
    ("cmn", "zh"),
    ("spa", "es"),
    ("por", "pt"),
    ("ita", "it"),
    ("ben", "bn"),
    ("fra", "fr"),
    ("deu", "de"),
    ("ukr", "uk"),
    ("kat", "ka"),
    ("ara", "ar"),
    ("hin", "hi"),
    ("jpn", "ja"),
    ("heb", "he"),
    ("yid", "yi"),
    ("pol", "pl"),
    ("amh", "am"),
    ("jav", "jv"),
    ("kor", "ko"),
    ("nob", "no"),
    ("dan", "da"),
    ("swe", "sv"),
    ("fin", "fi"),
    ("tur", "tr"),
    ("nld", "nl"),
    ("hun", "hu"),
    ("ces", "cs"),
    ("ell", "el"),
    ("bul", "bg"),
    ("bel", "be"),
    ("mar", "mr"),
    ("kan", "kn"),
    ("ron", "ro"),
    ("slv", "sl"),
    ("hrv", "hr"),
    ("srp", "sr"),
    ("mkd", "mk"),
    ("lit", "lt"),
    ("lav", "lv"),
    ("est", "et"),
    ("tam", "ta"),
    ("vie", "vi"),
    ("urd", "ur"),
    ("tha", "th"),
    ("guj", "gu"),
    ("uzb", "uz"),
    ("pan", "pa"),
    ("aze", "az"),
    ("ind", "id"),
    ("tel", "te"),
    ("pes", "fa"),
    ("mal", "ml"),
    ("ori", "or"),
    ("mya", "my"),
    ("nep", "ne"),
    ("sin", "si"),
    ("khm", "km"),
    ("tuk", "tk"),
    ("aka", "ak"),
    ("zul", "zu"),
    ("sna", "sn"),
    ("afr", "af"),
    ("lat", "la"),
    ("slk", "sk"),
    ("cat", "ca"),
    ("tgl", "tl"),
    ("hye", "hy"),
    ("cym", "cy"),
];
