"""A studio that is served by a process of its own, and a tab of it without a browser."""

from __future__ import annotations

import contextlib
import http.cookiejar
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from interfaces.folders import Home

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.count(20_000 + 1000 * _WORKER)


def own_port() -> int:
    """A port that no other studio of these tests is given, also while this one is down: below those that the kernel picks."""
    for port in _PORTS:
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is no end of ports")


class Studio:
    """`finetune studio` as a process, on a port of its own."""

    def __init__(self, home: Home, *options: str, environment: dict[str, str] | None = None) -> None:
        self.home, self.options, self.environment = home, options, environment or {}
        self.port = own_port()
        self.start()

    def start(self) -> None:
        command = [
            str(Path(sys.executable).parent / "finetune"),
            "studio",
            "--no-browser",
            *self.options,
            "--home",
            str(self.home.path),
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, **self.environment},
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line):
                self.link = found[0]
                return
        raise AssertionError("the studio did not start: " + "".join(said))

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Page:
    """What a tab does: it polls, it adds what is new to what it has, and it presses buttons."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self._opener.open(studio.link).read()
        self.last, self.points = 0, []

    def ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(self.studio.url + path, method=method, data=b"" if method == "POST" else None)
        request.add_header("Origin", self.studio.url)
        request.add_header("Content-Type", "application/json")
        return json.loads(self._opener.open(request, timeout=300).read())

    def poll(self, run: str) -> dict[str, Any]:
        reported: dict[str, Any] = self.ask(f"/api/runs/{run}/events?since={self.last}")
        self.points = reported["train"]["x"] if reported["reset"] else self.points + reported["train"]["x"]
        self.last = reported["last"]
        status: dict[str, Any] = reported["status"]
        return status
