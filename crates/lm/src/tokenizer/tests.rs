use serde_json::{Value, json};

use super::*;
use crate::error::Fault;
use crate::gguf::testing::{Writer, open, tiny_llama};
use crate::{Architecture, Checkpoint};

/// A byte-level tokenizer over these tokens, of these kinds, with these merges.
fn byte_level(tokens: &[&str], kinds: &[i32], merges: &[&str]) -> Result<Tokenizer, Fault> {
    let writer = Writer::default().text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
    let writer = writer.texts("tokenizer.ggml.tokens", tokens).integers("tokenizer.ggml.token_type", kinds);
    from_gguf(&writer.texts("tokenizer.ggml.merges", merges), tokens.len())
}

fn from_gguf(writer: &Writer, vocabulary: usize) -> Result<Tokenizer, Fault> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &tiny_llama().bytes()).unwrap();
    let tiny = Checkpoint::open(file.path()).unwrap();
    Tokenizer::from_gguf(&open(&writer.bytes())?, &Architecture { vocabulary, ..tiny.architecture().clone() })
}

/// SentencePiece's way: pieces with scores.
fn pieces(prefix: bool) -> Tokenizer {
    let tokens = ["<unk>", "<s>", "▁", "a", "b", "▁a", "ab", "<0xC3>", "<0xA9>", "▁ab", "  "];
    let writer = Writer::default()
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .reals("tokenizer.ggml.scores", &[0.0, 0.0, -5.0, -6.0, -7.0, -1.0, -2.0, 0.0, 0.0, -3.0, -1000.0])
        .integers("tokenizer.ggml.token_type", &[2, 3, 1, 1, 1, 1, 1, 6, 6, 1, 4])
        .count("tokenizer.ggml.unknown_token_id", 0)
        .count("tokenizer.ggml.bos_token_id", 1)
        .flag("tokenizer.ggml.add_space_prefix", prefix);
    from_gguf(&writer, tokens.len()).unwrap()
}

/// A small `tokenizer.json`; `change` edits it.
fn json_tokenizer(change: impl Fn(&mut Value)) -> Result<Tokenizer, Fault> {
    let mut file = json!({
        "version": "1.0", "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null, "normalizer": null,
        "added_tokens": [
            {"id": 3, "content": "<s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false},
            {"id": 4, "content": "<e>", "special": true, "normalized": false, "single_word": false, "lstrip": true, "rstrip": true},
        ],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<e>", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]},
                               "<e>": {"id": "<e>", "ids": [4], "tokens": ["<e>"]}}},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"▁": 0, "a": 1, "▁a": 2, "<s>": 3, "<e>": 4, "<": 5, "s": 6, ">": 7, "e": 8}, "merges": [["▁", "a"]]},
    });
    change(&mut file);
    let settings = TokenizerSettings { bos: Some("<s>".into()), eos: Some("<e>".into()), vocabulary: 9 };
    Tokenizer::from_json(&file.to_string(), &settings)
}

fn bare(tokenizer: &Tokenizer, text: &str) -> Vec<Token> {
    tokenizer.encode(text, Framing::Bare).unwrap()
}

#[test]
fn special_tokens_come_from_markup_only() {
    let tokens = ["<|im_end|>", "a", "b", "ab", "<", "|", ">", "i", "m", "_", "e", "n", "d"];
    let tokenizer = byte_level(&tokens, &[3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], &["a b"]).unwrap();
    assert_eq!(tokenizer.encode_markup("ab<|im_end|>a").unwrap(), [3, 0, 1]);
    let spelled = [3, 4, 5, 7, 8, 9, 10, 11, 12, 5, 6, 1];
    assert_eq!(bare(&tokenizer, "ab<|im_end|>a"), spelled);
    assert_eq!(tokenizer.decode(&spelled), "ab<|im_end|>a");
    assert_eq!(tokenizer.decode(&[3, 0, 1]), "aba");
    assert_eq!(tokenizer.token_text(0).unwrap(), "<|im_end|>");
    assert_eq!((tokenizer.token("ab"), tokenizer.token("ba"), tokenizer.token_text(13)), (Some(3), None, None));
}

/// A hostile vocabulary can have merges that spell a special token.
#[test]
fn merges_that_spell_a_special_token_are_undone() {
    let tokenizer = byte_level(&["a", "b", "c", "ab", "abc"], &[1, 1, 1, 3, 1], &["a b", "ab c"]).unwrap();
    assert_eq!(bare(&tokenizer, "ab"), [0, 1]);
    assert_eq!(bare(&tokenizer, "abcab"), [4, 0, 1]);
    assert_eq!(tokenizer.encode_markup("abc").unwrap(), [3, 2]);
    // A single character that is a special token cannot be taken apart.
    let hopeless = byte_level(&["a", "b"], &[3, 1], &[]).unwrap();
    assert!(matches!(hopeless.encode("ba", Framing::Bare), Err(Error::Tokenize { .. })));
}

#[test]
fn pieces_merge_by_score_and_fall_back_on_bytes() {
    let tokenizer = pieces(true);
    // `▁a` scores above `ab`.
    assert_eq!(bare(&tokenizer, "ab"), [9]);
    assert_eq!(bare(&tokenizer, "b ab"), [2, 4, 9]);
    assert_eq!(tokenizer.encode("a", Framing::Framed).unwrap(), [1, 5]);
    assert_eq!(tokenizer.decode(&[1, 9, 2, 4]), "ab b");
    // Two spaces are a token of their own, whatever its score.
    assert_eq!(bare(&tokenizer, "a  b"), [5, 10, 4]);
    assert_eq!(tokenizer.decode(&[5, 10, 4]), "a  b");
    let unprefixed = pieces(false);
    assert_eq!(bare(&unprefixed, "ab a"), [6, 5]);
    assert_eq!(unprefixed.decode(&[5, 6]), " aab");
}

#[test]
fn characters_are_held_back_until_they_are_whole() {
    let tokenizer = byte_level(&["a", "Ã", "©", "<|im_end|>"], &[1, 1, 1, 3], &[]).unwrap();
    let mut stream = TextStream::new();
    assert_eq!(bare(&tokenizer, "é"), [1, 2]);
    let texts: Vec<String> = [0, 1, 3, 2, 2, 1].iter().map(|token| stream.push(&tokenizer, *token)).collect();
    assert_eq!(texts, ["a", "", "", "é", "\u{FFFD}", ""]);
    assert_eq!(stream.finish(), "\u{FFFD}");
    assert_eq!(tokenizer.decode(&[1, 0]), "\u{FFFD}a");
}

#[test]
fn the_first_space_is_put_and_dropped_once() {
    let tokenizer = json_tokenizer(|_| ()).unwrap();
    assert_eq!(bare(&tokenizer, "a a"), [2, 2]);
    assert_eq!(tokenizer.encode_markup("a<s>a").unwrap(), [2, 3, 1]);
    assert_eq!(tokenizer.encode_markup("<s>a").unwrap(), [3, 1]);
    assert_eq!(tokenizer.decode(&[2, 2, 1]), "a aa");
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.vocabulary()), (Some(3), Some(4), 9));
}

#[test]
fn the_post_processor_frames_texts() {
    let tokenizer = json_tokenizer(|_| ()).unwrap();
    assert_eq!(tokenizer.encode("a a a", Framing::Framed).unwrap(), [3, 2, 2, 2, 4]);
    let sequence = json_tokenizer(|file| {
        let template = file["post_processor"].take();
        file["post_processor"] = json!({"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, template]});
    });
    assert_eq!(sequence.unwrap().encode("a", Framing::Framed).unwrap(), [3, 2, 4]);
}

#[test]
fn special_tokens_swallow_spaces_where_the_file_says_so() {
    let tokenizer = json_tokenizer(|_| ()).unwrap();
    assert_eq!(tokenizer.encode_markup("a  <e> \n a").unwrap(), [2, 4, 1]);
    assert_eq!(tokenizer.encode_markup("a <s> a").unwrap(), [2, 0, 3, 2]);
}

#[test]
fn tokenizers_this_crate_does_not_trust_are_refused() {
    let refusal = |change: &dyn Fn(&mut Value)| format!("{:?}", json_tokenizer(change).unwrap_err());
    assert!(refusal(&|file| file["model"]["type"] = "WordPiece".into()).contains("a tokenizer of type `WordPiece`"));
    assert!(refusal(&|file| file["model"]["continuing_subword_prefix"] = "##".into()).contains("subword prefixes"));
    assert!(refusal(&|file| file["model"]["dropout"] = 0.5.into()).contains("dropout"));
    assert!(
        refusal(&|file| file["normalizer"] = json!({"type": "Precompiled"}))
            .contains("normalizer of type `Precompiled`")
    );
    let long = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x".repeat(17)}]});
    assert!(refusal(&|file| file["normalizer"] = long.clone()).contains("17"));
    assert!(refusal(&|file| file["pre_tokenizer"]["type"] = "Whitespace".into()).contains("pre_tokenizer of type"));
    assert!(refusal(&|file| file["decoder"] = Value::Null).contains("decoder"));
    assert!(refusal(&|file| file["model"]["merges"] = json!([["x", "y"]])).contains("Tokenizer"));
    assert!(matches!(Tokenizer::from_json("{", &TokenizerSettings::default()), Err(Fault::Malformed(_))));
}

#[test]
fn ids_beyond_the_embedding_are_never_produced() {
    let tokenizer = json_tokenizer(|file| {
        file["model"]["vocab"]["aa"] = 9.into();
        file["model"]["merges"] = json!([["a", "a"]]);
    });
    let tokenizer = tokenizer.unwrap();
    assert_eq!(bare(&tokenizer, "▁aa"), [0, 1, 1]);
}

#[test]
fn gguf_tokenizers_with_wrong_lists_are_refused() {
    let error = |result: Result<Tokenizer, Fault>| format!("{:?}", result.unwrap_err());
    assert!(error(byte_level(&["a"], &[1, 1], &[])).contains("token_type"));
    assert!(error(byte_level(&["a"], &[1], &["ab"])).contains("pairs with a space between"));
    assert!(error(byte_level(&["a"], &[1], &["a b"])).contains("Tokenizer"));
    let base = || Writer::default().text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", &["a"]);
    let merged = || base().texts("tokenizer.ggml.merges", &[]);
    assert!(error(from_gguf(&base(), 1)).contains("tokenizer.ggml.merges"));
    assert!(error(from_gguf(&merged().text("tokenizer.ggml.pre", "tekken"), 1)).contains("the pre-tokenizer `tekken`"));
    assert!(error(from_gguf(&merged().count("tokenizer.ggml.bos_token_id", 1), 1)).contains("bos_token_id"));
    let unigram = Writer::default().text("tokenizer.ggml.model", "t5").texts("tokenizer.ggml.tokens", &["a"]);
    assert!(error(from_gguf(&unigram, 1)).contains("a tokenizer of type `t5`"));
}

/// Texts whose length alone would make loading slow.
#[test]
fn overlong_tokens_are_refused_or_left_alone() {
    let long = "a".repeat(60_000);
    let error = byte_level(&["a", &long], &[1, 3], &[]).unwrap_err();
    assert!(format!("{error:?}").contains("the length of an added token"));
    let error = json_tokenizer(|file| file["added_tokens"][0]["content"] = long.clone().into()).unwrap_err();
    assert!(format!("{error:?}").contains("the length of an added token"));
    let pieces: Vec<(String, f32)> = (0..500).map(|length| ("a".repeat(60_000 + length), 0.0)).collect();
    let pieces: Vec<(&str, f32)> = pieces.iter().map(|(text, score)| (text.as_str(), *score)).collect();
    assert!(scores::merges(&pieces).is_empty());
}

#[test]
fn merges_rank_as_transformers_ranks_them() {
    let pieces = [("a", -1.0), ("b", -2.0), ("ab", -3.0), ("abab", -4.0), ("aba", -4.0), ("c", -5.0)];
    let expected = [("a", "b"), ("ab", "ab"), ("aba", "b"), ("ab", "a")];
    let mut ranked = scores::merges(&pieces);
    // Equal scores: longer left parts first.
    assert_eq!(ranked.remove(1), ("aba", "b"));
    assert_eq!(ranked, [expected[0], expected[1], expected[3]]);
}
