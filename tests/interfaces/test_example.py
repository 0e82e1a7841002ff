import pytest
from pydantic import ValidationError

from interfaces.example import Example, Message


def test_an_example_survives_the_wire() -> None:
    example = Example(
        messages=(Message(role="user", content="q"), Message(role="assistant", content="答", train=True)), row=1, line=2
    )
    assert Example.model_validate_json(example.model_dump_json()) == example


def test_there_is_no_example_without_a_turn_and_no_turn_of_an_unknown_role() -> None:
    with pytest.raises(ValidationError):
        Example(messages=(), row=1)
    with pytest.raises(ValidationError):
        Message(role="poet", content="x")  # type: ignore[arg-type]
