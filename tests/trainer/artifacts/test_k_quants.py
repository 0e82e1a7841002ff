"""k-quants come back as they were, within their error, and are refused without a function that does what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest

from interfaces.errors import FineTuneError
from tests.support.tiny_families import served, tiny_family, written
from trainer.artifacts import k_quants

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.tiny


@pytest.fixture(autouse=True)
def asked_again() -> Any:
    k_quants._library.cache_clear()
    yield
    k_quants._library.cache_clear()


@pytest.mark.parametrize(
    ("kind", "error"), [(kind, error) for kind, error in zip(k_quants.NAMES, (0.09, 0.05, 0.025), strict=True)]
)
def test_rows_come_back_as_they_were(kind: Any, error: float) -> None:
    rows = numpy.random.default_rng(0).normal(size=(8, 512)).astype(numpy.float32)
    stored = k_quants.quantize_rows(rows, kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    assert stored.shape == (8, 512 // block * size)
    again = gguf.quants.dequantize(stored, kind)
    assert float(numpy.sqrt(((again - rows) ** 2).mean())) < error


def test_a_file_of_k_quants_is_read_by_llama_cpp(tmp_path: Path) -> None:
    base = tiny_family(
        tmp_path / "base", "llama", hidden_size=256, intermediate_size=288, num_attention_heads=4, head_dim=64
    )
    made = written(base, tmp_path, "q4_k_m")
    assert made.types == {"f32": 5, "q4_k": 12, "q5_0": 1, "q6_k": 2, "q8_0": 1}, (
        "288 doesn't divide into blocks of 256"
    )
    assert made.substituted == 2
    answer = served(tmp_path / "tiny.gguf").handle_completions({"prompt": [5, 6, 7], "n_predict": 4})
    assert answer["usage"]["completion_tokens"] >= 1


@pytest.mark.parametrize("broken", ["name", "block", "package"])
def test_a_function_that_does_something_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "name":
        monkeypatch.setitem(k_quants.NAMES, next(iter(k_quants.NAMES)), "q4_X")
    elif broken == "block":
        monkeypatch.setattr(gguf.quants, "dequantize", lambda stored, _kind: numpy.zeros((len(stored), 256)))
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    base = tiny_family(tmp_path / "base", "llama")
    with pytest.raises(FineTuneError, match="xllamacpp"):
        written(base, tmp_path, "q4_k_m")
