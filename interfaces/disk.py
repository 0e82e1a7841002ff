"""Disk space and permission errors as Problems. The studio and the trainer both write files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR)


def is_of_the_disk(error: BaseException) -> bool:
    """Return whether the disk caused an error, because it is full or failing, and not the data."""
    return isinstance(error, OSError) and error.errno in (*_NO_SPACE, *_BROKEN)


def problem_of_os_error(error: OSError, place: Path) -> Problem | None:
    """Convert a full disk, a missing permission, or a failing disk to a Problem. Return None for any other error.

    `place` is the path to report if the error names no file.
    """
    path = Path(error.filename) if isinstance(error.filename, str) else place
    if error.errno in _NO_SPACE:
        return disk_full(path)
    if error.errno in _NOT_WRITABLE:
        return Problem.error(Code.NOT_WRITABLE, path=str(path), reason=error.strerror)
    if error.errno in _BROKEN:
        return disk_error(path, str(error.strerror))
    return None


def disk_error(path: Path, reason: str) -> Problem:
    """Return the problem of a disk, or its connection, that failed at `path` although space was free."""
    free = 0
    with contextlib.suppress(OSError):  # a disk that has disappeared reports no size either
        free = free_bytes(path)
    return Problem.error(Code.DISK_ERROR, path=str(path), reason=reason, free=free)


@contextlib.contextmanager
def at(path: Path) -> Iterator[None]:
    """Add `path` to an OSError that names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def disk_full(path: Path, needed: int = 0) -> Problem:
    """Return the problem of a full disk at `path`. `needed` is in bytes, 0 if unknown."""
    free = free_bytes(path)
    if not needed:
        return Problem.error(Code.DISK_FULL, path=str(path), needed="more", free=free)
    return Problem.error(Code.DISK_FULL, path=str(path), needed=needed, free=free)


def require_space(path: Path, needed: int) -> None:
    """Check for free space before the work begins, so that it doesn't fail halfway.

    Raises:
        FineTuneError: fewer than `needed` bytes are free at `path`.
    """
    if free_bytes(path) < needed:
        raise FineTuneError(disk_full(path, needed))


def free_bytes(path: Path) -> int:
    """Return the free bytes on the disk of `path`, which need not exist yet."""
    while not os.path.exists(path):  # noqa: PTH110  Path.exists raises for a name that is too long
        path = path.parent
    return shutil.disk_usage(path).free
