"""A warm trainer: it has loaded its libraries and waits for a run, which then starts in two seconds instead of seven.

It is a supervisor and a trainer, as in any run, in a separate session. It outlives the studio and exits after half an
hour without a run. It holds about 400 MB, which the page shows and can free.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel

from interfaces.folders import Attempt, Home, RunFolder
from interfaces.records import merge_record, read_record
from interfaces.run_control import Assignment, ProcessRecord
from studio.processes.supervisor import WARM_TRAINER, WARM_TRAINER_BYTES, resident_bytes

LEAST_AVAILABLE_BYTES = 2 * WARM_TRAINER_BYTES
"""With less free memory than this, no warm trainer is kept."""
TAKEN_SECONDS = 5.0
_OF_NO_MATTER = ("_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "TERM", "GRADIO_", "PYTEST_")


class WarmTrainerState(BaseModel):
    """Whether a trainer waits, and the memory that it holds."""

    state: Literal["none", "loading", "waiting"]
    memory_bytes: int


def warm_trainer_state(home: Home) -> WarmTrainerState:
    trainer = ProcessRecord.of(home.warm_trainer.record).trainer
    if trainer is None or not trainer.is_alive():
        return WarmTrainerState(state="none", memory_bytes=0)
    waits = home.warm_trainer.ready.exists()
    return WarmTrainerState(state="waiting" if waits else "loading", memory_bytes=resident_bytes(trainer.pid))


def warm_trainer_wanted(home: Home) -> bool:
    """Return whether a warm trainer is to be kept, as the home's settings say; yes by default."""
    return (read_record(home.settings) or {}).get("warm_trainer") is not False


def want_warm_trainer(home: Home, wanted: bool) -> None:
    """Keep a warm trainer from now on, or none."""
    merge_record(home.settings, warm_trainer=wanted)
    if not wanted:
        end_warm_trainer(home)


def keep_warm_trainer(home: Home, command: list[str] | None = None) -> bool:
    """Start a warm trainer unless one exists or memory is short. Return whether one exists now."""
    if psutil.virtual_memory().available < LEAST_AVAILABLE_BYTES:
        return False
    wanted = fingerprint(os.environ)
    with _alone(home) as alone:
        if not alone:
            return False
        if warm_trainer_state(home).state != "none":
            if ProcessRecord.of(home.warm_trainer.record).fingerprint == wanted:
                return True
            _end(home)
        shutil.rmtree(home.warm_trainer.path, ignore_errors=True)
        try:
            home.warm_trainer.path.mkdir(parents=True)
            os.mkfifo(home.warm_trainer.inbox, 0o600)
        except OSError:  # a full disk, or a file system without named pipes
            return False
        command = command or [sys.executable, "-P", "-m", "trainer", "wait", str(home.warm_trainer.ready)]
        supervisor = [
            sys.executable,
            "-P",
            "-m",
            "studio.processes.supervisor",
            WARM_TRAINER,
            str(home.warm_trainer.path),
            wanted,
        ]
        started = subprocess.run(
            [*supervisor, *command], cwd=home.warm_trainer.path, start_new_session=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return started.returncode == 0


def take_warm_trainer(folder: RunFolder, attempt: Attempt) -> bool:
    """Assign the attempt to the home's warm trainer. Return False if there is none with the same environment."""
    home = folder.home
    if not home.warm_trainer.record.exists():
        return False
    with _alone(home) as alone:
        state, supervisor = warm_trainer_state(home).state, ProcessRecord.of(home.warm_trainer.record).supervisor
        if not alone or supervisor is None or state == "none":
            return False
        if ProcessRecord.of(home.warm_trainer.record).fingerprint != fingerprint(os.environ):
            return False
        if state == "loading":  # it would compete with the trainer that starts now
            _end(home)
            return False
        try:
            # Fails immediately without a reader, which is the supervisor.
            with os.fdopen(
                os.open(home.warm_trainer.inbox, os.O_WRONLY | os.O_NONBLOCK), "w", encoding="utf-8"
            ) as inbox:
                inbox.write(Assignment(folder.path.absolute(), attempt.number).to_line())
        except OSError:
            return False
        if _comes_true(attempt.pid.exists, TAKEN_SECONDS):
            shutil.rmtree(home.warm_trainer.path, ignore_errors=True)
            return True
        supervisor.send(signal.SIGKILL)  # its trainer dies with it
        shutil.rmtree(home.warm_trainer.path, ignore_errors=True)
        return False


def end_warm_trainer(home: Home) -> None:
    """End the warm trainer and free its memory."""
    with _alone(home) as alone:
        if alone:
            _end(home)


def fingerprint(environment: Mapping[str, str]) -> str:
    """Hash what a warm trainer must have in common with one that would be started now."""
    kept = sorted((key, value) for key, value in environment.items() if not key.startswith(_OF_NO_MATTER))
    root = Path(str(files("studio"))).parent
    packages = ("interfaces", "trainer", "studio/processes")
    code = [(str(path), path.stat().st_mtime_ns) for package in packages for path in (root / package).rglob("*.py")]
    limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU)]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    facts = (sys.executable, kept, sorted(code), limits, cores, os.nice(0))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _end(home: Home) -> None:
    supervisor = ProcessRecord.of(home.warm_trainer.record).supervisor
    shutil.rmtree(home.warm_trainer.path, ignore_errors=True)
    if supervisor is not None and supervisor.send(signal.SIGTERM):
        _comes_true(lambda: not supervisor.is_alive(), TAKEN_SECONDS)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[bool]:
    """Yield whether we got the lock for starting, taking, or ending the warm trainer, after at most half a second."""
    lock = FileLock(home.warm_trainer.lock, timeout=0.5)
    try:
        home.cache.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
