import pytest
from pydantic import ValidationError

from interfaces.example import Example, Message


def test_example_survives_serialization() -> None:
    example = Example(
        messages=(Message(role="user", content="q"), Message(role="assistant", content="答", train=True)), row=1, line=2
    )
    assert Example.model_validate_json(example.model_dump_json()) == example


def test_example_requires_turns_with_known_roles() -> None:
    with pytest.raises(ValidationError):
        Example(messages=(), row=1)
    with pytest.raises(ValidationError):
        Message(role="poet", content="x")  # type: ignore[arg-type]
