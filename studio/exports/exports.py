"""Exports of runs: creating and queueing them, and what a list shows of them."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from interfaces.errors import FineTuneError
from interfaces.exports import QUANTIZATIONS, ExportKind, ExportRecord, ExportRequest, Quantization
from interfaces.files import remove
from interfaces.folders import RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from interfaces.run_config import generates, read_run_config, require_answers
from interfaces.run_records import RunMeta, result_folder
from studio.runs.jobs import JobState, delete_job, job_state, submit_job

_MOST_OF_A_NAME = 60
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
"""The name of a repository of the Hub."""
_ENDINGS = {"adapter": "adapter.zip", "merged": "merged", "gguf": "gguf", "ollama": "ollama"}


class ExportState(JobState):
    """What a list shows of an export. Its progress is in bytes, then in prompts."""

    request: ExportRequest
    record: ExportRecord | None
    there: bool
    """The files are still where they were written."""


def create(run: RunFolder, request: ExportRequest) -> ExportFolder:
    """Write an export of a run, without queueing it. An existing folder as `out` gets the files under their own name.

    Raises:
        FineTuneError: there is no such adapter or number format, or the place is taken.
    """
    if request.push and not REPOSITORY.fullmatch(request.push):
        raise FineTuneError.of(Code.VALUE_INVALID, field="push", value=repr(request.push[:120]), expected="repository")
    known = QUANTIZATIONS[request.kind]
    if request.quantization is not None and request.quantization not in known:
        value, expected = repr(request.quantization), "one_of" if known else "no_quantization"
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="quantization", value=value, expected=expected, known=", ".join(known)
        )
    chosen = request.quantization or (known[0] if known else None)
    if request.public and not request.push:
        raise FineTuneError.of(Code.VALUE_INVALID, field="public", value="true", expected="with_push")
    if request.push and request.kind == "adapter" and request.out.endswith(".zip"):
        raise FineTuneError.of(Code.VALUE_INVALID, field="out", value=repr(request.out), expected="no_zip_to_push")
    result_folder(run, request.step)
    if request.kind != "adapter":
        require_answers(run)
    if request.kind not in (kinds := kinds_of(run)):
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="kind", value=repr(request.kind), expected="no_adapter_to_export", known=", ".join(kinds)
        )  # fmt: skip
    checked = request.model_copy(update={"quantization": chosen, "created": round(time.time(), 3)})
    name = file_name(run, checked)
    if request.out:
        place = Path(request.out).expanduser().absolute()
        place = place / name if place.is_dir() else place
        if place.is_relative_to(run.home.runs):
            raise FineTuneError.of(Code.VALUE_INVALID, field="out", value=str(place), expected="outside_runs")
        if place.exists():
            raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(place))
        checked = checked.model_copy(update={"out": str(place)})
        name = place.name
    folder = ExportFolder.create(run)
    checked.model_copy(update={"name": name}).write(folder)
    return folder


def kinds_of(run: RunFolder) -> dict[ExportKind, tuple[Quantization, ...]]:
    """Return what a run can be exported as, each with its number formats: full fine-tuning has no adapter, a reward model nothing else."""
    if not generates(run):
        return {"adapter": QUANTIZATIONS["adapter"]}
    whole = read_run_config(run).get("tuning") == "full"
    return {kind: formats for kind, formats in QUANTIZATIONS.items() if not (whole and kind == "adapter")}


def file_name(run: RunFolder, request: ExportRequest) -> str:
    """Return the name of the exported file or folder: the run's name, its step, and the number format."""
    plain = re.sub(r"[^\w.-]+", "-", RunMeta.of(run).name).strip("-.")[:_MOST_OF_A_NAME] or run.id
    step = "" if request.step is None else f"-step-{request.step}"
    kind = _ENDINGS[request.kind] if not request.push else request.kind  # the files of a zip are pushed one by one
    if request.quantization is None:
        return f"{plain}{step}-{kind}"
    return f"{plain}{step}-{request.quantization}.gguf" if kind == "gguf" else f"{plain}{step}-{kind}-{request.quantization}"  # fmt: skip


def submit(folder: ExportFolder) -> None:
    """Queue an export that is new, or that was stopped, failed, or was interrupted.

    Raises:
        FineTuneError: the adapter is gone, the export is finished or active, or it can't be started.
    """
    submit_job(folder, ExportRequest.of(folder).step)


def delete(folder: ExportFolder) -> None:
    """Delete an export for good, with what is unfinished. Files that were written elsewhere stay.

    Raises:
        FineTuneError: it is still running.
    """
    staged: Path | None = None
    with contextlib.suppress(FineTuneError):  # a damaged request, which is deleted too
        staged = ExportRequest.of(folder).staged(folder)
    delete_job(folder)
    if staged is not None:
        with contextlib.suppress(OSError):
            remove(staged)


def named_export(run: RunFolder, number: int) -> ExportFolder:
    """
    Raises:
        FineTuneError: there is none with this number.
    """
    known = ExportFolder.all_of(run)
    found = next((one for one in known if one.number == number), None)
    if found is None:
        raise FineTuneError.of(Code.NO_EXPORT, run=run.id, value=number, known=[one.number for one in known])
    return found


def state_of(folder: ExportFolder) -> ExportState:
    """
    Raises:
        FineTuneError: the record is damaged, or another version wrote it.
    """
    job, record = job_state(folder), ExportRecord.of(folder)
    there = record is not None and Path(record.path).exists()
    return ExportState(**dict(job), request=ExportRequest.of(folder), record=record, there=there)
