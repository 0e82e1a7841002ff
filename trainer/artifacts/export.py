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
from interfaces.files import publish
from interfaces.folders import RunFolder
from interfaces.problems import Code

CARD = "README.md"
FILES = (
    CARD, "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "curve.svg",
    "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip
"""What an adapter's folder holds. A checkpoint's folder also holds what only a resume needs."""


def export_adapter(folder: RunFolder, output_path: Path) -> Path:
    """Write the adapter of a run to `output_path`: a zip when the name ends in `.zip`, a folder otherwise.

    Raises:
        FineTuneError: there is no adapter, or `output_path` already exists.
    """
    if not folder.adapter.is_dir():
        raise FineTuneError.of(Code.NO_ADAPTER, run=folder.id)
    target = output_path.expanduser().absolute()
    if target.exists():
        raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_adapter(folder.adapter, temporary, target.suffix.lower() == ".zip")
        publish(temporary, target)
    except OSError as error:
        error.filename, error.filename2 = str(target), None  # name the requested path, not our temporary one
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            with contextlib.suppress(OSError):
                temporary.unlink()
    return target


def write_adapter(
    adapter: Path, target: Path, as_zip: bool, replaced: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write the files of an adapter, or those of a checkpoint that belong to its adapter, as a zip or a folder.

    `replaced` are texts of files instead of the adapter's own. Weights don't compress, so nothing is compressed.
    """
    files = [adapter / name for name in FILES if (adapter / name).is_file() and name not in replaced]
    if not as_zip:
        target.mkdir()
        for path in files:
            shutil.copyfile(path, target / path.name)
        for name, text in replaced.items():
            (target / name).write_text(text, encoding="utf-8")
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            archive.write(path, path.name)
        for name, text in replaced.items():
            archive.writestr(name, text)
