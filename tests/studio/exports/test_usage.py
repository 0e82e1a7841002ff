"""What is shown to copy names the exported files, and works where it is said to have been tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.exports import ExportRequest
from interfaces.folders import Home
from studio.exports.usage import base_here, run_here, usage_of
from tests.support.records import recorded_run


def shown(kind: str, name: str) -> dict[str, str]:
    request = ExportRequest.model_validate({"kind": kind, "name": name})
    return {one.program: one.text for one in usage_of(request, "org/base", "my-run", 3)}


def test_each_program_gets_the_name_of_the_files() -> None:
    assert shown("gguf", "mine.gguf")["Ollama"].startswith("echo 'FROM ./mine.gguf' > Modelfile")
    assert shown("gguf", "mine.gguf")["llama.cpp"] == "llama-server -m mine.gguf"
    assert shown("gguf", "mine.gguf")["OpenAI API"] == "finetune serve my-run --export 3"
    assert shown("ollama", "mine") == {"Ollama": "cd mine\nollama create my-model -f Modelfile\nollama run my-model"}
    assert shown("merged", "mine")["vLLM"] == "vllm serve ./mine"
    assert "--lora-modules mine=mine-adapter" in shown("adapter", "mine-adapter.zip")["vLLM"]
    assert "unzip" not in shown("adapter", "mine")["PEFT"]
    request = ExportRequest.model_validate({"kind": "adapter", "name": "mine"})
    [scores] = usage_of(request, "org/base", "my-run", 3, generates=False)
    assert "AutoModelForSequenceClassification.from_pretrained('org/base', num_labels=1" in scores.text


@pytest.mark.tiny
def test_the_code_for_python_works(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.adapters import adapter_folder

    adapter_folder(tmp_path / "adapter", tiny_model, 1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "adapter" / name).write_bytes((tiny_model / name).read_bytes())
    (tmp_path / "model").symlink_to(tiny_model)
    monkeypatch.chdir(tmp_path)
    request = ExportRequest.model_validate({"kind": "adapter", "name": "adapter"})
    exec(usage_of(request, str(tiny_model), "my-run", 3)[0].text, {})
    exec(shown("merged", "model")["transformers"].replace("max_new_tokens=100", "max_new_tokens=2"), {})


def test_a_run_and_its_base_are_called_as_they_are_found_here(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded_run(home, model_name="starter")
    assert base_here(run) == str(home.starter)
    assert base_here(recorded_run(home, model_name="Qwen/Qwen3-0.6B")) == "Qwen/Qwen3-0.6B"
    assert run_here(run) == f"{run.id} --home {home.path}"
    monkeypatch.setenv("FINETUNE_HOME", str(home.path))
    assert run_here(run) == run.id
