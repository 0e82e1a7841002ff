"""An adapter from elsewhere as a finished run, so that it can be tried, evaluated, exported, and trained further."""

from __future__ import annotations

import shutil
from pathlib import Path

from interfaces.config import UNKNOWN_DATA, FineTuneConfig
from interfaces.folders import Home, RunFolder
from interfaces.model_folder import find_folder, is_path
from interfaces.problems import Problem
from interfaces.run_config import write_run_config
from interfaces.run_records import RunMeta
from interfaces.trainer_jobs import ForeignAdapter, OnProgress, ignore_progress
from studio.processes.trainer_child import run_trainer

TAG = "imported"


def import_adapter(
    home: Home, path: Path, model: str = "", name: str = "", tell: OnProgress = ignore_progress
) -> tuple[RunFolder, list[Problem]]:
    """Copy an adapter, a folder or a zip file, into a new run. `model` is its base model, if it doesn't name a known one.
    Return the run, and warnings about what was left out.

    Raises:
        FineTuneError: it can't be used (see `trainer/artifacts/foreign_adapter.py`).
    """
    path = path.absolute()  # the child works in a folder of its own
    options = ["--model", str(find_folder(model)) if is_path(model) else model] if model else []
    label = name or path.name.removesuffix(".zip")
    folder = home.create_run()
    try:
        taken = run_trainer(
            ["import-adapter", *options, "--", str(path), str(folder.path)], ForeignAdapter, tell, subject=path.name
        )
        lora = {
            "r": taken.r, "lora_alpha": taken.lora_alpha, "use_rslora": taken.use_rslora, "use_dora": taken.use_dora,
            "target_modules": taken.target_modules,
        }  # fmt: skip
        config = FineTuneConfig.model_validate(
            {
                "model_name": taken.base,
                "dataset": UNKNOWN_DATA,
                "name": label[:200],
                "lora": lora,
                "validation_split": 0,
            }
        )
        RunMeta(name=label[:200], model=taken.base, tags=[TAG]).write(folder)
        write_run_config(folder, config.model_dump(exclude={"output_dir"}))  # last: it makes the folder a run
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder, taken.warnings
