"""The conditions of a gate: what they may say, and reading them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from interfaces.errors import FineTuneError
from interfaces.evaluations import METRICS
from interfaces.problems import Code

PROBE = "general"
"""The share of general questions that are right. That of one kind is `general.<kind>`."""
FORGETTING = "forgetting"
"""How many percentage points fewer general questions are right than with the base model."""
NAMES = ("loss", "perplexity", *METRICS, PROBE, FORGETTING)
FROM_0_TO_1 = (*METRICS, PROBE)
_CONDITION = re.compile(
    r"\s*(?P<name>[a-zA-Z][\w -]*?)\s*(?P<op><=|>=|<|>)\s*(?P<value>-?\d+(\.\d+)?)\s*(?P<unit>%|points?)?\s*"
)
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """One condition of a gate, as `text` says it."""

    text: str
    name: str
    op: str
    value: float

    def holds(self, value: float) -> bool:
        return _HOLDS[self.op](round(value, 9), self.value)


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    name = re.sub(r"[\s-]+", "_", found["name"].strip().lower()) if found else ""
    if found is None or name not in NAMES:
        raise FineTuneError.of(Code.GATE_UNREADABLE, value=text[:80], known=list(NAMES))
    value, is_percent = float(found["value"]), found["unit"] == "%"
    if name in FROM_0_TO_1:
        value = value / 100 if is_percent else value
        if not 0 <= value <= 1:
            raise FineTuneError.of(
                Code.VALUE_INVALID, field="gate", value=repr(text.strip()[:80]), expected="from_0_to_1"
            )
    elif is_percent:
        raise FineTuneError.of(Code.GATE_UNREADABLE, value=text[:80], known=list(NAMES))
    return Condition(text.strip(), name, found["op"], value)


def conditions(gate: str) -> list[Condition]:
    """Read the conditions of a gate, which are separated by commas.

    Raises:
        FineTuneError: one isn't a condition.
    """
    return [_condition(text) for text in re.split(r"[,;\n，；]", gate) if text.strip()]


def needs_probe(gate: str) -> bool:
    """Return whether a gate can only be decided with the general questions."""
    return any(condition.name in (PROBE, FORGETTING) for condition in conditions(gate))
