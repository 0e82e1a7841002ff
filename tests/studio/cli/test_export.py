"""`finetune export`: where the files are, what the proof says, and exit codes for scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from tests.support.adapters import run_with_adapter
from tests.support.records import recorded_run
from tests.support.tiny_families import tiny_family

FINETUNE = str(Path(sys.executable).parent / "finetune")


def export(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [FINETUNE, "export", *arguments, "--home", str(home.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.tiny
def test_a_gguf_is_written_and_proven(home: Home, tmp_path: Path) -> None:
    run_with_adapter(home, tiny_family(tmp_path / "base", "llama", tie_word_embeddings=True), bf16=False, cpu_threads=1)
    out = tmp_path / "mine.gguf"
    ended = export(home, "last", "--to", "gguf", "--quantization", "f32", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    first, second, third, control = ended.stdout.splitlines()
    assert (first, out.read_bytes()[:4]) == (str(out), b"GGUF")
    assert "20 tensors in f32" in second
    assert third == "  Proven: the first 16 tokens of 10 of 10 answers are those of the merged model in fp32."
    assert control == "  Control: the run itself in float32: 10 of 10."
    assert "Comparing answers" in ended.stderr
    shown = json.loads(export(home, "last", "--resume", "1", "--json").stdout)
    assert (shown["state"], shown["proof"]["passed"], shown["path"]) == ("finished", True, str(out))
    again = subprocess.run(
        [FINETUNE, "resume", "last.export-1", "--home", str(home.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.stdout.splitlines()[0] == str(out), "as the page suggests for a job that was killed"
    assert "is not overwritten" in export(home, "last", "--to", "gguf", "--out", str(out)).stderr
    out.unlink()
    gone = export(home, "last", "--resume", "1")
    assert (gone.returncode, "no longer there" in gone.stderr) == (2, True)


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "Run 'nowhere' not found"),
        (("last",), "no result"),
        (("last", "--to", "onnx"), "adapter, merged, gguf, ollama"),
        (("last", "--push", "nonsense"), "OWNER/NAME"),
        (("last", "--public"), "--push"),
        (("last", "--push", "me/mine", "--out", "mine.zip"), "one by one"),
        (("last", "--to", "gguf", "--quantization", "q3"), "q5_k_m, q4_k_m, q4_0"),
        (("last", "--resume", "5"), "has no export 5"),
        (("last", "--resume", "5", "--to", "gguf"), "without settings"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(home: Home, arguments: tuple[str, ...], says: str) -> None:
    recorded_run(home)
    ended = export(home, *arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
