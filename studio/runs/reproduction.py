"""Running a run again from its lineage, and saying whether the result is the same."""

from __future__ import annotations

from collections.abc import Iterator

from interfaces.errors import FineTuneError
from interfaces.folders import RunFolder
from interfaces.problems import Code
from interfaces.run_config import Settings
from interfaces.run_records import Lineage, Reproduction, result_folder
from interfaces.trainer_jobs import AdapterDifference
from studio.processes.trainer_child import run_trainer
from studio.runs.state import RunState, run_state

_SECONDS = 600.0


def require_reproducible(run: RunFolder) -> Lineage:
    """Return the lineage of a finished run.

    Raises:
        FineTuneError: the run isn't finished, or nothing says where its result comes from.
    """
    state = run_state(run)
    if state is not RunState.FINISHED:
        raise FineTuneError.of(Code.NOT_REPRODUCIBLE, run=run.id, state=state.value)
    result_folder(run)
    lineage = Lineage.of(run)
    if lineage is None:
        raise FineTuneError.of(Code.LINEAGE_MISSING, run=run.id)
    return lineage


def config_of(lineage: Lineage, config: Settings) -> Settings:
    """Return a run's settings with what was chosen at its start: the base model's commit, the dtype, and the threads."""
    exact: Settings = {} if config.get("fp16") else {"bf16": lineage.machine.dtype == "bfloat16"}
    if lineage.machine.device == "cpu":
        exact["cpu_threads"] = lineage.machine.threads
    if lineage.base.revision:
        exact["model_revision"] = lineage.base.revision
    return {**config, **exact}


def compare_with_original(run: RunFolder) -> Reproduction | None:
    """Compare a finished run with the one that it repeats, and keep the result. None if it repeats none, or isn't finished.

    Raises:
        FineTuneError: the original, or its adapter, is gone.
    """
    found = Reproduction.of_run(run)
    if found is None or found.difference is not None or run_state(run) is not RunState.FINISHED:
        return found if found and found.difference else None
    original = run.home.run(found.of)
    arguments = ["compare-adapters", "--", str(result_folder(original)), str(result_folder(run))]
    difference = run_trainer(arguments, AdapterDifference, seconds=_SECONDS, subject=run.id)
    before, after = Lineage.of(original), Lineage.of(run)
    conditions = dict(_differing(before, after)) if before and after else {}
    done = Reproduction(of=found.of, difference=difference, conditions=conditions)
    done.write(run)
    return done


def _differing(before: Lineage, after: Lineage) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each condition that differs, with both values."""
    one, other = (
        {
            "data": lineage.dataset.examples_sha256 or lineage.dataset.sha256,
            "validation data": lineage.validation_dataset.examples_sha256 if lineage.validation_dataset else "",
            "base model": lineage.base.name,
            "base model's commit": lineage.base.revision or "",
            "base model's weights": lineage.base.fingerprint or "",
            **lineage.machine.model_dump(),
            **lineage.versions,
        }
        for lineage in (before, after)
    )
    for name in one | other:
        values = str(one.get(name, "")), str(other.get(name, ""))
        if values[0] != values[1] and all(values):
            yield name, values
