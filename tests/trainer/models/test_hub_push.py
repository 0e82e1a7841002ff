"""Pushing to a pretend Hub: private, with all files, the token only in a header, and resumed where it broke off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub_server import Hub, serve

TOKEN = "hf_" + "PushCanary" * 3
PROGRAM = """
import sys
from pathlib import Path
from interfaces.errors import FineTuneError
from trainer.models.hub_push import open_repository, push
folder, repository, public = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "public"
told = []
try:
    open_repository(repository, public)
    files = [(path.name, path) for path in sorted(folder.iterdir())] + [("README.md", b"# Mine")]
    print(push(files, repository, "Upload", lambda *seen: told.append(seen)))
    print(told[-1], [total for _, total in told])
except FineTuneError as error:
    print(error.problems[0].model_dump_json())
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve({}) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    (place / "config.json").write_text("{}")
    (place / "model-1.safetensors").write_bytes(bytes(1000))
    (place / "model-2.safetensors").write_bytes(bytes(2000))
    return place


def pushed(hub: Hub, folder: Path, repository: str = "me/mine", public: str = "", token: str = TOKEN) -> str:
    """Push in a process of its own: the client reads the environment once."""
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(folder.parent / "hf")}  # fmt: skip
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("HF_")}, **settings}
    if not token:
        environment.pop("HF_TOKEN")
    command = [sys.executable, "-c", PROGRAM, str(folder), repository, public]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def reason(said: str) -> str:
    return str(json.loads(said)["params"]["reason"])


def test_a_push_is_private_whole_and_keeps_the_token_in_its_header(hub: Hub, folder: Path) -> None:
    said = pushed(hub, folder)
    assert said.splitlines() == [f"{hub.endpoint}/me/mine", "(3008, 3008) [3008, 3008, 3008, 3008]"]
    assert hub.private == {"me/mine": True}
    assert hub.pushed["me/mine"] == {
        "README.md": b"# Mine", "config.json": b"{}", "model-1.safetensors": bytes(1000), "model-2.safetensors": bytes(2000),
    }  # fmt: skip
    assert hub.tokens <= {f"Bearer {TOKEN}", ""}
    assert not any(TOKEN.encode() in body for body in [*hub.bodies, *hub.large.values()])
    assert not any(TOKEN in path for _, path in hub.requests)


def test_what_has_arrived_is_not_sent_again(hub: Hub, folder: Path) -> None:
    hub.fails_after = 1
    assert reason(pushed(hub, folder)) != ""
    assert hub.pushed["me/mine"] == {}, "no half commit"
    hub.fails_after = -1
    pushed(hub, folder)
    assert len(hub.pushed["me/mine"]) == 4
    sent = [path for method, path in hub.requests if method == "PUT"]
    first = sent[0]
    assert sent.count(first) == 1


def test_a_public_repository_is_only_used_when_asked_for(hub: Hub, folder: Path) -> None:
    pushed(hub, folder, public="public")
    assert hub.private == {"me/mine": False}
    assert reason(pushed(hub, folder)) == "is_public"
    assert pushed(hub, folder, public="public").startswith("http")


def test_what_prevents_a_push_is_said(hub: Hub, folder: Path) -> None:
    assert reason(pushed(hub, folder, token="")) == "no_token"
    assert reason(pushed(hub, folder, repository="me/" + "x" * 200)) == "no_repository_name"
    hub.pushed["me/mine"], hub.private["me/mine"], hub.answers["write"] = {}, True, 403
    assert reason(pushed(hub, folder)) == "token_refused", "a token that may only read, known before anything is sent"
    assert not [path for method, path in hub.requests if method == "PUT"]
    hub.answers["push"] = 401
    assert reason(pushed(hub, folder)) == "token_refused"
    hub.answers["push"] = 400
    assert reason(pushed(hub, folder)) == "http_status"
