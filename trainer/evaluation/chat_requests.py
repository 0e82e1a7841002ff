"""What a child that answers chats is asked, one JSON object per line of its input."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from pydantic import TypeAdapter

from interfaces.chats import AnswerRequest, ChatRequest, LeaveRequest


class ChatRequests:
    """The requests for answers. A thread reads them, so that a request to leave one arrives while it is answered."""

    def __init__(self, lines: Iterable[str], at_end: Callable[[], None]) -> None:
        """Read `lines` from now on. `at_end` is called once there are no more, before the last answer ends."""
        self._lines, self._at_end = lines, at_end
        self._waiting: queue.SimpleQueue[AnswerRequest | None] = queue.SimpleQueue()
        self._left: set[int] = set()
        self._ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[AnswerRequest]:
        while (request := self._waiting.get()) is not None:
            yield request

    def is_left(self, request: AnswerRequest) -> bool:
        """Return whether nobody waits for this answer any more."""
        return request.number in self._left or self._ended.is_set()

    def _read(self) -> None:
        known: TypeAdapter[AnswerRequest | LeaveRequest] = TypeAdapter(ChatRequest)
        for line in self._lines:
            request = known.validate_json(line)
            if isinstance(request, LeaveRequest):
                self._left.add(request.number)
            else:
                self._waiting.put(request)
        self._at_end()
        self._ended.set()
        self._waiting.put(None)
