"""Who is notified that a run has ended, and that nothing of it can hurt a run."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher
from studio.runs.notify import keep_webhook, notifications_of, send_test, tell
from studio.runs.queue import RunQueue
from tests.conftest import until
from tests.support.fake_runs import has_ended, make_run
from tests.support.fakes import fake_trainer_package

pytestmark = pytest.mark.process


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what it is sent."""
    got: list[dict[str, Any]] = []

    class CheckpointCallback(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response({"/broken": 500, "/moved": 302}.get(self.path, 204))
            self.send_header("Location", "/")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), CheckpointCallback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()


def command(target: Path) -> list[str]:
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ['FINETUNE_STATE'] + ' ' + sys.stdin.read())"
    return [sys.executable, "-c", code, str(target)]


def ended(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> RunFolder:
    for name, value in fake_trainer_package(tmp_path / script).items():
        monkeypatch.setenv(name, value)
    queue = RunQueue(home)
    folder = make_run(queue, script)
    queue.submit(folder)
    until(lambda: has_ended(folder))
    return folder


def test_run_end_notifies_command_and_webhook(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: tuple[str, list[dict[str, Any]]]
) -> None:
    address, got = hook
    target = tmp_path / "reported"
    home.path.mkdir(exist_ok=True)
    write_json(home.notify, {"command": command(target), "webhook": address})
    for number, script in enumerate(("finishes", "fails"), start=1):
        folder = ended(home, tmp_path, monkeypatch, script)
        until(lambda number=number: len(got) == number)
        state, news = target.read_text().splitlines()[-1].split(" ", 1)
        assert json.loads(news) == got[-1]
        assert (got[-1]["run"], got[-1]["state"]) == (folder.id, state)
    assert got[0]["message"].endswith("finished, loss 0.3333")
    assert "chat template" in got[1]["problem"]
    assert LocalLauncher().find(folder) is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"command": "rm -rf /", "webhook": "file:///etc/passwd"},
        {"command": ["/no/such/program"], "webhook": "http://127.0.0.1:9/hidden-token"},
        {"command": [1]},
    ],
)
def test_notification_errors_are_logged_without_the_url(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wanted: dict[str, Any],
) -> None:
    folder = ended(home, tmp_path, monkeypatch, "finishes")
    write_json(home.notify, wanted)
    tell(folder)
    assert caplog.text.count("failed") == len(wanted)
    assert "hidden-token" not in caplog.text


def test_no_file_means_no_notification_damaged_file_is_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ended(home, tmp_path, monkeypatch, "finishes")
    tell(folder)
    assert caplog.text == ""
    home.notify.write_text("[")
    tell(folder)
    assert "notify.json" in caplog.text


def test_the_page_s_webhook_is_kept_secret_and_tested(home: Home, hook: tuple[str, list[dict[str, Any]]]) -> None:
    url, got = hook
    keep_webhook(home, f"{url}/?key=secret")
    shown = notifications_of(home)
    assert (shown.page_webhook, shown.file_webhook, shown.command, shown.damaged) == ("127.0.0.1", "", "", False)
    assert "secret" not in shown.model_dump_json()
    assert home.secrets.stat().st_mode & 0o077 == 0
    assert [(one.kind, one.problem) for one in send_test(home)] == [("webhook", "")]
    assert got[0]["state"] == "finished"
    keep_webhook(home, "")
    assert (notifications_of(home).page_webhook, send_test(home)) == ("", [])


def test_a_test_says_what_failed_and_follows_no_redirect(home: Home, hook: tuple[str, list[dict[str, Any]]]) -> None:
    url, got = hook
    home.path.mkdir(exist_ok=True)
    write_json(home.notify, {"command": ["/no/such/program", "--key=secret"], "webhook": f"{url}/broken"})
    keep_webhook(home, f"{url}/moved")
    problems = [(one.kind, one.problem) for one in send_test(home)]
    assert problems == [("command", "FileNotFoundError"), ("webhook", "HTTP 500"), ("webhook", "HTTP 302")]
    assert len(got) == 2
    assert notifications_of(home).command == "/no/such/program"


@pytest.mark.parametrize(
    "address", ["ftp://example.org", "example.org", "http://", "javascript:alert(1)", "http://[", "http://a/\u202e"]
)
def test_what_is_no_web_address_is_refused_without_being_repeated(home: Home, address: str) -> None:
    with pytest.raises(FineTuneError) as raised:
        keep_webhook(home, address)
    assert address not in str(raised.value.problems[0].params)
    assert not home.secrets.exists()
