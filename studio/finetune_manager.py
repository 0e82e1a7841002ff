"""Creates a run folder from a config and starts it through the injected service."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

from interfaces.advice import checkpointing_without_estimate
from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.finetune import IFineTuneService, TrainingResult
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_config import Settings, generates, read_run_config, write_run_config
from interfaces.run_control import StopRequest
from interfaces.run_records import (
    OF_A_RESUME,
    Reproduction,
    RunMeta,
    SweepPoint,
    has_result,
    is_whole_model,
    result_folder,
    result_steps,
)
from interfaces.validation import config_errors
from studio.datasets.library import dataset_name, with_datasets
from studio.evaluation.evaluations import check_gate, create_for_gate
from studio.runs.names import next_name
from studio.runs.queue import RunQueue
from studio.runs.reproduction import config_of, require_reproducible
from studio.runs.state import RunState, find_run, interrupted_runs, require_known, run_state, stop_requested
from studio.runs.trash import delete_run
from studio.sizing.assess import Assessment, assess
from studio.sizing.devices import chosen_device, detect_devices

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""After this many attempts, a run that is interrupted each time is no longer resumed automatically."""
SPACE_BYTES = 50_000_000
"""With less free space nothing is started, because soon not even the events of a run would fit."""


class FinetuneManager:
    """Manages the tasks of one home. A task is a run folder, and its id is the run's.

    The service is injected, and this class depends only on its interface: the studio injects one that
    launches a supervisor, tests inject a fake.
    """

    def __init__(self, trainer: IFineTuneService, home: Home | None = None) -> None:
        self.trainer = trainer
        self.home = home or Home.of(None, os.environ)
        self.queue = RunQueue(self.home)

    def create_task(
        self, config: Settings, dataset_title: str = "", timing: bool = False, sweep: SweepPoint | None = None
    ) -> str:
        """Store a config as an immutable snapshot in a new run folder. Return the task's id.

        `timing` marks a run that only measures steps, `sweep` one that tries some values.

        Pass the dataset as an id of the home (`ensure_dataset`), so that later changes of its file have no effect.

        Raises:
            FineTuneError: the config has errors, its adapter doesn't exist, or there is no space for a run.
        """
        if errors := config_errors(config):
            raise FineTuneError(*errors)
        require_space(self.home.path, SPACE_BYTES)
        checked = FineTuneConfig.model_validate(config)
        check_gate(checked)
        checked.adapter_name_or_path = self._source_of(checked.adapter_name_or_path)
        expected = self._expect(checked)
        folder = self.home.create_run()
        checked.model_name = _kept_model(checked.model_name, folder)
        reference = checked.dataset if isinstance(checked.dataset, str) else " + ".join(checked.dataset)
        title = dataset_title or dataset_name(self.home, reference)
        validation = checked.validation_dataset
        RunMeta(
            name=checked.name or next_name(self.home, title),
            model=Path(checked.model_name).name
            if checked.model_name.startswith(str(folder.path))
            else checked.model_name,
            dataset=title,
            dataset_id=reference,
            validation_id=validation,
            timing=timing,
            sweep=sweep,
        ).write(folder)
        if expected is not None:
            write_json(folder.estimate, expected.run_record().to_json())
        if not timing:
            create_for_gate(folder, checked)
        snapshot = checked.model_dump(exclude={"output_dir"})
        # Write the config last: a folder without it is not a run yet.
        write_run_config(folder, snapshot)
        return folder.id

    def _expect(self, config: FineTuneConfig) -> Assessment | None:
        """Estimate the run's needs if the architecture is known; this resolves `gradient_checkpointing: auto`."""
        device = chosen_device(config.device, detect_devices())
        # The run that uses the device now will have ended when this one starts.
        free = min(device.free_memory_bytes + self.queue.memory_held(device), device.total_memory_bytes)
        device = replace(device, free_memory_bytes=free)
        try:
            expected = assess(self.home, config, device)
        except FineTuneError:
            if config.gradient_checkpointing == "auto":
                config.gradient_checkpointing = checkpointing_without_estimate(device.kind)
            return None
        config.gradient_checkpointing = expected.config.gradient_checkpointing
        return expected

    def config(self, task_id: str) -> Settings:
        """Return the stored config with `output_dir` set to the run's current folder."""
        folder = self._folder(task_id)
        return {**read_run_config(folder), "output_dir": str(folder.path)}

    def start_training(self, task_id: str) -> TrainingResult:
        """Run a task through the injected service and return its result (a `TrainingResult`).

        Raises:
            FineTuneError: there is no such task, or it can't be started.
        """
        config = self.config(task_id)
        return cast("TrainingResult", self.trainer.train(config))

    def launch(self, task_id: str) -> None:
        """Start a task and return once the run continues without this process, or is queued.

        Raises:
            FineTuneError: the run could not be started.
        """
        self.trainer.submit(self.config(task_id))

    def launch_new(self, config: Settings, timing: bool = False) -> str:
        """Create a run like `create_task`, launch it, and return its id. A run that can't be started is deleted.

        Raises:
            FineTuneError: as `create_task`, or it could not be started.
        """
        task = self.create_task(config, timing=timing)
        try:
            self.launch(task)
        except FineTuneError:
            if not self.home.run(task).attempts():
                delete_run(self.home.run(task))
            raise
        return task

    def resume(self, task_id: str) -> None:
        """Resume an unfinished run that has ended, from its newest valid checkpoint, or from the start without one.

        Raises:
            FineTuneError: it is finished, is running, or could not be started.
        """
        self.require_resumable(task_id)
        self.launch(task_id)

    def require_resumable(self, task_id: str) -> None:
        """
        Raises:
            FineTuneError: it is finished, or is running.
        """
        folder = self._folder(task_id)
        require_known(folder)
        state = run_state(folder)
        if state is RunState.FINISHED:
            raise FineTuneError.of(Code.RUN_FINISHED, run=folder.id)
        if not state.is_over and state is not RunState.QUEUED:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state=state.value)

    def resume_interrupted(self) -> list[str]:
        """Resume all interrupted runs, one at a time per device. Return their ids.

        Skip a run that has been interrupted repeatedly, because it may be what crashes the machine.
        """
        resumed = []
        for run in interrupted_runs(self.home):
            if run.attempts >= MOST_ATTEMPTS:
                continue
            try:
                self.launch(run.id)
                resumed.append(run.id)
            except Exception:  # a run that can't be resumed doesn't block the others
                log.exception("Could not resume run %s", run.id)
        return resumed

    def config_for_rerun(self, task_id: str, continue_training: bool = False) -> Settings:
        """Return a run's settings for a new run with the same start, or one that starts from its adapter or model.

        Raises:
            FineTuneError: the run doesn't exist, or it has no adapter or checkpoint yet.
        """
        config = {key: value for key, value in self.config(task_id).items() if key != "output_dir"}
        if continue_training and config.get("tuning") == "full":
            return {**config, "model_name": str(self._model_of(task_id))}
        if continue_training:
            return {**config, "adapter_name_or_path": self._source_of(task_id)}
        first = self._folder(task_id).first_adapter
        return {**config, "adapter_name_or_path": str(first)} if first.is_dir() else config

    def reproduce(self, task_id: str) -> str:
        """Create a run that repeats a finished one from its lineage, and return its id. Launch it like any other.

        Raises:
            FineTuneError: the run isn't finished, its dataset is gone, or there is no space for a run.
        """
        folder = self._folder(task_id)
        lineage = require_reproducible(folder)
        config = {**config_of(lineage, self.config_for_rerun(task_id)), "evaluation_dataset": "", "gate": ""}
        name = f"{RunMeta.of(folder).name or folder.id} (again)"
        task = self.create_task(with_datasets(self.home, {**config, "name": name[:200]}))
        Reproduction(of=folder.id).write(self.home.run(task))
        return task

    def _model_of(self, task_id: str) -> Path:
        """Return the whole model that a run has trained, or that of its newest checkpoint."""
        folder = self._folder(task_id)
        steps = result_steps(folder)
        return result_folder(folder, None if has_result(folder.result) or not steps else steps[-1])

    def _source_of(self, adapter: str) -> str:
        """Return the adapter to start from, as the absolute path of a folder or the full id of a run."""
        if not adapter:
            return ""
        place = Path(adapter).expanduser().absolute()
        if place.parent == self.home.runs.absolute():
            adapter = place.name  # a run's own folder
        elif place.is_dir():
            return str(place)
        elif "/" in adapter:
            raise FineTuneError.of(Code.ADAPTER_UNUSABLE, value=adapter, reason="no_such_folder")
        folder = find_run(self.home, adapter)
        if is_whole_model(folder.result):
            raise FineTuneError.of(
                Code.ADAPTER_UNUSABLE, value=adapter, reason="is_whole_model", seen=str(folder.result)
            )
        if not generates(folder):
            raise FineTuneError.of(Code.ADAPTER_UNUSABLE, value=adapter, reason="holds_scores", seen=folder.id)
        if not (folder.result.is_dir() or any(folder.checkpoints.glob("step-*"))):
            raise FineTuneError.of(Code.NO_ADAPTER, run=folder.id)
        return folder.id

    def request_stop(self, task_id: str, discard: bool = False) -> None:
        """Ask a run to stop: after the current batch with a checkpoint, or immediately without saving.

        A queued run is removed from the queue.

        Raises:
            FineTuneError: the run is neither running nor queued.
        """
        folder = self._folder(task_id)
        if folder.is_waiting:
            self.queue.cancel(folder)
            return
        state = run_state(folder)
        attempts = folder.attempts()
        if state.is_over or not attempts:
            raise FineTuneError.of(Code.RUN_NOT_ACTIVE, run=folder.id, state=state.value)
        discard = discard or stop_requested(folder, attempts[-1]) == "discard"  # an earlier discard stays in effect
        StopRequest("discard" if discard else "save", attempts[-1].number).write(folder.stop)

    def _folder(self, task_id: str) -> RunFolder:
        folder = self.home.run(task_id)
        if "/" in task_id or not folder.config.is_file():
            raise FineTuneError.of(Code.RUN_NOT_FOUND, run=task_id, path=str(self.home.runs))
        return folder


def _kept_model(model_name: str, run: RunFolder) -> str:
    """Keep a model of another run in this one, so that neither depends on the other; return what to train.

    Hard links take no space, and keep the files when the other run is resumed, cleaned up, or deleted.
    """
    source, runs = Path(model_name), run.home.runs.absolute()
    if not source.is_relative_to(runs) or not is_whole_model(source):
        return model_name
    owner = source.relative_to(runs).parts[0]
    name = source.name if source.parent.name == run.first_model.name else f"{owner}-{source.name}"
    target = run.first_model / name
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and path.name not in OF_A_RESUME:
            try:
                os.link(path, target / path.name)
            except OSError:
                shutil.copyfile(path, target / path.name)
    return str(target)
