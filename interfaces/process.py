"""Process identity: pid, start time, and boot id, because the system reuses pids. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of one machine."""

    pid: int
    start_time: str
    """As the system reports it: clock ticks since boot on Linux, a date elsewhere. Use it only for comparison."""
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the process that has this pid now, or None if there is none or only a zombie."""
        start_time = _start_time(pid)
        return cls(pid, start_time, _boot_id()) if start_time else None

    @classmethod
    def from_record(cls, record: object) -> ProcessIdentity | None:
        """Restore an identity from `to_record`. Return None for an invalid record."""
        try:
            return (
                cls(int(str(record["pid"])), str(record["start_time"]), str(record["boot_id"]))
                if isinstance(record, Mapping)
                else None
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_record(self) -> dict[str, object]:
        return asdict(self)

    def is_alive(self) -> bool:
        """Return whether this process is still running."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process, but never to another process that has reused its pid."""
        if not self.is_alive():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return True


def _start_time(pid: int) -> str:
    """Return the start time, or an empty string for a missing process or a zombie."""
    if not Path("/proc/self/stat").exists():  # macOS
        asked = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        state, _, start = asked.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else start.strip()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The command name in parentheses may contain anything: parse from the last parenthesis.
    fields = stat[stat.rindex(")") + 2 :].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        asked = subprocess.run(["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=False)
        return asked.stdout.strip()
