from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder
from interfaces.problems import Code
from tests.support.checkpoints import CONDITIONS, DAMAGE, commit, edit_manifest
from trainer.artifacts.resume import find_resume_point, hash_of, no_longer_exact


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_run_without_checkpoint_starts_from_scratch_without_warning(folder: RunFolder) -> None:
    resume_point = find_resume_point(folder)
    assert (resume_point.step, resume_point.warnings) == (None, ())
    assert no_longer_exact(resume_point, CONDITIONS) == []


def test_newest_valid_checkpoint_is_used_and_others_named(folder: RunFolder) -> None:
    commit(folder, 5)
    DAMAGE["cut"](commit(folder, 10))
    resume_point = find_resume_point(folder)
    assert (resume_point.step, resume_point.unlogged) == (5, {"loss": 0.1})
    assert [problem.code for problem in resume_point.warnings] == [Code.CHECKPOINT_REJECTED]
    DAMAGE["gone"](folder.checkpoint(5))
    reported = [(problem.code, problem.params.get("count")) for problem in find_resume_point(folder).warnings]
    assert reported == [
        (Code.CHECKPOINT_REJECTED, None),
        (Code.CHECKPOINT_REJECTED, None),
        (Code.RESTARTED_FROM_ZERO, 2),
    ]


def test_changed_conditions_are_reported(folder: RunFolder) -> None:
    commit(folder, 5)
    resume_point = find_resume_point(folder)
    assert no_longer_exact(resume_point, CONDITIONS) == []
    (warning,) = no_longer_exact(resume_point, CONDITIONS.model_copy(update={"threads": 8}))
    assert (warning.code, warning.params) == (Code.RESUME_NOT_EXACT, {"step": 5, "changed": ["threads 2 -> 8"]})


@pytest.mark.parametrize(
    ("change", "same"),
    [({"name": "other"}, True), ({"output_dir": "/x"}, True), ({"seed": 42}, True), ({"seed": 7}, False), ({"lora": {"r": 8}}, False)],
)  # fmt: skip
def test_hash_covers_settings_that_affect_results(change: dict[str, Any], same: bool) -> None:
    assert (hash_of(FineTuneConfig(dataset="x")) == hash_of(FineTuneConfig(dataset="x", **change))) is same


def test_other_version_checkpoint_is_skipped_and_named(folder: RunFolder) -> None:
    commit(folder, 5)
    edit_manifest(commit(folder, 10), lambda record: record.update(schema_version=2))
    resume_point = find_resume_point(folder)
    assert resume_point.step == 5
    assert "schema version 2" in str(resume_point.warnings[0].params["reason"])
