"""What all parts of one attempt share."""

from __future__ import annotations

from dataclasses import dataclass

from interfaces.advice import checkpointing_without_estimate
from interfaces.config import FineTuneConfig
from interfaces.events import Event, Warned, kept, read_events
from interfaces.folders import RunFolder
from interfaces.problems import Problem
from trainer.models.device import Compute
from trainer.training.event_log import EventLog
from trainer.training.stop import StopRequest


@dataclass(frozen=True)
class AttemptContext:
    """One attempt of a run: its settings and folder, the log that is told, the stop that may come, the device."""

    config: FineTuneConfig
    folder: RunFolder
    log: EventLog
    stop: StopRequest
    compute: Compute

    def warn(self, *problems: Problem) -> None:
        for problem in problems:
            self.log.append(Warned(problem=problem))

    def events(self) -> list[Event]:
        """The run's events so far, as they count: none of steps that were taken back."""
        return list(kept(read_events(self.folder.events)))


def decided(config: FineTuneConfig, compute: Compute) -> FineTuneConfig:
    """The settings with `gradient_checkpointing: auto` on or off, as the studio's estimate leaves it before a start."""
    if config.gradient_checkpointing != "auto":
        return config
    return config.model_copy(update={"gradient_checkpointing": checkpointing_without_estimate(compute.device.type)})
