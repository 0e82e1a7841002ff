"""Which trials of the fast paths an architecture has passed, so that they need not delay each later start.

A trial takes a second for the starter model and ten for 1.5B parameters on a CPU. Its result doesn't depend on the
weights, but on what `_key` holds. Only passed trials are kept: a refusal and its reason are found again each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import PreTrainedModel

from interfaces.files import read_json, write_json


class PassedTrials:
    """The trials that this model passed, by name, each with what it passed with. `folder` None keeps nothing."""

    def __init__(self, model: PreTrainedModel, folder: Path | None) -> None:
        self._file = folder / f"{_key(model)}.json" if folder else None
        record = read_json(self._file) if self._file else None
        self._passed = {name: str(value) for name, value in (record or {}).items()}

    def get(self, name: str) -> str | None:
        return self._passed.get(name)

    def add(self, name: str, value: str) -> None:
        self._passed[name] = value
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # a full or read-only disk costs only the trial at the next start
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, self._passed)


def _key(model: PreTrainedModel) -> str:
    """Return a hash of all that a trial's result depends on: architecture, quantization, dtype, device, and code."""
    device = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else model.device.type
    dtypes = sorted({str(parameter.dtype) for parameter in model.parameters()})
    config = {name: value for name, value in model.config.to_dict().items() if name != "_name_or_path"}
    versions = [torch.__version__, version("transformers"), _code()]
    text = json.dumps([type(model).__name__, config, dtypes, device, *versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Return a hash of the kernels' own code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
