"""The only seam that knows places: it starts a run somewhere and answers whether it still runs there.

Local processes now; a cluster's batch system is another `Launcher`. A home's settings name the one that its runs are started by,
and everybody who asks about a run gets it from `launcher_of`.
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
from interfaces.process import ProcessIdentity
from studio.processes.warm_trainer import take_warm_trainer

Liveness = Literal["alive", "gone"]


class Launcher(Protocol):
    """Where runs are carried out."""

    def start(self, folder: RunFolder) -> Attempt:
        """Start the next attempt of a run; when this returns it can be found.

        Raises:
            FineTuneError: it runs already, or could not be started.
        """

    def find(self, folder: RunFolder) -> Attempt | None:
        """The attempt that runs now, whoever started it."""

    def signal(self, folder: RunFolder, number: signal.Signals) -> bool:
        """Signal the supervisor of the attempt that runs now; false when none does."""

    def state(self, attempt: Attempt) -> Liveness:
        """Whether an attempt's processes are there."""


def trainer_command(folder: RunFolder, attempt: Attempt) -> list[str]:
    """How the trainer of a run is started.

    With -P, and in the run folder as working directory, a foreign `trainer/` or `torch.py` in the caller's
    folder is never imported in place of ours.
    """
    return [sys.executable, "-P", "-m", "trainer", "run", str(folder.path), "--attempt", str(attempt.number)]


class LocalLauncher:
    """Starts a supervisor on this machine. Holds nothing: every answer comes from the run folder."""

    def __init__(self, command: Callable[[RunFolder, Attempt], list[str]] = trainer_command) -> None:
        self._command = command

    def start(self, folder: RunFolder) -> Attempt:
        # Of two that start the same run at once, the second waits here until the first can be found.
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
        supervisor = _identity(attempt, "supervisor") if attempt else None
        return supervisor is not None and supervisor.send(number)

    def state(self, attempt: Attempt) -> Liveness:
        if attempt.exit.exists():
            return "gone"
        alive = any(identity.is_alive() for who in ("supervisor", "trainer") if (identity := _identity(attempt, who)))
        return "alive" if alive else "gone"


def _identity(attempt: Attempt, who: str) -> ProcessIdentity | None:
    return ProcessIdentity.from_record((read_json(attempt.pid) or {}).get(who))


LAUNCHERS: dict[str, Callable[[], Launcher]] = {"local": LocalLauncher}
"""By the names that `launcher` in a home's settings.json may have."""


def launcher_of(home: Home) -> Launcher:
    """What starts the runs of a home, and knows which are alive.

    Raises:
        FineTuneError: its settings name none that is known.
    """
    name = str((read_json(home.settings) or {}).get("launcher", "local"))
    if name not in LAUNCHERS:
        known = ", ".join(sorted(LAUNCHERS))
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="launcher", value=repr(name[:40]), expected="one_of", known=known
        )
    return LAUNCHERS[name]()
