"""An imported adapter is a run: listed, tried, evaluated, exported, trained further, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.chats import Question, Sampling, Speaker
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.exports import ExportRequest
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from interfaces.run_records import RunMeta
from studio.chat.chats import Chats
from studio.datasets.library import with_datasets
from studio.exports.exports import create
from studio.finetune_manager import FinetuneManager
from studio.runs.imports import TAG, import_adapter
from studio.runs.state import RunState, list_runs, run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from studio.runs.trash import delete_run
from tests.conftest import until
from tests.support.adapters import foreign_adapter
from trainer.exporter import export

pytestmark = pytest.mark.tiny


def test_an_imported_adapter_is_a_finished_run(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    run, warnings = import_adapter(home, foreign_adapter(tmp_path / "from-a-friend", tiny_model, 1))
    assert (run_state(run), warnings) == (RunState.FINISHED, [])
    meta = RunMeta.of(run)
    assert (meta.name, meta.tags, meta.model) == ("from-a-friend", [TAG], str(tiny_model))
    assert [one.id for one in list_runs(home)] == [run.id]
    config = FineTuneConfig.model_validate(read_run_config(run))
    assert (config.lora.r, config.model_name) == (4, str(tiny_model))

    chats = Chats(home)
    chat = chats.create([Speaker(run=run.id), Speaker(run=run.id, base=True)]).id
    chats.ask(chat, Question(prompt="Hi", sampling=Sampling(max_new_tokens=8)))
    until(lambda: not chats.state(chat).busy)
    tuned, base = chats.state(chat).turns[0].answers
    chats.close()
    assert tuned.end == base.end == "length"
    assert tuned.text != base.text

    asked = create(run, ExportRequest(kind="merged", quantization="f32", proof=False))
    assert export(asked, 1, listens=False) is None
    with pytest.raises(FineTuneError) as unknown:
        with_datasets(home, read_run_config(run))
    assert unknown.value.problems[0].code is Code.DATA_UNKNOWN
    again = FinetuneManager(SupervisedTrainer(), home).config_for_rerun(run.id, continue_training=True)
    assert again["adapter_name_or_path"] == run.id
    delete_run(run)
    assert not list_runs(home)


def test_what_cannot_be_imported_leaves_no_run(home: Home, tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_bytes(b"no zip")
    with pytest.raises(FineTuneError) as caught:
        import_adapter(home, tmp_path / "notes.zip")
    assert caught.value.problems[0].code is Code.ADAPTER_REFUSED
    assert not list(home.runs.iterdir())
