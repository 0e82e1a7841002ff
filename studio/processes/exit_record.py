"""Classifies how a trainer ended: normally, by a signal, out of memory, or by a full disk. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import time
from pathlib import Path

from interfaces.control_groups import memory_kill_counter, memory_kills
from interfaces.files import write_json
from interfaces.folders import FULL_DISK_BYTES, Attempt, RunFolder

TAIL_BYTES = 1 << 16


class MemoryKills:
    """Counts the kernel's out-of-memory kills in the cgroup of process `pid` since this object was created."""

    def __init__(self, pid: int) -> None:
        self._counter = memory_kill_counter(pid)
        self._before = memory_kills(self._counter)

    def have_grown(self) -> bool:
        return memory_kills(self._counter) > self._before


def write_exit_record(folder: RunFolder, attempt: Attempt, returncode: int, killed_for_memory: bool) -> None:
    """Write `exit.json` durably. On a full disk, use the space that the run has reserved."""
    number = signal.Signals(-returncode).name if returncode < 0 else None
    record = {
        "attempt": attempt.number,
        "returncode": returncode if returncode >= 0 else None,
        "signal": number,
        "cause": _cause(folder, returncode, killed_for_memory),
        "ended": round(time.time(), 3),
    }
    try:
        write_json(attempt.exit, record)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        folder.reserve.unlink(missing_ok=True)
        shutil.rmtree(folder.staging, ignore_errors=True)
        write_json(attempt.exit, record)
    folder.reserve.unlink(missing_ok=True)


def _cause(folder: RunFolder, returncode: int, killed_for_memory: bool) -> str:
    """Return 'ended', 'failed', 'killed', 'out_of_memory', or 'disk_full'."""
    if returncode == -signal.SIGKILL and killed_for_memory:
        return "out_of_memory"
    if returncode < 0:
        return "killed"
    told = _last_event(folder.events).get("problem")
    problem = told.get("code") if isinstance(told, dict) else None
    if problem == "disk_full" or (returncode and not problem and shutil.disk_usage(folder.path).free < FULL_DISK_BYTES):
        return "disk_full"
    return "failed" if returncode else "ended"


def _last_event(path: Path) -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError, IndexError), path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
        last = json.loads(file.read().splitlines()[-1])
        return last if isinstance(last, dict) else {}
    return {}
