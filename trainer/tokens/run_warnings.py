"""Warnings about the rows of a run, before and during training, so that nothing is skipped or changed silently."""

from __future__ import annotations

import numpy

from interfaces.config import FineTuneConfig
from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.problems import Code, Problem
from trainer.tokens.selection import Findings
from trainer.tokens.template import ChatTemplate
from trainer.tokens.token_store import (
    CALL_IDS,
    EMPTY_THINKING,
    NO_END,
    NO_STOP,
    NOT_WHOLE,
    REASONING_AS_TEXT,
    TOOLS_AS_TEXT,
    Items,
    TokenStore,
)

SHOWN_ROWS = 20
MANY_PAIRS = 10
"""With fewer pairs, one side may be the longer one by chance."""


def data_warnings(report: DatasetReport, config: FineTuneConfig) -> list[Problem]:
    """Return warnings about suspicious rows that are trained on, or rows that are skipped as configured."""
    counts = {"rows": report.rows, "kinds": {kind.removeprefix("row_"): count for kind, count in report.kinds.items()}}
    left_out = report.invalid + report.suspicious
    found = []
    if config.bad_rows == "skip" and left_out:
        found.append(Problem.warning(Code.ROWS_SKIPPED, count=left_out, **counts))
    elif report.suspicious:
        found.append(Problem.warning(Code.SUSPICIOUS_ROWS, count=report.suspicious, **counts))
    pairs = report.holds.pairs
    for side, longer in (("chosen", report.holds.chosen_longer), ("rejected", report.holds.rejected_longer)):
        if MANY_PAIRS <= pairs == longer:
            found.append(Problem.warning(Code.ONE_SIDE_LONGER, count=pairs, value=f"side_{side}"))
    return found


def template_warnings(items: Items, template: ChatTemplate) -> list[Problem]:
    """Return warnings about rows that the model's template changes."""
    flags = items["flags"]

    def rows(flag: int) -> int:
        return len(numpy.unique(items["example"][flags & flag != 0]))

    model, found = template.model_name, []
    for flag, code in (
        (NOT_WHOLE, Code.TEMPLATE_REWRITES_HISTORY),
        (TOOLS_AS_TEXT, Code.TEMPLATE_WITHOUT_TOOLS),
        (REASONING_AS_TEXT, Code.TEMPLATE_WITHOUT_REASONING),
        (CALL_IDS, Code.TEMPLATE_CALL_IDS),
        (EMPTY_THINKING, Code.EMPTY_THINKING),
        (NO_STOP, Code.STOP_NOT_TRAINED),
    ):
        if count := rows(flag):
            found.append(Problem.warning(code, model=model, count=count))
    if rows(NO_END):
        found.append(Problem.warning(Code.NO_END_OF_TURN, model=model, token=template.tokenizer.eos_token))
    return found


def selection_warnings(
    findings: Findings, items: Items, template: ChatTemplate, examples: ExampleFile, config: FineTuneConfig
) -> list[Problem]:
    """Return warnings about rows that are truncated, dropped, split, or skipped at this max_length, or changed."""
    counts = {"rows": findings.rows, "max_length": config.max_length}
    found = []
    if findings.cut:
        found.append(Problem.warning(Code.ROWS_CUT, count=findings.cut, longest=findings.longest, **counts))
    if findings.dropped:
        found.append(Problem.warning(Code.ROWS_DROPPED, count=findings.dropped, longest=findings.longest, **counts))
    if findings.texts:
        counted = {"count": findings.texts, "pieces": findings.windows}
        found.append(Problem.warning(Code.TEXTS_CONTINUED, **counted, **counts))
    if findings.split:
        found.append(Problem.warning(Code.ROWS_SPLIT, count=findings.split, pieces=findings.pieces, **counts))
    for positions, code in (
        (findings.left_out, Code.ROWS_LEFT_OUT),
        (findings.not_shown, Code.ROWS_NOT_SHOWN),
        (findings.unmarked, Code.ROWS_UNMARKED),
        (findings.holds_special, Code.ROWS_HOLD_SPECIAL),
    ):
        if len(positions):
            first = [examples.entry(int(position))[2] for position in positions[:SHOWN_ROWS]]
            found.append(Problem.warning(code, count=len(positions), first=first, model=template.model_name, **counts))
    return found + template_warnings(items, template)


def nothing_to_train(path: str, rows: int, cut: int, template: ChatTemplate, max_length: int) -> Problem:
    """Return why no row is left: `cut` rows lose their answers at max_length, or the template shows none of them."""
    if cut:
        return Problem.error(Code.NOTHING_TO_TRAIN, path=path, rows=rows, cut=cut, max_length=max_length)
    return Problem.error(Code.NOTHING_SHOWN, path=path, rows=rows, model=template.model_name)


def refuse_or_warn(
    findings: Findings, store: TokenStore, template: ChatTemplate, examples: ExampleFile, config: FineTuneConfig
) -> list[Problem]:
    """Treat rows that the template rejects as invalid: they block the start, or are skipped and counted.

    Raises:
        FineTuneError: there are such rows, and `bad_rows` is "stop".
    """
    if not len(findings.refused):
        return []
    rows = [examples.entry(int(position))[2] for position in findings.refused[:SHOWN_ROWS]]
    reasons = {refused.row: refused.reason for refused in store.refused}
    reason = reasons.get(rows[0], "no_reason")
    if config.bad_rows == "stop":
        raise FineTuneError.of(Code.TEMPLATE_REFUSED, model=template.model_name, row=rows[0], reason=reason)
    count = len(findings.refused)
    return [
        Problem.warning(
            Code.ROWS_REFUSED, count=count, rows=findings.rows, model=template.model_name, first=rows, reason=reason
        )
    ]
