"""Requests on the input of a chat's child: answered in order, left at any time, and ended with the input."""

from __future__ import annotations

import queue

from interfaces.chats import AnswerRequest, LeaveRequest, Sampling
from tests.conftest import until
from trainer.evaluation.chat_requests import ChatRequests


def line(number: int) -> str:
    return AnswerRequest(number=number, turn=1, speakers=[], sampling=Sampling()).model_dump_json()


def test_requests_are_left_while_others_are_answered() -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    ended: list[bool] = []
    requests = ChatRequests(iter(lines.get, ""), lambda: ended.append(True))
    lines.put(line(1))
    lines.put(line(2))
    coming = iter(requests)
    first = next(coming)
    lines.put(LeaveRequest(number=2).model_dump_json())
    second = next(coming)
    until(lambda: requests.is_left(second))
    assert (first.number, requests.is_left(first), ended) == (1, False, [])
    lines.put("")
    assert next(coming, None) is None
    assert ended == [True]
    assert requests.is_left(first), "nobody waits for any answer"
