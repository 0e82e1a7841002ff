"""Records that outlive the version that wrote them: one of another version is refused, not guessed at."""

from __future__ import annotations

from pathlib import Path

from interfaces.errors import FineTuneError
from interfaces.files import SCHEMA_VERSION, read_json
from interfaces.problems import Code


def read_record(path: Path) -> dict[str, object] | None:
    """As `read_json`, for a record of ours that lies on the disk for good.

    Raises:
        FineTuneError: its `schema_version` is not the one that is known here.
    """
    record = read_json(path)
    if record is not None:
        require_schema(path, record.get("schema_version", SCHEMA_VERSION), SCHEMA_VERSION)  # or made by hand
    return record


def require_schema(path: Path, seen: object, expected: int) -> None:
    """
    Raises:
        FineTuneError: what lies at `path` has another version than `expected`.
    """
    if seen != expected:
        raise FineTuneError.of(Code.SCHEMA_UNKNOWN, path=str(path), value=seen, expected=expected)
