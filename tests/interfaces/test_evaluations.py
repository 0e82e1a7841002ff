"""Records of evaluations: what is damaged is named, and what is asked follows from the row."""

import pytest

from interfaces.errors import FineTuneError
from interfaces.evaluations import (
    EvaluationOrigin,
    EvaluationQuestion,
    EvaluationSpec,
    GateOutcome,
    read_lines,
    read_questions,
)
from interfaces.example import Example, Message
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code


def test_records_are_read_as_written_and_damage_is_named(home: Home) -> None:
    folder = EvaluationFolder.create(home.create_run())
    folder.config.write_text('{"dataset": 3}')
    with pytest.raises(FineTuneError) as caught:
        EvaluationSpec.of(folder)
    assert caught.value.problems[0].code is Code.CONFIG_UNREADABLE
    spec = EvaluationSpec(dataset="d", metrics=["chrf"], json_schema={"type": "object"})
    spec.write(folder)
    assert EvaluationSpec.of(folder) == spec
    folder.config.write_text('{"schema_version": 99}')
    with pytest.raises(FineTuneError) as caught:
        EvaluationSpec.of(folder)
    assert caught.value.problems[0].code is Code.SCHEMA_UNKNOWN
    assert (EvaluationOrigin.of(folder), read_questions(folder), list(read_lines(folder))) == (None, [], [])
    outcome = GateOutcome(passed=False, evaluation=1, failed=["loss < 1 (2)"])
    outcome.write(folder.run)
    assert GateOutcome.of(folder.run) == outcome
    (folder.run.evaluations / "gate.json").write_text("[")
    assert GateOutcome.of(folder.run) is None


def test_what_is_asked_is_the_conversation_before_the_last_answer() -> None:
    turns = [Message(role="user", content="1"), Message(role="assistant", content="2", train=True)]
    turns += [Message(role="user", content="3"), Message(role="assistant", content="4", train=True)]
    example = Example(messages=(*turns, Message(role="user", content="5")), row=1)
    one = EvaluationQuestion(number=1, set="data", row=1, example=example)
    assert [message.content for message in one.asked] == ["1", "2", "3"]
    assert one.reference == turns[3]
    for plain in (
        Example(text="a text", row=1),
        Example(messages=(turns[1],), row=1),
        Example(messages=(turns[0],), row=1),
    ):
        alone = EvaluationQuestion(number=1, set="data", row=1, example=plain)
        assert (alone.asked, alone.reference) == ((), None)
