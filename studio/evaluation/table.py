"""Evaluations as tables: all of a home side by side, and the rows of one, as CSV and JSONL."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from interfaces.errors import FineTuneError
from interfaces.evaluations import SIDES, EvaluationSpec
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder
from interfaces.run_records import RunMeta
from studio.evaluation.scoring import EvaluationResult, answered, result_of
from studio.runs.state import RunState, run_folders, run_state

if TYPE_CHECKING:
    import pandas

_KEYS = ["run", "name", "evaluation", "data", "checkpoint"]


def finished_evaluations(home: Home) -> Iterator[tuple[EvaluationFolder, EvaluationSpec, EvaluationResult]]:
    """Yield the finished evaluations of all runs, those of the newest run first."""
    for run in run_folders(home):
        yield from finished_of(run)


def finished_of(run: RunFolder) -> Iterator[tuple[EvaluationFolder, EvaluationSpec, EvaluationResult]]:
    """Yield the finished evaluations of a run, the newest first."""
    for folder in reversed(EvaluationFolder.all_of(run)):
        with contextlib.suppress(FineTuneError):  # another version wrote it
            if run_state(folder) is RunState.FINISHED and (result := result_of(folder)) is not None:
                yield folder, EvaluationSpec.of(folder), result


def comparison(home: Home) -> pandas.DataFrame:
    """Return one row for each finished evaluation: of each metric the value, the base's, the difference, and the verdict."""
    import pandas

    lines = [
        {
            "run": folder.run.id, "name": as_cell(RunMeta.of(folder.run).name), "evaluation": folder.number,
            "data": as_cell(spec.dataset_name or spec.dataset), "checkpoint": "" if spec.step is None else spec.step,
            "metric": one.name, "rows": one.rows, "tuned": one.tuned, "base": one.base,
            "difference": one.difference.value if one.difference else None,
            "verdict": one.difference.verdict if one.difference else "",
        }
        for folder, spec, result in finished_evaluations(home)
        for one in result.table
    ]  # fmt: skip
    if not lines:
        return pandas.DataFrame(columns=_KEYS)
    long = pandas.DataFrame(lines)
    wide = long.pivot(index=_KEYS, columns="metric", values=["tuned", "base", "difference", "verdict", "rows"])
    names = [(metric, value) for metric in dict.fromkeys(long["metric"]) for value in wide.columns.levels[0]]
    wide = wide[[(value, metric) for metric, value in names]]
    wide.columns = [metric if value == "tuned" else f"{metric}_{value}" for metric, value in names]
    return wide.reindex(long[_KEYS].drop_duplicates()).reset_index()


def rows_as_jsonl(folder: EvaluationFolder) -> Iterator[str]:
    """Yield one JSON line for each question: what was asked, the reference, and each side's answer and scores."""
    for record in rows_of(folder):
        yield json.dumps(record, ensure_ascii=False) + "\n"


def rows_as_csv(folder: EvaluationFolder) -> str:
    """Return the questions as a table: what was asked, the reference, the answers, and each score of each side."""
    import pandas

    table = pandas.json_normalize(list(rows_of(folder)), sep="_").map(as_cell)
    return str(table.to_csv(index=False, lineterminator="\n"))


def rows_of(folder: EvaluationFolder) -> Iterator[dict[str, object]]:
    """Yield each question with what was asked, the reference, and the answer and scores of each side."""
    result = result_of(folder)
    scores = {row.number: row for row in result.rows} if result else {}
    for row in answered(folder):
        question, reference = row.question, row.question.reference
        record: dict[str, object] = {
            "number": question.number, "set": question.set, "row": question.row, "kind": question.kind,
            "prompt": question.asked[-1].content if question.asked else "",
            "reference": _said(reference.content, [call.model_dump() for call in reference.tool_calls])
            if reference
            else question.example.text or "",
        }  # fmt: skip
        for side in SIDES:
            line, own = row.answers.get(side), scores.get(question.number)
            if line is not None or side in row.losses:
                record[side] = {"answer": line.answer if line else None, **(getattr(own, side) if own else {})}
        yield record


def rows_by_difference(folder: EvaluationFolder, metric: str) -> list[dict[str, object]]:
    """Return the questions with those first on which the models' scores differ most; without a metric, in their order."""
    result, rows = result_of(folder), list(rows_of(folder))
    if result is None or not metric:
        return rows
    differences = {
        row.number: abs(row.tuned[metric] - row.base[metric])
        for row in result.rows
        if metric in row.tuned and metric in row.base
    }
    return sorted(rows, key=lambda record: -differences.get(cast(int, record["number"]), -1.0))


def _said(content: str, calls: Sequence[dict[str, object]]) -> str:
    return content or (json.dumps(calls, ensure_ascii=False) if calls else "")


def as_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
