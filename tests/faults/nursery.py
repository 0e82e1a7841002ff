"""Attempts of runs as processes of their own, without the seconds that importing takes.

    python -m tests.faults.nursery

Reads one JSON object a line: {"folder": ..., "attempt": K, "acks": FILE or null} forks an attempt and answers
{"pid": N}; {"wait": N} answers {"status": ...} once it has ended. A child does what `python -m trainer run` does, in a
session of its own; with `acks` it notes each event down, outside the run, when `append` has returned.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import trainer.training.run  # noqa: F401  what an attempt would import
from interfaces.folders import RunFolder
from trainer.cli import _work
from trainer.training.event_log import EventLog


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        else:
            answer = {"pid": fork_attempt(**request)}
        print(json.dumps(answer), flush=True)


def fork_attempt(folder: str, attempt: int, acks: str | None = None) -> int:
    """The pid of a process that carries the attempt out."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        run = RunFolder(Path(folder))
        os.chdir(run.path)
        log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number in (1, 2):
            os.dup2(log, number)
        if acks is not None:
            note_events(Path(acks))
        code = _work(run, attempt)
    finally:
        os._exit(code)


def note_events(path: Path) -> None:
    """Write down what was acknowledged and when (monotonic seconds); the file lies where no fault reaches."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    append = EventLog.append

    def noted(self: EventLog, event: object) -> bool:
        said = append(self, event)  # type: ignore[arg-type]
        os.write(notes, json.dumps([self._seq, type(event).__name__, time.monotonic()]).encode() + b"\n")
        return said

    EventLog.append = noted  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
