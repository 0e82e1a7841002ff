"""A gate: conditions on an evaluation that decide whether a run has passed, such as `exact match >= 0.8`."""

from __future__ import annotations

from interfaces.evaluations import GateOutcome
from studio.evaluation.conditions import FORGETTING, PROBE, conditions
from studio.evaluation.scoring import EvaluationResult


def decide(gate: str, result: EvaluationResult, evaluation: int) -> GateOutcome:
    """Return whether all conditions hold. One whose value is unknown doesn't."""
    failed = []
    for condition in conditions(gate):
        value = _value(condition.name, result)
        if value is None:
            failed.append(f"{condition.text} (?)")
        elif not condition.holds(value):
            failed.append(f"{condition.text} ({value:.4g})")
    return GateOutcome(passed=not failed, evaluation=evaluation, failed=failed)


def _value(name: str, result: EvaluationResult) -> float | None:
    if name == FORGETTING:
        general = result.metric(PROBE)
        return -100 * general.difference.value if general and general.difference else None
    found = result.metric(name)
    return found.tuned if found else None
