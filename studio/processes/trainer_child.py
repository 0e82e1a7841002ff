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
_LIMITS = {signal.SIGXCPU: "processor time", signal.SIGKILL: "memory"}
_LINES_BYTES = 1 << 16
HUB_SECONDS = 60.0
"""A question to the Hub, with the start of the child that asks it."""


class TrainerChild:
    """One `python -m trainer ...`: started with the first question, and then asked as often as one likes."""

    def __init__(
        self, arguments: list[str], subject: str = "", offline: bool = False, home: Path | None = None
    ) -> None:
        """What the child has not finished in `home` is removed when it is closed."""
        self._home = home
        self._place = tempfile.TemporaryDirectory(prefix="finetune-")
        self._subject = subject
        self._errors = (Path(self._place.name) / "errors").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trainer", *arguments],
            cwd=self._place.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True, env={**os.environ, "HF_HUB_OFFLINE": "1"} if offline else None,
        )  # fmt: skip
        self._pending, self._last = b"", ""
        self._closed_while_alive = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: BaseModel | None, answer: type[Answer], tell: OnProgress, seconds: float) -> Answer:
        """The result of one request; without one, of what the child was started for.

        Raises:
            FineTuneError: what the child found wrong, that it took too long, or that it ended without an answer.
        """
        if request is not None:
            with contextlib.suppress(BrokenPipeError):
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(request.model_dump(mode="json")).encode() + b"\n")
                self._process.stdin.flush()
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

    def _line(self, deadline: float) -> bytes | None:
        """The next line; None when the child has ended or the time is up."""
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
        """Why there is no answer."""
        if self._closed_while_alive:
            return Problem.error(Code.CHILD_CLOSED, path=self._subject)
        overdue = self.alive and not self._wait(0.5)
        self.close()
        code = self._process.returncode
        if overdue:
            return Problem.error(Code.CHILD_OVER_LIMIT, path=self._subject, field="time", limit=f"{seconds:.0f} s")
        if code == -signal.SIGPROF:
            return Problem.error(Code.TEMPLATE_TOO_SLOW, model=self._subject, limit="1.5 s")
        if -code in _LIMITS:
            return Problem.error(
                Code.CHILD_OVER_LIMIT, path=self._subject, field=_LIMITS[signal.Signals(-code)], limit="amount"
            )
        return Problem.error(Code.START_FAILED, reason=self._last or "exit_code", seen=code)

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the child from outside: whoever waits for its answer is told that it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def close(self) -> None:
        """End the child, and all that it started."""
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
    """How long a file of `size` bytes may be read: the child's own limit of processor time, twice."""
    return 180 + size / 500_000


def read_size(path: Path) -> int:
    """How much there is to read in a file: of a compressed one about ten times what it has."""
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
    """What there is to choose from in a dataset of the Hub: `NAME` or `NAME:CONFIG`.

    Raises:
        FineTuneError: it isn't there, is out of reach, or has nothing that can be read.
    """
    return run_trainer(["hub-splits", "--", f"hub:{name}"], HubSplits, seconds=HUB_SECONDS, subject=name)


def download_model(home: Path, model: str, progress: Progress) -> Path:
    """Bring a model to this machine; returns its folder.

    Raises:
        FineTuneError: it can't be had.
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
    """A child that is kept: how many wait for it or are being answered, and when it was asked last."""

    child: TrainerChild
    asking: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    used: float = 0.0


class Previews:
    """Children that show what models see of the home's datasets: one a model, kept for the next question.

    A child that is being asked is never ended for another; where all are busy a third model is refused, and so are more
    who wait for one child than a page or two can be: those who wait hold threads that all other requests need.
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
        """What the model's child answers. With `offline` a tokenizer that isn't here yet is not fetched.

        Raises:
            FineTuneError: the model or the row can't be used, there is no answer in time, or too much is asked at once.
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
