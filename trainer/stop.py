"""A request to stop: the `stop` file in the run folder, or SIGTERM. Seen between phases and after each step."""

from __future__ import annotations

import signal
from types import FrameType

from interfaces.folders import RunFolder, read_json


class StopRequested(Exception):
    """Leaves a phase in which there is nothing to save yet."""


class StopRequest:
    """Whether somebody asked this attempt to stop. TERM may come twice: it only sets a flag."""

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self._folder, self._attempt = folder, attempt
        self._terminated = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as a request; only the main thread of a process of our own may."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True

    def forget_handmade(self) -> None:
        """Remove an empty request that this attempt has obeyed: it names no attempt, and would stop each later one."""
        if self._folder.stop.exists() and "attempt" not in (read_json(self._folder.stop) or {}):
            self._folder.stop.unlink()

    @property
    def mode(self) -> str | None:
        """'save', 'discard' or None. A file left over from an earlier attempt says nothing to this one."""
        if self._folder.stop.exists():
            record = read_json(self._folder.stop) or {}
            if record.get("attempt", self._attempt) == self._attempt:
                return "discard" if record.get("mode") == "discard" else "save"
        return "save" if self._terminated else None

    def check(self) -> None:
        """
        Raises:
            StopRequested: somebody asked.
        """
        if self.mode is not None:
            raise StopRequested
