"""Exports the adapter as a folder or as one zip file."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from interfaces.errors import FineTuneError
from interfaces.files import publish, remove
from interfaces.folders import RunFolder
from interfaces.problems import Code
from interfaces.run_records import weight_files
from trainer.artifacts.stored_weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MODEL_CONFIG, MODEL_INDEX

CARD = "README.md"
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "tokenizer.model", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
FILES = (
    CARD, ADAPTER_CONFIG, ADAPTER_WEIGHTS, "curve.svg", *TOKENIZER_FILES
)  # fmt: skip
"""What an adapter's folder holds. A checkpoint's folder also holds what only a resume needs."""
MODEL_FILES = (MODEL_CONFIG, MODEL_INDEX, "generation_config.json")
"""What a whole model's folder holds beside its tokenizer and its weights."""


def export_adapter(folder: RunFolder, output_path: Path) -> Path:
    """Write the result of a run to `output_path`: a zip when the name ends in `.zip`, a folder otherwise.

    Raises:
        FineTuneError: there is no adapter, or `output_path` already exists.
    """
    if not folder.result.is_dir():
        raise FineTuneError.of(Code.NO_ADAPTER, run=folder.id)
    target = output_path.expanduser().absolute()
    if target.exists():
        raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_adapter(folder.result, temporary, target.suffix.lower() == ".zip")
        publish(temporary, target)
    except OSError as error:
        error.filename, error.filename2 = str(target), None  # name the requested path, not our temporary one
        raise
    finally:
        with contextlib.suppress(OSError):
            remove(temporary)
    return target


def write_adapter(
    adapter: Path,
    target: Path,
    as_zip: bool,
    replaced: Mapping[str, str] = MappingProxyType({}),
    base: Path | None = None,
) -> None:
    """Write the files of an adapter or a whole model, or those of a checkpoint that belong to it, as a zip or a folder.

    `replaced` are texts of files instead of the adapter's own. A checkpoint has no tokenizer: it is that of `base`.
    Weights don't compress, so nothing is compressed.
    """
    files = [*FILES, *MODEL_FILES, *(path.name for path in weight_files(adapter))]
    places = {name: adapter for name in files if (adapter / name).is_file() and name not in replaced}
    if base is not None and not set(TOKENIZER_FILES) & places.keys():
        places |= {name: base for name in TOKENIZER_FILES if (base / name).is_file()}
    if not as_zip:
        target.mkdir()
        for name, place in places.items():
            shutil.copyfile(place / name, target / name)
        for name, text in replaced.items():
            (target / name).write_text(text, encoding="utf-8")
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, place in places.items():
            archive.write(place / name, name)
        for name, text in replaced.items():
            archive.writestr(name, text)
