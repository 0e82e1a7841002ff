"""Starts one trainer, outlives the process that asked for it, and records how it ended. Standard library only.

    python -P -m studio.processes.supervisor FOLDER ATTEMPT COMMAND...
    python -P -m studio.processes.supervisor --warm-trainer FOLDER FINGERPRINT COMMAND...      a pair that waits for its run

The first process forks and exits once the trainer has started, so that its caller doesn't wait and no zombie
remains. The second process is the supervisor: it has its own session, reaps the trainer's orphans, and is the
only writer of `pid.json` and `exit.json`. On Linux the trainer dies with it.
"""

from __future__ import annotations

import contextlib
import ctypes
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

from interfaces.folders import Attempt, RunFolder
from interfaces.job_folders import job_at
from interfaces.process import ProcessIdentity
from interfaces.run_control import FINAL_KINDS, Assignment, ProcessRecord, StopRequest, last_event
from interfaces.warm_trainer_folder import WarmTrainerFolder
from studio.processes.exit_record import MemoryKills, write_exit_record

DISCARD_GRACE_SECONDS = 5.0
"""From TERM to KILL when a run is discarded, since nothing needs saving."""
SAVE_GRACE_SECONDS = 300.0
"""From TERM to KILL when the supervisor itself receives TERM: enough for one step and one save."""
LAST_WORD_SECONDS = 15.0
"""From a trainer's final event to KILL. Exiting takes a second or two; a trainer that hangs would keep the device."""
POLL_SECONDS = 0.2
WARM_TRAINER = "--warm-trainer"
WARM_TRAINER_SECONDS = 1800.0
"""How long a warm trainer waits for a run."""
WARM_TRAINER_BYTES = 1_500_000_000
"""A warm trainer that holds more memory than this is ended. None should need this much."""
SHORT_OF_MEMORY_BYTES = 750_000_000
"""If the machine has less free memory than this, the warm trainer is ended."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> int:
    """Fork. The first process returns 0 once the trainer has started, or 1 if it could not be started."""
    if arguments[0] == WARM_TRAINER:
        warm_trainer, fingerprint, waiting = WarmTrainerFolder(Path(arguments[1])), arguments[2], arguments[3:]
        return _detached(lambda ready: wait_for_run(warm_trainer, fingerprint, waiting, ready))
    folder, number, command = job_at(Path(arguments[0]).absolute()), int(arguments[1]), arguments[2:]
    return _detached(lambda ready: supervise(folder, folder.attempt(number), command, ready))


def _detached(work: Callable[[int], None]) -> int:
    """Run `work` in a new process with its own session. Return 0 once it has written a byte to its pipe."""
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
    """Start the trainer with `command` and wait for its end. Write a byte to `ready` once `pid.json` exists."""
    _write_into(folder.log)
    terminated = _take_charge()
    trainer = subprocess.Popen(command, cwd=folder.path, process_group=0, preexec_fn=_die_with_parent)
    _processes(trainer).write(attempt.pid)
    _say_ready(ready)
    _follow_to_end(trainer, folder, attempt, terminated)


def wait_for_run(warm_trainer: WarmTrainerFolder, fingerprint: str, command: list[str], ready: int) -> None:
    """Keep a trainer with loaded libraries until a run is assigned to it.

    End it after half an hour without a run, when its folder is removed, when it holds too much memory, or when the
    machine runs short of memory.
    """
    _write_into(warm_trainer.log)
    terminated = _take_charge()
    inbox = os.open(
        warm_trainer.inbox, os.O_RDWR | os.O_NONBLOCK
    )  # also for writing, or every writer's close would be an EOF
    trainer = subprocess.Popen(
        command, cwd=warm_trainer.path.parent, process_group=0, preexec_fn=_die_with_parent, stdin=subprocess.PIPE
    )
    _processes(trainer, fingerprint).write(warm_trainer.record)
    _say_ready(ready)
    deadline = time.monotonic() + WARM_TRAINER_SECONDS
    asked = b""
    while not asked:
        visited, _, _ = select.select([inbox], [], [], 1.0)
        asked = os.read(inbox, 65536) if visited else b""
        # The folder may have been replaced by that of another warm trainer.
        owner = ProcessRecord.of(warm_trainer.record).supervisor
        own = owner is not None and owner.pid == os.getpid()
        unwanted = terminated or time.monotonic() > deadline or not own
        too_large = resident_bytes(trainer.pid) > WARM_TRAINER_BYTES or available_bytes() < SHORT_OF_MEMORY_BYTES
        if not asked and (unwanted or too_large or trainer.poll() is not None):
            if own:
                shutil.rmtree(warm_trainer.path, ignore_errors=True)
            _end_group(trainer.pid)
            return
    assigned = Assignment.of(asked)
    folder = job_at(assigned.folder)
    attempt = folder.attempt(assigned.attempt)
    _write_into(folder.log)
    os.chdir(folder.path)
    _processes(trainer).write(attempt.pid)
    if trainer.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it has just died, which ends the run as usual
            trainer.stdin.write(asked)
            trainer.stdin.close()
    _follow_to_end(trainer, folder, attempt, terminated)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, or 0 if it is unknown."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> float:
    """Return the available memory of the machine, or infinity if it is unknown."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return float("inf")


def _write_into(path: Path) -> None:
    """Redirect the output of this process and its children to a file, and stdin to /dev/null."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((0, nothing), (1, log), (2, log)):
        os.dup2(target, number)
    os.close(log)
    os.close(nothing)


def _take_charge() -> list[bool]:
    """Become the reaper of the trainer's orphans. Return a list that is non-empty after a TERM signal."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    terminated: list[bool] = []

    def on_terminate(_number: int, _frame: FrameType | None) -> None:
        terminated.append(True)

    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return terminated


def _processes(trainer: subprocess.Popen[bytes], fingerprint: str = "") -> ProcessRecord:
    return ProcessRecord(ProcessIdentity.of(os.getpid()), ProcessIdentity.of(trainer.pid), fingerprint)


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
        if not terminated:  # otherwise the machine is shutting down, and the next run would be ended right away
            _handle_end(folder, returncode)


def _handle_end(folder: RunFolder, returncode: int) -> None:
    """Start a process that starts the next run, scores what was evaluated, or finds out why a run failed.

    `exit.json` exists, so the device is free.
    """
    home = folder.home
    more = folder.run.evaluations.is_dir() or (folder.path / "reproduction.json").is_file()
    if not (returncode or more or home.notify.exists() or any(home.queue.glob("*-*.json"))):
        return
    try:
        log = os.open(home.queue_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # its output is lost, but the next run still starts
        log = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-P", "-m", "studio.ending", str(home.path), folder.id],
            cwd=home.path, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def _wait(trainer: subprocess.Popen[bytes], folder: RunFolder, attempt: Attempt, terminated: list[bool]) -> int:
    """Wait for the trainer's end. Terminate it if the run is discarded or this process receives TERM."""
    deadline: float | None = None
    ended = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return trainer.wait(POLL_SECONDS)
        grace = _grace(folder, attempt, terminated)
        if not ended and _has_ended_its_log(folder, attempt):
            ended = True
            deadline = min(deadline or math.inf, time.monotonic() + LAST_WORD_SECONDS)
        if deadline is None and grace is not None:
            deadline = time.monotonic() + grace
            _signal_group(trainer.pid, signal.SIGTERM)
        elif deadline is not None and grace is not None:
            # A discard after a stop request shortens the wait.
            deadline = min(deadline, time.monotonic() + grace)
        if deadline is not None and time.monotonic() >= deadline:
            _signal_group(trainer.pid, signal.SIGKILL)


def _grace(folder: RunFolder, attempt: Attempt, terminated: list[bool]) -> float | None:
    """Return the seconds until the trainer is killed, or None if nothing asks for its end."""
    request = StopRequest.of(folder.stop)
    if request and request.attempt == attempt.number and request.mode == "discard":
        return DISCARD_GRACE_SECONDS
    return SAVE_GRACE_SECONDS if terminated else None


def _has_ended_its_log(folder: RunFolder, attempt: Attempt) -> bool:
    """Return whether the last event of this attempt is a final one."""
    event = last_event(folder.events)
    return event.get("attempt") == attempt.number and event.get("kind") in FINAL_KINDS


def _end_group(group: int) -> None:
    """Kill the trainer's process group, including loader workers and other children."""
    _signal_group(group, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    """Make the kernel kill the trainer when the supervisor dies. Runs between fork and exec of the trainer."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
