"""A small server that speaks the Hub's protocol: model info, files by range, HEAD with etag and commit."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves folders as repositories. `answers` maps a repository to a status that it gives for everything."""

    daemon_threads = True

    def __init__(
        self, repositories: dict[str, Path], answers: dict[str, int] | None = None, bytes_per_second: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bytes_per_second = bytes_per_second
        self.repositories, self.answers = repositories, answers or {}
        self.breaks = 0
        """How many more times a download of weights is broken off half-way."""
        self.silent = False
        """Whether it closes each connection without a word."""
        self.damaged = False
        """Whether weights arrive otherwise than their checksum says."""
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.pushed: dict[str, dict[str, bytes]] = {}
        """The files of repositories that were made here."""
        self.private: dict[str, bool] = {}
        self.large: dict[str, bytes] = {}
        """Large files that have arrived, by their sha256, also before a commit names them."""
        self.bodies: list[bytes] = []
        """What was sent, except large files."""
        self.fails_after = -1
        """After this many large files, the next ones are refused; -1 for never."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        content = self._body()
        self.server.bodies.append(content)
        path = urlsplit(self.path).path
        parts = path.strip("/").split("/")
        repository = "/".join(parts[2:4])
        if (status := self.server.answers.get("push")) is not None:
            self._send(status, b"{}", {"X-Error-Message": "refused"}, True)
        elif path == "/api/repos/create":
            self._create(json.loads(content))
        elif path.endswith("/preupload/main") and (status := self.server.answers.get("write")) is not None:
            self._send(status, b"{}", {"X-Error-Message": "refused"}, True)
        elif path.endswith("/preupload/main"):
            files = [
                {"path": file["path"], "uploadMode": _mode(file["path"]), "shouldIgnore": False, "oid": None}
                for file in json.loads(content)["files"]
            ]
            self._say({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            self._say({"transfer": "basic", "objects": [self._offer(one) for one in json.loads(content)["objects"]]})
        elif path.endswith("/commit/main"):
            self._commit(repository, content)
        elif path == "/api/validate-yaml":
            self._say({"errors": [], "warnings": []})
        else:
            self._send(404, b"{}", {}, True)

    def do_PUT(self) -> None:
        """A large file arrives."""
        content = self._body()
        if self.server.fails_after == 0:
            self._send(400, b"{}", {}, True)
            return
        self.server.fails_after -= 1
        self.server.large[hashlib.sha256(content).hexdigest()] = content
        self._say({})

    def _body(self) -> bytes:
        self.server.requests.append((self.command, self.path.split("?")[0]))
        if self.command == "POST":
            self.server.tokens.add(self.headers.get("Authorization", ""))
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _create(self, asked: dict[str, object]) -> None:
        repository = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else str(asked["name"])
        known = repository in self.server.pushed
        if not known:
            self.server.pushed[repository] = {}
            self.server.private[repository] = asked.get("visibility") == "private" or bool(asked.get("private"))
        answer = {"url": f"{self.server.endpoint}/{repository}", "name": repository, "id": "1"}
        self._send(409 if known else 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, True)

    def _offer(self, wanted: dict[str, object]) -> dict[str, object]:
        if wanted["oid"] in self.server.large:
            return wanted  # nothing to do: it is here
        return {
            **wanted,
            "actions": {"upload": {"href": f"{self.server.endpoint}/upload/{wanted['oid']}", "header": {}}},
        }

    def _commit(self, repository: str, content: bytes) -> None:
        files = self.server.pushed[repository]
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        self._say(
            {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.server.endpoint}/{repository}/commit/{COMMIT}"}
        )

    def _say(self, answer: object) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, True)

    def _answer(self, body: bool) -> None:
        if self.server.silent:
            self.close_connection = True
            self.connection.close()
            return
        path = self.path.split("?")[0]
        self.server.requests.append((self.command, path))
        self.server.tokens.add(self.headers.get("Authorization", ""))
        parts = path.strip("/").split("/")
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            repository, rest = "/".join(parts[2:4]), parts[4:]
        elif parts[0] == "datasets":
            repository, rest = "/".join(parts[1:3]), parts[3:]
        else:
            repository, rest = "/".join(parts[:2]), parts[2:]
        if parts == ["api", "models"]:
            self._search(body)
            return
        status = self.server.answers.get(repository)
        if status is not None:
            codes = {401: "RepoNotFound", 403: "GatedRepo", 404: "RepoNotFound"}
            headers = {"X-Error-Code": codes.get(status, ""), "X-Error-Message": "refused", "Retry-After": "1"}
            self._send(status, b"{}", headers, body)
        elif repository in self.server.pushed and parts[0] == "api":
            private = self.server.private[repository]
            self._say(
                {"id": repository, "modelId": repository, "sha": COMMIT, "private": private, "siblings": [], "tags": []}
            )
        elif repository not in self.server.repositories:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, body)
        elif parts[0] == "api":
            self._send(
                200, json.dumps(self._info(repository, rest)).encode(), {"Content-Type": "application/json"}, body
            )
        else:
            self._send_file(self.server.repositories[repository] / "/".join(rest[2:]), body)

    def _search(self, body: bool) -> None:
        """Repositories whose names hold the text, as the Hub lists them."""
        asked = parse_qs(urlsplit(self.path).query)
        status = self.server.answers.get("search")
        if status is not None:
            self._send(status, b"{}", {"Retry-After": "1"}, body)
            return
        text = asked.get("search", [""])[0].lower()
        found = [self._info(name, []) for name in self.server.repositories if text in name.lower()]
        self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"}, body)

    def _info(self, repository: str, rest: list[str]) -> object:
        folder = self.server.repositories[repository]
        if rest[:1] == ["tree"]:
            return _tree(folder, folder / "/".join(rest[2:]), "recursive=true" in self.path.lower())
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        siblings = [{"rfilename": str(path.relative_to(folder)), "size": path.stat().st_size} for path in files]
        return {
            "id": repository,
            "modelId": repository,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": ["license:apache-2.0"],
            "private": False,
            "gated": False,
            "downloads": 1234,
            "safetensors": {"parameters": {"BF16": 1000}, "total": 1000},
        }

    def _send_file(self, path: Path, body: bool) -> None:
        if not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        content = path.read_bytes()
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if path.suffix == ".safetensors":  # a large file's mark is its sha256
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
            if self.server.damaged:
                content = bytes(len(content))
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked[6:].partition("-")
            start, end = int(first), int(last) if last else len(content) - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._send(206, content[start : end + 1], headers, body)
        else:
            self._send(200, content, headers, body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command != "HEAD":
            if self.server.breaks and self.path.split("?")[0].endswith(".safetensors"):
                self.server.breaks -= 1
                self._write(content[: len(content) // 2])
                self.close_connection = True
                self.connection.close()
                return
            self._write(content)

    def _write(self, content: bytes) -> None:
        """At once, or a tenth of a second's worth at a time, as a slow line does."""
        piece = self.server.bytes_per_second // 10 or len(content) or 1
        with contextlib.suppress(ConnectionError):  # whoever asked is gone
            for start in range(0, len(content), piece):
                self.wfile.write(content[start : start + piece])
                if piece < len(content):
                    time.sleep(0.1)


def _tree(top: Path, folder: Path, recursive: bool) -> list[dict[str, object]]:
    """What the Hub says is in a folder of a repository."""
    paths = sorted(folder.rglob("*") if recursive else folder.glob("*"))
    return [
        {"type": "file", "path": str(path.relative_to(top)), "size": path.stat().st_size, "oid": _etag(path)}
        if path.is_file()
        else {"type": "directory", "path": str(path.relative_to(top)), "size": 0, "oid": "0" * 40}
        for path in paths
    ]


def _mode(path: str) -> str:
    return "lfs" if path.endswith((".safetensors", ".gguf", "tokenizer.json")) else "regular"


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@contextmanager
def serve(
    repositories: dict[str, Path], answers: dict[str, int] | None = None, bytes_per_second: int = 0
) -> Iterator[Hub]:
    """A running Hub, ended with the block; a slow one where a number of bytes per second is given."""
    with Hub(repositories, answers, bytes_per_second) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
