"""Reference values of the real Gemma-3-270M (base), as its GGUF packages ship it.

usage: gemma3.py GGUF_FILE OUT_FOLDER

Writes crates/lm/testdata/gemma3-270m/{tokenizer,scores,greedy}.json; OUT_FOLDER gets the dequantised f32 weights.
"""

import sys

import gguf
import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2 as proto

from dequantise import dequantised, greedy
from oracle import TESTDATA, header, rounded, sequence_logps, write_json
from texts import LONG_TEXTS, OPENINGS, TOKENIZER_TEXTS

FOLDER, SCRIPT = TESTDATA / "gemma3-270m", "gemma3.py"
BEGIN, END, UNKNOWN = 2, 1, 3


def reference_tokenizer(path):
    """The file's vocabulary in sentencepiece itself, set up as Gemma's tokenizer.model is.

    GGUF writes user-defined runs of spaces as spaces, sentencepiece as U+2581.
    """
    fields = gguf.GGUFReader(path).fields
    model = proto.ModelProto()
    columns = [fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type")]
    for index, (token, value, kind) in enumerate(zip(*columns)):
        kind = 2 if index == UNKNOWN else kind
        model.pieces.add(piece=token.replace(" ", "\u2581") if kind == 4 else token, score=value, type=kind)
    trainer, normaliser = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.vocab_size, trainer.byte_fallback = trainer.BPE, len(model.pieces), True
    trainer.pad_id, trainer.eos_id, trainer.bos_id, trainer.unk_id = 0, END, BEGIN, UNKNOWN
    trainer.pad_piece, trainer.eos_piece, trainer.bos_piece, trainer.unk_piece = "<pad>", "<eos>", "<bos>", "<unk>"
    normaliser.name, normaliser.add_dummy_prefix, normaliser.remove_extra_whitespaces = "identity", False, False
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def scores_golden(model, tokenizer):
    entries = []
    for text in LONG_TEXTS:
        tokens = [BEGIN, *tokenizer.encode(text)][:200]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
        top = logits[-1].topk(20)
        entries.append({"tokens": tokens, "logps": rounded(sequence_logps(logits, tokens), 8),
                        "last_logits": rounded(logits[-1, :64]), "top_tokens": top.indices.tolist(), "top_logits": rounded(top.values)})
    write_json(FOLDER / "scores.json", {"header": header(SCRIPT, None, dtype="float32"), "texts": entries})


if __name__ == "__main__":
    tokenizer = reference_tokenizer(sys.argv[1])
    texts = [{"text": text, "ids": tokenizer.encode(text)} for text in TOKENIZER_TEXTS + LONG_TEXTS]
    write_json(FOLDER / "tokenizer.json", {"header": header(SCRIPT, None), "texts": texts})
    model = dequantised(sys.argv[1], sys.argv[2])
    scores_golden(model, tokenizer)
    prompts = [[BEGIN, *tokenizer.encode(opening)] for opening in OPENINGS[:10]]
    entries = [{"prompt": prompt, "tokens": tokens, "smallest_lead": rounded(lead, 4), "text": tokenizer.decode(tokens)}
               for prompt, (tokens, lead) in zip(prompts, greedy(model, prompts, 24, END))]
    write_json(FOLDER / "greedy.json", {"header": header(SCRIPT, None, dtype="float32"), "prompts": entries})
