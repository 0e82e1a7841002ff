"""The lengths of datasets' rows in tokens, as a child has counted them: kept, so that an estimate needs no child."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from interfaces.files import read_json, write_json
from interfaces.folders import Home
from studio.sizing.batch_lengths import Lengths

KEPT = ("rows", "counted", "longest", "tokens_kept", "trained_tokens", "max_length")


def remember_lengths(home: Home, dataset: str, model: str, figures: dict[str, Any]) -> None:
    """Keep what `trainer/tokens/length_figures.py` told of a dataset with a model's tokenizer."""
    folder = home.dataset(dataset)
    if not folder.report.is_file():
        return
    known = read_json(folder.lengths) or {}
    record = {name: figures[name] for name in KEPT}
    record["histogram"] = {name: figures["histogram"][name] for name in ("edges", "counts")}
    if known.get("models", {}).get(model) == record:
        return
    # A disk that is full takes no note: the estimate then counts each row as long as it may be.
    with contextlib.suppress(OSError):
        write_json(folder.lengths, {"models": {**known.get("models", {}), model: record}})


def known_lengths(home: Home, dataset: Any, model: str) -> Lengths | None:
    """The lengths of a dataset's rows, or None; with another model's tokenizer rather than none at all."""
    if not isinstance(dataset, str) or not dataset or "/" in dataset:
        return None
    models = (read_json(home.dataset(dataset).lengths) or {}).get("models", {})
    if not models:
        return None
    with contextlib.suppress(KeyError, TypeError, ValueError, json.JSONDecodeError):
        return Lengths.of_figures(models.get(model) or next(iter(models.values())))
    return None
