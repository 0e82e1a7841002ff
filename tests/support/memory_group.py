"""A control group that limits memory, as a container's does, and commands that run in one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until

KINDS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A group of at most `limit` bytes; the test is skipped where this machine makes none."""
    for base, file in KINDS:
        group = base / f"finetune-{uuid.uuid4().hex[:8]}"
        try:
            group.mkdir()
            (group / file).write_text(str(limit))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        yield group
        procs = group / "cgroup.procs"
        until(lambda procs=procs: not procs.read_text().strip())
        group.rmdir()
        return
    pytest.skip("no memory cgroup can be made here: run it as root, outside a container")


def run_in(group: Path, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """A command, and all that it starts, in the group."""
    moved = f"import os, sys; open('{group}/cgroup.procs', 'w').write(str(os.getpid())); os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", moved, *command], text=True, capture_output=True, check=False, **options
    )
