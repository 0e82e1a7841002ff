"""`finetune chat`: prompts on stdin, answers on stdout, and sentences for what can't answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from tests.support.adapters import run_with_adapter

pytestmark = pytest.mark.tiny
FINETUNE = str(Path(sys.executable).parent / "finetune")


def chat(home: Home, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [FINETUNE, "chat", *arguments, "--home", str(home.path)]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=300, check=False)


def test_each_line_is_answered_by_result_and_base(home: Home, tiny_model: Path) -> None:
    run = run_with_adapter(home, tiny_model)
    ended = chat(home, "last", "--base", "--json", "--max-new-tokens", "8", said="Hi\n\n你好\n")
    assert ended.returncode == 0, ended.stderr
    first, second = map(json.loads, ended.stdout.splitlines())
    assert [first["prompt"], second["prompt"]] == ["Hi", "你好"]
    assert [answer["speaker"] for answer in first["answers"]] == [run.id, "base model"]
    assert [answer["tokens"] for answer in second["answers"]] == [8, 8]
    plain = chat(home, run.id, "--max-new-tokens", "8", said="Hi\n")
    shown = "".join(one for one in first["answers"][0]["text"] if one.isprintable() or one in "\n\t")
    assert plain.stdout.strip() == shown.strip(), "nothing that a model says controls the terminal"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "Run 'nowhere' not found"),
        (("last", "--checkpoint", "7"), "no checkpoint of step 7. It keeps these steps: 2."),
        (("last", "--temperature", "9"), "--temperature"),
    ],
)
def test_what_cannot_answer_is_said_in_a_sentence(
    home: Home, tiny_model: Path, arguments: tuple[str, ...], says: str
) -> None:
    run_with_adapter(home, tiny_model)
    ended = chat(home, *arguments, said="Hi\n")
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
