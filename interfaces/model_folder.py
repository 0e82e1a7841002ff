"""Checks of a model folder before anything is loaded. Estimates and runs share them, so they give the same answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.problems import Code

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TRAINABLE = {"bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit", "mxfp4"}
"""Quantized formats that transformers can load for training an adapter; other formats are for inference only."""
_POINTER = b"version https://git-lfs"


def is_path(name: str) -> bool:
    """Return whether a model's name is a path and not a Hub id."""
    # os.path, because it returns False for a name that is too long instead of raising.
    of_weights = name.lower().endswith((".gguf", ".safetensors", *PICKLED)) and os.path.isfile(name)  # noqa: PTH113
    return name.startswith(("/", "~", ".")) or os.path.isdir(name) or of_weights  # noqa: PTH112


def find_folder(name: str) -> Path:
    """Return the folder that a model's name refers to.

    Raises:
        FineTuneError: the path doesn't exist or is a file.
    """
    try:
        path = Path(name).expanduser().absolute()
    except RuntimeError:  # the home of a user who doesn't exist
        raise FineTuneError.of(Code.FILE_MISSING, path=name) from None
    if os.path.isdir(path):  # noqa: PTH112
        return path
    if not os.path.isfile(path):  # noqa: PTH113
        raise FineTuneError.of(Code.FILE_MISSING, path=str(path))
    reason = "model_is_a_file"
    if path.suffix.lower() == ".gguf":
        reason = "is_gguf"
    raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=name, reason=reason)


def check_config(config: Mapping[str, object], model: str) -> None:
    """
    Raises:
        FineTuneError: the config.json asks to run code, or describes a model that can't be trained here.
    """
    # Earlier transformers versions trusted these keys of a model's config (CVE-2026-4372, CVE-2026-5241).
    for key in ("_attn_implementation_internal", "trust_remote_code"):
        if key in config:
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model, reason="config_sets", seen=key)
    if config.get("is_encoder_decoder") is True:
        reason = "encoder_decoder"
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model, reason=reason)
    stored = config.get("quantization_config")
    if stored is None:
        return
    method = stored.get("quant_method") if isinstance(stored, Mapping) else None
    if method is None and isinstance(stored, Mapping) and (stored.get("load_in_4bit") or stored.get("load_in_8bit")):
        method = "bitsandbytes"
    if str(method).lower() not in TRAINABLE:
        reason, seen = "stored_quantized" if method else "stored_unknown", str(method)[:40].upper()
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model, reason=reason, seen=seen)


def check_weights(path: Path, model: str) -> None:
    """
    Raises:
        FineTuneError: the folder has no plain safetensors, LFS pointers instead, or an index that lists other files.
    """
    names = sorted(file.name for file in path.iterdir())
    weights = [name for name in names if name.endswith(".safetensors")]
    if not weights:
        pickled = [name for name in names if name.endswith(PICKLED)]
        if pickled:
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model, reason="pickled", seen=pickled[0])
        missing = "missing_safetensors"
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing=missing, found=names[:12])
    for name in [*weights, *({"tokenizer.json", "tokenizer.model"} & set(names))]:
        with (path / name).open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                pointer = {"code": "lfs_pointer", "seen": name}
                raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing=pointer, found=names[:12])
    index = read_json(path / "model.safetensors.index.json")
    if index is not None:
        _check_index(index, path, model, set(names))


def _check_index(index: Mapping[str, object], path: Path, model_name: str, names: set[str]) -> None:
    """Check that an index lists only safetensors in its own folder: a path leads elsewhere, a pickle runs code."""
    parts = index.get("weight_map")
    named = {str(file) for file in parts.values()} if isinstance(parts, dict) else set()
    for file in sorted(named):
        if "/" in file or "\\" in file or not file.endswith(".safetensors"):
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model_name, reason="index_names", seen=repr(file[:80]))
    if missing := sorted(named - names):
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing=missing[0], found=sorted(names)[:12])
