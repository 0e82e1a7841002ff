"""Exports the adapter as a folder or as one zip file."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from pathlib import Path

from interfaces.errors import FineTuneError
from interfaces.files import publish
from interfaces.folders import RunFolder
from interfaces.problems import Code


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
        if target.suffix.lower() == ".zip":
            _write_zip(folder.adapter, temporary)
        else:
            shutil.copytree(folder.adapter, temporary)
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


def _write_zip(source: Path, target: Path) -> None:
    """Write all files of the adapter uncompressed, because weights don't compress."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(source))
