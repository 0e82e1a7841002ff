"""Notifications when a run ends: a command or a webhook, set in a file of the home. No page can set one.

    notify.json     {"command": ["notify-send", "Finetune Studio"], "webhook": "https://example.org/hook"}

The command gets one JSON line on stdin, and FINETUNE_RUN, FINETUNE_STATE, and FINETUNE_MESSAGE in its environment. The
webhook gets the same JSON by POST.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import urllib.request
from urllib.parse import urlsplit

from pydantic import BaseModel

from interfaces.events import read_tail
from interfaces.files import read_json
from interfaces.folders import RunFolder
from interfaces.texts import sentence
from studio.runs.diagnosis import problem_of_run
from studio.runs.state import run_state, summary_of

log = logging.getLogger(__name__)

COMMAND_SECONDS, WEBHOOK_SECONDS = 60.0, 15.0


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


def tell(folder: RunFolder) -> None:
    """Send the notifications that the home's file configures. Errors are logged and don't affect the run."""
    wanted = read_json(folder.home.notify)
    if wanted is None:
        if folder.home.notify.exists():
            log.error("%s can't be read: it must be a JSON object", folder.home.notify)
        return
    news = news_of(folder)
    for name, work in (("command", _run), ("webhook", _post)):
        if wanted.get(name):
            try:
                work(wanted[name], news)
            except Exception as error:  # noqa: BLE001  a foreign program or server may fail in any way
                # The URL and the error message may contain a secret.
                log.error("The %s in %s failed: %s", name, folder.home.notify, type(error).__name__)


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
    with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):  # noqa: S310
        pass
