"""The rows of an evaluation: those of a dataset without the ones that were trained on, and the general questions."""

from __future__ import annotations

import json
import logging
from importlib.resources import files

import numpy

from interfaces.config import FineTuneConfig
from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.evaluations import HELD_OUT, EvaluationQuestion, EvaluationSpec
from interfaces.example import Example, Message
from interfaces.example_file import UNDESIRED, ExampleFile
from interfaces.files import write_text
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code, Problem
from trainer.data.dataset import Indices, index_of
from trainer.data.resolve import load_dataset
from trainer.data.run_rows import rows_of_run
from trainer.data.splitting import without_leaks

log = logging.getLogger(__name__)


class EvaluationRows:
    """The questions of an evaluation, how many rows were left out because they were trained on, and warnings."""

    def __init__(self, questions: list[EvaluationQuestion], leaked: int, warnings: list[Problem]) -> None:
        self.questions, self.leaked, self.warnings = questions, leaked, warnings


def gather(folder: EvaluationFolder, spec: EvaluationSpec, config: FineTuneConfig) -> EvaluationRows:
    """Choose the rows to evaluate. `config` is the run's.

    Raises:
        FineTuneError: a dataset can't be used, or nothing is left to evaluate.
    """
    rows = EvaluationRows([], 0, [])
    if spec.dataset:
        examples, positions = (
            _held_out(folder, config) if spec.dataset == HELD_OUT else _of_file(folder, spec, config, rows)
        )
        positions = _without_undesired(examples, positions, rows)
        if spec.max_rows and len(positions) > spec.max_rows:
            generator = numpy.random.default_rng(spec.seed)
            positions = numpy.sort(generator.choice(positions, spec.max_rows, replace=False))
        for position in positions.tolist():
            example = examples[position]
            number = len(rows.questions) + 1
            rows.questions.append(EvaluationQuestion(number=number, set="data", row=example.row, example=example))
    if spec.probe:
        rows.questions += general_questions(len(rows.questions))
    return rows


def _without_undesired(examples: ExampleFile, positions: Indices, rows: EvaluationRows) -> Indices:
    """Leave out answers that are marked as undesired: no answer should be measured by one of them.

    Raises:
        FineTuneError: nothing is left.
    """
    undesired = index_of(examples.folder)["flags"][positions] & UNDESIRED != 0
    if undesired.any():
        counts = {
            "count": int(undesired.sum()),
            "rows": len(positions),
            "path": DatasetReport.required(examples.folder).name,
        }
        rows.warnings.append(Problem.warning(Code.EVALUATION_LEFT_OUT, **counts))
        if undesired.all():
            raise FineTuneError.of(Code.NOTHING_TO_EVALUATE, path=counts["path"])
    left: Indices = positions[~undesired]
    return left


def _held_out(folder: EvaluationFolder, config: FineTuneConfig) -> tuple[ExampleFile, Indices]:
    rows = rows_of_run(folder.home, config)
    if not len(rows.kept_aside):
        raise FineTuneError.of(Code.NOTHING_HELD_OUT, run=folder.run.id)
    return rows.measured, rows.kept_aside


def _of_file(
    folder: EvaluationFolder, spec: EvaluationSpec, config: FineTuneConfig, rows: EvaluationRows
) -> tuple[ExampleFile, Indices]:
    examples, used, report = load_dataset(folder.home, spec.dataset, spec.columns, "skip")
    if not len(used):
        raise FineTuneError.of(Code.NOTHING_TO_EVALUATE, path=spec.dataset_name)
    if len(used) < report.rows:
        left_out = report.rows - len(used)
        rows.warnings.append(
            Problem.warning(Code.EVALUATION_LEFT_OUT, count=left_out, rows=report.rows, path=spec.dataset_name)
        )
    try:
        trained = rows_of_run(folder.home, config)
    except FineTuneError as error:  # the run's dataset has been removed since
        log.warning("Rows that were trained on can't be found", exc_info=True)
        rows.warnings += [Problem.warning(one.code, **one.params) for one in error.problems]
        return examples, used
    index = index_of(trained.examples.folder)[trained.training]
    unseen, leaked = without_leaks(index, index_of(examples.folder), used)
    rows.leaked = len(leaked)
    if len(leaked):
        counts = {"count": len(leaked), "rows": len(used), "first": [examples.entry(int(leaked[0]))[2]]}
        if not len(unseen):
            raise FineTuneError.of(Code.ALL_TRAINED_ON, path=spec.dataset_name, rows=len(used))
        rows.warnings.append(Problem.warning(Code.LEAK_REMOVED, **counts))
    return examples, unseen


def general_questions(before: int = 0) -> list[EvaluationQuestion]:
    """Return the general questions, numbered after `before`. They never change, so results can be compared."""
    lines = files("assets").joinpath("probe/general-questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = []
    for row, record in enumerate(map(json.loads, lines), start=1):
        said = (
            Message(role="user", content=record["prompt"]),
            Message(role="assistant", content=record["answer"], train=True),
        )
        questions.append(
            EvaluationQuestion(
                number=before + row, set="probe", row=row, example=Example(messages=said, row=row),
                kind=record["kind"], accept=record["accept"],
            )
        )  # fmt: skip
    return questions


def write_questions(folder: EvaluationFolder, questions: list[EvaluationQuestion]) -> None:
    """Write all questions atomically."""
    write_text(folder.questions, "".join(f"{one.model_dump_json(exclude_defaults=True)}\n" for one in questions))
