"""The datasets of a home, as the studio sees them: ids and reports."""

from __future__ import annotations

from pathlib import Path

from interfaces.folders import Home, read_json
from studio.trainer_child import add_dataset

MOST_BYTES = 2_000_000_000
"""The largest file that can be dropped on the page."""


def dataset_name(home: Home, reference: str) -> str:
    """What a person called it: the name of the file it came from."""
    report = _report(home, reference)
    return str(report["name"]) if report else Path(reference).name


def ensure_dataset(home: Home, reference: str) -> str:
    """The id of a dataset of the home; a file is checked, normalised and added first.

    Raises:
        FineTuneError: the file or rows of it can't be used.
    """
    return reference if _report(home, reference) else add_dataset(home.path, Path(reference))


def _report(home: Home, reference: str) -> dict[str, object] | None:
    is_plain_name = reference not in ("", ".", "..") and "/" not in reference
    return read_json(home.dataset(reference).report) if is_plain_name else None
