"""What control groups allow a process, a container or a service, and how often they killed for memory.

Linux documents both versions: Documentation/admin-guide/cgroup-v2.rst and .../cgroup-v1/. Standard library only.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""Version 1 writes the largest number of pages for 'no limit'."""


def groups_above(controller: str, groups: Path = GROUPS, membership: Path = OWN) -> list[tuple[Path, bool]]:
    """The folders of the groups that hold a process, innermost first, and whether they are version 2's.

    The root counts as well: a container often sees its own group there, and not under its name.
    """
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    found: list[tuple[Path, bool]] = []
    for line in [*lines, "0::/", f"1:{controller}:/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controller if controllers else groups
        place = root / path.strip("/")
        above = [place, *place.parents][: len(place.relative_to(root).parts) + 1]
        found += [(folder, not controllers) for folder in above]
    return list(dict.fromkeys(found))


def memory_limits(groups: Path = GROUPS, membership: Path = OWN) -> list[tuple[int, int]]:
    """(limit, used) in bytes of each group above a process that limits memory.

    What a group holds of files counts as free, as the kernel gives it back when memory is short.
    """
    found = []
    for folder, second in groups_above("memory", groups, membership):
        names = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (kernel_number(folder / name) for name in names)
        if limit is not None and used is not None and limit < UNLIMITED:
            found.append((limit, max(used - _files_held(folder), 0)))
    return found


def processor_shares(groups: Path = GROUPS, membership: Path = OWN) -> list[int]:
    """The processors' worth of time, rounded up, of each group above a process that limits it."""
    shares = []
    for folder, second in groups_above("cpu", groups, membership):
        with contextlib.suppress(OSError, ValueError):
            if second:
                quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            else:
                quota, period = (
                    (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
                )
            if int(quota) > 0:
                shares.append(math.ceil(int(quota) / int(period)))
    return shares


def memory_kill_counter(pid: int, groups: Path = GROUPS) -> Path:
    """The file that counts kills for memory: that of the process's own group, or the whole machine's without one."""
    files = [
        folder / ("memory.events" if second else "memory.oom_control")
        for folder, second in groups_above("memory", groups, Path(f"/proc/{pid}/cgroup"))
    ]
    return next((file for file in files if file.exists()), Path("/proc/vmstat"))


def memory_kills(counter: Path) -> int:
    """The line `oom_kill N` of a counter; 0 where it can't be read."""
    with contextlib.suppress(OSError, ValueError):
        for line in counter.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def kernel_number(path: Path) -> int | None:
    """A number in a file that the kernel writes; None for 'max', and where there is no such file."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _files_held(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                return int(line.split()[1])
    return 0
