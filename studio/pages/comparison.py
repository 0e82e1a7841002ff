"""Two to eight runs side by side: their figures, the settings in which they differ, their curves, and their answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pydantic import BaseModel, Field

from interfaces.config import FineTuneConfig
from interfaces.dotted_names import flat
from interfaces.errors import FineTuneError
from interfaces.history import RunHistory
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from interfaces.texts import texts
from studio.datasets.library import dataset_name
from studio.evaluation.statistics import Interval
from studio.evaluation.table import as_cell, finished_of
from studio.runs.curves import best_validation, pairs_of, whole_curves
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


class Measurement(BaseModel):
    """A run's value of a metric, with its interval of 95 % unless there are too few rows."""

    value: float
    interval: Interval | None
    rows: int


class ComparedMetric(BaseModel):
    """A metric on a dataset, with its name in words, and what each run has reached; None without an evaluation there."""

    dataset: str
    dataset_name: str
    metric: str
    label: str
    values: list[Measurement | None]


class Answers(BaseModel):
    """A sample prompt, the base model's answer, and the newest answer of each run that was asked it."""

    prompt: str
    before: str
    after: list[str | None]


class Comparison(BaseModel):
    """The runs in the order asked for, without those that are gone."""

    runs: list[ComparedRun]
    differences: list[SettingValues]
    evaluations: list[ComparedMetric]
    answers: list[Answers]
    gone: list[str] = Field(default_factory=list)


def compare(histories: Sequence[RunHistory], gone: Sequence[str] = (), language: str = "en") -> Comparison:
    """Compare runs.

    Raises:
        FineTuneError: there are too many, or the config of one can't be read.
    """
    if len(histories) > MOST_RUNS:
        raise FineTuneError.of(Code.VALUE_INVALID, field="runs", value=str(len(histories)), expected="at_most_eight")
    return Comparison(
        runs=[_figures(history) for history in histories],
        differences=_differences(histories),
        evaluations=_evaluations(histories, language),
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
    for line in comparison.evaluations:
        name = f"{line.metric} ({line.dataset_name or line.dataset})"
        table.writerow([name, *("" if one is None else one.value for one in line.values)])
        for end in ("low", "high"):
            ends = ("" if one is None or one.interval is None else getattr(one.interval, end) for one in line.values)
            table.writerow([f"{name} {end}", *ends])
    return file.getvalue()


def _figures(history: RunHistory) -> ComparedRun:
    run = summarize(history.folder, history)
    curves = whole_curves(history, MOST_POINTS)
    best = best_validation(history)
    with history.lock:
        return ComparedRun(
            run=run, curves=curves, tokens=history.totals.tokens[-1], peak_memory_bytes=history.peak_memory_bytes,
            best_validation_loss=best[0] if best else None, best_step=best[1] if best else None,
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


def _evaluations(histories: Sequence[RunHistory], language: str) -> list[ComparedMetric]:
    """Return each metric of each dataset, from every run's newest evaluation of its result there."""
    words = texts("metric", language)
    lines: dict[tuple[str, str], ComparedMetric] = {}
    for place, history in enumerate(histories):
        for _, spec, result in finished_of(history.folder):
            for one in result.table if spec.step is None else ():
                line = lines.setdefault(
                    (spec.dataset, one.name),
                    ComparedMetric(
                        dataset=spec.dataset, dataset_name=spec.dataset_name, metric=one.name, label=words[one.name],
                        values=[None] * len(histories),
                    ),
                )  # fmt: skip
                if line.values[place] is None:
                    line.values[place] = Measurement(value=one.tuned, interval=one.tuned_interval, rows=one.rows)
    return [lines[key] for key in sorted(lines, key=lambda key: key[0])]


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
