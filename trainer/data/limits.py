"""What a child that reads foreign files may take: memory and processor time. The parent bounds the wall clock."""

from __future__ import annotations

import contextlib
import resource

INSPECT_MEMORY = 1_400_000_000
PREVIEW_MEMORY = 6_000_000_000
"""Half of it is address space that torch, which the tokenizer's library brings along, never touches."""


def limit_memory(most: int) -> None:
    """Memory of its own above `most` bytes is refused to this process from now on: a MemoryError, not a full machine."""
    _lower(resource.RLIMIT_DATA, most)


def limit_processor(seconds: int) -> None:
    """This process is ended (SIGXCPU) after so much processor time."""
    _lower(resource.RLIMIT_CPU, seconds)


def written_bytes(size: int, compressed: bool) -> int:
    """What the rows of a file of `size` bytes, with what is said about them, may take on the disk.

    A few bytes of a compressed one can stand for gigabytes; in a plain one each row may be a problem of some hundred bytes.
    """
    return 100_000_000 + (100 if compressed else 500) * size


def processor_seconds(size: int) -> int:
    """What reading a file of `size` bytes may take: twenty times what it takes where it was measured (40 MB/s)."""
    return 60 + size // 2_000_000


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # a system that knows no such limit goes without
        resource.setrlimit(kind, (wanted, hard))
