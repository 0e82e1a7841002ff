"""Notifications when a run ends: a command or a webhook in a file of the home, and a webhook that the page keeps.

    notify.json     {"command": ["notify-send", "Finetune Studio"], "webhook": "https://example.org/hook"}

The command gets one JSON line on stdin, and FINETUNE_RUN, FINETUNE_STATE, and FINETUNE_MESSAGE in its environment. The
webhook gets the same JSON by POST. No page can set a command: it would be executed. An address may hold a secret, so the
page's own is kept with the access tokens and never shown again.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import urllib.request
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.events import read_tail
from interfaces.files import read_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.records import merge_record, read_record
from interfaces.texts import sentence
from studio.runs.diagnosis import problem_of_run
from studio.runs.state import run_state, summary_of

log = logging.getLogger(__name__)

COMMAND_SECONDS, WEBHOOK_SECONDS = 60.0, 15.0
_LONGEST = 2000


class News(BaseModel):
    """What a command or a webhook gets of a run that has ended. Losses in nats per trained token."""

    run: str
    name: str
    state: str
    model: str
    dataset: str
    step: int
    total_steps: int
    train_loss: float | None
    eval_loss: float | None
    seconds: float
    problem: str
    message: str


def news_of(folder: RunFolder) -> News:
    events = read_tail(folder.events)
    summary, state = summary_of(folder), run_state(folder, events)
    problem = problem_of_run(folder, events) if state == "failed" else None
    name = f"{summary.name} ({folder.id})" if summary.name else folder.id
    message = f"{name}: {state.value}" + (f", loss {summary.train_loss_last:.4f}" if summary.train_loss_last else "")
    return News(
        run=folder.id, name=summary.name, state=state.value, model=summary.model, dataset=summary.dataset,
        step=summary.step, total_steps=summary.total_steps, train_loss=summary.train_loss_last, eval_loss=summary.eval_loss,
        seconds=summary.seconds, problem=sentence(problem) if problem else "", message=message,
    )  # fmt: skip


class Notifications(BaseModel):
    """What a page shows: the program of the command, and the hosts of the webhooks; empty where there is none.

    `damaged` says that `file` can't be read.
    """

    command: str
    file_webhook: str
    page_webhook: str
    file: str
    damaged: bool


class Attempted(BaseModel):
    """What came of one notification: `problem` is the kind of error, empty if it was sent."""

    kind: Literal["command", "webhook"]
    problem: str


def notifications_of(home: Home) -> Notifications:
    """Return which notifications are set, without their secrets."""
    wanted = read_json(home.notify)
    found = wanted or {}
    command = found.get("command")
    return Notifications(
        command=str(command[0]) if isinstance(command, list) and command else "",
        file_webhook=_host(found.get("webhook")), page_webhook=_host(_page_webhook(home)), file=str(home.notify),
        damaged=wanted is None and home.notify.exists(),
    )  # fmt: skip


def keep_webhook(home: Home, address: str) -> None:
    """Keep the address that the page's notifications are sent to, or none if it is empty.

    Raises:
        FineTuneError: it is no http or https address. The message doesn't contain it.
    """
    address = address.strip()
    if address and (
        not _host(address) or not address.isascii() or not address.isprintable() or len(address) > _LONGEST
    ):
        raise FineTuneError.of(Code.VALUE_INVALID, field="webhook", value="(not shown)", expected="web_address")
    merge_record(home.secrets, private=True, webhook=address)


def tell(folder: RunFolder) -> list[Attempted]:
    """Send the notifications that a run has ended. Errors are logged and don't affect the run."""
    return _send(folder.home, news_of(folder)) if _wanted(folder.home) else []


def send_test(home: Home) -> list[Attempted]:
    """Send a notification as a run would, and return what came of each."""
    nothing: dict[str, Any] = dict.fromkeys(("train_loss", "eval_loss"))
    return _send(
        home,
        News(
            run="20200101-000000-0000", name="Test", state="finished", model="starter", dataset="test.jsonl", step=1,
            total_steps=1, seconds=1.0, problem="", message="Test: notifications of Finetune Studio arrive here", **nothing,
        ),
    )  # fmt: skip


def _wanted(home: Home) -> list[tuple[Literal["command", "webhook"], object]]:
    """Return what is to be told: (kind, target)."""
    stored = read_json(home.notify)
    if stored is None and home.notify.exists():
        log.error("%s can't be read: it must be a JSON object", home.notify)
    found = stored or {}
    targets = [("command", found.get("command")), ("webhook", found.get("webhook")), ("webhook", _page_webhook(home))]
    return [(kind, target) for kind, target in targets if target]  # type: ignore[misc]


def _send(home: Home, news: News) -> list[Attempted]:
    attempted = []
    for kind, target in _wanted(home):
        problem = ""
        try:
            (_run if kind == "command" else _post)(target, news)
        except Exception as error:  # noqa: BLE001  a foreign program or server may fail in any way
            # The URL and the error message may contain a secret.
            status = getattr(error, "code", "")
            problem = f"HTTP {status}" if status else type(error).__name__
            log.error("The %s of %s failed: %s", kind, home.path, problem)
        attempted.append(Attempted(kind=kind, problem=problem))
    return attempted


def _page_webhook(home: Home) -> str:
    return str((read_record(home.secrets) or {}).get("webhook") or "")


def _host(address: object) -> str:
    """Return the host of a web address, without what may be secret; empty if it is none."""
    try:
        parts = urlsplit(address) if isinstance(address, str) else None
        return parts.hostname or "" if parts is not None and parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _run(command: object, news: News) -> None:
    if not (isinstance(command, list) and all(isinstance(word, str) for word in command)):
        raise TypeError("command must be a list of strings")
    reported = {"FINETUNE_RUN": news.run, "FINETUNE_STATE": news.state, "FINETUNE_MESSAGE": news.message}
    subprocess.run(
        command, input=json.dumps(news.model_dump(), ensure_ascii=False) + "\n", text=True, encoding="utf-8", timeout=COMMAND_SECONDS, check=True,
        env={**os.environ, **reported}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _post(address: object, news: News) -> None:
    if urlsplit(str(address)).scheme not in ("http", "https"):
        raise ValueError("webhook must be an http or https URL")
    request = urllib.request.Request(  # noqa: S310  the scheme is checked above
        str(address), json.dumps(news.model_dump()).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=WEBHOOK_SECONDS):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent goes to the host that was entered, and to no other."""

    def redirect_request(self, *_: object) -> None:
        return None
