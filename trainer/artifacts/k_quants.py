"""k-quants by llama.cpp's own `ggml_quantize_chunk`, from the optional package xllamacpp.

The function isn't part of the package's interface. So its types are asked for their names, and a known block has to
come back as it was, before anything is quantized with it.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import lru_cache
from pathlib import Path

import gguf
import numpy
import numpy.typing
from gguf import GGMLQuantizationType as Type

NAMES = {Type.Q4_K: "q4_K", Type.Q5_K: "q5_K", Type.Q6_K: "q6_K"}
_WORST = {Type.Q4_K: 0.05, Type.Q5_K: 0.025, Type.Q6_K: 0.025}
"""The largest error of a known block of numbers from -1 to 1."""
Bytes = numpy.typing.NDArray[numpy.uint8]


def quantize_rows(rows: numpy.typing.NDArray[numpy.float32], kind: Type) -> Bytes:
    """Return the rows (n, size), fp32, as bytes of a k-quant (n, bytes of a row)."""
    library = _library()
    assert library is not None
    return _quantized(library, rows, kind)


def can_quantize() -> bool:
    """Return whether the package is there and its function does what it is called for."""
    return _library() is not None


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    found = importlib.util.find_spec("xllamacpp")
    files = sorted(Path(found.origin).parent.glob("xllamacpp*.so")) if found and found.origin else []
    try:
        library = ctypes.CDLL(str(files[0]))
        library.ggml_type_name.restype = ctypes.c_char_p
        library.ggml_quantize_chunk.restype = ctypes.c_size_t
        library.ggml_quantize_chunk.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
        ]  # fmt: skip
    except (IndexError, OSError, AttributeError):
        return None
    return library if all(_is_right(library, kind) for kind in NAMES) else None


def _is_right(library: ctypes.CDLL, kind: Type) -> bool:
    if library.ggml_type_name(int(kind)) != NAMES[kind].encode():
        return False
    known = numpy.linspace(-1, 1, 512, dtype=numpy.float32).reshape(2, 256)
    again = gguf.quants.dequantize(_quantized(library, known, kind), kind)
    return float(numpy.abs(again - known).max()) < _WORST[kind]


def _quantized(library: ctypes.CDLL, rows: numpy.typing.NDArray[numpy.float32], kind: Type) -> Bytes:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows = numpy.ascontiguousarray(rows, dtype=numpy.float32)
    count, length = rows.shape
    found = numpy.empty((count, length // block * size), dtype=numpy.uint8)
    written = library.ggml_quantize_chunk(int(kind), rows.ctypes.data, found.ctypes.data, 0, count, length, None)
    if written != found.nbytes:
        raise RuntimeError(f"ggml_quantize_chunk wrote {written} bytes instead of {found.nbytes}")
    return found
