"""Which children are kept: as many as the memory allows, none that is idle for long, none on a GPU that a run needs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import AnswerRequest, LeaveRequest, Sampling
from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.chat import children as module
from studio.chat.children import Asked, ChatChildren
from tests.conftest import until

CPU = Device("cpu", "a processor", 1 << 34, 1 << 34)
GPU = Device("cuda", "a card", 1 << 34, 1 << 34)


class FakeChild:
    """A child that answers once it may go on, and notes what it is told."""

    may_go_on = threading.Event()

    def __init__(self, *_: Any, **__: Any) -> None:
        self.alive, self.pid = True, 1
        self.told: list[int] = []
        self.asked: list[int] = []

    def ask(self, request: AnswerRequest | None, *_: Any) -> None:
        if request is not None:
            self.asked.append(request.number)
        self.may_go_on.wait(30)
        if not self.alive:
            raise FineTuneError.of(Code.CHILD_CLOSED, path="chat")

    def tell(self, request: LeaveRequest) -> None:
        self.told.append(request.number)

    def end(self) -> None:
        self.close()
        self.may_go_on.set()

    def close(self) -> None:
        self.alive = False


@pytest.fixture
def made(home: Home, monkeypatch: pytest.MonkeyPatch) -> ChatChildren:
    FakeChild.may_go_on = threading.Event()
    FakeChild.may_go_on.set()
    monkeypatch.setattr(module, "TrainerChild", FakeChild)
    monkeypatch.setattr(module, "detect_devices", lambda: [CPU])
    return ChatChildren(home)


def config(tiny_model: Path, **settings: Any) -> FineTuneConfig:
    return FineTuneConfig(model_name=str(tiny_model), dataset="chat", **settings)


def test_memory_that_is_short_is_refused_with_its_figures(
    made: ChatChildren, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: type("", (), {"available": 300_000_000}))
    with pytest.raises(FineTuneError) as caught:
        made.answer(config(tiny_model), None)
    (problem,) = caught.value.problems
    assert problem.code == Code.CHAT_MEMORY
    assert problem.params["free"] == 300_000_000
    assert problem.params["needed"] > 300_000_000
    assert made.states() == []


def test_the_oldest_idle_child_makes_room(made: ChatChildren, tiny_model: Path) -> None:
    for revision in ("a", "b", "c"):
        made.answer(config(tiny_model, model_revision=revision), None)
    assert len(made.states()) == ChatChildren.MOST
    kept = [held.child for held in made._children.values()]
    made.answer(config(tiny_model, model_revision="c"), None)
    assert [held.child for held in made._children.values()] == kept


def test_child_that_is_idle_for_long_is_ended(
    made: ChatChildren, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChatChildren, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(ChatChildren, "TEND_SECONDS", 0.01)
    made.answer(config(tiny_model), None)
    until(lambda: not made._children)


def test_gpu_is_left_to_a_run(made: ChatChildren, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the GPU while it is free, then on the CPU, which the page says."""
    holder: list[object] = []
    monkeypatch.setattr(module, "detect_devices", lambda: [GPU, CPU])
    monkeypatch.setattr(made._queue, "holder_of", lambda device: holder[0] if holder and "cuda" in device else None)
    monkeypatch.setattr(ChatChildren, "TEND_SECONDS", 0.01)
    made.answer(config(tiny_model, device="cuda"), None)
    assert [(child.device, child.moved) for child in made.states()] == [("cuda:0", False)]
    holder.append("a run")
    until(lambda: not made._children)
    made.answer(config(tiny_model, device="cuda"), None)
    assert [(child.device, child.moved) for child in made.states()] == [("cpu", True)]


def in_a_thread(made: ChatChildren, config: FineTuneConfig, asked: Asked, problems: list[Code]) -> threading.Thread:
    def work() -> None:
        try:
            made.answer(config, AnswerRequest(turn=1, speakers=[], sampling=Sampling()), asked)
        except FineTuneError as error:
            problems.append(error.problems[0].code)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def held_child(made: ChatChildren) -> Any:
    return next(iter(made._children.values()))


def test_stop_reaches_its_own_request_and_no_other(made: ChatChildren, tiny_model: Path) -> None:
    """Chats with the same base model share a child; one waits while the other is answered."""
    made.answer(config(tiny_model), None)
    FakeChild.may_go_on.clear()
    first, second, problems = Asked(), Asked(), []
    threads = [in_a_thread(made, config(tiny_model), first, problems)]
    child = held_child(made).child
    until(lambda: child.asked == [first.number])
    threads.append(in_a_thread(made, config(tiny_model), second, problems))
    until(lambda: held_child(made).users == 2)
    second.leave()
    assert child.told == [second.number]
    FakeChild.may_go_on.set()
    for thread in threads:
        thread.join()
    assert child.asked == [first.number], "a request that was left before it began is not asked"
    assert problems == []


def test_stop_ends_a_model_that_is_still_loading_for_nobody_else(made: ChatChildren, tiny_model: Path) -> None:
    FakeChild.may_go_on.clear()
    asked, problems = Asked(), []
    thread = in_a_thread(made, config(tiny_model), asked, problems)
    until(lambda: bool(made._children))
    until(lambda: asked._held is not None)
    asked.leave()
    thread.join()
    assert problems == [Code.CHILD_CLOSED]
    assert made.states() == []


def test_child_that_is_needed_is_not_ended_for_another(
    made: ChatChildren, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChatChildren, "MOST", 1)
    FakeChild.may_go_on.clear()
    thread = in_a_thread(made, config(tiny_model), Asked(), [])  # its model is loading
    until(lambda: bool(made._children))
    with pytest.raises(FineTuneError) as caught:
        made.answer(config(tiny_model, model_revision="other"), None)
    assert caught.value.problems[0].code == Code.STUDIO_BUSY
    assert held_child(made).child.alive
    FakeChild.may_go_on.set()
    thread.join()
