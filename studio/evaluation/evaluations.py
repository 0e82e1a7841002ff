"""Evaluations of runs: creating, queueing, stopping and resuming them, and what a page shows of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import jsonschema
import regex
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.evaluations import HELD_OUT, EvaluationSpec, GateOutcome
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code, Problem
from interfaces.run_config import read_run_config, require_answers
from interfaces.run_records import result_folder, result_sha256, weight_files
from studio.datasets.library import dataset_name, describe, ensure_dataset
from studio.evaluation.card import update_card
from studio.evaluation.conditions import FORGETTING, conditions, needs_probe
from studio.evaluation.gate import decide
from studio.evaluation.scoring import EvaluationResult, result_of
from studio.runs.jobs import JobState, delete_job, job_state, submit_job
from studio.runs.state import RunState, run_state


class EvaluationState(JobState):
    """What a list shows of an evaluation. Its progress is in answers and losses."""

    spec: EvaluationSpec
    after_training: bool
    """It starts once the run has finished."""
    outdated: bool
    """The run has been trained further since."""
    result: EvaluationResult | None


def create(run: RunFolder, spec: EvaluationSpec) -> EvaluationFolder:
    """Write an evaluation of a run, without queueing it. Files become datasets of the home.

    Raises:
        FineTuneError: its dataset, its pattern, its schema or its gate can't be used, or it has nothing to ask.
    """
    require_answers(run)
    if spec.dataset == HELD_OUT and not keeps_rows(run):
        raise FineTuneError.of(Code.NOTHING_HELD_OUT, run=run.id)
    checked = _checked(run.home, spec)
    folder = EvaluationFolder.create(run)
    checked.model_copy(update={"created": round(time.time(), 3)}).write(folder)
    return folder


def keeps_rows(run: RunFolder) -> bool:
    """Return whether a run keeps rows for validation, as far as its settings say."""
    try:
        config = FineTuneConfig.model_validate(read_run_config(run))
    except (FineTuneError, ValidationError):
        return True  # the evaluation itself says what is wrong with them
    return bool(config.validation_dataset or config.validation_split)


def create_for_gate(run: RunFolder, config: FineTuneConfig) -> None:
    """Write the evaluation that belongs to a run's recipe, if it has one. It is queued when the run has finished.

    Raises:
        FineTuneError: as `create`.
    """
    if not (config.evaluation_dataset or config.gate):
        return
    dataset = config.evaluation_dataset or HELD_OUT
    create(
        run, EvaluationSpec(dataset=dataset, columns=config.columns, gate=config.gate, recipe=True)
    )  # fmt: skip


def check_gate(config: FineTuneConfig) -> None:
    """
    Raises:
        FineTuneError: a condition of the gate can't be read, or its values would be missing.
    """
    needs_probe(config.gate)
    if config.gate and not (config.evaluation_dataset or config.validation_dataset or config.validation_split):
        raise FineTuneError.of(Code.VALUE_MISSING, field="evaluation_dataset")


def submit(folder: EvaluationFolder) -> None:
    """Queue an evaluation that is new, or that was stopped, failed, or was interrupted. It continues where it was.

    Raises:
        FineTuneError: the run has no adapter yet, the evaluation is finished or active, or it can't be started.
    """
    submit_job(folder, EvaluationSpec.of(folder).step)


def delete(folder: EvaluationFolder) -> None:
    """Delete an evaluation for good.

    Raises:
        FineTuneError: it is still running.
    """
    outcome = GateOutcome.of(folder.run)
    delete_job(folder)
    if outcome is not None and outcome.evaluation == folder.number:
        GateOutcome.path_of(folder.run).unlink(missing_ok=True)


def evaluation(run: RunFolder, number: int) -> EvaluationFolder:
    """
    Raises:
        FineTuneError: there is none with this number.
    """
    found = next((one for one in EvaluationFolder.all_of(run) if one.number == number), None)
    if found is None:
        raise FineTuneError.of(
            Code.NO_EVALUATION, run=run.id, value=number, known=[one.number for one in EvaluationFolder.all_of(run)]
        )
    return found


def state_of(folder: EvaluationFolder, with_result: bool = True) -> EvaluationState:
    """
    Raises:
        FineTuneError: the record is damaged, or another version wrote it.
    """
    job, spec = job_state(folder), EvaluationSpec.of(folder)
    result = result_of(folder) if with_result and job.over else None
    if result is not None and (missing := [name for name in result.metrics if result.metric(name) is None]):
        job.warnings.append(Problem.warning(Code.METRIC_NOT_MEASURED, known=missing))
    return EvaluationState(
        **dict(job), spec=spec, result=result,
        after_training=not folder.attempts() and not folder.is_waiting and not run_state(folder.run).is_over,
        outdated=result is not None and _is_outdated(folder.run, spec.step, result),
    )  # fmt: skip


def finish(folder: EvaluationFolder) -> None:
    """Score an evaluation that has ended, decide its gate, and add it to the model card if no newer one is there."""
    result = result_of(folder)
    if result is None or run_state(folder) is not RunState.FINISHED:
        return
    spec = EvaluationSpec.of(folder)
    if spec.gate and spec.recipe:
        decide(spec.gate, result, folder.number).write(folder.run)
    newer = [one for one in EvaluationFolder.all_of(folder.run) if one.number > folder.number]
    if not any(run_state(one) is RunState.FINISHED and EvaluationSpec.of(one).step is None for one in newer):
        update_card(folder, spec, result)


def start_gate(run: RunFolder) -> None:
    """Queue the evaluation of a finished run's recipe, if it has one that never started.

    Raises:
        FineTuneError: it can't be started.
    """
    if run_state(run) is RunState.FINISHED:
        for folder in EvaluationFolder.all_of(run):
            begun = folder.attempts() or folder.is_waiting or folder.stop.exists()
            if EvaluationSpec.of(folder).recipe and not begun:
                submit(folder)


def _checked(home: Home, spec: EvaluationSpec) -> EvaluationSpec:
    named = {condition.name for condition in conditions(spec.gate)}
    if FORGETTING in named and not spec.base:
        raise FineTuneError.of(Code.VALUE_INVALID, field="gate", value=repr(spec.gate[:80]), expected="with_base")
    if needs_probe(spec.gate):
        spec = spec.model_copy(update={"probe": True})
    if not (spec.dataset or spec.probe):
        raise FineTuneError.of(Code.VALUE_MISSING, field="dataset")
    asked = {*spec.metrics, *named}
    if spec.pattern:
        try:
            regex.compile(spec.pattern)
        except regex.error as error:
            raise FineTuneError.of(
                Code.VALUE_INVALID, field="pattern", value=spec.pattern[:80], expected="a_pattern"
            ) from error
    if "pattern_match" in asked and not spec.pattern:
        raise FineTuneError.of(Code.VALUE_MISSING, field="pattern")
    if "json_schema" in asked and spec.json_schema is None:
        raise FineTuneError.of(Code.VALUE_MISSING, field="json_schema")
    if spec.json_schema is not None:
        _check_schema(spec.json_schema)
    if spec.dataset in ("", HELD_OUT):
        return spec
    dataset = ensure_dataset(home, spec.dataset, spec.columns)
    if not describe(home, dataset).usable:
        raise FineTuneError.of(Code.NOTHING_TO_EVALUATE, path=dataset_name(home, dataset))
    return spec.model_copy(update={"dataset": dataset, "dataset_name": dataset_name(home, dataset)})


def _check_schema(schema: Mapping[str, object]) -> None:
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().resolver_with_root(resource)  # an empty one: no reference is fetched from the network
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
        for reference in _references(schema):
            resolver.lookup(reference)
    except jsonschema.SchemaError as error:
        seen = repr(error.instance)[:80]
        raise FineTuneError.of(Code.VALUE_INVALID, field="json_schema", value=seen, expected="a_json_schema") from error
    except Unresolvable as error:
        seen = repr(error.ref)[:120]
        raise FineTuneError.of(Code.VALUE_INVALID, field="$ref", value=seen, expected="in_the_schema") from error


def _references(schema: object) -> Iterator[str]:
    """Yield all references of a schema."""
    parts = schema.values() if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ()
    if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        yield schema["$ref"]
    for part in parts:
        yield from _references(part)


def _is_outdated(run: RunFolder, step: int | None, result: EvaluationResult) -> bool:
    try:
        place = result_folder(run, step)
        changed = tuple(path.stat().st_mtime_ns for path in weight_files(place))
        return _hash_of(place, changed) != result.adapter_sha256
    except (FineTuneError, OSError):
        return False  # it is gone, and what it could do is still known


@lru_cache(maxsize=256)
def _hash_of(place: Path, _changed: tuple[int, ...]) -> str:
    return result_sha256(place)
