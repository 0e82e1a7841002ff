"""The lengths of datasets' rows in tokens, as a child has counted them: kept, so that an estimate needs no child."""

from __future__ import annotations

import contextlib

from pydantic import ValidationError

from interfaces.files import read_json, write_json
from interfaces.folders import DatasetFolder, Home
from interfaces.row_lengths import RowLengths, StoredLengths
from studio.sizing.batch_lengths import Lengths


def remember_lengths(home: Home, dataset: str, model: str, figures: RowLengths) -> None:
    """Keep what was counted of a dataset with a model's tokenizer."""
    folder = home.dataset(dataset)
    if not folder.report.is_file():
        return
    stored = _stored(folder)
    counted = RowLengths.model_validate(figures.model_dump())
    if stored.models.get(model) == counted:
        return
    stored.models[model] = counted
    # On a full disk nothing is stored, and the estimate counts every row as max_length.
    with contextlib.suppress(OSError):
        write_json(folder.lengths, stored.model_dump())


def known_lengths(home: Home, dataset: object, model: str) -> Lengths | None:
    """Return the row lengths of a dataset, from another model's tokenizer if necessary, or None."""
    if not isinstance(dataset, str) or not dataset or "/" in dataset:
        return None
    models = _stored(home.dataset(dataset)).models
    return Lengths.of_figures(models.get(model) or next(iter(models.values()))) if models else None


def _stored(folder: DatasetFolder) -> StoredLengths:
    try:
        return StoredLengths.model_validate(read_json(folder.lengths) or {})
    except ValidationError:
        return StoredLengths()
