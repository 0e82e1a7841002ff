"""Two to eight runs side by side: their figures, the settings in which they differ, their curves, and their answers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.history import RunHistory
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from studio.datasets.library import dataset_name
from studio.evaluation.table import as_cell
from studio.pages.form import flat
from studio.runs.curves import pairs_of, whole_curves
from studio.runs.state import RunSummary, summarize
from studio.runs.status import Curves

MOST_RUNS = 8
MOST_POINTS = 500
"""Of each curve: no screen shows more of eight."""
_SEPARATE = ("name",)
"""Settings that are shown in their own place."""
_DATA = ("dataset", "validation_dataset")


class ComparedRun(BaseModel):
    """A run's figures. Losses in nats per trained token; the best validation loss with its step."""

    run: RunSummary
    best_validation_loss: float | None
    best_step: int | None
    tokens: int
    peak_memory_bytes: int | None
    curves: Curves


class SettingValues(BaseModel):
    """A setting that isn't the same in all runs, with its value in each."""

    name: str
    values: list[object]


class Answers(BaseModel):
    """A sample prompt, the base model's answer, and the newest answer of each run that was asked it."""

    prompt: str
    before: str
    after: list[str | None]


class Comparison(BaseModel):
    """The runs in the order asked for, without those that are gone."""

    runs: list[ComparedRun]
    differences: list[SettingValues]
    answers: list[Answers]
    gone: list[str] = Field(default_factory=list)


def compare(histories: Sequence[RunHistory], gone: Sequence[str] = ()) -> Comparison:
    """Compare runs.

    Raises:
        FineTuneError: there are too many, or the config of one can't be read.
    """
    if len(histories) > MOST_RUNS:
        raise FineTuneError.of(Code.VALUE_INVALID, field="runs", value=str(len(histories)), expected="at_most_eight")
    return Comparison(
        runs=[_figures(history) for history in histories],
        differences=_differences(histories),
        answers=_answers(histories),
        gone=list(gone),
    )


def comparison_as_csv(comparison: Comparison) -> str:
    """Return the figures and the differing settings as a CSV table: one column for each run."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    runs = comparison.runs
    table.writerow(["", *(as_cell(one.run.name or one.run.id) for one in runs)])
    table.writerow(["id", *(one.run.id for one in runs)])
    for name in ("state", "model", "dataset", "step", "train_loss_last", "eval_loss", "seconds"):
        table.writerow([name, *(as_cell(getattr(one.run, name)) for one in runs)])
    for name in ("best_validation_loss", "best_step", "tokens", "peak_memory_bytes"):
        table.writerow([name, *(getattr(one, name) for one in runs)])
    for setting in comparison.differences:
        table.writerow([setting.name, *(as_cell(value) for value in setting.values)])
    return file.getvalue()


def _figures(history: RunHistory) -> ComparedRun:
    run = summarize(history.folder, history)
    curves = whole_curves(history, MOST_POINTS)
    with history.lock:
        losses, steps = history.validation.losses, history.validation.steps
        finite = (index for index, loss in enumerate(losses) if math.isfinite(loss))
        best = min(finite, key=losses.__getitem__, default=None)
        return ComparedRun(
            run=run, curves=curves, tokens=history.totals.tokens[-1], peak_memory_bytes=history.peak_memory_bytes,
            best_validation_loss=None if best is None else losses[best], best_step=None if best is None else steps[best],
        )  # fmt: skip


def _differences(histories: Sequence[RunHistory]) -> list[SettingValues]:
    configs = [
        flat(FineTuneConfig.model_validate(read_run_config(history.folder)).model_dump()) for history in histories
    ]
    for history, config in zip(histories, configs, strict=True):
        config |= {name: dataset_name(history.folder.home, str(config[name])) for name in _DATA if config[name]}
    names = [name for name in (configs[0] if configs else {}) if name not in _SEPARATE]
    values = {name: [config[name] for config in configs] for name in names}
    return [SettingValues(name=name, values=each) for name, each in values.items() if each.count(each[0]) < len(each)]


def _answers(histories: Sequence[RunHistory]) -> list[Answers]:
    """Return the prompts that at least two runs were asked; if there is none, all."""
    asked = [{pair.prompt: pair for pair in pairs_of(history.samples)} for history in histories]
    prompts = dict.fromkeys(prompt for pairs in asked for prompt in pairs)
    shared = [prompt for prompt in prompts if sum(prompt in pairs for pairs in asked) > 1]
    return [
        Answers(
            prompt=prompt,
            before=next((pairs[prompt].before for pairs in asked if prompt in pairs and pairs[prompt].before), ""),
            after=[pairs[prompt].after if prompt in pairs else None for pairs in asked],
        )
        for prompt in shared or prompts
    ]
