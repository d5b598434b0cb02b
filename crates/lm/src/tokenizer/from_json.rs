//! From `tokenizer.json`.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{AddedToken, PreTokenizerWrapper};

use super::special::SpecialTokens;
use super::texts::{Spelling, TokenTexts};
use super::{Frame, Tokenizer};
use crate::Token;
use crate::error::{Fault, Problem};

/// Steps of normalisation and splitting that are known to be harmless whatever their settings.
const NORMALIZERS: [&str; 7] = ["Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD"];
const PRE_TOKENIZERS: [&str; 5] = ["Sequence", "Split", "ByteLevel", "Digits", "Metaspace"];
/// A normaliser's replacement text: longer ones could blow up the texts they are used on.
const REPLACEMENT_LIMIT: usize = 16;
/// Length of an added token's text; the longest known ones are runs of a hundred spaces.
const ADDED_LIMIT: usize = 512;

/// What else is known about a tokenizer.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenizerSettings {
    /// The text of the beginning-of-sequence token.
    pub(crate) bos: Option<String>,
    /// The text of the end-of-sequence token.
    pub(crate) eos: Option<String>,
    /// Number of rows of the embedding; ids beyond it are never produced.
    pub(crate) vocabulary: usize,
}

/// The parts of the file that are checked before the `tokenizers` crate sees it.
#[derive(Deserialize)]
struct Outline {
    model: ModelOutline,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    #[serde(default)]
    added_tokens: Vec<AddedOutline>,
}

#[derive(Deserialize)]
struct AddedOutline {
    content: String,
}

#[derive(Deserialize)]
struct ModelOutline {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

impl Tokenizer {
    /// Builds the tokenizer that `tokenizer.json` describes.
    pub(crate) fn from_json(json: &str, settings: &TokenizerSettings) -> Result<Tokenizer, Fault> {
        let outline: Outline = serde_json::from_str(json).map_err(|source| Problem::Json { source })?;
        check_model(&outline.model)?;
        outline.added_tokens.iter().try_for_each(|token| check_added(&token.content))?;
        check_steps("normalizer", outline.normalizer.as_ref(), &NORMALIZERS)?;
        check_steps("pre_tokenizer", outline.pre_tokenizer.as_ref(), &PRE_TOKENIZERS)?;
        let spelling = spelling(outline.decoder.as_ref())?;
        let mut inner: tokenizers::Tokenizer = json.parse().map_err(|source| Problem::Tokenizer { source })?;
        let parts = Parts {
            spelling,
            frame: frame(outline.post_processor.as_ref(), settings.vocabulary),
            space_at_start: take_space_at_start(&mut inner),
            bos: settings.bos.as_deref().and_then(|text| inner.token_to_id(text)),
            eos: settings.eos.as_deref().and_then(|text| inner.token_to_id(text)),
            unknown: outline.model.unk_token.and_then(|text| inner.token_to_id(&text)),
            vocabulary: settings.vocabulary,
            inner,
        };
        parts.assemble()
    }
}

/// What a tokenizer is made of, wherever it came from.
pub(super) struct Parts {
    pub(super) inner: tokenizers::Tokenizer,
    pub(super) spelling: Spelling,
    pub(super) frame: Frame,
    pub(super) space_at_start: bool,
    pub(super) bos: Option<Token>,
    pub(super) eos: Option<Token>,
    pub(super) unknown: Option<Token>,
    pub(super) vocabulary: usize,
}

impl Parts {
    pub(super) fn assemble(mut self) -> Result<Tokenizer, Fault> {
        let failed = |source| Fault::from(Problem::Tokenizer { source });
        self.inner.set_encode_special_tokens(true);
        self.inner.with_padding(None).with_truncation(None).map_err(failed)?;
        self.inner.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        let added = self.inner.get_added_tokens_decoder();
        let mut written: Vec<Option<(String, bool)>> = vec![None; self.vocabulary];
        for (text, id) in self.inner.get_vocab(true) {
            if let Some(slot) = written.get_mut(id as usize) {
                *slot = Some((text, added.contains_key(&id)));
            }
        }
        let inside = |token: &Token| (*token as usize) < self.vocabulary;
        Ok(Tokenizer {
            specials: SpecialTokens::new(added, self.vocabulary)?,
            texts: TokenTexts::new(&written, self.spelling),
            frame: self.frame,
            space_at_start: self.space_at_start,
            bos: self.bos.filter(inside),
            eos: self.eos.filter(inside),
            unknown: self.unknown.filter(inside),
            inner: self.inner,
        })
    }
}

/// Added tokens are searched for by a machine whose size grows with their texts.
pub(super) fn check_added(text: &str) -> Result<(), Fault> {
    if text.len() > ADDED_LIMIT {
        let bound = format!("the limit is {ADDED_LIMIT} bytes");
        return Err(Fault::number("the length of an added token", text.len() as i128, bound));
    }
    Ok(())
}

/// An added token that is found in raw text.
pub(super) fn added_token(text: &str, special: bool) -> AddedToken {
    AddedToken::from(text, special).normalized(false)
}

/// Byte-pair encoding in its plain form; the crate's other forms are not made for untrusted settings.
fn check_model(model: &ModelOutline) -> Result<(), Fault> {
    let kind = model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(Fault::unsupported(format!("a tokenizer of type `{kind}`")));
    }
    let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
    if affixes.into_iter().flatten().any(|affix| !affix.is_empty()) {
        return Err(Fault::unsupported("a tokenizer with subword prefixes or word suffixes"));
    }
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err(Fault::unsupported("a tokenizer with dropout"));
    }
    Ok(())
}

/// Every step, nested ones too, must be of a known kind and short.
fn check_steps(part: &str, step: Option<&Value>, known: &[&str]) -> Result<(), Fault> {
    let Some(step) = step.filter(|step| !step.is_null()) else { return Ok(()) };
    let kind = step.get("type").and_then(Value::as_str).unwrap_or_default();
    if !known.contains(&kind) {
        return Err(Fault::unsupported(format!("a {part} of type `{kind}`")));
    }
    let replacement = step.get("content").or(step.get("prepend")).and_then(Value::as_str).unwrap_or_default();
    if replacement.len() > REPLACEMENT_LIMIT {
        return Err(Fault::number(
            format!("the replacement text of the {part}"),
            replacement.len() as i128,
            "the limit is 16 bytes",
        ));
    }
    let mut inner = ["normalizers", "pretokenizers"].iter().filter_map(|key| step.get(key)?.as_array()).flatten();
    inner.try_for_each(|step| check_steps(part, Some(step), known))
}

/// How the decoder says tokens are spelled.
fn spelling(decoder: Option<&Value>) -> Result<Spelling, Fault> {
    let steps: Vec<&Value> = match decoder {
        None => Vec::new(),
        Some(step) => match step.get("decoders").and_then(Value::as_array) {
            Some(steps) => steps.iter().collect(),
            None => vec![step],
        },
    };
    let of_kind = |kind: &str| steps.iter().find(|step| step.get("type").and_then(Value::as_str) == Some(kind));
    if of_kind("ByteLevel").is_some() {
        return Ok(Spelling::ByteLevel);
    }
    let metaspace = of_kind("Metaspace");
    if of_kind("ByteFallback").is_none() && metaspace.is_none() {
        return Err(Fault::unsupported("a tokenizer whose decoder is neither ByteLevel nor SentencePiece's"));
    }
    let strips = of_kind("Strip").is_some_and(|step| step.get("start").and_then(Value::as_u64) > Some(0));
    let prepends = metaspace.is_some_and(|step| {
        let never = step.get("prepend_scheme").and_then(Value::as_str) == Some("never");
        !never && step.get("add_prefix_space").and_then(Value::as_bool) != Some(false)
    });
    Ok(Spelling::Pieces { drops_first_space: strips || prepends })
}

/// The special tokens of a `TemplateProcessing` step for single texts, before and after the text's place.
fn frame(post_processor: Option<&Value>, vocabulary: usize) -> Frame {
    let mut frame = Frame::default();
    let Some(step) = post_processor else { return frame };
    if let Some(steps) = step.get("processors").and_then(Value::as_array) {
        let framed = |step| Some(self::frame(Some(step), vocabulary)).filter(|frame| *frame != Frame::default());
        return steps.iter().find_map(framed).unwrap_or_default();
    }
    let mut after_text = false;
    for entry in step.get("single").and_then(Value::as_array).into_iter().flatten() {
        let Some(special) = entry.get("SpecialToken").and_then(|special| special.get("id")?.as_str()) else {
            after_text = true;
            continue;
        };
        let side = if after_text { &mut frame.after } else { &mut frame.before };
        let ids = step.get("special_tokens").and_then(|tokens| tokens.get(special)?.get("ids")?.as_array());
        let ids = ids.into_iter().flatten().filter_map(Value::as_u64).filter(|id| *id < vocabulary as u64);
        side.extend(ids.map(|id| id as Token));
    }
    frame
}

/// Whether a space goes before the very start of a text only. That step is taken out of the tokenizer, which would
/// repeat it at the start of every run between special tokens.
fn take_space_at_start(inner: &mut tokenizers::Tokenizer) -> bool {
    let Some(PreTokenizerWrapper::Metaspace(metaspace)) = inner.get_pre_tokenizer() else { return false };
    if metaspace.get_prepend_scheme() != PrependScheme::First {
        return false;
    }
    let mut metaspace = metaspace.clone();
    metaspace.set_prepend_scheme(PrependScheme::Never);
    inner.with_pre_tokenizer(Some(metaspace));
    true
}
