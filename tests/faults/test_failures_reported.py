"""Every failure of a run, provoked for real: its code, its sentence in both languages, its evidence, and no traceback."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.files import read_json, write_json
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code
from interfaces.process import ProcessIdentity
from studio.datasets.library import with_datasets
from studio.finetune_manager import FinetuneManager
from studio.runs.curves import updates_since
from studio.runs.queue import RunQueue
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.conftest import make_tiny_model, until
from tests.support.fakes import install
from tests.support.hub_server import serve
from tests.support.tiny_runs import train

pytestmark = pytest.mark.tiny
Break = Callable[["Scene"], None]


class Scene:
    """A home, a model of its own, and settings: each failure spoils one of them."""

    def __init__(self, home: Home, config: dict[str, Any], folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.home, self.patch = home, patch
        self.model = folder / "model"
        shutil.copytree(config["model_name"], self.model)
        self.config = {**config, "model_name": str(self.model)}
        self.folder = folder

    def run(self, in_a_child: bool = False) -> RunFolder:
        """The run, to its end: as the studio starts it, or (seconds sooner) the trainer's part of it in this process."""
        manager = FinetuneManager(SupervisedTrainer(), self.home)
        task = manager.create_task(with_datasets(self.home, self.config))
        self.spoil_after()
        if in_a_child:
            manager.start_training(task)
            return self.home.run(task)
        folder = self.home.run(task)
        attempt = folder.create_attempt()
        write_json(attempt.pid, {})
        train(self.home, manager.config(task), folder, attempt.number)
        write_json(attempt.exit, {"returncode": 2})
        return folder

    def spoil_after(self) -> None:
        """What happens between the making of a run and its start."""


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged_weights(scene: Scene) -> None:
    cut(scene.model / "model.safetensors")


def bad_tokenizer(scene: Scene) -> None:
    scene.spoil_after = lambda: cut(scene.model / "tokenizer.json")  # type: ignore[method-assign]


def no_template(scene: Scene) -> None:
    shutil.rmtree(scene.model)
    make_tiny_model(scene.model, template=None)


def unknown_kind(scene: Scene) -> None:
    config = json.loads((scene.model / "config.json").read_text())
    (scene.model / "config.json").write_text(json.dumps({**config, "model_type": "of_the_future"}))


def changed_dataset(scene: Scene) -> None:
    def change() -> None:
        for path in scene.home.datasets.glob("*/examples.jsonl"):
            path.write_text(path.read_text().replace("e", "E"))

    scene.spoil_after = change  # type: ignore[method-assign]


def damaged_adapter(scene: Scene) -> None:
    first = scene.run()
    cut(first.adapter / "adapter_model.safetensors")
    scene.config["adapter_name_or_path"] = first.id


def wild_rate(scene: Scene) -> None:
    scene.config |= {"learning_rate": 1.0, "max_grad_norm": 0, "num_train_epochs": 30, "warmup_steps": 0, "optim": "sgd", "lora": {"r": 8, "lora_alpha": 4096}}  # fmt: skip


def wrong_versions(scene: Scene) -> None:
    install(scene.folder, "peft", "0.1.0")
    scene.patch.setenv("PYTHONPATH", str(scene.folder))


def gone_model(scene: Scene) -> None:
    scene.spoil_after = lambda: (scene.model / "model.safetensors").unlink()  # type: ignore[method-assign]


def assert_reported(folder: RunFolder, *codes: Code) -> dict[str, Any]:
    """What a page shows of a failed run, in both languages; returns the English."""
    history = RunHistory(folder)
    english, chinese = (updates_since(history, 0, language).status for language in ("en", "zh"))
    assert (english.state, english.code in codes) == ("failed", True), english.problem
    assert english.evidence == chinese.evidence
    assert english.problem != chinese.problem
    assert "Traceback" not in "".join(english.evidence)
    for text in (english.problem, chinese.problem):
        assert "Traceback" not in text
        assert "{" not in text
    return english.model_dump()


@pytest.mark.parametrize(
    ("spoil", "codes", "fix"),
    [
        (damaged_weights, {Code.FOLDER_DAMAGED}, set()),
        (gone_model, {Code.MODEL_INCOMPLETE}, set()),
        (bad_tokenizer, {Code.TOKENIZER_UNUSABLE}, set()),
        (no_template, {Code.NO_CHAT_TEMPLATE}, set()),
        (unknown_kind, {Code.MODEL_UNSUPPORTED}, set()),
        (changed_dataset, {Code.DATASET_CHANGED}, set()),
        (damaged_adapter, {Code.ADAPTER_UNUSABLE}, set()),
        (wild_rate, {Code.LOSS_EXPLODED, Code.LOSS_NOT_FINITE}, {"learning_rate"}),
        (wrong_versions, {Code.VERSIONS_UNFIT}, set()),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_failure_reports_sentence_code_and_log_evidence(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    spoil: Break, codes: set[Code], fix: set[str],
) -> None:  # fmt: skip
    scene = Scene(home, tiny_config, tmp_path, monkeypatch)
    spoil(scene)
    folder = scene.run(in_a_child=spoil in (damaged_weights, wrong_versions))
    assert set(assert_reported(folder, *codes)["fix"]) == fix


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(401, Code.MODEL_UNAUTHORIZED, marks=pytest.mark.long),
        pytest.param(403, Code.MODEL_GATED, marks=pytest.mark.long),
        pytest.param(404, Code.MODEL_NOT_FOUND, marks=pytest.mark.long),
        pytest.param(429, Code.HUB_BUSY, marks=pytest.mark.long),
        (None, Code.MODEL_UNREACHABLE),
    ],
)
def test_hub_error_is_the_final_event(
    home: Home,
    tiny_config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
    code: Code,
) -> None:
    repository = "some/model"
    with serve({}, {repository: status} if status else {}) as hub:
        hub.silent = status is None
        for name, value in {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
        }.items():
            monkeypatch.setenv(name, value)
        scene = Scene(home, tiny_config, tmp_path, monkeypatch)
        scene.config["model_name"] = repository
        expected = {code, Code.MODEL_NOT_FOUND} if status == 401 else {code}  # a Hub hides what is private
        assert_reported(scene.run(in_a_child=True), *expected)


def test_killed_trainer_reports_signal_and_next_step(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(home, {**tiny_config, "num_train_epochs": 900}, tmp_path, monkeypatch)
    manager = FinetuneManager(SupervisedTrainer(), home)
    folder = home.run(manager.create_task(with_datasets(home, scene.config)))
    manager.launch(folder.id)
    trainer = ProcessIdentity.from_record((read_json(folder.attempts()[0].pid) or {})["trainer"])
    assert trainer is not None
    trainer.send(signal.SIGKILL)
    until(lambda: folder.attempts()[0].exit.exists())
    assert_reported(folder, Code.TRAINER_KILLED)
    assert f"finetune resume {folder.id}" in updates_since(RunHistory(folder), 0, "en").status.problem


def test_settings_damaged_while_queued_fail_the_run(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(home, tiny_config, tmp_path, monkeypatch)
    folder = home.run(FinetuneManager(SupervisedTrainer(), home).create_task(with_datasets(home, scene.config)))
    folder.config.write_bytes(b"name: \x00")
    RunQueue(home).submit(folder)
    until(lambda: bool(folder.attempts()) and folder.attempts()[0].exit.exists())
    assert_reported(folder, Code.CONFIG_UNREADABLE)
