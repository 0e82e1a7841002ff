"""Short jobs of the trainer, each in a child of its own: read a file, fetch a model, show what a model will see.

The child answers in JSON lines on stdout (see `trainer/cli.py`): nothing heavy or hostile runs in here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from interfaces.dataset_records import HubSplits
from interfaces.errors import FineTuneError
from interfaces.folders import unfinished
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import (
    AddedDataset,
    HubModel,
    HubModels,
    JobLine,
    JobProgress,
    OnProgress,
    WrittenPath,
    ignore_progress,
)

Progress = Callable[[int, int], None]
Answer = TypeVar("Answer", bound=BaseModel)
_LIMITS = {signal.SIGXCPU: "over_processor_time", signal.SIGKILL: "over_memory"}
_LINES_BYTES = 1 << 16
HUB_SECONDS = 60.0
"""The time limit of a Hub request, including the start of its child process."""


class TrainerChild:
    """One `python -m trainer ...` process. It can answer any number of requests."""

    def __init__(
        self, arguments: list[str], subject: str = "", offline: bool = False, home: Path | None = None
    ) -> None:
        """Create the child. Closing it removes its unfinished folders in `home`."""
        self._home = home
        self._place = tempfile.TemporaryDirectory(prefix="finetune-")
        self._subject = subject
        self._errors = (Path(self._place.name) / "errors").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trainer", *arguments],
            cwd=self._place.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True, env={**os.environ, "HF_HUB_OFFLINE": "1"} if offline else None,
        )  # fmt: skip
        self._sending = threading.Lock()
        self._pending, self._last = b"", ""
        self._closed_while_alive = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: BaseModel | None, answer: type[Answer], tell: OnProgress, seconds: float) -> Answer:
        """The result of one request; without one, of what the child was started for.

        Raises:
            FineTuneError: what the child found wrong, that it took too long, or that it ended without an answer.
        """
        if request is not None:
            self.tell(request)
        deadline = time.monotonic() + seconds
        while (line := self._line(deadline)) is not None:
            try:
                update = JobLine.model_validate_json(line)
            except ValidationError:  # what a library printed in between
                continue
            if update.result is not None:
                return answer.model_validate(update.result)
            if update.problems is not None:
                raise FineTuneError(*update.problems)
            tell(update)
        raise FineTuneError(self._ended(seconds))

    def tell(self, request: BaseModel) -> None:
        """Send a request without waiting for an answer."""
        with contextlib.suppress(BrokenPipeError, ValueError), self._sending:  # it has ended, or was closed
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request.model_dump(mode="json")).encode() + b"\n")
            self._process.stdin.flush()

    def _line(self, deadline: float) -> bytes | None:
        """Return the next line, or None after the child's end or the deadline."""
        try:
            return self._next_line(deadline)
        except ValueError:  # another thread has closed the child meanwhile
            return None

    def _next_line(self, deadline: float) -> bytes | None:
        stdout = self._process.stdout
        assert stdout is not None
        if stdout.closed:
            return None
        with selectors.DefaultSelector() as waiting:
            waiting.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if self._closed_while_alive or not waiting.select(max(deadline - time.monotonic(), 0)):
                    return None
                piece = os.read(stdout.fileno(), _LINES_BYTES)
                if not piece:
                    return None
                self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self, seconds: float) -> Problem:
        """Return the reason for a missing answer."""
        if self._closed_while_alive:
            return Problem.error(Code.CHILD_CLOSED, path=self._subject)
        overdue = self.alive and not self._wait(0.5)
        self.close()
        code = self._process.returncode
        if overdue:
            return Problem.error(
                Code.CHILD_OVER_LIMIT, path=self._subject, reason="over_time", limit=f"{seconds:.0f} s"
            )
        if code == -signal.SIGPROF:
            return Problem.error(Code.TEMPLATE_TOO_SLOW, model=self._subject, limit="1.5 s")
        if -code in _LIMITS:
            return Problem.error(Code.CHILD_OVER_LIMIT, path=self._subject, reason=_LIMITS[signal.Signals(-code)])
        return Problem.error(Code.START_FAILED, reason=self._last or "exit_code", seen=code)

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the child from another thread. A caller waiting for an answer gets an error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def close(self) -> None:
        """End the child and its descendants."""
        if self.alive:
            self._closed_while_alive = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if not self._errors.closed:
            self._errors.seek(0)
            self._last = (self._errors.read().strip().splitlines() or [""])[-1][:300]
            self._errors.close()
            self._place.cleanup()
            if self._home is not None:
                for left in unfinished(self._home, self._process.pid):
                    shutil.rmtree(left, ignore_errors=True)


def run_trainer(
    arguments: list[str], answer: type[Answer], tell: OnProgress = ignore_progress, seconds: float = 86_400.0, subject: str = "",
    home: Path | None = None,
) -> Answer:  # fmt: skip
    """The result of `python -m trainer <arguments>`.

    Raises:
        FineTuneError: what the child found wrong, or that it ended without an answer.
    """
    child = TrainerChild(arguments, subject, home=home)
    try:
        return child.ask(None, answer, tell, seconds)
    finally:
        child.close()


def inspect_seconds(size: int) -> float:
    """Return the time limit for reading a file of `size` bytes: twice the child's CPU time limit."""
    return 180 + size / 500_000


def read_size(path: Path) -> int:
    """Estimate the size of a file's content: ten times the file size if it is compressed."""
    if not path.is_file():
        return 0
    return path.stat().st_size * (10 if path.name.lower().endswith(".gz") else 1)


def add_dataset(
    home: Path, file: Path | str, columns: Mapping[str, str] | None = None, sample_by: str = "paragraph",
    name: str = "", move: bool = False, tell: OnProgress = ignore_progress,
) -> str:  # fmt: skip
    """Add a file, or a dataset of the Hub, to the home's datasets; returns the dataset's id.

    Raises:
        FineTuneError: the file as a whole can't be used.
    """
    from_hub = str(file).startswith("hub:")
    path = str(file) if from_hub else str(Path(file).absolute())
    size = 1 << 32 if from_hub else read_size(Path(path))
    options = ["--columns", json.dumps(dict(columns or {})), "--sample-by", sample_by, "--name", name]
    arguments = ["inspect", "--home", str(home), *options, *(["--move"] if move else []), "--", path]
    subject = name or Path(path).name
    return run_trainer(arguments, AddedDataset, tell, inspect_seconds(size), subject, home).dataset


def hub_splits(name: str) -> HubSplits:
    """Return the configs and splits of a Hub dataset, given as `NAME` or `NAME:CONFIG`.

    Raises:
        FineTuneError: the dataset doesn't exist, can't be reached, or has no readable files.
    """
    return run_trainer(["hub-splits", "--", f"hub:{name}"], HubSplits, seconds=HUB_SECONDS, subject=name)


def download_model(home: Path, model: str, progress: Progress) -> Path:
    """Download a model and return its folder.

    Raises:
        FineTuneError: the model can't be downloaded.
    """

    def tell(update: JobProgress) -> None:
        if update.progress is not None:
            progress(*update.progress)

    return Path(run_trainer(["download", "--home", str(home), "--", model], WrittenPath, tell).path)


def search_models(text: str) -> list[HubModel]:
    """Models of the Hub (see `trainer/models/hub_models.py`).

    Raises:
        FineTuneError: the Hub is out of reach, or asks to wait.
    """
    return run_trainer(["search", "--", text], HubModels, seconds=HUB_SECONDS, subject=text).models


@dataclass
class _Held:
    """A cached child, with the number of its pending requests and the time of the last one."""

    child: TrainerChild
    asking: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    used: float = 0.0


class Previews:
    """Child processes that preview the home's datasets: one per model, cached between requests.

    A busy child is never ended for another model: if all are busy, requests for a new model are rejected. The number of
    requests that wait for one child is limited too, because they hold threads that other requests need.
    """

    MOST = 2
    MOST_WAITING = 4
    IDLE_SECONDS = 120.0
    ANSWER_SECONDS = 60.0
    WAIT_SECONDS = 20.0

    def __init__(self, home: Path) -> None:
        self._home = home
        self._guard = threading.Lock()
        self._children: dict[tuple[str, str, bool], _Held] = {}
        self._reaper: threading.Timer | None = None

    def ask(
        self, model: str, revision: str, request: BaseModel, answer: type[Answer], tell: OnProgress = ignore_progress,
        seconds: float = ANSWER_SECONDS, offline: bool = False,
    ) -> Answer:  # fmt: skip
        """Return the answer of the model's child. `offline` prevents the download of a missing tokenizer.

        Raises:
            FineTuneError: the model or the row can't be used, the answer takes too long, or too many requests wait.
        """
        held = self._take(model, revision, offline)
        try:
            if not held.asking.acquire(timeout=self.WAIT_SECONDS):
                raise FineTuneError.of(Code.STUDIO_BUSY, count=held.users)
            try:
                return held.child.ask(request, answer, tell, seconds)
            finally:
                held.asking.release()
        finally:
            with self._guard:
                held.users -= 1
                held.used = time.monotonic()

    def close(self) -> None:
        """End all children."""
        with self._guard:
            for held in self._children.values():
                held.child.close()
            self._children.clear()

    def _take(self, model: str, revision: str, offline: bool) -> _Held:
        key = (model, revision, offline)
        with self._guard:
            self._end_idle(lambda held: not held.child.alive)
            if key not in self._children:
                idle = sorted((held.used, name) for name, held in self._children.items() if not held.users)
                if len(self._children) >= self.MOST:
                    if not idle:
                        raise FineTuneError.of(Code.STUDIO_BUSY, count=len(self._children))
                    self._children.pop(idle[0][1]).child.close()
                arguments = ["preview", "--home", str(self._home), "--revision", revision, "--", model]
                self._children[key] = _Held(TrainerChild(arguments, model, offline, self._home))
            held = self._children[key]
            if held.users >= self.MOST_WAITING:
                raise FineTuneError.of(Code.STUDIO_BUSY, count=held.users)
            held.users += 1
            held.used = time.monotonic()
            self._reap_later()
            return held

    def _end_idle(self, unwanted: Callable[[_Held], bool]) -> None:
        for key, held in list(self._children.items()):
            if unwanted(held) and not held.users:
                self._children.pop(key).child.close()

    def _reap_later(self) -> None:
        if self._reaper is None:
            self._reaper = threading.Timer(self.IDLE_SECONDS, self._reap)
            self._reaper.daemon = True
            self._reaper.start()

    def _reap(self) -> None:
        with self._guard:
            self._reaper = None
            self._end_idle(lambda held: time.monotonic() - held.used > self.IDLE_SECONDS / 2)
            if self._children:
                self._reap_later()
