"""The only exception that crosses package boundaries. It carries problems to the code that displays them."""

from __future__ import annotations

from typing import Any

from interfaces.problems import Code, Problem
from interfaces.texts import sentence


class FineTuneError(Exception):
    """Carries problems to the code that renders them. `str()` returns the English sentences."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems

    @classmethod
    def of(cls, code: Code, /, **params: Any) -> FineTuneError:
        return cls(Problem.error(code, **params))

    def __str__(self) -> str:
        return "\n".join(sentence(problem) for problem in self.problems)
