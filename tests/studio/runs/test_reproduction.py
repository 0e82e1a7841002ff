"""What is compared with a run, and which condition differs."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Finished
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_records import BaseOrigin, DatasetOrigin, Lineage, Machine, Reproduction
from interfaces.trainer_jobs import AdapterDifference
from studio.runs import reproduction
from studio.runs.reproduction import compare_with_original, config_of, require_reproducible
from tests.support.records import recorded_run, step

END = Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)


def finished(home: Home, threads: int = 2, torch: str = "2.13.0") -> RunFolder:
    run = recorded_run(home, step(1), END)
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    Lineage(
        dataset=DatasetOrigin(id="d", name="rows.jsonl", sha256="s", rows=3),
        base=BaseOrigin(name="m", requested="m", revision="abc"),
        machine=Machine(device="cpu", dtype="float32", threads=threads, batches="flat", logits="trained"),
        versions={"torch": torch},
    ).write(run)
    return run


def test_the_conditions_that_differ_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = finished(home), finished(home, threads=4, torch="2.14.0")
    asked: list[list[str]] = []

    def compared(arguments: list[str], *_: object, **__: object) -> AdapterDifference:
        asked.append(arguments)
        return AdapterDifference(equal=False, largest=0.5, relative=0.01)

    monkeypatch.setattr(reproduction, "run_trainer", compared)
    assert compare_with_original(second) is None, "it repeats no other run"
    Reproduction(of=first.id).write(second)
    found = compare_with_original(second)
    assert found is not None
    assert found.conditions == {"threads": ("2", "4"), "torch": ("2.13.0", "2.14.0")}
    assert compare_with_original(second) == found
    assert len(asked) == 1, "it is compared once"


def test_only_a_finished_run_can_be_reproduced(home: Home) -> None:
    with pytest.raises(FineTuneError) as caught:
        require_reproducible(recorded_run(home, step(1)))
    assert caught.value.problems[0].code is Code.NOT_REPRODUCIBLE
    without = recorded_run(home, step(1), END)
    with pytest.raises(FineTuneError) as caught:
        require_reproducible(without)
    assert caught.value.problems[0].code is Code.NO_ADAPTER


def test_what_was_chosen_at_the_start_is_given(home: Home) -> None:
    lineage = require_reproducible(finished(home))
    exact = config_of(lineage, {"seed": 3})
    assert exact == {"seed": 3, "bf16": False, "cpu_threads": 2, "model_revision": "abc"}
    assert "bf16" not in config_of(lineage, {"fp16": True})
