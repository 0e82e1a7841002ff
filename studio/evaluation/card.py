"""The evaluation in the model card: a section of the result's README, replaced by each newer evaluation."""

from __future__ import annotations

import re

from interfaces.evaluations import HELD_OUT, EvaluationSpec
from interfaces.files import write_text
from interfaces.job_folders import EvaluationFolder
from interfaces.run_records import result_sha256
from interfaces.texts import texts
from studio.evaluation.scoring import EvaluationResult, MetricResult
from studio.evaluation.statistics import Interval

BEGIN, END = "<!-- evaluation -->", "<!-- /evaluation -->"
_SECTION = re.compile(rf"\n*{BEGIN}.*?{END}\n*", re.DOTALL)


def update_card(folder: EvaluationFolder, spec: EvaluationSpec, result: EvaluationResult) -> None:
    """Put an evaluation of a run's result in its card. Nothing happens if the result has changed since."""
    place = folder.run.result
    card = place / "README.md"
    if spec.step is not None or not card.is_file() or result_sha256(place) != result.adapter_sha256:
        return
    before = card.read_text(encoding="utf-8")
    rest = _SECTION.sub("\n", before).rstrip("\n")
    after = f"{rest}\n\n{BEGIN}\n{section(spec, result)}\n{END}\n"
    if after != before:
        write_text(card, after)


def section(spec: EvaluationSpec, result: EvaluationResult) -> str:
    """Return the section in Markdown: a table with intervals of 95 %, and what the differences say."""
    data = "the rows kept for validation" if spec.dataset == HELD_OUT else spec.dataset_name
    asked = [f"{result.data_rows} rows of {data}"] if result.data_rows else []
    asked += [f"{result.probe_rows} general questions"] if result.probe_rows else []
    lines = [
        "## Evaluation", "", f"On {' and '.join(asked)}, greedy, at most {spec.max_new_tokens} tokens. Intervals are of 95 %.",
        "", "| | Base model | Fine-tuned | Difference | |", "|---|---|---|---|---|",
    ]  # fmt: skip
    return "\n".join([*lines, *(_line(one) for one in result.table if "." not in one.name)])


def _line(line: MetricResult) -> str:
    words, verdicts = texts("metric"), texts("verdict")
    difference = line.difference
    cells = (
        words[line.name],
        _figure(line.base, line.base_interval),
        _figure(line.tuned, line.tuned_interval),
        _figure(difference.value, difference.interval, signed=True) if difference else "",
        verdicts.of(difference.verdict, count=line.rows) if difference else "",
    )
    return "| " + " | ".join(cells) + " |"


def _figure(value: float | None, interval: Interval | None, signed: bool = False) -> str:
    if value is None:
        return ""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")
