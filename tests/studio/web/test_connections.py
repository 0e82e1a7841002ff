"""Connections that say nothing, and bodies that stop coming, cost a bounded amount, and nobody is kept out by them."""

import asyncio
import logging
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from studio.web import connections
from studio.web.connections import FewLines, SlowBodies

pytestmark = pytest.mark.process

SERVE = """
import resource, sys
hard = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
from pathlib import Path
from interfaces.folders import Home
from studio.web import connections
from studio.web.server import serve
connections.HEADER_SECONDS = float(sys.argv[3])
serve(Home(Path(sys.argv[1])), "127.0.0.1", None, False, lambda link: print(link, flush=True), False)
"""


def served(home: Home, files: int, seconds: float, log: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(home.path), str(files), str(seconds)],
        stdout=subprocess.PIPE, stderr=log.open("w"), text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_idle_connections_block_no_one_and_log_little(home: Home, tmp_path: Path) -> None:
    """300 of them with 256 file descriptors: the oldest make room, and all are ended before long."""
    process, link = served(home, 256, 5.0, tmp_path / "log")
    port = int(link.split(":")[2].split("/")[0])
    crowd = []
    try:
        for _ in range(300):
            crowd.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        begun = time.monotonic()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(f"http://127.0.0.1:{port}/favicon.ico?{link.rpartition('?')[2]}", timeout=20) as answer:
            assert answer.status == 200
        assert time.monotonic() - begun < 10
        half = socket.create_connection(("127.0.0.1", port), timeout=30)
        half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        assert half.recv(100) == b"", "a head that never ends is ended"
        for one in crowd:
            one.settimeout(30)
            try:
                assert one.recv(1) == b""
            except ConnectionResetError:
                continue
        assert (tmp_path / "log").stat().st_size < 100_000
        assert "Too many open files" not in (tmp_path / "log").read_text(encoding="utf-8")
    finally:
        for one in crowd:
            one.close()
        process.kill()
        process.wait()


def test_stalled_body_counts_as_disconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.05)
    seen: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        for _ in range(2):
            seen.append((await receive())["type"])

    pieces = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Any:
        if pieces:
            return pieces.pop()
        return await asyncio.Event().wait()

    asyncio.run(SlowBodies(app)({"type": "http"}, receive, None))  # type: ignore[arg-type]
    assert seen == ["http.request", "http.disconnect"]


def test_complete_request_has_no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.05)
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x", "more_body": False}]
    seen: list[str] = []

    async def receive() -> Any:
        if len(messages) == 1:
            await asyncio.sleep(0.2)
        return messages.pop()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        for _ in range(2):
            seen.append((await receive())["type"])

    asyncio.run(SlowBodies(app)({"type": "http"}, receive, None))  # type: ignore[arg-type]
    assert seen == ["http.request", "http.disconnect"]


def test_log_is_rate_limited_and_counts_dropped_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(connections.time, "monotonic", lambda: now[0])
    bound = FewLines()
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "no %s left", ("files",), None)
    assert sum(bound.filter(record) for _ in range(500)) == connections.MOST_LINES
    now[0] += 61
    assert bound.filter(record)
    assert record.getMessage() == f"no files left ({500 - connections.MOST_LINES} similar lines were suppressed)"


def test_open_file_limit_is_raised_to_maximum() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
        most = connections.make_room_for_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 200
        assert 16 <= most <= connections.MOST_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
