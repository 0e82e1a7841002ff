"""The shared context of one attempt."""

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
from trainer.training.stop import StopSignal


@dataclass(frozen=True)
class AttemptContext:
    """One attempt of a run: its settings, folder, log, stop request, and device."""

    config: FineTuneConfig
    folder: RunFolder
    log: EventLog
    history: RunHistory
    """The history from the log, as of its last refresh."""
    stop: StopSignal
    compute: Compute

    def warn(self, *problems: Problem) -> None:
        for problem in problems:
            self.log.append(Warned(problem=problem))


def decided(config: FineTuneConfig, compute: Compute) -> FineTuneConfig:
    """Resolve `gradient_checkpointing: auto`, if the studio's estimate has not already resolved it."""
    if config.gradient_checkpointing != "auto":
        return config
    return config.model_copy(update={"gradient_checkpointing": checkpointing_without_estimate(compute.device.type)})
