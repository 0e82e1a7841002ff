"""The interface between the studio and the place where runs execute: starts a run and checks whether it is still alive.

Runs are local processes for now; a cluster's batch system would be another `Launcher`. The settings of a home name its
launcher, and all code gets it from `launcher_of`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Literal, Protocol

from filelock import FileLock

from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.problems import Code
from interfaces.run_control import ProcessRecord
from studio.processes.warm_trainer import take_warm_trainer

Liveness = Literal["alive", "gone"]


class Launcher(Protocol):
    """A place where runs execute."""

    def start(self, folder: RunFolder) -> Attempt:
        """Start the next attempt of a run. When this returns, `find` finds it.

        Raises:
            FineTuneError: the run is already running, or could not be started.
        """

    def find(self, folder: RunFolder) -> Attempt | None:
        """Return the running attempt, regardless of which process started it."""

    def signal(self, folder: RunFolder, number: signal.Signals) -> bool:
        """Send a signal to the supervisor of the running attempt. Return False if none is running."""

    def state(self, attempt: Attempt) -> Liveness:
        """Return whether an attempt's processes exist."""


def trainer_command(folder: RunFolder, attempt: Attempt) -> list[str]:
    """Return the command that starts the trainer of a run.

    With -P and the run folder as the working directory, a foreign `trainer/` or `torch.py` in the
    caller's directory is never imported instead of ours.
    """
    return [sys.executable, "-P", "-m", "trainer", "run", str(folder.path), "--attempt", str(attempt.number)]


class LocalLauncher:
    """Starts a supervisor on this machine. Stateless: every answer comes from the run folder."""

    def __init__(self, command: Callable[[RunFolder, Attempt], list[str]] = trainer_command) -> None:
        self._command = command

    def start(self, folder: RunFolder) -> Attempt:
        # If two processes start the same run, the second waits here until `find` finds the first.
        with FileLock(folder.start_lock):
            return self._start(folder)

    def _start(self, folder: RunFolder) -> Attempt:
        if self.find(folder) is not None:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state="running")
        attempt = folder.create_attempt()
        if self._command is trainer_command and take_warm_trainer(folder, attempt):
            return attempt
        supervisor = [sys.executable, "-P", "-m", "studio.processes.supervisor", str(folder.path), str(attempt.number)]
        started = subprocess.run(
            [*supervisor, *self._command(folder, attempt)],
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            check=False,
            text=True,
        )
        if started.returncode != 0:
            reason = (started.stderr.strip().splitlines() or ["supervisor_ended"])[-1]
            raise FineTuneError.of(Code.START_FAILED, reason=reason)
        return attempt

    def find(self, folder: RunFolder) -> Attempt | None:
        return next((attempt for attempt in reversed(folder.attempts()) if self.state(attempt) == "alive"), None)

    def signal(self, folder: RunFolder, number: signal.Signals) -> bool:
        attempt = self.find(folder)
        supervisor = ProcessRecord.of(attempt.pid).supervisor if attempt else None
        return supervisor is not None and supervisor.send(number)

    def state(self, attempt: Attempt) -> Liveness:
        if attempt.exit.exists():
            return "gone"
        processes = ProcessRecord.of(attempt.pid)
        there = [process for process in (processes.supervisor, processes.trainer) if process is not None]
        return "alive" if any(process.is_alive() for process in there) else "gone"


LAUNCHERS: dict[str, Callable[[], Launcher]] = {"local": LocalLauncher}
"""The possible values of `launcher` in a home's settings.json."""


def launcher_of(home: Home) -> Launcher:
    """Return the launcher of a home.

    Raises:
        FineTuneError: the settings name an unknown launcher.
    """
    name = str((read_json(home.settings) or {}).get("launcher", "local"))
    if name not in LAUNCHERS:
        known = ", ".join(sorted(LAUNCHERS))
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="launcher", value=repr(name[:40]), expected="one_of", known=known
        )
    return LAUNCHERS[name]()
