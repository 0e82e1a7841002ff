"""OpenAI's chat completions for one run (https://platform.openai.com/docs/api-reference/chat), on this machine only.

For trying a result in one's own program. What would change an answer and isn't supported is refused, not ignored.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, Literal, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.chats import MOST_CHARACTERS, AnswerPiece, Sampling
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.problems import Code, Problem
from interfaces.texts import sentence
from studio.chat.serving import ServedModel
from studio.web.auth import foreign_request
from studio.web.errors import PlainRoute, add_error_handlers, status_of

MOST_TOKENS = 1024
"""Of an answer, if the request doesn't say."""
_HARMLESS = {
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls",
}  # fmt: skip
"""Other fields, which change no answer."""
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,), "frequency_penalty": (0,), "presence_penalty": (0,), "logit_bias": ({},), "logprobs": (False,),
    "top_logprobs": (0,), "tools": ([],), "tool_choice": ("none", "auto"), "functions": ([],), "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},), "modalities": (["text"],),
}  # fmt: skip
"""Fields that would change the answer, and with which values they don't."""
CLIENT_GONE = 499
"""nginx's status for a client that has left. Nobody reads it."""
GONE_SECONDS = 0.2
Found = TypeVar("Found")
_ENDS = {"complete": "stop", "stopped": "stop", "length": "length"}


class Part(BaseModel):
    """A part of a message. Only text is supported."""

    type: Literal["text"]
    text: str = Field(max_length=MOST_CHARACTERS)


class RequestMessage(BaseModel):
    """A message of the conversation. What an answer's message has besides, such as `refusal`, has to be empty."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] = Field(max_length=MOST_CHARACTERS)

    def message(self) -> Message:
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatCompletion(BaseModel):
    """The body of a request. Without `temperature`, the most likely token is always taken, as in Try it."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[RequestMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=8192)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=8192)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: str | list[str] | None = None

    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature or 0.0, top_p=self.top_p or 1.0,
            seed=secrets.randbelow(2**31) if self.seed is None else self.seed,
            max_new_tokens=self.max_completion_tokens or self.max_tokens or MOST_TOKENS,
        )  # fmt: skip

    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def unsupported(self) -> str | None:
        """Return the name of a field that would change the answer, or None."""
        given = {name: value for name, value in (self.model_extra or {}).items() if name not in _HARMLESS}
        given |= {
            f"messages.{name}": value
            for one in self.messages
            for name, value in (one.model_extra or {}).items()
            if value
        }
        return next(
            (name for name, value in given.items() if value is not None and value not in _NEUTRAL.get(name, ())), None
        )


def openai_app(served: ServedModel, key: str) -> ASGIApp:
    """The application behind its key. `served` answers."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.route_class = PlainRoute

    @app.get("/v1/models")
    def models() -> dict[str, object]:
        return {"object": "list", "data": [_model(name) for name in served.names]}

    @app.get("/v1/models/{name:path}")
    def one_model(name: str) -> dict[str, object]:
        require(name)
        return _model(name)

    def require(name: str) -> None:
        if name not in served.names:
            raise FineTuneError.of(Code.MODEL_NOT_SERVED, value=name[:200], known=", ".join(served.names))

    @app.post("/v1/chat/completions")
    async def complete(connection: Request, request: ChatCompletion) -> Any:
        require(request.model)
        if (field := request.unsupported()) is not None:
            value = json.dumps((request.model_extra or {}).get(field, "..."), ensure_ascii=False)[:100]
            raise FineTuneError.of(Code.VALUE_INVALID, field=field, value=value, expected="not_supported")
        said = [one.message() for one in request.messages]
        pieces, answer = served.answer(request.model, said, request.sampling(), request.stops()), _Answer(request.model)
        # What prevents the answer has a status of its own, so the first piece is awaited in any case.
        first = await _unless_gone(connection, anext(pieces))
        if first is None:
            return Response(status_code=CLIENT_GONE)
        if not request.stream:
            return await _unless_gone(connection, answer.whole(first, pieces)) or Response(status_code=CLIENT_GONE)
        usage = bool(request.stream_options and request.stream_options.include_usage)
        return StreamingResponse(answer.streamed(first, pieces, usage), media_type="text/event-stream")

    add_error_handlers(app, served.home, _refused)
    return _Keyed(app, key)


class _Keyed:
    """ASGI middleware: only requests for this machine, from no other site's page, and with the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
        problem = foreign_request(scope)
        if problem is None and not hmac.compare_digest(given.encode(), self._key.encode()):
            problem = Problem.error(Code.KEY_WRONG)
        # Many programs leave out the type of a body, which is always JSON here.
        scope["headers"] = [
            *(one for one in scope["headers"] if one[0] != b"content-type"),
            (b"content-type", b"application/json"),
        ]
        await (self._app if problem is None else _refused([problem]))(scope, receive, send)


class _Answer:
    """The answer to one request, in OpenAI's format."""

    def __init__(self, model: str) -> None:
        self._about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}

    async def whole(self, first: AnswerPiece, pieces: AsyncIterator[AnswerPiece]) -> dict[str, object]:
        text, last = first.text, first
        async for last in pieces:
            text += last.text
        choice = {
            "index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None,
            "finish_reason": _ENDS.get(str(last.end), "stop"),
        }  # fmt: skip
        return {**self._about, "object": "chat.completion", "choices": [choice], "usage": _usage(last)}

    async def streamed(self, first: AnswerPiece, pieces: AsyncIterator[AnswerPiece], usage: bool) -> AsyncIterator[str]:
        yield self._chunk({"role": "assistant", "content": first.text})
        last = first
        try:
            async for last in pieces:
                if last.text:
                    yield self._chunk({"content": last.text})
        except FineTuneError as error:
            yield _event({"error": _error(error.problems)})
            return
        yield self._chunk({}, _ENDS.get(str(last.end), "stop"))
        if usage:
            yield _event({**self._about, "object": "chat.completion.chunk", "choices": [], "usage": _usage(last)})
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], end: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
        return _event({**self._about, "object": "chat.completion.chunk", "choices": [choice]})


async def _unless_gone(connection: Request, work: Awaitable[Found]) -> Found | None:
    """Return what comes of some work; None if the client leaves before, which ends the work."""

    async def gone() -> None:
        while not await connection.is_disconnected():
            await asyncio.sleep(GONE_SECONDS)

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "finetune-studio"}


def _usage(last: AnswerPiece) -> dict[str, int]:
    total = last.prompt_tokens + last.tokens
    return {"prompt_tokens": last.prompt_tokens, "completion_tokens": last.tokens, "total_tokens": total}


def _event(body: dict[str, object]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _error(problems: Sequence[Problem]) -> dict[str, str | None]:
    text = " ".join(sentence(problem) for problem in problems)
    return {"message": text, "type": "invalid_request_error", "param": None, "code": problems[0].code.value}


def _refused(problems: Sequence[Problem], _language: str = "en") -> JSONResponse:
    return JSONResponse({"error": _error(problems)}, status_of(problems[0].code))
