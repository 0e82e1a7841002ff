"""OpenAI's format of answers and errors, and where an answer is cut, with a model that says given pieces."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from interfaces.chats import AnswerPiece, Sampling
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.folders import Home
from interfaces.problems import Code
from studio.web.openai_api import openai_app

KEY = "sk-test"


class Saying:
    """A model that says its pieces, and fails with a problem where one of them is an error."""

    def __init__(self, home: Home, *pieces: AnswerPiece | FineTuneError) -> None:
        self.home, self.names, self._pieces = home, ["mine"], pieces
        self.asked: list[tuple[list[Message], Sampling, Sequence[str]]] = []

    async def answer(
        self, _name: str, messages: list[Message], sampling: Sampling, stops: Sequence[str] = ()
    ) -> AsyncIterator[AnswerPiece]:
        self.asked.append((messages, sampling, stops))
        for piece in self._pieces:
            if isinstance(piece, FineTuneError):
                raise piece
            yield piece


def said(*texts: str) -> list[AnswerPiece]:
    *first, last = texts
    return [AnswerPiece(turn=1, text=text) for text in first] + [
        AnswerPiece(turn=1, text=last, end="complete", tokens=len(texts), prompt_tokens=3)
    ]


def post(says: Saying, **body: Any) -> Any:
    client = TestClient(openai_app(says, KEY), base_url="http://127.0.0.1", raise_server_exceptions=False)  # type: ignore[arg-type]
    asked = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}], **body}
    return client.post("/v1/chat/completions", json=asked, headers={"Authorization": f"Bearer {KEY}"})


def test_a_whole_answer_and_its_settings(home: Home) -> None:
    model = Saying(home, *said("One ", "two"))
    body = post(
        model, messages=[{"role": "developer", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        temperature=0.7, top_p=0.9, max_completion_tokens=5, seed=0, user="me", frequency_penalty=0, stop="END",
    ).json()  # fmt: skip
    assert body["choices"][0]["message"]["content"] == "One two"
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    [(messages, sampling, stops)] = model.asked
    assert stops == ["END"]
    assert messages == [Message(role="system", content="Be kind."), Message(role="user", content="Hi")]
    assert sampling == Sampling(temperature=0.7, top_p=0.9, max_new_tokens=5, seed=0)


def test_what_fails_in_the_middle_of_a_stream_is_an_event_of_it(home: Home) -> None:
    model = Saying(home, AnswerPiece(turn=1, text="One "), FineTuneError.of(Code.CHILD_CLOSED, path="chat"))
    lines = [line for line in post(model, stream=True).text.splitlines() if line]
    assert json.loads(lines[0].removeprefix("data: "))["choices"][0]["delta"]["content"] == "One "
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "child_closed"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "gpt-4"}, 404, "model_not_served"),
        ({"messages": []}, 422, "value_invalid"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 422, "value_invalid"),
        ({"tools": [{"type": "function"}]}, 422, "value_invalid"),
        ({"logprobs": True}, 422, "value_invalid"),
        ({"max_tokens": 0}, 422, "value_invalid"),
        ({"top_k": 5}, 422, "value_invalid"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 422, "value_invalid"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]}, 422, "value_invalid"),
    ],
)
def test_what_is_not_supported_is_refused_in_openais_format(
    home: Home, body: dict[str, Any], status: int, code: str
) -> None:
    answer = post(Saying(home, *said("x")), **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]


def test_a_model_that_cannot_answer_is_an_error_with_a_status(home: Home) -> None:
    answer = post(Saying(home, FineTuneError.of(Code.DISK_FULL, path="/x", needed=1, free=0)), stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "key_wrong"),
        ({"Authorization": "Bearer sk-other"}, 401, "key_wrong"),
        ({"Authorization": f"Bearer {KEY}", "Origin": "https://example.org"}, 403, "origin_foreign"),
        ({"Authorization": f"Bearer {KEY}", "Host": "example.org"}, 400, "host_unknown"),
        ({"Authorization": f"Bearer {KEY}"}, 404, "address_unknown"),
    ],
)
def test_only_programs_with_the_key_reach_it(home: Home, headers: dict[str, str], status: int, code: str) -> None:
    client = TestClient(openai_app(Saying(home), KEY), base_url="http://127.0.0.1")  # type: ignore[arg-type]
    answer = client.get("/v1/nothing", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_message_of_the_client_itself_is_taken(home: Home) -> None:
    """An answer is sent back with fields that are empty."""
    said_before = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": None, "tool_calls": None}
    model = Saying(home, *said("x"))
    assert post(
        model, messages=[{"role": "user", "content": "Hi"}, said_before, {"role": "user", "content": "?"}]
    ).is_success
    assert model.asked[0][0][1] == Message(role="assistant", content="Hi")
