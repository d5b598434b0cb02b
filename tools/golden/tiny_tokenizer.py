"""A byte-level BPE tokenizer with a handful of merges, for the tiny Llama, and the ids it gives."""

import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from oracle import header, write_json
from texts import TOKENIZER_TEXTS

LINES = [
    "The quick brown fox jumps over the lazy dog.", "Write three bullet points about the tide tables.",
    "Answer in fewer than forty words, and do not use commas.", "It's 12:45; the train leaves at 13:05.",
]
SPECIAL = ["<unk>", "<s>", "</s>"]


def write_tokenizer(folder, vocabulary):
    tokenizer = Tokenizer(models.BPE(unk_token=None, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
        special_tokens=[AddedToken(text, special=True) for text in SPECIAL])
    tokenizer.train_from_iterator(LINES, trainer)
    assert tokenizer.get_vocab_size() == vocabulary, tokenizer.get_vocab_size()
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    plain = Tokenizer.from_str(json.dumps(json.loads(path.read_text()) | {"added_tokens": []}))
    texts = [{"text": text, "ids": plain.encode(text, add_special_tokens=False).ids} for text in TOKENIZER_TEXTS]
    write_json(folder / "golden-tokenizer.json", {"header": header("tiny_models.py", None), "texts": texts})
