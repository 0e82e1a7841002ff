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


def test_warnings_are_read_under_their_earlier_key() -> None:
    stored = {"schema_version": 2, "text": "a", "row": 1, "doubts": ["row_special_token"]}
    assert Example.model_validate(stored).warnings == ("row_special_token",)
    assert "warnings" in Example.model_validate(stored).to_record()
