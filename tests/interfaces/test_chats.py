"""What a chat accepts: bounds of sampling, and prompts that are neither empty nor endless."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from interfaces.chats import MOST_CHARACTERS, AnswerPiece, AnswerRequest, ChatRequest, LeaveRequest, Question, Sampling


@pytest.mark.parametrize(
    "values",
    [{"temperature": -1}, {"temperature": 6}, {"top_p": 0}, {"top_p": 1.1}, {"max_new_tokens": 0}, {"seed": -1}, {"heat": 1}],
)  # fmt: skip
def test_sampling_has_bounds(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sampling(**values)


@pytest.mark.parametrize("prompt", ["", "x" * (MOST_CHARACTERS + 1)])
def test_prompt_is_neither_empty_nor_endless(prompt: str) -> None:
    with pytest.raises(ValidationError):
        Question(prompt=prompt)


def test_requests_are_told_apart() -> None:
    known: TypeAdapter[AnswerRequest | LeaveRequest] = TypeAdapter(ChatRequest)
    asked = AnswerRequest(turn=1, speakers=[], sampling=Sampling())
    for request in (asked, LeaveRequest(number=3)):
        assert known.validate_json(request.model_dump_json()) == request


def test_piece_of_text_is_a_short_line() -> None:
    assert AnswerPiece(turn=3, text="你").model_dump_json(exclude_defaults=True) == '{"turn":3,"text":"你"}'
