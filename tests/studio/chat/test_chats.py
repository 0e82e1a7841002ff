"""Asking runs: who may answer, what the page sees while a child answers, stopping, and a child that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import Question, Sampling, Speaker
from interfaces.errors import FineTuneError
from interfaces.events import Stopped
from interfaces.folders import Home
from interfaces.problems import Code
from studio.chat.chats import Chats, base_of, loaded_for
from tests.conftest import until
from tests.support.adapters import run_with_adapter, run_with_model
from tests.support.records import recorded_run, step

pytestmark = pytest.mark.tiny
SAMPLED = Sampling(temperature=1, max_new_tokens=8000)
"""What the tiny model says is random then: it neither repeats itself nor ends soon."""


def problem_of(work: Any, *arguments: Any) -> Code:
    with pytest.raises(FineTuneError) as caught:
        work(*arguments)
    return caught.value.problems[0].code


def test_only_what_can_answer_is_accepted(home: Home, tiny_model: Path) -> None:
    chats, run = Chats(home), run_with_adapter(home, tiny_model)
    none = recorded_run(home, step(1), Stopped(step=1, resumable=False), model_name=str(tiny_model))
    assert problem_of(chats.create, []) == Code.VALUE_INVALID
    assert problem_of(chats.create, [Speaker(run=run.id)] * 4) == Code.VALUE_INVALID
    assert problem_of(chats.create, [Speaker(run="../x")]) == Code.RUN_NOT_FOUND
    assert problem_of(chats.create, [Speaker(run=none.id)]) == Code.NO_ADAPTER
    scorer = run_with_adapter(home, tiny_model, method="reward")
    assert problem_of(chats.create, [Speaker(run=scorer.id)]) == Code.SCORES_ONLY
    assert chats.create([Speaker(run=scorer.id, base=True)])
    assert problem_of(chats.create, [Speaker(run=run.id, step=9)]) == Code.NO_CHECKPOINT
    (named,) = chats.create([Speaker(run=none.id, base=True)]).speakers()
    assert (named.speaker.base, named.run_name, named.model) == (True, none.id, str(tiny_model))
    assert loaded_for(home, Speaker(run=run.id, step=2))[1] == str(run.checkpoint(2))


def test_a_whole_model_is_loaded_instead_of_its_base(home: Home, tiny_model: Path) -> None:
    """A child keeps the weights that it has loaded: once they are written again, there is another one."""
    import os

    chats, run = Chats(home), run_with_model(home, tiny_model)
    config, adapter = loaded_for(home, Speaker(run=run.id))
    assert (config.model_name, adapter) == (str(run.model), "")
    assert loaded_for(home, Speaker(run=run.id, step=2))[0].model_name == str(run.checkpoint(2))
    assert loaded_for(home, Speaker(run=run.id, base=True)) == (base_of(run), "")
    key, _, _ = chats.children._place(config)
    os.utime(run.model / "model.safetensors", ns=(1, 1))
    assert chats.children._place(config)[0] != key
    assert chats.children._place(base_of(run)) == chats.children._place(base_of(run))
    chats.close()


def test_runs_of_the_same_base_share_a_child(home: Home, tiny_model: Path) -> None:
    one, other, quantized = (
        run_with_adapter(home, tiny_model, learning_rate=0.1),
        run_with_adapter(home, tiny_model, learning_rate=0.2),
        run_with_adapter(home, tiny_model, load_in_8bit=True),
    )
    assert base_of(one) == base_of(other) != base_of(quantized)


def test_chat_answers_stops_and_goes_on_after_its_child_was_killed(home: Home, tiny_model: Path) -> None:
    """One child, because loading its libraries takes seconds."""
    import os
    import signal

    chats, run = Chats(home), run_with_adapter(home, tiny_model)
    chat = chats.create([Speaker(run=run.id, base=True), Speaker(run=run.id), Speaker(run=run.id, step=2)]).id
    try:
        chats.ask(chat, Question(prompt="Hi", sampling=Sampling(max_new_tokens=12)))
        assert problem_of(chats.ask, chat, Question(prompt="Again")) == Code.CHAT_BUSY
        until(lambda: not chats.state(chat).busy)
        (first,) = chats.state(chat).turns
        assert [answer.end for answer in first.answers] == ["length"] * 3
        assert len({answer.text for answer in first.answers}) == 3
        (child,) = chats.state(chat).children
        assert (child.state, child.device) == ("idle", "cpu")
        assert child.memory_bytes > 100_000_000

        chats.ask(chat, Question(prompt="Long", alone=True, sampling=SAMPLED))
        until(lambda: all(answer.text for answer in chats.state(chat, 2).turns[0].answers))
        chats.stop(chat)
        until(lambda: not chats.state(chat).busy)
        assert {answer.end for answer in chats.state(chat, 2).turns[0].answers} <= {"stopped", "complete"}

        chats.ask(chat, Question(prompt="Long", alone=True, sampling=SAMPLED))
        until(lambda: any(answer.text for answer in chats.state(chat, 3).turns[0].answers))
        os.kill(next(iter(chats.children._children.values())).child.pid, signal.SIGKILL)
        until(lambda: not chats.state(chat).busy)
        lost = [answer for answer in chats.state(chat, 3).turns[0].answers if answer.end != "complete"]
        assert lost
        assert all(answer.end == "failed" and answer.problem is not None for answer in lost)

        chats.ask(chat, Question(prompt="Hi", alone=True, sampling=Sampling(max_new_tokens=12)))
        until(lambda: not chats.state(chat).busy)
        again = chats.state(chat, 4).turns[0].answers
        assert [answer.text for answer in again] == [answer.text for answer in first.answers]
        assert len(chats.state(chat, 2).turns) == 3
    finally:
        chats.close()
    assert chats.state(chat).children == []


def test_model_that_is_gone_is_reported_as_the_answer(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    import shutil

    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    chats, run = Chats(home), run_with_adapter(home, model)
    chat = chats.create([Speaker(run=run.id)]).id
    shutil.rmtree(model)
    chats.ask(chat, Question(prompt="Hi"))
    until(lambda: not chats.state(chat).busy)
    (answer,) = chats.state(chat).turns[0].answers
    assert answer.end == "failed"
    assert answer.problem is not None
    chats.close()


def test_studio_that_ends_takes_its_child_along(home: Home, tiny_model: Path) -> None:
    import psutil

    chats, run = Chats(home), run_with_adapter(home, tiny_model)
    chats.prepare(Speaker(run=run.id, base=True))
    until(lambda: bool(chats.children.states()))
    child = next(iter(chats.children._children.values())).child
    child._process.stdin.close()  # what the end of this process would do
    until(lambda: not psutil.pid_exists(child.pid) or not child.alive)
    chats.close()
