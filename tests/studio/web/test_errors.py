"""Errors of the API: one shape, the right status, and never a 500, whatever is sent."""

import errno
import json
import random
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.problems import Code
from studio.web.errors import MEDIA_TYPE, add_error_handlers, status_of
from studio.web.server import build_app
from tests.support.fakes import on_a_cluster

pytestmark = pytest.mark.process

TOKEN = "e" * 43
STARTS_SOMETHING = {"/api/warm-trainer", "/api/datasets/sample", "/api/runs/demo", "/api/runs/resume-interrupted"}
"""Routes that take nothing that could be odd, and start a process."""
ODD_IDS = [
    "",
    "x",
    "x" * 300,
    "..",
    "%2e%2e%2f",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "-1",
    "0" * 16,
    "nan",
    "🦙",
    "jobs",
    "a b",
    "1e999",
]
ODD_TEXTS = [
    "",
    "x",
    "x" * 5000,
    "\0",
    "a\0b",
    "\ud800",
    "../../etc/passwd",
    "/",
    "~",
    "nan",
    "🦙",
    "{{7*7}}",
    "http://[evil",
    "-",
    "\u202e",
]
ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"": None},
    *ODD_TEXTS,
]
RAW_BODIES = [
    b"",
    b"{",
    b"\xff\xfe",
    b"1e999",
    b"[1e999]",
    b'"\\ud800"',
    b'{"a": NaN}',
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"null",
    b"{}" * 3,
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Home]]:
    """Its runs are files of the fake cluster: what is sent at random starts no training."""
    home = Home(tmp_path_factory.mktemp("errors"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        on_a_cluster(home, monkeypatch)
        app = build_app(home, TOKEN)
        with TestClient(
            app, base_url="http://127.0.0.1:7860", follow_redirects=False, raise_server_exceptions=False
        ) as client:
            client.get("/", params={"token": TOKEN})
            yield client, home


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/api/runs/none", None, 404, Code.RUN_NOT_FOUND),
        ("GET", f"/api/runs/{'x' * 300}", None, 404, Code.RUN_NOT_FOUND),
        ("POST", f"/api/runs/{'x' * 300}/restore", None, 404, Code.RUN_NOT_FOUND),
        ("POST", f"/api/datasets/{'0' * 300}/restore", None, 404, Code.DATASET_NOT_FOUND),
        ("GET", "/api/datasets/0123456789abcdef", None, 404, Code.DATASET_NOT_FOUND),
        ("GET", "/api/datasets/jobs/none", None, 404, Code.JOB_NOT_FOUND),
        ("GET", "/api/nothing/here", None, 404, Code.ADDRESS_UNKNOWN),
        ("PUT", "/api/runs", None, 405, Code.METHOD_UNKNOWN),
        ("GET", "/api/runs/none/events?since=abc", None, 422, Code.VALUE_INVALID),
        ("POST", "/api/queue/none/move", b'{"position": 1000000000000000000000000000000}', 422, Code.VALUE_INVALID),
        ("POST", "/api/queue/none/move", b'{"position": NaN}', 400, Code.BODY_UNREADABLE),
        ("POST", "/api/models/token", b'{"token": "\\ud800"}', 400, Code.BODY_UNREADABLE),
        ("POST", "/api/models/token", b"{}", 422, Code.VALUE_MISSING),
    ],
)
def test_an_error_has_its_status_its_code_and_a_sentence(
    served: tuple[TestClient, Home], method: str, path: str, sent: bytes | None, status: int, code: Code
) -> None:
    answer = served[0].request(method, path, content=sent, headers={"content-type": "application/json"})
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert body["problems"][0]["code"] == code
    assert body["type"].endswith(f":{code}")
    assert body["title"] == HTTPStatus(status).phrase
    assert len(body["detail"]) > 10


def test_error_uses_the_request_language(served: tuple[TestClient, Home]) -> None:
    answer = served[0].get("/api/runs/none", headers={"accept-language": "zh-CN"})
    assert "找不到训练" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{"origin": "http://[evil"}, {"origin": "null"}, {"origin": "http://elsewhere"}])
def test_a_foreign_origin_is_refused_however_it_is_written(
    served: tuple[TestClient, Home], headers: dict[str, str]
) -> None:
    answer = served[0].post("/api/queue/pause", headers=headers)
    assert (answer.status_code, answer.json()["problems"][0]["code"]) == (403, Code.ORIGIN_FOREIGN)


def test_what_conflicts_with_the_state_of_a_run_is_a_conflict(served: tuple[TestClient, Home]) -> None:
    client, home = served
    folder = home.create_run()
    folder.config.write_text("{}")
    write_json(folder.create_attempt().pid, {})
    assert client.post(f"/api/runs/{folder.id}/stop", json={}).status_code == 409


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 507, Code.DISK_FULL),
        (OSError(errno.EIO, "Input/output error", "/x"), 507, Code.DISK_ERROR),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 403, Code.NOT_WRITABLE),
        (OSError("odd"), 422, Code.FILE_UNREADABLE),
        (RuntimeError("secret"), 500, Code.UNEXPECTED),
    ],
)
def test_disk_and_unexpected_errors_are_json_responses(home: Home, error: Exception, status: int, code: Code) -> None:
    app = FastAPI()
    add_error_handlers(app, home)

    @app.get("/")
    def fail() -> None:
        raise error

    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.json()["problems"][0]["code"]) == (status, code)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_every_code_has_a_status_of_an_error() -> None:
    assert {status_of(code) for code in Code} > {404, 409, 422, 429, 507}
    assert all(status_of(code) >= 400 for code in Code)


def odd_body(draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return draw.choice(RAW_BODIES)
    names = [
        "name",
        "config",
        "position",
        "columns",
        "parts",
        "changes",
        "model",
        "revision",
        "endpoint",
        "token",
        "discard",
        "apply_fix",
        "op",
    ]
    body: Any = {draw.choice(names): odd_value(draw) for _ in range(draw.randint(0, 4))}
    return json.dumps(draw.choice([body, odd_value(draw)])).encode()


def odd_value(draw: random.Random, depth: int = 0) -> Any:
    if depth < 3 and draw.random() < 0.3:
        inner = [odd_value(draw, depth + 1) for _ in range(3)]
        return inner if draw.random() < 0.5 else dict(zip(draw.sample(ODD_TEXTS, 3), inner, strict=True))
    return draw.choice(ODD_VALUES)


@pytest.mark.parametrize("count", [500, pytest.param(4000, marks=pytest.mark.long)])
def test_nothing_that_is_sent_gives_a_500(served: tuple[TestClient, Home], count: int) -> None:
    client, home = served
    folder = home.create_run()
    folder.config.write_text("{}")
    app: Any = client.app
    every = [one for route in app._app._app.routes for one in getattr(route, "original_router", app._app._app).routes]
    routes = sorted(
        (method, route.path)
        for route in every
        if isinstance(route, APIRoute) and route.path.startswith("/api") and route.path not in STARTS_SOMETHING
        for method in route.methods
    )
    assert len(routes) >= 30
    draw = random.Random(4)
    for _ in range(count):
        method, path = draw.choice(routes)
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + draw.choice([*ODD_IDS, folder.id]) + rest.partition("}")[2]
        query = {
            name: draw.choice(["", "-1", "9" * 30, "nan", "x" * 2000, "true", "\0"])
            for name in draw.sample(["since", "start", "count", "language", "text", "model", "name", "online"], 2)
        }
        sent = odd_body(draw) if method != "GET" else None
        headers = {"content-type": draw.choice(["application/json", "text/plain", "application/json; charset=utf-16"])}
        answer = client.request(method, path, params=query, content=sent, headers=headers)
        assert answer.status_code < 500 or answer.json()["problems"][0]["code"] != Code.UNEXPECTED, (
            method,
            path,
            query,
            sent,
            answer.text,
        )
