"""Names for runs that their users don't name: the dataset's name and a number, such as "lumo-lantern #3"."""

from __future__ import annotations

import re
from pathlib import PurePath

from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.run_records import RunMeta

MOST_CHARACTERS = 60


def next_name(home: Home, dataset: str) -> str:
    """Return a name for a new run on the dataset with this display name, one above the highest number in use."""
    stem = PurePath(dataset.removesuffix(".gz")).stem[:MOST_CHARACTERS] or dataset[:MOST_CHARACTERS]
    numbered = re.compile(rf"{re.escape(stem)} #(\d{{1,9}})")
    found = (numbered.fullmatch(_name_of(RunFolder(path))) for path in home.runs.glob("*"))
    return f"{stem} #{max((int(match[1]) for match in found if match), default=0) + 1}"


def _name_of(folder: RunFolder) -> str:
    try:
        return RunMeta.of(folder).name
    except FineTuneError:  # another version wrote it
        return ""
