"""What all parts of one attempt share."""

from __future__ import annotations

from dataclasses import dataclass

from interfaces.advice import checkpointing_without_estimate
from interfaces.config import FineTuneConfig
from interfaces.events import Warned
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Problem
from trainer.models.device import Compute
from trainer.training.event_log import EventLog
from trainer.training.stop import StopRequest


@dataclass(frozen=True)
class AttemptContext:
    """One attempt of a run: its settings and folder, its log, the stop that may come, the device."""

    config: FineTuneConfig
    folder: RunFolder
    log: EventLog
    history: RunHistory
    """What the log holds, once it is refreshed."""
    stop: StopRequest
    compute: Compute

    def warn(self, *problems: Problem) -> None:
        for problem in problems:
            self.log.append(Warned(problem=problem))


def decided(config: FineTuneConfig, compute: Compute) -> FineTuneConfig:
    """The settings with `gradient_checkpointing: auto` on or off, as the studio's estimate leaves it before a start."""
    if config.gradient_checkpointing != "auto":
        return config
    return config.model_copy(update={"gradient_checkpointing": checkpointing_without_estimate(compute.device.type)})
