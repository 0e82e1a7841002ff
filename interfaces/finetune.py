"""What every trainer promises, real or fake, in this process or behind another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypedDict

from interfaces.run_config import Settings

RESULT_SCHEMA_VERSION = 1


class TrainingResult(TypedDict):
    """How a run ended. Losses are means per trained token (nats); None where nothing was measured."""

    schema_version: int
    run: str
    state: Literal["finished", "stopped", "failed", "interrupted"]
    adapter: str | None
    """Folder of the adapter, absolute."""
    steps: int
    train_loss_first: float | None
    train_loss_last: float | None
    eval_loss: float | None
    tokens_per_second: float | None
    """Real tokens (padding left out) over the time spent in training steps."""
    peak_memory_bytes: int | None
    """Largest memory of the trainer: process memory on a CPU, the allocator's on a GPU."""
    seconds: float
    problem: dict[str, object] | None
    """A `Problem` as a dict when the state is 'failed'."""


class IFineTuneService(ABC):
    """Fine-tunes one run. An object is bound to one run folder; the config says which, or the constructor."""

    @abstractmethod
    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        """Train to the end and return a `TrainingResult`.

        `config` holds the fields of `FineTuneConfig`. A run that fails or is stopped returns a
        result which says so; only a config that can't be used raises.

        Raises:
            FineTuneError: the config holds errors; its `problems` name each one.
        """

    def submit(self, config: Settings) -> None:
        """Have `train` carried out, and return as soon as it continues without the caller, or waits for its turn.

        Here is the way of a service that trains in its caller's process and so can't: it trains to the end.

        Raises:
            FineTuneError: the config holds errors, or the training could not be started.
        """
        self.train(config)

    @abstractmethod
    def export_model(self, output_path: Path) -> Path:
        """Write the trained adapter to `output_path` and return where it lies.

        A path that ends in `.zip` becomes one file, any other a folder.

        Raises:
            FineTuneError: there is no adapter yet, or the place can't be written.
        """

    @abstractmethod
    def validate_config(self, config: dict[str, Any]) -> bool:
        """Whether `train` would accept `config`: true when `config_problems` finds no error."""
