"""Random blocks of every GGUF tensor type the crate reads, beside the values the `gguf` package gives them.

usage: quantised_blocks.py

Writes crates/lm/testdata/quantised_blocks.safetensors: TYPE.bytes (U8, blocks one after another) and TYPE.values (F32).
"""

import gguf
import numpy
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

from oracle import TESTDATA, header

SEED, BLOCKS = 7, 4
TYPES = [Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K,
         Type.Q5_K, Type.Q6_K]


def block(kind, generator):
    """One block whose scales are finite and of moderate size; 32 values of the types that have no blocks."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    if elements == 1:
        values = generator.standard_normal(32).astype(numpy.float32)
        data = gguf.quants.quantize(values, kind)
        return data.view(numpy.uint8), gguf.quants.dequantize(data, kind).astype(numpy.float32)
    while True:
        data = generator.integers(0, 256, size, dtype=numpy.uint8)
        values = gguf.quants.dequantize(data, kind)
        if numpy.isfinite(values).all() and 1e-6 < numpy.abs(values).max() < 1e6:
            return data, values.astype(numpy.float32).ravel()


if __name__ == "__main__":
    generator = numpy.random.default_rng(SEED)
    tensors = {}
    for kind in TYPES:
        blocks = [block(kind, generator) for _ in range(BLOCKS)]
        tensors[f"{kind.name}.bytes"] = numpy.concatenate([data for data, _ in blocks])
        tensors[f"{kind.name}.values"] = numpy.concatenate([values for _, values in blocks])
    origin = header("quantised_blocks.py", SEED)
    save_file(tensors, TESTDATA / "quantised_blocks.safetensors", metadata={k: str(v) for k, v in origin.items()})
