"""What files of weights say of themselves, and how an adapter names its base."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from trainer.artifacts.stored_weights import base_reference, tensors_in


def test_tensors_are_described_without_loading_them(tmp_path: Path) -> None:
    save_file({"a": numpy.zeros((2, 3), numpy.float16)}, tmp_path / "1.safetensors")
    save_file({"b": numpy.zeros(4, numpy.float32)}, tmp_path / "2.safetensors")
    found = tensors_in(tmp_path / "1.safetensors", tmp_path / "2.safetensors")
    assert {name: (one.file.name, one.shape, one.dtype) for name, one in found.items()} == {
        "a": ("1.safetensors", (2, 3), "F16"), "b": ("2.safetensors", (4,), "F32"),
    }  # fmt: skip
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    with pytest.raises(SafetensorError):
        tensors_in(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(("name", "reference"), [("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"), ("my-model", "./my-model")])
def test_a_folder_is_never_taken_for_a_model_of_the_hub(name: str, reference: str) -> None:
    assert base_reference(name) == reference
