"""The children that answer chats: one per base model and device, kept for a while, and ended when memory is needed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel

from interfaces.chats import Answered, AnswerRequest, ChatModelSettings, LeaveRequest
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from interfaces.run_records import weight_files
from interfaces.trainer_jobs import JobProgress
from studio.models.facts import model_facts
from studio.processes.supervisor import resident_bytes
from studio.processes.trainer_child import TrainerChild
from studio.runs.queue import RunQueue, device_name
from studio.sizing.chat_memory import chat_bytes, gguf_bytes
from studio.sizing.devices import chosen_device, detect_devices

LOAD_SECONDS = 86_400.0
"""A model may have to be downloaded first."""
ANSWER_SECONDS = 86_400.0
"""The user stops an answer that takes too long."""


class ChildState(BaseModel):
    """A child as the page shows it. `progress` is that of a download, in bytes.

    `moved` means that a run has the GPU, so the child is on the CPU; `shared`, that a run computes on the same device.
    """

    model: str
    device: str
    memory_bytes: int
    state: str
    """'loading', 'answering' or 'idle'."""
    progress: tuple[int, int] | None
    moved: bool
    shared: bool


@dataclass
class _Held:
    """A child. `users` are the requests that need it, waiting ones included: such a child is never ended for another."""

    model: str
    device: str
    moved: bool
    child: TrainerChild
    asking: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    loaded: bool = False
    answering: bool = False
    problems: tuple[Problem, ...] = ()
    """Why the model couldn't be loaded."""
    progress: tuple[int, int] | None = None
    used: float = field(default_factory=time.monotonic)


class Asked:
    """A request on its way, which can be left: before it begins, or at its next token."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.number = next(self._numbers)
        self.left = False
        self._held: _Held | None = None

    def leave(self) -> None:
        self.left = True
        held = self._held
        if held is None:
            return
        if not held.loaded and held.users == 1:
            held.child.end()  # nobody else waits for this model
        else:
            held.child.tell(LeaveRequest(number=self.number))

    def comes_to(self, held: _Held) -> None:
        self._held = held
        if self.left:
            self.leave()


class ChatChildren:
    """All children of one home."""

    MOST = 3
    IDLE_SECONDS = 300.0
    TEND_SECONDS = 2.0

    def __init__(self, home: Home) -> None:
        self._home, self._queue = home, RunQueue(home)
        self._guard = threading.Lock()
        self._children: dict[str, _Held] = {}
        self._tending: threading.Timer | None = None

    def answer(
        self, config: FineTuneConfig, request: AnswerRequest | None, asked: Asked | None = None, gguf: str = ""
    ) -> None:
        """Let the child of this config's base model answer, or only load the model without a request.

        With `gguf`, the child computes this file, on the processor, instead of the base model's weights.

        Raises:
            FineTuneError: the memory isn't sufficient, the model can't be loaded, or the child has ended.
        """
        held = self._take(config, gguf)
        asked = asked or Asked()
        try:
            asked.comes_to(held)
            with held.asking:
                self._load(held)
                if request is not None and not asked.left:
                    held.answering = True
                    named = request.model_copy(update={"number": asked.number})
                    held.child.ask(named, Answered, lambda update: self._tell(held, update), ANSWER_SECONDS)
        finally:
            with self._guard:
                held.users -= 1
                held.answering = False if not held.users else held.answering
                held.used = time.monotonic()

    def _load(self, held: _Held) -> None:
        """
        Raises:
            FineTuneError: the model can't be loaded; all who wait for it get the same error.
        """
        held.answering = False
        if held.problems:
            raise FineTuneError(*held.problems)
        if held.loaded:
            return
        try:
            held.child.ask(None, Answered, lambda update: self._tell(held, update), LOAD_SECONDS)
        except FineTuneError as error:
            held.problems = tuple(error.problems)
            raise
        held.loaded, held.progress = True, None

    def has(self, config: FineTuneConfig) -> bool:
        """Return whether there is a child for this config's base model."""
        key, _, _ = self._place(config)
        with self._guard:
            return key in self._children and self._children[key].child.alive

    def states(self) -> list[ChildState]:
        with self._guard:
            there = [held for held in self._children.values() if held.child.alive]
        return [
            ChildState(
                model=held.model, device=held.device, memory_bytes=resident_bytes(held.child.pid), moved=held.moved,
                shared=self._queue.holder_of(held.device) is not None,
                state="answering" if held.answering else "idle" if held.loaded else "loading", progress=held.progress,
            )
            for held in there
        ]  # fmt: skip

    def close(self) -> None:
        """End all children. An answer that is on its way ends as it is."""
        with self._guard:
            for held in self._children.values():
                held.child.close()
            self._children.clear()

    @staticmethod
    def _tell(held: _Held, update: JobProgress) -> None:
        held.progress = update.progress

    def _place(self, config: FineTuneConfig, gguf: str = "") -> tuple[str, FineTuneConfig, bool]:
        """Return the child's key, its config with a device, and whether a run keeps it from its GPU."""
        device = chosen_device("cpu" if gguf else config.device, detect_devices())
        moved = device.kind == "cuda" and self._queue.holder_of(device_name(device)) is not None
        changes = {"device": "cpu", "fp16": False} if moved else {"device": device_name(device)}
        chosen = config.model_copy(update=changes)
        written = self._written(chosen)
        return ChatModelSettings(config=chosen, gguf=gguf, written=written).model_dump_json(), chosen, moved

    def _written(self, config: FineTuneConfig) -> int:
        """Return when a run has last written the model that this config names; 0 if it is none of a run's."""
        place = Path(config.model_name)
        if not place.is_relative_to(self._home.runs):
            return 0
        return max((path.stat().st_mtime_ns for path in weight_files(place)), default=0)

    def _called(self, config: FineTuneConfig) -> str:
        """Return what a model is called on the page: one of a run by its place in the home."""
        place = Path(config.model_name)
        return str(place.relative_to(self._home.runs) if place.is_relative_to(self._home.runs) else config.model_name)

    def _take(self, config: FineTuneConfig, gguf: str) -> _Held:
        key, chosen, moved = self._place(config, gguf)
        with self._guard:
            self._end(lambda held: not held.child.alive)
            held = self._children.get(key)
            if held is None:
                self._make_room(chosen, gguf)
                child = TrainerChild(
                    ["chat", "--home", str(self._home.path), "--", key], chosen.model_name, home=self._home.path
                )
                held = self._children[key] = _Held(self._called(chosen), chosen.device, moved, child)
            held.users += 1
            self._tend_later()
            return held

    def _make_room(self, config: FineTuneConfig, gguf: str) -> None:
        """
        Raises:
            FineTuneError: the model doesn't fit beside what is there.
        """
        device = chosen_device(config.device, detect_devices())
        try:
            shape = model_facts(self._home, config.model_name, config.model_revision).shape
            needed = gguf_bytes(shape, Path(gguf)) if gguf else chat_bytes(shape, config, device)
        except (FineTuneError, OSError):  # it must be downloaded again, or the child tells what is wrong
            return

        def available() -> int:
            if device.kind == "cpu":
                return psutil.virtual_memory().available
            return chosen_device(config.device, detect_devices()).free_memory_bytes

        idle = sorted((held.used, key) for key, held in self._children.items() if not held.users)
        while idle and (len(self._children) >= self.MOST or available() < needed):
            self._children.pop(idle.pop(0)[1]).child.close()
        if len(self._children) >= self.MOST:
            raise FineTuneError.of(Code.STUDIO_BUSY, count=len(self._children))
        if (free := available()) < needed:
            raise FineTuneError.of(Code.CHAT_MEMORY, model=config.model_name, needed=needed, free=free)

    def _end(self, unwanted: Callable[[_Held], bool]) -> None:
        for key, held in list(self._children.items()):
            if not held.users and unwanted(held):
                self._children.pop(key).child.close()

    def _tend_later(self) -> None:
        if self._tending is None:
            self._tending = threading.Timer(self.TEND_SECONDS, self._tend)
            self._tending.daemon = True
            self._tending.start()

    def _tend(self) -> None:
        """End children that have been idle, and those on a GPU that a run needs now."""
        with self._guard:
            self._tending = None
            idle = time.monotonic() - self.IDLE_SECONDS
            self._end(lambda held: not held.child.alive or (held.loaded and held.used < idle))
            self._end(lambda held: held.device.startswith("cuda") and self._queue.holder_of(held.device) is not None)
            if self._children:
                self._tend_later()
