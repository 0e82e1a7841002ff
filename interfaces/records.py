"""Records that outlive the version that wrote them. Another schema version is rejected, never guessed at."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from interfaces.errors import FineTuneError
from interfaces.files import SCHEMA_VERSION, read_json, write_json, write_private_json
from interfaces.problems import Code

Record = TypeVar("Record", bound=BaseModel)
_MERGING = threading.Lock()


def read_record(path: Path) -> dict[str, object] | None:
    """Read a versioned record like `read_json`.

    Raises:
        FineTuneError: the record's `schema_version` is not the supported one.
    """
    record = read_json(path)
    if record is not None:
        require_schema(path, record.get("schema_version", SCHEMA_VERSION), SCHEMA_VERSION)  # or handmade
    return record


def merge_record(path: Path, *, private: bool = False, **changes: object) -> None:
    """Change some fields of a record, and leave the others. `private` is for a file that only its owner can read.

    Raises:
        FineTuneError: as `read_record`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _MERGING:  # two requests may change different fields at the same time
        write = write_private_json if private else write_json
        write(path, {**(read_record(path) or {}), **changes})


def read_as(path: Path, kind: type[Record]) -> Record | None:
    """Read a record as a model. Return None if it is missing or damaged.

    Raises:
        FineTuneError: as `read_record`.
    """
    record = read_record(path)
    try:
        return None if record is None else kind.model_validate(record)
    except ValidationError:
        return None


def read_required(path: Path, kind: type[Record]) -> Record:
    """Read a record as a model.

    Raises:
        FineTuneError: as `read_record`, or it is missing or damaged.
    """
    record = read_record(path) or {}
    record.pop("schema_version", None)
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        raise FineTuneError.of(Code.CONFIG_UNREADABLE, path=str(path), reason="no_key_values") from error


def require_schema(path: Path, seen: object, expected: int) -> None:
    """
    Raises:
        FineTuneError: the file at `path` has another version than `expected`.
    """
    if seen != expected:
        raise FineTuneError.of(Code.SCHEMA_UNKNOWN, path=str(path), value=seen, expected=expected)
