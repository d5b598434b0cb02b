"""Small Parquet files of prompts, as pyarrow writes them, and what is in them.

Writes crates/rollout/testdata/parquet/: NAME.parquet and rows.json, of which a file holds the first rows of one list. Run by hand, with pyarrow 26.0.1:
python tools/golden/parquet_prompts.py
"""

import datetime
import decimal
import json
import pathlib
import uuid

import pyarrow
import pyarrow.parquet

FOLDER = pathlib.Path(__file__).parents[2] / "crates/rollout/testdata/parquet"


def message(role, content):
    return {"role": role, "content": content}


def chat(n_rows):
    """Conversations, nested lists with nulls at every level, maps; some rows share their texts."""
    message_type = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    types = {
        "id": pyarrow.string(),
        "prompt": pyarrow.list_(message_type),
        "tags": pyarrow.list_(pyarrow.list_(pyarrow.string())),
        "kwargs": pyarrow.list_(pyarrow.struct([("n", pyarrow.int32()), ("words", pyarrow.list_(pyarrow.string()))])),
        "scores": pyarrow.map_(pyarrow.string(), pyarrow.float64()),
        "meta": pyarrow.struct([("source", pyarrow.string()), ("depth", pyarrow.struct([("level", pyarrow.int64())]))]),
    }
    tags = [None, [], [None], [[]], [["a", None], [], ["b"]], [["größe"], None]]
    kwargs = [None, [], [None], [{"n": 3, "words": None}, {"n": None, "words": ["x", "y"]}]]
    meta = [None, {"source": "a", "depth": None}, {"source": None, "depth": {"level": 7}}]
    rows = [
        {
            "id": f"row-{index}",
            "prompt": [message("system", "Be brief."), message("user", f"Say {'日本 ' * (index % 3)}{index}.")],
            "tags": tags[index % len(tags)],
            "kwargs": kwargs[index % len(kwargs)],
            "scores": None if index % 4 == 3 else {f"s{part}": part / 4 for part in range(index % 3)},
            "meta": meta[index % len(meta)],
        }
        for index in range(n_rows)
    ]
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(types.items())), rows


def scalars():
    """One column of each type, and what it should be in JSON."""
    moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 250)
    micros = int((moment - datetime.datetime(1970, 1, 1)).total_seconds() * 1e6)
    number = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    columns = {
        "prompt": (pyarrow.string(), "text", "text"),
        "bool": (pyarrow.bool_(), True, True),
        "int8": (pyarrow.int8(), -8, -8),
        "uint32": (pyarrow.uint32(), 2**32 - 1, 2**32 - 1),
        "uint64": (pyarrow.uint64(), 2**64 - 1, 2**64 - 1),
        "int64": (pyarrow.int64(), -(2**63), -(2**63)),
        "float": (pyarrow.float32(), 0.1, 0.1),
        "double": (pyarrow.float64(), 0.1, 0.1),
        "nan": (pyarrow.float64(), float("nan"), None),
        "decimal": (pyarrow.decimal128(20, 2), decimal.Decimal("-12345678901234567.25"), -12345678901234567.25),
        "date": (pyarrow.date32(), moment.date(), (moment.date() - datetime.date(1970, 1, 1)).days),
        "timestamp": (pyarrow.timestamp("us"), moment, micros),
        "binary": (pyarrow.binary(), b"text", "text"),
        "bytes": (pyarrow.binary(), b"\xff\x00", None),
        "uuid": (pyarrow.uuid(), number.bytes, str(number)),
        "large": (pyarrow.large_string(), "a\0b", "a\0b"),
        "dictionary": (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "word", "word"),
        "null": (pyarrow.null(), None, None),
    }
    schema = pyarrow.schema([(name, kind) for name, (kind, _, _) in columns.items()])
    full = {name: value for name, (_, value, _) in columns.items()}
    empty = {name: None for name in columns} | {"prompt": "other"}
    expected = [{name: value for name, (_, _, value) in columns.items()}, empty]
    arrays = [pyarrow.array([full[name], empty[name]], kind) for name, (kind, _, _) in columns.items()]
    return pyarrow.Table.from_arrays(arrays, schema=schema), expected


def encoded():
    """Columns whose encodings are chosen by `ENCODINGS`."""
    rows = [
        {
            "prompt": f"prompt {'x' * (index % 5)} {index}",
            "prefix": f"shared prefix {index // 3}",
            "length": "y" * (index % 7),
            "small": index * index - 50,
            "large": (-1) ** index * 5**index,
            "split": index / 8,
            "flag": index % 3 == 0,
        }
        for index in range(21)
    ]
    types = dict.fromkeys(rows[0], pyarrow.string()) | {
        "small": pyarrow.int32(),
        "large": pyarrow.int64(),
        "split": pyarrow.float64(),
        "flag": pyarrow.bool_(),
    }
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(types.items())), rows


ENCODINGS = {
    "prompt": "PLAIN",
    "prefix": "DELTA_BYTE_ARRAY",
    "length": "DELTA_LENGTH_BYTE_ARRAY",
    "small": "DELTA_BINARY_PACKED",
    "large": "DELTA_BINARY_PACKED",
    "split": "BYTE_STREAM_SPLIT",
    "flag": "RLE",
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    no_schema = {"store_schema": False, "write_statistics": False}
    chats, chat_rows = chat(10)
    values, value_rows = scalars()
    encodings, encoded_rows = encoded()
    files = {
        "snappy": (chats, {"compression": "snappy", "row_group_size": 4}),
        "gzip": (chats.slice(0, 4), {"compression": "gzip"}),
        "zstd-v2": (chats.slice(0, 7), {"compression": "zstd", "data_page_version": "2.0", "data_page_size": 64}),
        "plain": (values, {"compression": "none"}),
        "int96": (values.select(["prompt", "timestamp"]), {"use_deprecated_int96_timestamps": True}),
        "encodings": (encodings, {"use_dictionary": False, "column_encoding": ENCODINGS, "data_page_version": "2.0"}),
        "brotli": (values.select(["prompt"]), {"compression": "brotli"}),
    }
    for name, (table, options) in files.items():
        pyarrow.parquet.write_table(table, FOLDER / f"{name}.parquet", **(no_schema | options))
    expected = {"chat": chat_rows, "scalars": value_rows, "encoded": encoded_rows}
    header = {"script": "tools/golden/parquet_prompts.py", "pyarrow": pyarrow.__version__}
    text = json.dumps({"header": header} | expected, ensure_ascii=False)
    (FOLDER / "rows.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
