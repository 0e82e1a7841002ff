"""Space and permission on the disk, told as Problems. Both sides of the contract write files."""

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
    """Whether an error is no fault of what was read or written, but of the disk: it is full, or it fails."""
    return isinstance(error, OSError) and error.errno in (*_NO_SPACE, *_BROKEN)


def problem_of_os_error(error: OSError, place: Path) -> Problem | None:
    """No space, no permission or a broken disk as a Problem; None for any other error.

    `place` stands in for a missing name.
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
    """The disk, or the way to it, failed at `path` though there was space."""
    free = 0
    with contextlib.suppress(OSError):  # a disk that is gone doesn't tell its size either
        free = free_bytes(path)
    return Problem.error(Code.DISK_ERROR, path=str(path), reason=reason, free=free)


@contextlib.contextmanager
def at(path: Path) -> Iterator[None]:
    """Give an OSError that carries no name the name of the file that was worked on."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def disk_full(path: Path, needed: int = 0) -> Problem:
    """No space at `path`. `needed` in bytes, 0 where it isn't known."""
    free = free_bytes(path)
    if not needed:
        return Problem.error(Code.DISK_FULL, path=str(path), needed="more", free=free)
    return Problem.error(Code.DISK_FULL, path=str(path), needed=needed, free=free)


def require_space(path: Path, needed: int) -> None:
    """Refuse before the work, not in the middle of it.

    Raises:
        FineTuneError: fewer than `needed` bytes are free at `path`.
    """
    if free_bytes(path) < needed:
        raise FineTuneError(disk_full(path, needed))


def free_bytes(path: Path) -> int:
    """Bytes free where `path` lies or would lie."""
    while not os.path.exists(path):  # noqa: PTH110  Path.exists raises for a name that is too long
        path = path.parent
    return shutil.disk_usage(path).free
