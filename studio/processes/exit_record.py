"""Classifies how a trainer ended: normally, by a signal, out of memory, or by a full disk. Standard library only."""

from __future__ import annotations

import errno
import shutil
import signal
import time

from interfaces.control_groups import memory_kill_counter, memory_kills
from interfaces.folders import FULL_DISK_BYTES, Attempt, RunFolder
from interfaces.run_control import ExitCause, ExitRecord, last_event


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
    record = ExitRecord(
        attempt=attempt.number,
        returncode=returncode if returncode >= 0 else None,
        signal=number,
        cause=_cause(folder, returncode, killed_for_memory),
        ended=round(time.time(), 3),
    )
    try:
        record.write(attempt.exit)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        folder.reserve.unlink(missing_ok=True)
        shutil.rmtree(folder.staging, ignore_errors=True)
        record.write(attempt.exit)
    folder.reserve.unlink(missing_ok=True)


def _cause(folder: RunFolder, returncode: int, killed_for_memory: bool) -> ExitCause:
    if returncode == -signal.SIGKILL and killed_for_memory:
        return "out_of_memory"
    if returncode < 0:
        return "killed"
    reported = last_event(folder.events).get("problem")
    problem = reported.get("code") if isinstance(reported, dict) else None
    if problem == "disk_full" or (returncode and not problem and shutil.disk_usage(folder.path).free < FULL_DISK_BYTES):
        return "disk_full"
    return "failed" if returncode else "ended"
