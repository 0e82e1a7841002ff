"""The batches of an evaluation: always the same, and only those of which something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.evaluations import EvaluationLine, EvaluationQuestion, EvaluationSpec
from interfaces.example import Example
from interfaces.folders import Home
from tests.support.evaluations import question

pytestmark = pytest.mark.tiny


@pytest.fixture
def parts(tiny_model: Path, tmp_path: Path) -> tuple[Any, Any, FineTuneConfig]:
    from trainer.models.base_model import load_model
    from trainer.models.device import choose_compute
    from trainer.models.model_files import find_model
    from trainer.tokens.tokenizer import load_template

    config = FineTuneConfig(model_name=str(tiny_model), dataset="x", device="cpu", bf16=False)
    files = find_model(str(tiny_model), "main", Home(tmp_path), lambda *_: None)
    return load_model(files, config, choose_compute(config)).eval(), load_template(files, "tiny"), config


def test_batches_are_the_same_in_each_attempt_and_complete_ones_are_skipped(parts: tuple[Any, Any, Any]) -> None:
    from trainer.evaluation.rows import Batches

    model, template, config = parts
    questions = [question(number, f"Q{number}", "yes" * (7 - number)) for number in range(1, 7)]
    questions.append(EvaluationQuestion(number=7, set="data", row=7, example=Example(text="Only a text.", row=7)))
    spec = EvaluationSpec(dataset="d", batch_size=4, max_new_tokens=4)
    batches = Batches(questions, template, spec, config)
    answering = [batch.numbers for batch in batches.all if batch.kind == "answer"]
    assert answering == [[6, 5, 4, 3], [2, 1]], "short references first; a text has nothing to compare"
    assert batches.total == 7 + 6
    assert [one.numbers for one in Batches(questions, template, spec, config).all] == [
        one.numbers for one in batches.all
    ]
    lines = [line for batch in batches.all for line in batch.compute(model, "tuned", lambda _done: None)]
    assert batches.missing(lines, "tuned") == []
    assert len(batches.missing(lines, "base")) == len(batches.all)
    torn = [line for line in lines if not (line.number == 1 and line.answer is not None)]
    assert [batch.numbers for batch in batches.missing(torn, "tuned")] == [[2, 1]]


def test_answers_use_the_positions_that_are_left(parts: tuple[Any, Any, Any]) -> None:
    from trainer.evaluation.rows import Batches

    model, template, config = parts
    long = [question(1, "x" * 985, "yes"), question(2, "x" * 2000, "yes"), question(3, "Hi", "yes")]
    spec = EvaluationSpec(dataset="d", max_new_tokens=30)
    [answering] = [batch for batch in Batches(long, template, spec, config).all if batch.kind == "answer"]
    found = {line.number: line for line in answering.compute(model, "base", lambda _done: None)}
    assert found[2] == EvaluationLine(side="base", number=2, answer="", end="too_long")
    room = 1024 - len(template.prompt_ids("x" * 985))
    assert 0 < (found[1].tokens or 0) <= room < 30
    assert found[3].tokens is not None


def test_a_full_gpu_gets_smaller_groups(parts: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from trainer.evaluation import rows

    model, template, config = parts
    sizes: list[int] = []
    own = rows.generate_batch

    def limited(model: Any, template: Any, prompts: Any, *more: Any) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError
        return own(model, template, prompts, *more)

    monkeypatch.setattr(rows, "generate_batch", limited)
    questions = [question(number, "Hi", "yes") for number in range(1, 6)]
    batches = rows.Batches(questions, template, EvaluationSpec(dataset="d", max_new_tokens=3), config)
    [answering] = [batch for batch in batches.all if batch.kind == "answer"]
    assert len(answering.compute(model, "base", lambda _done: None)) == 5
    assert sizes == [5, 2, 3, 1, 2]


def test_fewer_long_prompts_are_answered_together(parts: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.evaluation import rows

    _, template, config = parts
    monkeypatch.setattr(rows, "PROMPT_TOKENS", 500)
    long = [question(1, "x" * 600, "y"), *(question(number, "Hi", "yes") for number in range(2, 6))]
    batches = rows.Batches(long, template, EvaluationSpec(dataset="d", batch_size=3), config)
    assert [batch.numbers for batch in batches.all if batch.kind == "answer"] == [[1], [2, 3, 4], [5]]
