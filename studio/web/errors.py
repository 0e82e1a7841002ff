"""The API's error responses: one JSON format, the right status, the page's language.

The format is RFC 9457's problem details: `type` and `title` of the first problem, `status`, `detail` in sentences, and,
as an extension, `problems` with their codes and values. `docs/errors.md` lists every code with its status.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from interfaces.disk import problem_of_os_error
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from interfaces.texts import LANGUAGES, sentence
from interfaces.validation import expectation_of

MEDIA_TYPE = "application/problem+json"
STATUS: dict[Code, HTTPStatus] = {
    **dict.fromkeys((Code.HOST_UNKNOWN, Code.BODY_UNREADABLE), HTTPStatus.BAD_REQUEST),
    **dict.fromkeys((Code.NOT_LOGGED_IN, Code.KEY_WRONG), HTTPStatus.UNAUTHORIZED),
    **dict.fromkeys((Code.ORIGIN_FOREIGN, Code.NOT_WRITABLE, Code.MODEL_UNAUTHORIZED, Code.MODEL_GATED), HTTPStatus.FORBIDDEN),
    **dict.fromkeys(
        (Code.ADDRESS_UNKNOWN, Code.RUN_NOT_FOUND, Code.SWEEP_NOT_FOUND, Code.DATASET_NOT_FOUND, Code.JOB_NOT_FOUND, Code.NO_ADAPTER, Code.NO_CHECKPOINT, Code.NO_EVALUATION, Code.NO_EXPORT, Code.NO_GGUF, Code.NO_GGUF_EXPORT, Code.MODEL_NOT_SERVED, Code.CHAT_NOT_FOUND, Code.FILE_MISSING,
         Code.MODEL_NOT_FOUND, Code.MODEL_NOT_KNOWN, Code.HUB_DATASET_NOT_FOUND, Code.ROW_NUMBER_UNKNOWN),
        HTTPStatus.NOT_FOUND,
    ),
    Code.METHOD_UNKNOWN: HTTPStatus.METHOD_NOT_ALLOWED,
    **dict.fromkeys(
        (Code.RUN_ACTIVE, Code.RUN_NOT_ACTIVE, Code.RUN_NOT_WAITING, Code.RUN_FINISHED, Code.NOT_REPRODUCIBLE, Code.LINEAGE_MISSING, Code.RUN_AMBIGUOUS, Code.DATASET_IN_USE,
         Code.DATASET_CHANGED, Code.NOT_EDITABLE, Code.CACHES_IN_USE, Code.NOTHING_TO_CLEAN, Code.CLEANUP_OVER, Code.MODEL_IN_USE, Code.OUTPUT_EXISTS, Code.DEVICE_BUSY, Code.CHAT_BUSY, Code.QUEUE_PAUSED, Code.SCHEMA_UNKNOWN),
        HTTPStatus.CONFLICT,
    ),
    Code.FILE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.STUDIO_BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNEXPECTED: HTTPStatus.INTERNAL_SERVER_ERROR,
    **dict.fromkeys((Code.MODEL_UNREACHABLE, Code.HUB_DATASET_UNREACHABLE, Code.STARTER_UNAVAILABLE), HTTPStatus.BAD_GATEWAY),
    **dict.fromkeys((Code.HUB_BUSY, Code.QUEUE_HELD), HTTPStatus.SERVICE_UNAVAILABLE),
    **dict.fromkeys((Code.DISK_FULL, Code.DISK_ERROR), HTTPStatus.INSUFFICIENT_STORAGE),
}  # fmt: skip
"""The status of each code. Unlisted codes mean invalid input: 422."""
COMPRESSED_FROM = 20_000
"""Bytes. Compressing a smaller answer costs more than sending it."""
_BY_STATUS = {404: Code.ADDRESS_UNKNOWN, 405: Code.METHOD_UNKNOWN}
_SECONDS_BUSY = "5"
log = logging.getLogger(__name__)


def status_of(code: Code) -> HTTPStatus:
    return STATUS.get(code, HTTPStatus.UNPROCESSABLE_ENTITY)


def language_of(request: Request) -> str:
    """Return the language of the requesting page, else the chosen one, else the browser's preferred one."""
    # Our scripts send the page's language; it takes precedence over the earlier choice and the browser's preference.
    chosen = request.headers.get("x-finetune-language") or request.cookies.get("finetune-language")
    if chosen in LANGUAGES:
        return str(chosen)
    preferred = request.headers.get("accept-language", "").lower()
    return "zh" if preferred.startswith("zh") else "en"


def detail_of(problems: Sequence[Problem], language: str) -> str:
    return "\n".join(sentence(problem, language) for problem in problems)


def problem_response(problems: Sequence[Problem], language: str) -> JSONResponse:
    """Return problems as a response. The first one determines the status."""
    status = status_of(problems[0].code)
    body = {
        "type": f"urn:finetune-studio:{problems[0].code}", "title": status.phrase, "status": int(status),
        "detail": detail_of(problems, language), "problems": [problem.model_dump(mode="json") for problem in problems],
    }  # fmt: skip
    headers = {"Retry-After": _SECONDS_BUSY} if status == HTTPStatus.TOO_MANY_REQUESTS else None
    return JSONResponse(_sendable(body), status, headers, MEDIA_TYPE)


def _sendable(value: Any) -> Any:
    """Convert a value to what JSON can represent: no infinity, no lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list | tuple) else value


def add_error_handlers(
    app: FastAPI, home: Home, respond: Callable[[Sequence[Problem], str], Response] = problem_response
) -> None:
    """Make every error of the application a response in the same format."""

    def handler(
        problems_of: Callable[[Any], Sequence[Problem]],
    ) -> Callable[[Request, Any], Coroutine[Any, Any, Response]]:
        async def answer(request: Request, error: Any) -> Response:
            return respond(problems_of(error), language_of(request))

        return answer

    def of_os_error(error: OSError) -> Sequence[Problem]:
        log.exception("A file operation failed", exc_info=error)
        path = str(error.filename or home.path)
        return [
            problem_of_os_error(error, home.path)
            or Problem.error(Code.FILE_UNREADABLE, path=path, reason=error.strerror or str(error))
        ]

    def of_unexpected(error: Exception) -> Sequence[Problem]:
        return [Problem.error(Code.UNEXPECTED, reason=type(error).__name__, path={"code": "studio_terminal"})]

    app.add_exception_handler(FineTuneError, handler(lambda error: error.problems))
    app.add_exception_handler(RequestValidationError, handler(_of_validation))
    app.add_exception_handler(HTTPException, handler(_of_status))
    app.add_exception_handler(OSError, handler(of_os_error))
    app.add_exception_handler(Exception, handler(of_unexpected))


def _of_validation(error: RequestValidationError) -> Sequence[Problem]:
    problems = []
    for one in error.errors():
        field = ".".join(str(part)[:40] for part in one["loc"][1:]) or str(one["loc"][0])
        if one["type"] == "json_invalid":
            problems.append(
                Problem.error(Code.BODY_UNREADABLE, reason=str(one.get("ctx", {}).get("error", one["msg"])))
            )
        elif one["type"] == "missing":
            problems.append(Problem.error(Code.VALUE_MISSING, field=field))
        else:
            seen, expected = repr(one.get("input"))[:120], [expectation_of(one)]
            problems.append(Problem.error(Code.VALUE_INVALID, field=field, value=seen, expected=expected))
    return problems


def _of_status(error: HTTPException) -> Sequence[Problem]:
    return [Problem.error(_BY_STATUS.get(error.status_code, Code.BODY_UNREADABLE), reason=str(error.detail))]


class PlainRoute(APIRoute):
    """A route that rejects values that no file and no response can represent: NaN, NUL, and lone surrogates.

    A long answer, such as a list of thousands of runs, is sent compressed.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def with_plain_values(request: Request) -> Response:
            if any("\0" in value for value in request.query_params.values()):
                raise FineTuneError.of(Code.BODY_UNREADABLE, reason="nul_in_address")
            return _compressed(await handle(_PlainRequest(request.scope, request.receive)), request)

        return with_plain_values


def _compressed(response: Response, request: Request) -> Response:
    """Compress the body of a response that is in memory, for a browser that reads that."""
    body = bytes(getattr(response, "body", b""))  # a streamed one has none
    if len(body) < COMPRESSED_FROM or "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    response.body = gzip.compress(body, 4)
    response.headers.update(
        {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "Content-Length": str(len(response.body))}
    )
    return response


class _PlainRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            value = json.loads(body, parse_constant=_no_number)
            _refuse_odd(value)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            reason = "nested_too_deep" if isinstance(error, RecursionError) else str(error)
            raise json.JSONDecodeError(reason, "", 0) from None
        return value


def _no_number(_name: str) -> Any:
    raise ValueError("no_json_number")


def _refuse_odd(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("number_too_large")
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= character <= "\udfff" for character in value)):
        raise ValueError("odd_string")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_odd(key)
            _refuse_odd(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_odd(item)
