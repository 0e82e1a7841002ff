"""Which children are kept: as many as the memory allows, none that is idle for long, none on a GPU that a run needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.chat import children as module
from studio.chat.children import ChatChildren
from tests.conftest import until

CPU = Device("cpu", "a processor", 1 << 34, 1 << 34)
GPU = Device("cuda", "a card", 1 << 34, 1 << 34)


class FakeChild:
    """A child that answers at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.alive, self.pid = True, 1

    def ask(self, *_: Any) -> None:
        return

    def close(self) -> None:
        self.alive = False


@pytest.fixture
def made(home: Home, monkeypatch: pytest.MonkeyPatch) -> ChatChildren:
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
