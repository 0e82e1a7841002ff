"""Gates: whether their conditions hold."""

from __future__ import annotations

import pytest

from studio.evaluation.gate import decide
from studio.evaluation.scoring import EvaluationResult, MetricResult
from studio.evaluation.statistics import Difference

RESULT = EvaluationResult(
    metrics=["exact_match"], rows=[], data_rows=10, probe_rows=60, leaked=0, adapter_sha256="a", read_bytes=1,
    table=[
        MetricResult(name="exact_match", rows=10, tuned=0.8),
        MetricResult(
            name="general", rows=60, tuned=0.5, base=0.55, difference=Difference(value=-0.05, verdict="cant_tell")
        ),
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "failed"),
    [
        ("exact match >= 0.8", []),
        ("Exact-Match > 0.8, forgetting <= 5 points", ["Exact-Match > 0.8 (0.8)"]),
        ("exact_match >= 0.8；forgetting <= 2 points", ["forgetting <= 2 points (5)"]),
        ("general >= 0.5, loss < 2", ["loss < 2 (?)"]),
        (" , ", []),
    ],
)
def test_a_gate_is_passed_when_all_conditions_hold(gate: str, failed: list[str]) -> None:
    outcome = decide(gate, RESULT, 3)
    assert (outcome.failed, outcome.passed, outcome.evaluation) == (failed, not failed, 3)
