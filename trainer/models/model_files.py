"""The files of a model: found in the home, in a folder or on the Hub, and refused when they are not safe. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interfaces.config import STARTER
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.problems import Code
from trainer.models import starter
from trainer.models.hub import download_model, download_tokenizer


@dataclass(frozen=True)
class ModelFiles:
    """Where a model lies, and how another machine would call it."""

    path: Path
    portable_name: str
    revision: str | None
    """The Hub's commit; None for the starter and for a folder."""


def find_model(model_name: str, revision: str, home: Home, progress: starter.Progress) -> ModelFiles:
    """The files of a model, fetched when they are not here yet.

    Raises:
        FineTuneError: not found, out of reach, incomplete, or refused for safety.
    """
    if model_name == STARTER:
        found = ModelFiles(starter.fetch_starter(home, progress), starter.PORTABLE_NAME, None)
    elif _looks_like_path(model_name):
        folder = Path(model_name).expanduser().absolute()
        if not folder.is_dir():
            raise FineTuneError.of(Code.FILE_MISSING, path=str(folder))
        found = ModelFiles(folder, folder.name, None)
    else:
        path, commit = download_model(model_name, revision, progress)
        found = ModelFiles(path, model_name, commit)
    _check_files(found.path, model_name)
    return found


def find_tokenizer(model_name: str, revision: str, home: Home, progress: starter.Progress) -> ModelFiles:
    """As `find_model`, for those who only read and write text: no weights are fetched or asked for.

    Raises:
        FineTuneError: not found, or out of reach.
    """
    if model_name == STARTER:
        return find_model(model_name, revision, home, progress)
    if _looks_like_path(model_name):
        folder = Path(model_name).expanduser().absolute()
        if not folder.is_dir():
            raise FineTuneError.of(Code.FILE_MISSING, path=str(folder))
        return ModelFiles(folder, folder.name, None)
    path = download_tokenizer(model_name, revision, progress)
    return ModelFiles(path, model_name, path.name)


def _looks_like_path(model_name: str) -> bool:
    return model_name.startswith(("/", "~", ".")) or Path(model_name).is_dir()


def _check_files(path: Path, model_name: str) -> None:
    """Refuse what is incomplete, and what would run code of its own."""
    names = sorted(file.name for file in path.iterdir())
    config = read_json(path / "config.json")
    if config is None:
        raise FineTuneError.of(
            Code.MODEL_INCOMPLETE, path=str(path), missing="config.json", found=names[:12] or ["nothing"]
        )
    # transformers has trusted these keys of a model's own config before (CVE-2026-4372, CVE-2026-5241).
    for key in ("_attn_implementation_internal", "trust_remote_code"):
        if key in config:
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model_name, reason=f"its config.json sets {key}")
    if not {"tokenizer.json", "tokenizer.model", "vocab.json"} & set(names):
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing="tokenizer.json", found=names[:12])
    if not any(name.endswith(".safetensors") for name in names):
        pickled = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]
        if pickled:
            reason = f"its weights are pickled ({pickled[0]}), and a pickle can run code"
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model_name, reason=reason)
        missing = "a .safetensors file"
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing=missing, found=names[:12])
    index = read_json(path / "model.safetensors.index.json")
    if index is not None:
        _check_index(index, path, model_name, set(names))


def _check_index(index: dict[str, Any], path: Path, model_name: str, names: set[str]) -> None:
    """The files that an index names are plain names of safetensors beside it: a path leads elsewhere, a pickle runs code."""
    parts = index.get("weight_map")
    named = {str(file) for file in parts.values()} if isinstance(parts, dict) else set()
    for file in sorted(named):
        if "/" in file or "\\" in file or not file.endswith(".safetensors"):
            reason = f"model.safetensors.index.json names {file[:80]!r}, which is no plain .safetensors file"
            raise FineTuneError.of(Code.MODEL_UNSAFE, model=model_name, reason=reason)
    if missing := sorted(named - names):
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing=missing[0], found=sorted(names)[:12])
