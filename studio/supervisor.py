"""Starts one trainer, outlives whoever asked for it, and writes down how it ended. Standard library only.

    python -P -m studio.supervisor FOLDER ATTEMPT COMMAND...

The first process forks and ends as soon as `pid.json` is written, so that its caller has nothing to wait
for and no zombie stays. The second is the supervisor: in a session of its own, reaper of the trainer's
orphans, and the only writer of `pid.json` and `exit.json`. On Linux the trainer dies with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from interfaces.folders import Attempt, RunFolder, read_json, write_json
from interfaces.process import ProcessIdentity

DISCARD_GRACE_SECONDS = 5.0
"""From TERM to KILL when a run is discarded: nothing is to be saved."""
SAVE_GRACE_SECONDS = 300.0
"""From TERM to KILL when the supervisor itself is told to end: one step and one save."""
POLL_SECONDS = 0.2

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> int:
    """Fork; the first process returns 0 once the run is under way, 1 if it could not be started."""
    folder, number, command = RunFolder(Path(arguments[0]).absolute()), int(arguments[1]), arguments[2:]
    readable, writable = os.pipe()
    if os.fork():
        os.close(writable)
        return 0 if os.read(readable, 1) else 1
    os.close(readable)
    os.setsid()
    try:
        supervise(folder, folder.attempt(number), command, writable)
    finally:
        os._exit(0)


def supervise(folder: RunFolder, attempt: Attempt, command: list[str], ready: int) -> None:
    """Run the trainer, which `command` starts, to its end. `ready` is closed with a byte once `pid.json` is written."""
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((0, nothing), (1, log), (2, log)):
        os.dup2(target, number)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    terminated: list[bool] = []

    def on_terminate(_number: int, _frame: FrameType | None) -> None:
        terminated.append(True)

    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    trainer = subprocess.Popen(command, cwd=folder.path, process_group=0, preexec_fn=_die_with_parent)
    identities = {"supervisor": ProcessIdentity.of(os.getpid()), "trainer": ProcessIdentity.of(trainer.pid)}
    write_json(attempt.pid, {who: identity.to_record() if identity else None for who, identity in identities.items()})
    os.write(ready, b"1")
    os.close(ready)
    returncode = _wait(trainer, folder, attempt, terminated)
    _end_group(trainer.pid)
    write_json(
        attempt.exit,
        {
            "attempt": attempt.number,
            "returncode": returncode if returncode >= 0 else None,
            "signal": signal.Signals(-returncode).name if returncode < 0 else None,
            "ended": round(time.time(), 3),
        },
    )


def _wait(trainer: subprocess.Popen[bytes], folder: RunFolder, attempt: Attempt, terminated: list[bool]) -> int:
    """Wait for the trainer's end; hurry it when the run is discarded or this process is told to end."""
    deadline: float | None = None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return trainer.wait(POLL_SECONDS)
        grace = _grace(folder, attempt, terminated)
        if deadline is None and grace is not None:
            deadline = time.monotonic() + grace
            _signal_group(trainer.pid, signal.SIGTERM)
        elif deadline is not None and grace is not None:
            # A discard that follows a slower request shortens the wait.
            deadline = min(deadline, time.monotonic() + grace)
        if deadline is not None and time.monotonic() >= deadline:
            _signal_group(trainer.pid, signal.SIGKILL)


def _grace(folder: RunFolder, attempt: Attempt, terminated: list[bool]) -> float | None:
    """Seconds to give the trainer from now on, or None when nobody wants its end but itself."""
    request = read_json(folder.stop) if folder.stop.exists() else None
    if request and request.get("attempt") == attempt.number and request.get("mode") == "discard":
        return DISCARD_GRACE_SECONDS
    return SAVE_GRACE_SECONDS if terminated else None


def _end_group(group: int) -> None:
    """Nothing of the trainer stays behind: loader workers and other children end with it."""
    _signal_group(group, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    """Between fork and exec of the trainer: have the kernel kill it when the supervisor is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
