//! From the metadata of a GGUF file.

use ahash::AHashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{NFC, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::from_json::{Parts, added_token, check_added};
use super::texts::{Spelling, byte_piece};
use super::{Frame, Tokenizer, scores};
use crate::error::{Fault, Problem};
use crate::gguf::{Gguf, List, required};
use crate::{Architecture, Token};

const LLAMA3_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT_4O_PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What GGUF says of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    /// Also the unknown token.
    Control,
    UserDefined,
    /// Bytes, and places that are not used.
    Other,
}

impl Tokenizer {
    /// Rebuilds the tokenizer that a GGUF file was made with.
    pub(crate) fn from_gguf(gguf: &Gguf, architecture: &Architecture) -> Result<Tokenizer, Fault> {
        let texts = required(gguf.texts("tokenizer.ggml.tokens")?, "tokenizer.ggml.tokens")?;
        let mut kinds = kinds(gguf, texts.len())?;
        let model = required(gguf.text("tokenizer.ggml.model")?, "tokenizer.ggml.model")?;
        let (mut inner, spelling) = match model {
            "gpt2" => byte_level(gguf, texts)?,
            "llama" => pieces(gguf, texts, &mut kinds)?,
            other => return Err(Fault::unsupported(format!("a tokenizer of type `{other}`"))),
        };
        let of_kind = |wanted| texts.iter().zip(&kinds).filter(move |(_, kind)| **kind == wanted).map(|(text, _)| text);
        for text in of_kind(Kind::Control).chain(of_kind(Kind::UserDefined)) {
            check_added(text)?;
        }
        let strips = |text: &str| architecture.family == "phi3" && !["<unk>", "<s>", "<|endoftext|>"].contains(&text);
        let controls = of_kind(Kind::Control).map(|text| added_token(text, true).rstrip(strips(text)));
        inner.add_special_tokens(&controls.collect::<Vec<_>>());
        let user = of_kind(Kind::UserDefined).filter(|text| !text.is_empty()).map(|text| added_token(text, false));
        inner.add_tokens(&user.collect::<Vec<_>>());
        let token = |name: &str| id(gguf, name, texts.len());
        let (bos, eos) = (token("bos_token_id")?, token("eos_token_id")?);
        let parts = Parts {
            inner,
            spelling,
            frame: frame(gguf, model, bos, eos)?,
            space_at_start: false,
            bos,
            eos,
            unknown: token("unknown_token_id")?,
            vocabulary: architecture.vocabulary,
        };
        parts.assemble()
    }
}

/// A token id by its key.
fn id(gguf: &Gguf, name: &str, tokens: usize) -> Result<Option<Token>, Fault> {
    let key = format!("tokenizer.ggml.{name}");
    match gguf.count(&key)? {
        Some(id) if id >= tokens => Err(Fault::key(&key, format!("below {tokens}, the number of tokens"), id)),
        id => Ok(id.map(|id| id as Token)),
    }
}

/// The kind of every token; all normal if the file does not say.
fn kinds(gguf: &Gguf, tokens: usize) -> Result<Vec<Kind>, Fault> {
    const KEY: &str = "tokenizer.ggml.token_type";
    match gguf.list(KEY)? {
        None => Ok(vec![Kind::Normal; tokens]),
        Some(List::Integers(kinds)) if kinds.len() == tokens => Ok(kinds
            .iter()
            .map(|kind| match kind {
                1 => Kind::Normal,
                2 | 3 => Kind::Control,
                4 => Kind::UserDefined,
                _ => Kind::Other,
            })
            .collect()),
        Some(_) => Err(Fault::key(KEY, format!("{tokens} integers, one a token"), "another list")),
    }
}

fn vocabulary(texts: &[String]) -> AHashMap<String, u32> {
    texts.iter().enumerate().map(|(id, text)| (text.clone(), id as u32)).collect()
}

fn built(builder: tokenizers::models::bpe::BpeBuilder) -> Result<tokenizers::Tokenizer, Fault> {
    let model = builder.build().map_err(|source| Problem::Tokenizer { source })?;
    Ok(tokenizers::Tokenizer::new(model))
}

/// Byte-pair encoding of bytes with the file's merges, as GPT-2 began it.
fn byte_level(gguf: &Gguf, texts: &[String]) -> Result<(tokenizers::Tokenizer, Spelling), Fault> {
    const KEY: &str = "tokenizer.ggml.merges";
    let merges = required(gguf.texts(KEY)?, KEY)?;
    let pair = |merge: &String| {
        let cut = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ').map(|(cut, _)| cut);
        let cut = cut.ok_or_else(|| Fault::key(KEY, "pairs with a space between", format!("{merge:?}")))?;
        Ok((merge[..cut].to_owned(), merge[cut + 1..].to_owned()))
    };
    let merges = merges.iter().map(pair).collect::<Result<Vec<_>, Fault>>()?;
    let name = gguf.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let builder = BPE::builder().vocab_and_merges(vocabulary(texts), merges).ignore_merges(is_llama3(name));
    let mut inner = built(builder)?;
    if name == "qwen2" {
        inner.with_normalizer(Some(NFC));
    }
    inner.with_pre_tokenizer(Some(pre_tokenizer(name)?));
    Ok((inner, Spelling::ByteLevel))
}

fn is_llama3(name: &str) -> bool {
    matches!(name, "llama-bpe" | "llama3" | "llama-v3")
}

/// How texts are split into words before merging, by the name GGUF gives it.
fn pre_tokenizer(name: &str) -> Result<PreTokenizerWrapper, Fault> {
    let gpt2 = || ByteLevel::new(false, true, true);
    let split = |pattern: &str| -> Result<PreTokenizerWrapper, Fault> {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        let split = split.map_err(|source| Problem::Tokenizer { source })?;
        Ok(PreTokenizers::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
    };
    match name {
        "default" | "gpt-2" | "phi-2" => Ok(gpt2().into()),
        "smollm" | "starcoder" | "refact" => {
            Ok(PreTokenizers::new(vec![Digits::new(true).into(), gpt2().into()]).into())
        }
        "qwen2" | "deepseek-r1-qwen" => split(QWEN2_PATTERN),
        "gpt-4o" => split(GPT_4O_PATTERN),
        name if is_llama3(name) => split(LLAMA3_PATTERN),
        other => Err(Fault::unsupported(format!("the pre-tokenizer `{other}`"))),
    }
}

/// SentencePiece's byte-pair encoding: scored pieces, `▁` for spaces, bytes for what no piece covers.
///
/// Runs of spaces, which some files add as tokens of their own, become pieces that merge before all others: spaces are
/// `▁` by the time pieces are looked for.
fn pieces(gguf: &Gguf, texts: &[String], kinds: &mut [Kind]) -> Result<(tokenizers::Tokenizer, Spelling), Fault> {
    const KEY: &str = "tokenizer.ggml.scores";
    let scores = match required(gguf.list(KEY)?, KEY)? {
        List::Reals(scores) if scores.len() == texts.len() => scores,
        _ => return Err(Fault::key(KEY, format!("{} numbers, one a token", texts.len()), "another list")),
    };
    let mut texts = texts.to_vec();
    let mut scores = scores.clone();
    for ((text, score), kind) in texts.iter_mut().zip(&mut scores).zip(kinds.iter_mut()) {
        if *kind == Kind::UserDefined && !text.is_empty() && text.chars().all(|letter| letter == ' ') {
            (*text, *score, *kind) = (text.replace(' ', "\u{2581}"), f32::INFINITY, Kind::Normal);
        }
    }
    let scored = texts.iter().zip(&scores).zip(&*kinds).filter(|(_, kind)| **kind == Kind::Normal);
    let scored: Vec<(&str, f32)> = scored.map(|((text, score), _)| (text.as_str(), *score)).collect();
    let merges = scores::merges(&scored).into_iter().map(|(left, right)| (left.to_owned(), right.to_owned()));
    let unknown = gguf.count("tokenizer.ggml.unknown_token_id")?.and_then(|id| texts.get(id));
    let bytes = texts.iter().filter(|text| byte_piece(text).is_some()).count();
    let mut builder = BPE::builder().vocab_and_merges(vocabulary(&texts), merges.collect()).fuse_unk(true);
    builder = builder.byte_fallback(bytes == 256);
    if let Some(unknown) = unknown {
        builder = builder.unk_token(unknown.clone());
    }
    let mut inner = built(builder)?;
    let prefix = gguf.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let spaces = Replace::new(" ", "\u{2581}").map_err(|source| Problem::Tokenizer { source })?;
    let mut steps: Vec<NormalizerWrapper> = vec![spaces.into()];
    if prefix {
        steps.insert(0, Prepend::new("\u{2581}".to_owned()).into());
    }
    inner.with_normalizer(Some(Normalizers::new(steps)));
    Ok((inner, Spelling::Pieces { drops_first_space: prefix }))
}

/// Beginning and end tokens around a text that stands alone, where the file or its kind of tokenizer asks for them.
fn frame(gguf: &Gguf, model: &str, bos: Option<Token>, eos: Option<Token>) -> Result<Frame, Fault> {
    let llama3 = gguf.text("tokenizer.ggml.pre")?.is_some_and(is_llama3);
    let usual = model == "llama" || llama3;
    let before = bos.filter(|_| usual);
    let before = match gguf.flag("tokenizer.ggml.add_bos_token")? {
        Some(true) => bos,
        Some(false) => None,
        None => before,
    };
    let after = if gguf.flag("tokenizer.ggml.add_eos_token")? == Some(true) { eos } else { None };
    Ok(Frame { before: before.into_iter().collect(), after: after.into_iter().collect() })
}
