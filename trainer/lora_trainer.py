"""The real trainer: one object per run folder."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.events import Failed
from interfaces.finetune import IFineTuneService
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.result import result_of
from interfaces.validation import config_errors
from trainer.artifacts.export import export_adapter
from trainer.training.event_log import EventLog
from trainer.training.failures import problem_of
from trainer.training.requirements import require_versions
from trainer.training.stop import StopSignal, StopWatcher

log = logging.getLogger(__name__)


class LoRATrainer(IFineTuneService):
    """Trains a LoRA adapter in this process, and writes events, checkpoints, and the adapter to one run folder.

    The folder is in the `runs/` of a home, which also contains the datasets and the starter model.
    """

    def __init__(self, folder: RunFolder | Path, attempt: int = 1) -> None:
        self.folder = folder if isinstance(folder, RunFolder) else RunFolder(Path(folder).absolute())
        self.stop = StopSignal(self.folder, attempt)
        self._attempt = attempt

    def validate_config(self, config: dict[str, Any]) -> bool:
        return not config_errors(config)

    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        errors = config_errors(config)
        if errors:
            raise FineTuneError(*errors)
        checked = FineTuneConfig.model_validate(config)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        history = RunHistory(self.folder)
        with EventLog(self.folder.events, self._attempt) as events:
            watch = StopWatcher(self.stop, self.folder, events)
            if self.stop.listens:
                watch.start()
            try:
                events.hold_space(self.folder.reserve)
                require_versions()
                from trainer.training.run import run_training  # torch and transformers: seconds

                run_training(checked, history, events, self.stop)
            except Exception as error:
                log.exception("The run failed")
                latest = history.refresh().latest
                step, device = latest.step if latest else 0, history.started.device if history.started else "cpu"
                problem = problem_of(error, self.folder, checked, device)  # before deleting staged files frees space
                shutil.rmtree(self.folder.staging, ignore_errors=True)
                events.append(Failed(step=step, problem=problem))
            finally:
                watch.close()
        self.stop.forget_handmade()
        return dict(result_of(history.refresh()))

    def export_model(self, output_path: Path) -> Path:
        return export_adapter(self.folder, Path(output_path))
