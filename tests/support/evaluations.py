"""Evaluations that nobody computed: their files as a trainer leaves them."""

from __future__ import annotations

from collections.abc import Sequence

from interfaces.evaluations import EvaluationLine, EvaluationOrigin, EvaluationQuestion, EvaluationSpec
from interfaces.events import Finished
from interfaces.example import Example, Message, ToolCall
from interfaces.folders import RunFolder
from interfaces.job_folders import EvaluationFolder


def question(
    number: int, prompt: str, reference: str, calls: Sequence[ToolCall] = (), **more: object
) -> EvaluationQuestion:
    said = (
        Message(role="user", content=prompt),
        Message(role="assistant", content=reference, train=True, tool_calls=tuple(calls)),
    )
    example = Example(messages=said, row=number)
    return EvaluationQuestion.model_validate(
        {"number": number, "set": "data", "row": number, "example": example, **more}
    )


def recorded_evaluation(
    run: RunFolder, questions: Sequence[EvaluationQuestion], lines: Sequence[EvaluationLine], finished: bool = True,
    adapter_sha256: str = "a", **spec: object,
) -> EvaluationFolder:  # fmt: skip
    """An evaluation with these questions and answers."""
    folder = EvaluationFolder.create(run)
    EvaluationSpec.model_validate({"dataset": "d", "dataset_name": "tests.jsonl", **spec}).write(folder)
    folder.questions.write_text("".join(one.model_dump_json(exclude_defaults=True) + "\n" for one in questions))
    EvaluationOrigin(adapter_sha256=adapter_sha256, rows=len(questions), device="cpu", dtype="float32").write(folder)
    folder.answers.write_text("".join(line.model_dump_json(exclude_defaults=True) + "\n" for line in lines))
    if finished:
        folder.create_attempt()
        folder.events.write_text(Finished(step=0, peak_memory_bytes=1, seconds=1).model_dump_json() + "\n")
    return folder


def answers(number: int, base: str, tuned: str) -> list[EvaluationLine]:
    return [
        EvaluationLine(side="base", number=number, answer=base, tokens=3, end="complete"),
        EvaluationLine(side="tuned", number=number, answer=tuned, tokens=3, end="complete"),
    ]


def losses(number: int, base: float, tuned: float, tokens: int) -> list[EvaluationLine]:
    return [
        EvaluationLine(side="base", number=number, loss=base, trained_tokens=tokens),
        EvaluationLine(side="tuned", number=number, loss=tuned, trained_tokens=tokens),
    ]
