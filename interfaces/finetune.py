"""The interface of every trainer: real or fake, in this process or in another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypedDict

from interfaces.run_config import Settings

RESULT_SCHEMA_VERSION = 1


class TrainingResult(TypedDict):
    """The result of a run. Losses are means per trained token in nats, or None if they were not computed."""

    schema_version: int
    run: str
    state: Literal["finished", "stopped", "failed", "interrupted"]
    adapter: str | None
    """Absolute path of the adapter's folder."""
    steps: int
    train_loss_first: float | None
    train_loss_last: float | None
    eval_loss: float | None
    tokens_per_second: float | None
    """Tokens without padding, divided by the time spent in training steps."""
    peak_memory_bytes: int | None
    """Peak memory of the trainer: process memory on a CPU, allocator memory on a GPU."""
    seconds: float
    problem: dict[str, object] | None
    """A `Problem` as a dict when the state is 'failed'."""


class IFineTuneService(ABC):
    """Fine-tunes one run. Each object is bound to one run folder, given by the config or the constructor."""

    @abstractmethod
    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        """Train to the end and return a `TrainingResult`.

        `config` holds the fields of `FineTuneConfig`. A failed or stopped run returns a result with
        that state; only an invalid config raises.

        Raises:
            FineTuneError: the config has errors; `problems` lists each one.
        """

    def submit(self, config: Settings) -> None:
        """Start `train` and return once it runs without the caller, or waits in a queue.

        This default is for services that train in the caller's process: it returns after training ends.

        Raises:
            FineTuneError: the config has errors, or training could not be started.
        """
        self.train(config)

    @abstractmethod
    def export_model(self, output_path: Path) -> Path:
        """Write the trained adapter to `output_path` and return the resulting path.

        A path that ends in `.zip` creates one file, any other path a folder.

        Raises:
            FineTuneError: there is no adapter yet, or `output_path` can't be written.
        """

    @abstractmethod
    def validate_config(self, config: dict[str, Any]) -> bool:
        """Return whether `train` would accept `config`, that is, whether `config_problems` finds no error."""
