"""`finetune serve`: the real client of OpenAI talks with a run, and nobody else does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from tests.support.adapters import run_with_adapter
from tests.support.served import own_port
from tests.support.tiny_families import tiny_family, written

pytestmark = pytest.mark.tiny
FINETUNE = str(Path(sys.executable).parent / "finetune")
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def serve(home: Home) -> Iterator[Callable[..., tuple[openai.OpenAI, str]]]:
    """Start the command, and return a client of it and the URL."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> tuple[openai.OpenAI, str]:
        command = [FINETUNE, "serve", "last", "--home", str(home.path), "--port", str(own_port()), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        url, key = (re.search(rf"{name} +(\S+)", said)[1] for name in ("base URL", "API key"))  # type: ignore[index]
        return openai.OpenAI(base_url=url, api_key=key, max_retries=0), url

    yield begin
    for process in started:
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM


def with_gguf(run: RunFolder, base: Path, place: Path) -> None:
    written(base, place)
    folder = ExportFolder.create(run)
    ExportRequest(kind="gguf", quantization="f32", name="tiny.gguf").write(folder)
    ExportRecord(path=str(place / "tiny.gguf"), bytes=1).write(folder)


def refused(url: str, key: str, **headers: str) -> tuple[int, str]:
    asked = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}", **headers})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked)
    return caught.value.code, json.load(caught.value)["error"]["code"]


def test_the_real_client_streams_a_chat(home: Home, tiny_model: Path, serve: Callable[..., Any]) -> None:
    run = run_with_adapter(home, tiny_model)
    client, url = serve()
    assert [model.id for model in client.models.list()] == [run.id, str(tiny_model)]
    whole = client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=12)
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 12)
    assert whole.usage.prompt_tokens > 5
    stream = client.chat.completions.create(
        model=run.id, messages=HELLO, max_tokens=12, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content, "both are greedy"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == whole.usage
    base = client.chat.completions.create(model=str(tiny_model), messages=HELLO, max_tokens=12)
    assert base.choices[0].message.content != text, "the adapter is used"

    stopped = client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=12, stop=text[4:6])
    assert stopped.choices[0].message.content == text[: text.index(text[4:6])]
    assert stopped.usage.prompt_tokens == whole.usage.prompt_tokens
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]
    again = client.chat.completions.create(model=run.id, messages=parts, max_tokens=12)
    assert again.choices[0].message.content == text

    with client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=8000, stream=True) as left:
        next(iter(left))  # and leaves: the next answer doesn't wait for this one's end
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model=run.id, messages=HELLO, max_tokens=8000)  # fmt: skip
    client.with_options(timeout=30).chat.completions.create(model=run.id, messages=HELLO, max_tokens=1)
    _refusals(client, url, run.id)


def _refusals(client: openai.OpenAI, url: str, model: str) -> None:
    assert refused(url, "sk-guessed") == (401, "key_wrong")
    assert refused(url, client.api_key, Origin="https://example.org") == (403, "origin_foreign")
    assert refused(url, client.api_key, Host="example.org") == (400, "host_unknown")
    with pytest.raises(openai.NotFoundError, match=f"Served: {model}"):
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    tools: list[Any] = [{"type": "function", "function": {"name": "x"}}]
    for settings, says in (
        ({"tools": tools}, "tools is"), ({"n": 2}, "n is 2"), ({"temperature": 9}, "temperature is 9"),
        ({"response_format": {"type": "json_object"}}, "response_format is"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
    ):  # fmt: skip
        asked: dict[str, Any] = {"model": model, "messages": HELLO, **settings}
        with pytest.raises(openai.APIStatusError, match=says):
            client.chat.completions.create(**asked)
    with pytest.raises(openai.APIStatusError, match="tokens"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "word " * 20_000}])


def test_a_gguf_file_is_served_by_llama_cpp(home: Home, tmp_path: Path, serve: Callable[..., Any]) -> None:
    pytest.importorskip("xllamacpp")
    base = tiny_family(tmp_path / "base", "llama", tie_word_embeddings=True)
    run = run_with_adapter(home, base, bf16=False)
    with_gguf(run, base, tmp_path)
    client, _ = serve("--gguf")
    assert [model.id for model in client.models.list()] == [run.id]
    answer = client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=12)
    own, _ = serve()
    exact = own.chat.completions.create(model=run.id, messages=HELLO, max_tokens=12)
    assert answer.choices[0].message.content == exact.choices[0].message.content.rstrip("\ufffd")
    assert answer.usage == exact.usage
    chunks = list(client.chat.completions.create(model=run.id, messages=HELLO, max_tokens=12, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == answer.choices[0].message.content


@pytest.mark.parametrize(
    ("arguments", "says"), [(("--gguf",), "finetune export"), (("--checkpoint", "7"), "no checkpoint of step 7")]
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    home: Home, tiny_model: Path, arguments: tuple[str, ...], says: str
) -> None:  # fmt: skip
    run_with_adapter(home, tiny_model)
    command = [FINETUNE, "serve", "last", "--home", str(home.path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in ended.stderr
