"""Uploads: under a safe name, in a folder of their own, and gone if what comes after them fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.web import uploads
from studio.web.uploads import received, safe_name, uploads_of


def request(*pieces: bytes, **headers: str) -> Request:
    coming = iter([*({"type": "http.request", "body": piece, "more_body": True} for piece in pieces), {"type": "http.request", "body": b"", "more_body": False}])  # fmt: skip

    async def receive() -> Any:
        return next(coming)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named}, receive)


def test_a_file_arrives_whole_and_stays_until_its_reader_takes_it(home: Home) -> None:
    async def read() -> bytes:
        async with received(request(b"one ", b"two"), home, "../../my rows.jsonl", 3) as path:
            assert path.name == "my rows.jsonl"
            assert path.parent.parent == uploads_of(home)
        return path.read_bytes()

    assert asyncio.run(read()) == b"one two"


def test_what_is_too_large_or_fails_leaves_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 5)

    async def read(asked: Request) -> None:
        async with received(asked, home, "rows.jsonl", 3):
            raise ValueError

    for asked in (request(b"1234", b"56"), request(content_length="6")):
        with pytest.raises(FineTuneError) as caught:
            asyncio.run(read(asked))
        assert caught.value.problems[0].code is Code.FILE_TOO_LARGE
    with pytest.raises(ValueError, match=""):
        asyncio.run(read(request(b"1")))
    assert not uploads_of(home).exists() or not list(uploads_of(home).iterdir())


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc/passwd", "passwd"), ("a\\b\\rows.csv", "rows.csv"), ("x" * 300 + ".jsonl.gz", "x" * 60 + ".jsonl.gz"), ("a\nb.json", "ab.json")],
)  # fmt: skip
def test_names_of_files_are_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe
