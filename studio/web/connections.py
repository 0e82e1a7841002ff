"""Limits what many idle, slow, or broken connections can use: open connections, time, and log lines.

uvicorn waits forever for a connection's first request and for the rest of an incomplete one, and asyncio floods the log
once no file descriptor is left. Here the connection that has been idle longest is closed, and every wait has a timeout.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
"""The time limit of a request head, from the connection or its first byte to its last line."""
BODY_SECONDS = 60.0
"""The time limit between two chunks of a request body."""
MOST_CONNECTIONS = 400
KEPT_FILES = 100
"""File descriptors reserved for everything else: logs, children, runs, uploads."""
BACKLOG = 32
"""The listen backlog: asyncio accepts this many connections in one loop iteration, before any of them can be closed."""
MOST_LINES, EACH_SECONDS = 20, 60.0
"""The log lines per logger and period. Further lines are only counted."""


def make_room_for_files() -> int:
    """Raise this process's limit of open files to its maximum. Return how many connections may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    room = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - KEPT_FILES - BACKLOG
    return max(min(room, MOST_CONNECTIONS), 16)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with a time limit for request heads and a limit of open connections."""

    most = MOST_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._silent_since: float | None = self.loop.time()
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)
        if len(self.connections) > self.most:
            # Skip connections that are closing already, so that each new connection closes a different one.
            silent = [
                one
                for one in self.connections
                if getattr(one, "_silent_since", None) is not None and not one.transport.is_closing()
            ]
            oldest: Any = min(silent, key=lambda one: one._silent_since, default=self)  # type: ignore[union-attr]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        begun = self.cycle
        super().handle_events()
        if self.cycle is not begun:  # a request's head is whole
            self._head_timer.cancel()
            self._silent_since = None

    def on_response_complete(self) -> None:
        self._silent_since = self.loop.time()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        if self._silent_since is not None and self._head_timer.cancelled():  # next request of a kept connection
            self._head_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)
        super().data_received(data)

    def _give_up(self) -> None:
        if self._silent_since is not None and not self.transport.is_closing():
            self.transport.abort()


class SlowBodies:
    """ASGI middleware that ends a request whose body stalls."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        whole = False

        async def receive_in_time() -> Message:
            nonlocal whole
            if whole:  # from here on, this waits for the disconnect
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), BODY_SECONDS)
            except TimeoutError:
                return {"type": "http.disconnect"}
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)


class FewLines(logging.Filter):
    """Limits the lines per minute of a logger and reports how many it dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._begun, self._passed, self._held = 0.0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._begun > EACH_SECONDS:
            if self._held:
                record.msg, record.args = f"{record.getMessage()} ({self._held} similar lines were suppressed)", ()
            self._begun, self._passed, self._held = now, 0, 0
        self._passed += 1
        self._held += self._passed > MOST_LINES
        return self._passed <= MOST_LINES


def bound_log() -> None:
    """Limit the log, so that recurring errors can't fill the disk."""
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(FewLines())
