"""Limits that cgroups set for a process, container, or service, and their count of out-of-memory kills.

Linux documents both versions: Documentation/admin-guide/cgroup-v2.rst and .../cgroup-v1/. Standard library only.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""cgroup v1 writes the largest possible page count for 'no limit'."""


def groups_above(controller: str, groups: Path = GROUPS, membership: Path = OWN) -> list[tuple[Path, bool]]:
    """Return the cgroup folders of a process, innermost first, each with whether it belongs to cgroup v2.

    This includes the root: inside a container, the container's own cgroup often appears there and not under its name.
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
    """Return (limit, used) in bytes for each ancestor cgroup of a process that limits memory.

    The page cache of a cgroup counts as free, because the kernel reclaims it when memory is short.
    """
    found = []
    for folder, second in groups_above("memory", groups, membership):
        names = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (kernel_number(folder / name) for name in names)
        if limit is not None and used is not None and limit < UNLIMITED:
            found.append((limit, max(used - _files_held(folder), 0)))
    return found


def processor_shares(groups: Path = GROUPS, membership: Path = OWN) -> list[int]:
    """Return the CPU quota, in cores and rounded up, of each ancestor cgroup that sets one."""
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
    """Return the file that counts out-of-memory kills: of the process's cgroup, or of the whole machine without one."""
    files = [
        folder / ("memory.events" if second else "memory.oom_control")
        for folder, second in groups_above("memory", groups, Path(f"/proc/{pid}/cgroup"))
    ]
    return next((file for file in files if file.exists()), Path("/proc/vmstat"))


def memory_kills(counter: Path) -> int:
    """Return N from the line `oom_kill N` of a counter file, or 0 if the file can't be read."""
    with contextlib.suppress(OSError, ValueError):
        for line in counter.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def kernel_number(path: Path) -> int | None:
    """Read a number from a kernel file. Return None for 'max' or a missing file."""
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
