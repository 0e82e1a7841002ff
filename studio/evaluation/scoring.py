"""The scores of each row, and the table with its intervals: what an evaluation says, from what the trainer has written."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from interfaces.evaluations import (
    METRICS,
    EvaluationLine,
    EvaluationOrigin,
    EvaluationQuestion,
    EvaluationSpec,
    Metric,
    Side,
    read_lines,
    read_questions,
)
from interfaces.files import write_json
from interfaces.job_folders import EvaluationFolder
from interfaces.records import read_record
from studio.evaluation.conditions import PROBE, conditions
from studio.evaluation.metrics import SHARES, accepts, proposed, score
from studio.evaluation.statistics import (
    Difference,
    Interval,
    mean_difference,
    mean_interval,
    share_difference,
    share_interval,
)


class MetricResult(BaseModel):
    """A line of the table. `difference` is tuned minus base. Losses are in nats per trained token, all others from 0 to 1."""

    name: str
    rows: int
    tuned: float
    tuned_interval: Interval | None = None
    base: float | None = None
    base_interval: Interval | None = None
    difference: Difference | None = None


class RowScores(BaseModel):
    """The scores of one row for each side, by metric."""

    number: int
    base: dict[str, float] = {}
    tuned: dict[str, float] = {}


class EvaluationResult(BaseModel):
    """`result.json`. `read_bytes` is how much of the answers it is of."""

    metrics: list[Metric]
    table: list[MetricResult]
    rows: list[RowScores]
    data_rows: int
    probe_rows: int
    leaked: int
    adapter_sha256: str
    read_bytes: int

    def metric(self, name: str) -> MetricResult | None:
        return next((one for one in self.table if one.name == name), None)


class Answered:
    """What has been computed for one question: the answer of each side and its loss."""

    def __init__(self, question: EvaluationQuestion) -> None:
        self.question = question
        self.answers: dict[Side, EvaluationLine] = {}
        self.losses: dict[Side, EvaluationLine] = {}


def answered(folder: EvaluationFolder) -> list[Answered]:
    """Return all questions with what has been computed so far."""
    found = {question.number: Answered(question) for question in read_questions(folder)}
    for line in read_lines(folder):
        if line.number in found:
            kind = found[line.number].losses if line.answer is None else found[line.number].answers
            kind[line.side] = line
    return list(found.values())


def result_of(folder: EvaluationFolder, metrics: Sequence[Metric] | None = None) -> EvaluationResult | None:
    """Return the result of what has been computed so far; None before the first line.

    The one with the evaluation's own metrics is kept in `result.json`. Other `metrics` are computed each time.

    Raises:
        FineTuneError: another version wrote the records.
    """
    size = folder.answers.stat().st_size if folder.answers.is_file() else 0
    origin = EvaluationOrigin.of(folder)
    if not size or origin is None:
        return None
    stored = None if metrics is not None else _stored(folder)
    if stored is not None and (stored.read_bytes, stored.adapter_sha256) == (size, origin.adapter_sha256):
        return stored
    spec = EvaluationSpec.of(folder)
    result = _computed(answered(folder), spec, metrics, origin, size)
    if metrics is None:
        with contextlib.suppress(OSError):  # a full or read-only disk doesn't prevent the table
            write_json(folder.result, result.model_dump(mode="json"))
    return result


def _stored(folder: EvaluationFolder) -> EvaluationResult | None:
    try:
        status = folder.result.stat()
    except OSError:
        return None
    return _read(folder.result, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _file: int) -> EvaluationResult | None:
    """Read a stored result once: a page asks for it again and again."""
    try:
        return EvaluationResult.model_validate(read_record(path) or {})
    except ValidationError:
        return None  # it is damaged


def _computed(
    rows: list[Answered], spec: EvaluationSpec, chosen: Sequence[Metric] | None, origin: EvaluationOrigin, size: int
) -> EvaluationResult:
    questions = [row.question for row in rows]
    metrics = list(chosen if chosen is not None else spec.metrics or proposed(questions, spec))
    gated = [condition.name for condition in conditions(spec.gate)]
    metrics += [metric for metric in METRICS if metric in gated and metric not in metrics]
    scores = [_scores(row, metrics, spec) for row in rows]
    sides: list[Side] = ["base", "tuned"] if spec.base else ["tuned"]
    data = [one for one, row in zip(scores, rows, strict=True) if row.question.set == "data"]
    probe = [one for one, row in zip(scores, rows, strict=True) if row.question.set == "probe"]
    table = [*_losses(rows, spec.base), *(_line(metric, metric in SHARES, data, sides) for metric in metrics)]
    table.append(_line(PROBE, True, probe, sides))
    for kind in dict.fromkeys(row.question.kind for row in rows if row.question.kind):
        table.append(_line(f"{PROBE}.{kind}", True, probe, sides))
    return EvaluationResult(
        metrics=metrics, table=[line for line in table if line is not None], rows=scores, data_rows=len(data),
        probe_rows=len(probe), leaked=origin.leaked, adapter_sha256=origin.adapter_sha256, read_bytes=size,
    )  # fmt: skip


def _scores(row: Answered, metrics: Sequence[Metric], spec: EvaluationSpec) -> RowScores:
    found = RowScores(number=row.question.number)
    sides: dict[Side, dict[str, float]] = {"base": found.base, "tuned": found.tuned}
    for side, scores in sides.items():
        loss = row.losses.get(side)
        if loss is not None and loss.loss is not None:
            scores["loss"] = round(loss.loss / loss.trained_tokens, 6)
        line = row.answers.get(side)
        reference = row.question.reference
        if line is None or line.answer is None or reference is None or line.end == "too_long":
            continue
        if row.question.set == "probe":
            scores[PROBE] = scores[f"{PROBE}.{row.question.kind}"] = accepts(row.question, line.answer)
        else:
            scores |= {metric: round(score(metric, line.answer, reference, spec), 6) for metric in metrics}
    return found


def _line(name: str, share: bool, rows: Sequence[RowScores], sides: Sequence[Side]) -> MetricResult | None:
    """Return the line of a metric, from the rows that every side has; None without any."""
    both = [row for row in rows if all(name in getattr(row, side) for side in sides)]
    if not both:
        return None
    tuned, base = [row.tuned[name] for row in both], [row.base.get(name, 0.0) for row in both]

    def interval(values: Sequence[float]) -> Interval | None:
        return share_interval(round(sum(values)), len(values)) if share else mean_interval(values)

    found = MetricResult(
        name=name, rows=len(both), tuned=sum(tuned) / len(both), tuned_interval=interval(tuned)
    )  # fmt: skip
    if "base" in sides:
        found.base, found.base_interval = sum(base) / len(both), interval(base)
        found.difference = share_difference(base, tuned) if share else mean_difference(base, tuned)
    return found


def _losses(rows: Sequence[Answered], compares: bool) -> list[MetricResult]:
    """Return the lines of the loss and the perplexity, over all trained tokens of the rows that every side has."""
    both = [
        (row.losses["tuned"], row.losses.get("base"))
        for row in rows
        if _finite(row, "tuned") and (not compares or _finite(row, "base"))
    ]
    if not both:
        return []
    weights = [float(line.trained_tokens) for line, _ in both]
    tuned = [line.loss or 0.0 for line, _ in both]
    loss = MetricResult(
        name="loss", rows=len(both), tuned=sum(tuned) / sum(weights), tuned_interval=mean_interval(tuned, weights)
    )  # fmt: skip
    if compares:
        base = [(line.loss if line else None) or 0.0 for _, line in both]
        loss.base, loss.base_interval = sum(base) / sum(weights), mean_interval(base, weights)
        loss.difference = mean_difference(base, tuned, weights, less_is_better=True)
    return [loss, _perplexity(loss)]


def _finite(row: Answered, side: Side) -> bool:
    """Return whether a side has a loss. One that isn't finite is stored as none, and must not count as 0."""
    return side in row.losses and row.losses[side].loss is not None


def _perplexity(loss: MetricResult) -> MetricResult:
    """Return the line of the perplexity, which is e to the power of the loss and has the same verdict."""

    def raised(interval: Interval | None) -> Interval | None:
        return interval and Interval(low=_exp(interval.low), high=_exp(interval.high))

    found = MetricResult(
        name="perplexity", rows=loss.rows, tuned=_exp(loss.tuned), tuned_interval=raised(loss.tuned_interval)
    )  # fmt: skip
    if loss.base is not None and loss.difference is not None:
        found.base, found.base_interval = _exp(loss.base), raised(loss.base_interval)
        found.difference = Difference(value=found.tuned - found.base, verdict=loss.difference.verdict)
    return found


def _exp(loss: float) -> float:
    """e to the power of the loss, as long as that is a number that JSON knows."""
    return math.exp(min(loss, 700.0))
