"""What a person calls a run and says of it: a name (else the dataset's with a number), tags, and a note."""

from __future__ import annotations

import re
import threading
from typing import Any

from interfaces.data_files import SUFFIXES
from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_records import RunMeta

MOST_CHARACTERS = 60
"""Of the dataset's name, in a generated one."""
MOST_TAGS, MOST_OF_A_TAG, MOST_OF_A_NOTE = 10, 40, 4000
MOST_GIVEN = 200
"""As many as the setting `name` allows."""
_CHANGING = threading.Lock()


def next_name(home: Home, dataset: str) -> str:
    """Return a name for a new run on the dataset with this display name, one above the highest number in use."""
    name = dataset.removesuffix(".gz")
    stem = (name.removesuffix(next((end for end in SUFFIXES if name.endswith(end)), "")) or dataset)[:MOST_CHARACTERS]
    numbered = re.compile(rf"{re.escape(stem)} #(\d{{1,9}})(: .*)?")  # runs of a sweep add their values
    found = (numbered.fullmatch(_name_of(RunFolder(path))) for path in home.runs.glob("*"))
    return f"{stem} #{max((int(match[1]) for match in found if match), default=0) + 1}"


def rename_run(folder: RunFolder, name: str) -> str:
    """Change the display name of a run, and return the new one. Its id stays.

    Raises:
        FineTuneError: nothing of the name is printable, or another version wrote the run's records.
    """
    plain = "".join(character for character in name if character.isprintable()).strip()[:MOST_GIVEN]
    if not plain:
        raise FineTuneError.of(Code.VALUE_INVALID, field="name", value=repr(name[:40]), expected="printable")
    _change(folder, name=plain)
    return plain


def describe_run(folder: RunFolder, *, tags: list[str] | None = None, note: str | None = None) -> RunMeta:
    """Change the tags or the note of a run, and return both as they are kept: without what isn't printable.

    Raises:
        FineTuneError: another version wrote the run's records.
    """
    said: dict[str, Any] = {}
    if tags is not None:
        plain = ("".join(character for character in tag if character.isprintable()).strip() for tag in tags)
        said["tags"] = list(dict.fromkeys(tag[:MOST_OF_A_TAG] for tag in plain if tag))[:MOST_TAGS]
    if note is not None:
        said["note"] = note.strip()[:MOST_OF_A_NOTE]
    return _change(folder, **said)


def _change(folder: RunFolder, **said: Any) -> RunMeta:
    """Change only these fields: a person's next words may be on their way at the same time."""
    with _CHANGING:
        meta = RunMeta.of(folder).model_copy(update=said)
        meta.write(folder)
    return meta


def _name_of(folder: RunFolder) -> str:
    try:
        return RunMeta.of(folder).name
    except FineTuneError:  # another version wrote it
        return ""
