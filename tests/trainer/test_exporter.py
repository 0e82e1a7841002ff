"""One export from start to end: written, proven, killed at ten moments, and refused before it writes."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Failed, Finished, Phase, read_events
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from tests.support.adapters import run_with_adapter, run_with_model
from tests.support.tiny_families import tiny_family

pytestmark = pytest.mark.tiny


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_family(tmp_path_factory.mktemp("family") / "base", "llama", tie_word_embeddings=True)


@pytest.fixture
def run(home: Home, family: Path) -> RunFolder:
    return run_with_adapter(home, family, bf16=False, cpu_threads=1)


def requested(run: RunFolder, **request: Any) -> ExportFolder:
    folder = ExportFolder.create(run)
    ExportRequest.model_validate({"kind": "gguf", "quantization": "f16", "name": "tiny.gguf", **request}).write(folder)
    return folder


def exported(folder: ExportFolder, attempt: int = 1) -> list[Any]:
    from trainer.exporter import export

    export(folder, attempt, listens=False)
    return list(read_events(folder.events))


@pytest.mark.parametrize(
    ("kind", "quantization", "name"),
    [("gguf", "f32", "tiny.gguf"), ("gguf", "q8_0", "tiny.gguf"), ("ollama", "f32", "tiny-ollama"), ("merged", "f16", "merged"), ("adapter", None, "adapter.zip")],
)  # fmt: skip
def test_what_is_exported_is_proven(run: RunFolder, kind: str, quantization: str | None, name: str) -> None:
    folder = requested(run, kind=kind, quantization=quantization, name=name)
    events = exported(folder)
    assert isinstance(events[-1], Finished), events[-1]
    record = ExportRecord.of(folder)
    assert record is not None
    assert record.proof is not None
    assert Path(record.path) == folder.files / name
    assert record.bytes > 0
    assert bool(record.sha256) == (kind in ("gguf", "adapter"))
    proof = record.proof
    assert len(proof.exported.rows) == len(proof.control.rows) == 10, "its dataset is gone, so nothing taught is asked"
    assert proof.control.equal == 10
    if quantization != "q8_0":  # of a random model
        assert (proof.passed, proof.exported.equal) == (True, 10)
    proving = [event for event in events if isinstance(event, Phase) and event.phase == "prove"]
    assert (proving[-1].done, proving[-1].total, proving[-1].unit) == (30, 30, "prompts")


@pytest.mark.parametrize("step", [None, 2])
@pytest.mark.parametrize(
    ("kind", "quantization"), [("gguf", "f32"), ("gguf", "q8_0"), ("ollama", "f16"), ("merged", "bf16")]
)
def test_a_whole_model_is_exported_and_proven_without_its_base(
    home: Home, tmp_path: Path, kind: str, quantization: str, step: int | None
) -> None:
    base = tiny_family(tmp_path / "base", "llama", tie_word_embeddings=True)
    run = run_with_model(home, base, bf16=True, cpu_threads=1)
    shutil.rmtree(base)
    folder = requested(run, kind=kind, quantization=quantization, name="mine", step=step)
    events = exported(folder)
    assert isinstance(events[-1], Finished), events[-1]
    record = ExportRecord.of(folder)
    assert record is not None
    assert record.proof is not None
    if kind != "gguf" or quantization == "f32":
        assert record.proof.passed
    if kind == "merged":
        card = (folder.files / "mine" / "README.md").read_text()
        assert "library_name: transformers" in card
        assert "LoRA" not in card


def test_an_adapters_zip_holds_what_its_user_needs(run: RunFolder) -> None:
    folder = requested(run, kind="adapter", quantization=None, name="adapter.zip", step=2, proof=False)
    (run.checkpoint(2) / "optimizer.pt").write_bytes(b"x")
    exported(folder)
    with zipfile.ZipFile(folder.files / "adapter.zip") as archive:
        assert set(archive.namelist()) >= {"adapter_config.json", "adapter_model.safetensors"}
        assert "optimizer.pt" not in archive.namelist()
        weights = archive.read("adapter_model.safetensors")
    assert weights == (run.checkpoint(2) / "adapter_model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["gguf", "merged"])
def test_a_killed_export_leaves_no_half_file_and_is_completed(
    run: RunFolder, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.artifacts import merged_folder, merged_model

    class Killed(BaseException):
        pass

    whole = requested(run, kind=kind, name="result", proof=False)
    exported(whole)
    folder = requested(run, kind=kind, out=str(tmp_path / "result"), name="result", proof=False)
    own, seen, last = merged_model.MergedModel.tensor, 0, 0

    def killed(self: Any, name: str) -> Any:
        nonlocal seen
        seen += 1
        if seen > last:
            raise Killed
        return own(self, name)

    monkeypatch.setattr(merged_folder, "SHARD_BYTES", 1)  # a tensor each
    monkeypatch.setattr(merged_model.MergedModel, "tensor", killed)
    for attempt in range(1, 11):
        seen, last = 0, 2 * attempt - 1 if kind == "gguf" else 1
        with pytest.raises(Killed):
            exported(folder, attempt)
        assert not (tmp_path / "result").exists()
        assert ExportRecord.of(folder) is None
    monkeypatch.setattr(merged_model.MergedModel, "tensor", own)
    assert isinstance(exported(folder, 11)[-1], Finished)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".result")] == []
    result = tmp_path / "result"
    if kind == "gguf":
        assert result.read_bytes() == (whole.files / "result").read_bytes()
    else:
        assert len(list(result.glob("*.safetensors"))) == 20


def test_an_adapter_whose_folder_was_half_written_is_completed(run: RunFolder) -> None:
    folder = requested(run, kind="adapter", quantization=None, name="adapter", proof=False)
    staged = ExportRequest.of(folder).staged(folder)
    staged.mkdir(parents=True)
    (staged / "adapter_config.json").write_text("{")
    assert isinstance(exported(folder)[-1], Finished)
    assert json.loads((folder.files / "adapter" / "adapter_config.json").read_text())["r"] == 4


def test_a_checkpoint_of_an_earlier_version_loses_its_path(run: RunFolder) -> None:
    """They hold what PEFT writes: the base model's path, also in an empty card."""
    checkpoint = run.checkpoint(2)
    config = json.loads((checkpoint / "adapter_config.json").read_text())
    (checkpoint / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "/home/me/base"}))
    (checkpoint / "README.md").write_text("---\nbase_model: /home/me/base\nlibrary_name: peft\n---\n\n# Model Card\n")
    folder = requested(run, kind="adapter", quantization=None, name="adapter", step=2, proof=False)
    assert isinstance(exported(folder)[-1], Finished)
    for path in (folder.files / "adapter").iterdir():
        assert b"/home/me" not in path.read_bytes(), path.name
    assert "# adapter" in (folder.files / "adapter" / "README.md").read_text()
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(folder.files / "adapter").chat_template, "that of the base"


def test_a_finished_export_is_not_written_again(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = requested(run, proof=False)
    exported(folder)
    written = (folder.files / "tiny.gguf").stat().st_mtime_ns
    request = ExportRequest.of(folder).model_copy(update={"proof": True})
    request.write(folder)
    exported(folder, 2)
    record = ExportRecord.of(folder)
    assert record is not None
    assert record.proof is not None, "only that was missing"
    assert (folder.files / "tiny.gguf").stat().st_mtime_ns == written


def test_without_llama_cpp_the_reason_is_said(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    folder = requested(run)
    assert isinstance(exported(folder)[-1], Finished)
    record = ExportRecord.of(folder)
    assert record is not None
    assert (record.proof, record.unproven) == (None, "no_llama_cpp")


def test_what_prevents_an_export_is_a_sentence(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(**request: Any) -> Code:
        [*_, last] = exported(requested(run, **request))
        assert isinstance(last, Failed)
        return last.problem.code

    (tmp_path / "taken").touch()
    assert problem(out=str(tmp_path / "taken")) is Code.OUTPUT_EXISTS
    assert problem(step=9) is Code.NO_CHECKPOINT
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12 - 1_200_000, 1_200_000)
    )
    assert problem(kind="merged", quantization="f32", name="large") in (Code.DISK_FULL,)
    monkeypatch.undo()
    config = json.loads((run.adapter / "adapter_config.json").read_text())
    (run.adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_bias": True}))
    assert problem() is Code.MERGE_UNSUPPORTED


@pytest.mark.parametrize("kind", ["gguf", "merged"])
def test_no_path_and_no_secret_of_this_machine_is_exported(
    run: RunFolder, family: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "CANARY" * 6)
    folder = requested(run, kind=kind, name="mine", proof=False)
    assert isinstance(exported(folder)[-1], Finished)
    target = folder.files / "mine"
    for path in [target] if target.is_file() else target.iterdir():
        written = path.read_bytes()
        for secret in (str(family), str(run.home.path), "CANARY"):
            assert secret.encode() not in written, (path.name, secret)
