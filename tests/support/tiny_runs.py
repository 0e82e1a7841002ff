"""Whole runs of the two-layer model in this process, and what they leave."""

from __future__ import annotations

from typing import Any

from interfaces.events import Step, read_events
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.run_records import weight_files
from tests.support.records import kept
from trainer.training.stop import StopSignal


def train(
    home: Home, config: dict[str, Any], folder: RunFolder | None = None, attempt: int = 1
) -> tuple[RunFolder, dict[str, Any]]:
    from trainer.lora_trainer import LoRATrainer

    folder = folder or home.create_run()
    return folder, LoRATrainer(folder, attempt).train(config)


def events(folder: RunFolder, kind: type) -> list[Any]:
    return [event for event in kept(read_events(folder.events)) if isinstance(event, kind)]


def losses(folder: RunFolder) -> list[float]:
    return [event.loss for event in events(folder, Step)]


def adapter_bytes(folder: RunFolder) -> bytes:
    """Return the weights of a run's result, an adapter or a whole model."""
    return b"".join(path.read_bytes() for path in weight_files(folder.result))


class StopAfter(StopSignal):
    """A person who asks for a stop once the curve has `number` points."""

    def __init__(self, folder: RunFolder, number: int, mode: str) -> None:
        super().__init__(folder, 1)
        self._number, self._mode = number, mode

    @property
    def mode(self) -> str | None:
        if len(losses(self._folder)) >= self._number and not self._folder.stop.exists():
            write_json(self._folder.stop, {"mode": self._mode, "attempt": 1})
        return super().mode
