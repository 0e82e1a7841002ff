"""Finds the files of a model in the home, in a folder, or on the Hub, and rejects unsafe ones. No torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from interfaces.config import STARTER
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.model_folder import check_config, check_weights, find_folder, is_path
from interfaces.problems import Code
from trainer.models import starter
from trainer.models.hub import download_model, download_tokenizer

_SNAPSHOT = re.compile(r"/models--(?P<id>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})$")


@dataclass(frozen=True)
class ModelFiles:
    """The path of a model, and its portable name."""

    path: Path
    portable_name: str
    revision: str | None
    """The Hub's commit; None for the starter and for a folder."""
    is_fetched: bool = False
    """Whether we downloaded it, and can suggest to download it again."""


def find_model(model_name: str, revision: str, home: Home, progress: starter.Progress) -> ModelFiles:
    """Return the files of a model, after downloading them if necessary.

    Raises:
        FineTuneError: the model doesn't exist, can't be downloaded, is incomplete, or is unsafe.
    """
    if model_name == STARTER:
        found = ModelFiles(starter.fetch_starter(home, progress), starter.PORTABLE_NAME, None, is_fetched=True)
    elif is_path(model_name):
        found = folder_files(find_folder(model_name))
    else:
        path, commit = download_model(model_name, revision, progress)
        found = ModelFiles(path, model_name, commit, is_fetched=True)
    _check_files(found.path, model_name)
    return found


def find_tokenizer(model_name: str, revision: str, home: Home, progress: starter.Progress) -> ModelFiles:
    """Find the tokenizer of a model like `find_model`, but without downloading or requiring weights.

    Raises:
        FineTuneError: the model doesn't exist or can't be downloaded.
    """
    if model_name == STARTER:
        return find_model(model_name, revision, home, progress)
    if is_path(model_name):
        return folder_files(find_folder(model_name))
    path = download_tokenizer(model_name, revision, progress)
    return ModelFiles(path, model_name, path.name)


def folder_files(folder: Path) -> ModelFiles:
    """Return a folder's files under its name, or under the model's name for a snapshot in the Hub cache."""
    if (found := _SNAPSHOT.search(folder.as_posix())) is not None:
        return ModelFiles(folder, found["id"].replace("--", "/", 1), found["commit"])
    return ModelFiles(folder, folder.name, None)


def _check_files(path: Path, model_name: str) -> None:
    """Reject incomplete models, and models that would run their own code."""
    names = sorted(file.name for file in path.iterdir())
    config = read_json(path / "config.json")
    if config is None and "adapter_config.json" in names:
        reason = "is_an_adapter"
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model_name, reason=reason)
    if config is None:
        raise FineTuneError.of(
            Code.MODEL_INCOMPLETE, path=str(path), missing="config.json", found=names[:12] or ["nothing"]
        )
    check_config(config, model_name)
    if not {"tokenizer.json", "tokenizer.model", "vocab.json"} & set(names):
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path), missing="tokenizer.json", found=names[:12])
    check_weights(path, model_name)


def embeddings_of(files: ModelFiles) -> int:
    """Return the number of token embeddings from the config.json, or 0 if it is missing there."""
    config = read_json(files.path / "config.json") or {}
    inner = config.get("text_config")
    count = (inner if isinstance(inner, dict) else config).get("vocab_size")
    return count if isinstance(count, int) else 0


_ENDS_BYTES = 1 << 16


def fingerprint_of(files: ModelFiles) -> str:
    """Return what differs once the weights are replaced: a hash of their sizes, and of the ends of each file.

    Hashing all of them would take seconds per gigabyte. The beginning of a safetensors file names its tensors.
    """
    found = hashlib.sha256()
    for path in sorted(files.path.glob("*.safetensors")):
        size = path.stat().st_size
        found.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            found.update(file.read(_ENDS_BYTES))
            file.seek(max(size - _ENDS_BYTES, 0), os.SEEK_SET)
            found.update(file.read())
    return found.hexdigest()


def license_of(files: ModelFiles) -> str:
    """Return the license that the model's own card states; empty if there is none."""
    if files.portable_name == starter.PORTABLE_NAME:
        return starter.LICENSE
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
        text = (files.path / "README.md").read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("---", 2)[1]) if text.startswith("---") else {}
        stated = front.get("license_name") or front.get("license") if isinstance(front, dict) else ""
        return str(stated or "")[:80]
    return ""
