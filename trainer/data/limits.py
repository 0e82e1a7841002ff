"""Memory and CPU time limits for a child that reads foreign files. The parent limits the wall time."""

from __future__ import annotations

import contextlib
import resource

INSPECT_MEMORY = 1_400_000_000
PREVIEW_MEMORY = 6_000_000_000
"""Half of it is unused address space of torch, which the tokenizer's library imports."""


def limit_memory(most: int) -> None:
    """Limit this process to `most` bytes of memory. Beyond it, it gets a MemoryError instead of filling the machine."""
    _lower(resource.RLIMIT_DATA, most)


def limit_processor(seconds: int) -> None:
    """Limit this process's CPU time; beyond it, SIGXCPU ends the process."""
    _lower(resource.RLIMIT_CPU, seconds)


def written_bytes(size: int, compressed: bool) -> int:
    """Return the most bytes that the rows and problems of a file of `size` bytes may take on disk.

    A compressed file can expand to gigabytes; in a plain file each row may add a problem of a few hundred bytes.
    """
    return 100_000_000 + (100 if compressed else 500) * size


def processor_seconds(size: int) -> int:
    """Return the CPU time limit for reading a file of `size` bytes: twenty times the measured time (40 MB/s)."""
    return 60 + size // 2_000_000


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # the system doesn't support this limit
        resource.setrlimit(kind, (wanted, hard))
