"""Starts one trainer, outlives whoever asked for it, and writes down how it ended. Standard library only.

    python -P -m studio.processes.supervisor FOLDER ATTEMPT COMMAND...
    python -P -m studio.processes.supervisor --warm-trainer FOLDER FINGERPRINT COMMAND...      a pair that waits for its run

The first process forks and ends as soon as the trainer is there, so that its caller has nothing to wait
for and no zombie stays. The second is the supervisor: in a session of its own, reaper of the trainer's
orphans, and the only writer of `pid.json` and `exit.json`. On Linux the trainer dies with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, RunFolder, WarmTrainerFolder
from interfaces.process import ProcessIdentity
from studio.processes.exit_record import MemoryKills, write_exit_record

DISCARD_GRACE_SECONDS = 5.0
"""From TERM to KILL when a run is discarded: nothing is to be saved."""
SAVE_GRACE_SECONDS = 300.0
"""From TERM to KILL when the supervisor itself is told to end: one step and one save."""
LAST_EVENT_BYTES = 1 << 16
LAST_WORD_SECONDS = 15.0
"""From a trainer's last word to KILL: leaving takes a second or two, and one that computes on would hold the device."""
POLL_SECONDS = 0.2
WARM_TRAINER = "--warm-trainer"
WARM_TRAINER_SECONDS = 1800.0
"""How long a trainer waits for a run that nobody starts."""
WARM_TRAINER_BYTES = 1_500_000_000
"""More than any waiting trainer needs: one that holds more is ended."""
SHORT_OF_MEMORY_BYTES = 750_000_000
"""With less memory left on the machine, a trainer that only waits makes room."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> int:
    """Fork; the first process returns 0 once the trainer is there, 1 if it could not be started."""
    if arguments[0] == WARM_TRAINER:
        warm_trainer, fingerprint, waiting = WarmTrainerFolder(Path(arguments[1])), arguments[2], arguments[3:]
        return _detached(lambda ready: wait_for_run(warm_trainer, fingerprint, waiting, ready))
    folder, number, command = RunFolder(Path(arguments[0]).absolute()), int(arguments[1]), arguments[2:]
    return _detached(lambda ready: supervise(folder, folder.attempt(number), command, ready))


def _detached(work: Callable[[int], None]) -> int:
    """Do `work` in a process of its own session; 0 once it has written a byte to the pipe that it is given."""
    readable, writable = os.pipe()
    if os.fork():
        os.close(writable)
        return 0 if os.read(readable, 1) else 1
    os.close(readable)
    os.setsid()
    try:
        work(writable)
    finally:
        os._exit(0)


def supervise(folder: RunFolder, attempt: Attempt, command: list[str], ready: int) -> None:
    """Run the trainer, which `command` starts, to its end. `ready` is closed with a byte once `pid.json` is written."""
    _write_into(folder.log)
    terminated = _take_charge()
    trainer = subprocess.Popen(command, cwd=folder.path, process_group=0, preexec_fn=_die_with_parent)
    write_json(attempt.pid, _identities(trainer))
    _say_ready(ready)
    _follow_to_end(trainer, folder, attempt, terminated)


def wait_for_run(warm_trainer: WarmTrainerFolder, fingerprint: str, command: list[str], ready: int) -> None:
    """Hold a trainer that has imported all it needs, until somebody names a run.

    It ends when nobody came for half an hour, when its folder is removed, when it holds more memory than it may, or
    when the machine runs short of it.
    """
    _write_into(warm_trainer.log)
    terminated = _take_charge()
    inbox = os.open(
        warm_trainer.inbox, os.O_RDWR | os.O_NONBLOCK
    )  # for writing too: else each visitor's leaving is an end
    trainer = subprocess.Popen(
        command, cwd=warm_trainer.path.parent, process_group=0, preexec_fn=_die_with_parent, stdin=subprocess.PIPE
    )
    write_json(warm_trainer.record, {**_identities(trainer), "fingerprint": fingerprint})
    _say_ready(ready)
    deadline = time.monotonic() + WARM_TRAINER_SECONDS
    asked = b""
    while not asked:
        visited, _, _ = select.select([inbox], [], [], 1.0)
        asked = os.read(inbox, 65536) if visited else b""
        # Whoever removed the folder may have put another's in its place.
        owner = ProcessIdentity.from_record((read_json(warm_trainer.record) or {}).get("supervisor"))
        own = owner is not None and owner.pid == os.getpid()
        unwanted = terminated or time.monotonic() > deadline or not own
        too_large = resident_bytes(trainer.pid) > WARM_TRAINER_BYTES or available_bytes() < SHORT_OF_MEMORY_BYTES
        if not asked and (unwanted or too_large or trainer.poll() is not None):
            if own:
                shutil.rmtree(warm_trainer.path, ignore_errors=True)
            _end_group(trainer.pid)
            return
    request = json.loads(asked)
    folder = RunFolder(Path(request["folder"]))
    attempt = folder.attempt(int(request["attempt"]))
    _write_into(folder.log)
    os.chdir(folder.path)
    write_json(attempt.pid, _identities(trainer))
    if trainer.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it has just died: its end is the run's end, and told as such
            trainer.stdin.write(asked)
            trainer.stdin.close()
    _follow_to_end(trainer, folder, attempt, terminated)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where the system doesn't tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> float:
    """Memory that could be had now; infinity where the system doesn't tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return float("inf")


def _write_into(path: Path) -> None:
    """From now on what this process and its children say goes to a file, and nothing is read from anybody."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((0, nothing), (1, log), (2, log)):
        os.dup2(target, number)
    os.close(log)
    os.close(nothing)


def _take_charge() -> list[bool]:
    """Become the reaper of the trainer's orphans; the list returned is no longer empty once somebody sends TERM."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    terminated: list[bool] = []

    def on_terminate(_number: int, _frame: FrameType | None) -> None:
        terminated.append(True)

    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return terminated


def _identities(trainer: subprocess.Popen[bytes]) -> dict[str, object]:
    found = {"supervisor": ProcessIdentity.of(os.getpid()), "trainer": ProcessIdentity.of(trainer.pid)}
    return {who: identity.to_record() if identity else None for who, identity in found.items()}


def _say_ready(ready: int) -> None:
    os.write(ready, b"1")
    os.close(ready)


def _follow_to_end(
    trainer: subprocess.Popen[bytes], folder: RunFolder, attempt: Attempt, terminated: list[bool]
) -> None:
    kills = MemoryKills(trainer.pid)
    returncode = _wait(trainer, folder, attempt, terminated)
    _end_group(trainer.pid)
    try:
        write_exit_record(folder, attempt, returncode, kills.have_grown())
    finally:
        if not terminated:  # else the machine goes down: the next would only be started to be ended
            _go_on_after(folder)


def _go_on_after(folder: RunFolder) -> None:
    """Have a process of its own start the next, and tell who wants to know; `exit.json` is written: the device is free."""
    home = folder.home
    if not (home.notify.exists() or any(home.queue.glob("*-*.json"))):
        return
    try:
        log = os.open(home.queue_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # what it says is lost, and the next one is started nevertheless
        log = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-P", "-m", "studio.runs.queue", str(home.path), folder.id],
            cwd=home.path, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def _wait(trainer: subprocess.Popen[bytes], folder: RunFolder, attempt: Attempt, terminated: list[bool]) -> int:
    """Wait for the trainer's end; hurry it when the run is discarded or this process is told to end."""
    deadline: float | None = None
    ended = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return trainer.wait(POLL_SECONDS)
        grace = _grace(folder, attempt, terminated)
        if not ended and _has_said_its_last_word(folder, attempt):
            ended = True
            deadline = min(deadline or math.inf, time.monotonic() + LAST_WORD_SECONDS)
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


def _has_said_its_last_word(folder: RunFolder, attempt: Attempt) -> bool:
    """Whether the last event of this attempt is one that nothing follows."""
    try:
        with folder.events.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LAST_EVENT_BYTES, 0))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        event = json.loads(last)
    except (OSError, ValueError):
        return False
    return event.get("attempt") == attempt.number and event.get("kind") in ("finished", "stopped", "failed")


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
