"""Canaries of secrets are in nothing that an export writes, says, or sends; the card's own facts are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import psutil
import pytest

from interfaces.folders import Home
from interfaces.job_folders import ExportFolder
from interfaces.run_records import RunMeta
from tests.support.adapters import run_with_adapter
from tests.support.hub_server import Hub, serve
from tests.support.tiny_families import tiny_family

pytestmark = pytest.mark.tiny
FINETUNE = str(Path(sys.executable).parent / "finetune")
KINDS = ("hub token", "api key", "cloud key", "studio token", "stored token", "note", "sample prompt", "place")
CANARIES = {kind: "hf_" * (kind == "hub token") + f"Canary{number}" * 4 for number, kind in enumerate(KINDS)}


def seen_arguments(stop: threading.Event, seen: set[str]) -> None:
    """Collect the arguments of all processes until told to stop."""
    while not stop.is_set():
        for process in psutil.process_iter(["cmdline"]):
            seen.update(process.info["cmdline"] or [])
        stop.wait(0.02)


def exported(home: Home, hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {
        "HF_TOKEN": CANARIES["hub token"], "OPENAI_API_KEY": CANARIES["api key"], "AWS_SECRET_ACCESS_KEY": CANARIES["cloud key"],
        "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home.path / "hf"),
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [FINETUNE, "export", "last", *arguments, "--home", str(home.path)]
    return subprocess.run(command, env={**kept, **own}, capture_output=True, text=True, timeout=300, check=False)


def test_no_secret_leaves_with_an_export(tmp_path: Path) -> None:
    place = tmp_path / CANARIES["place"]
    base = tiny_family(place / "base", "llama", tie_word_embeddings=True)
    home = Home(place / "home")
    run = run_with_adapter(home, base, bf16=False, cpu_threads=1, sample_prompts=[CANARIES["sample prompt"]])
    RunMeta(name="Mine", note=CANARIES["note"]).write(run)
    home.studio_token.write_text(CANARIES["studio token"])
    home.secrets.write_text(json.dumps({"schema_version": 1, "hub_tokens": {"example.org": CANARIES["stored token"]}}))
    seen: set[str] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=seen_arguments, args=(stop, seen))
    watcher.start()
    said = []
    with serve({}) as hub:
        try:
            for kind, more in (("adapter", ()), ("merged", ("--push", "me/mine")), ("gguf", ("--no-proof",))):
                ended = exported(home, hub, "--to", kind, *more)
                assert ended.returncode == 0, ended.stderr
                said.append(ended.stdout + ended.stderr)
        finally:
            stop.set()
            watcher.join()
        assert hub.private == {"me/mine": True}
        card = hub.pushed["me/mine"]["README.md"].decode()
        assert "library_name: transformers" in card
        assert "10 of 10 answers" in card
        assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= hub.pushed["me/mine"].keys()
        assert f"{hub.endpoint}/me/mine" in said[1]
        assert f"Bearer {CANARIES['hub token']}" in hub.tokens, "only there"
        sent = [*hub.bodies, *hub.large.values(), *hub.pushed["me/mine"].values(), *(path.encode() for _, path in hub.requests)]  # fmt: skip

    written: dict[str, bytes] = {}
    folders = ExportFolder.all_of(run)
    assert len(folders) == 3
    for folder in folders:
        written |= {str(path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    [archive] = [path for path in written if path.endswith(".zip")]
    with zipfile.ZipFile(archive) as opened:
        written |= {f"{archive}:{name}": opened.read(name) for name in opened.namelist()}
    for kind, canary in CANARIES.items():
        inside = [name for name, content in written.items() if canary.encode() in content]
        if kind == "place":  # our own records say where a file is; what is given away doesn't
            inside = [name for name in inside if "/files/" in name]
            assert any(canary in one for one in seen), "the watcher sees arguments"
        else:
            assert not [one for one in seen if canary in one], kind
            assert not any(canary in text for text in said), kind
        assert not inside, kind
        assert not any(canary.encode() in body for body in sent), kind
