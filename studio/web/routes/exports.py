"""`/api/runs/{run}/exports`: writing a run's result for other programs, and downloading it."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.exports import ExportKind, ExportRequest, Proof, Quantization
from interfaces.folders import Home
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from interfaces.run_config import generates
from interfaces.run_records import has_result, result_steps
from interfaces.texts import sentence, texts
from studio.exports.exports import ExportState, create, delete, kinds_of, named_export, state_of, submit
from studio.exports.usage import Usage, base_here, run_here, usage_of
from studio.runs.jobs import stop_job
from studio.runs.state import RunState, named_run
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language
from studio.web.zips import zipped


class ShownExport(BaseModel):
    """An export as the page shows it, with problems as sentences."""

    run: str
    number: int
    request: ExportRequest
    state: str
    over: bool
    phase: str
    progress: tuple[int, int] | None
    problem: str
    bytes: int
    there: bool
    substituted: int
    has_template: bool | None
    proof: Proof | None
    unproven: str
    pushed: str
    usage: list[Usage]


class ExportChoices(BaseModel):
    """What can be exported of a run, and in which number formats."""

    adapter: bool
    steps: list[int]
    kinds: dict[ExportKind, tuple[Quantization, ...]]


def exports_router(home: Home) -> APIRouter:
    """The routes of one home's exports."""
    router = APIRouter(route_class=PlainRoute, prefix="/api/runs/{run_id}/exports")

    def folder_of(run_id: str, number: int) -> ExportFolder:
        return named_export(named_run(home, run_id), number)

    @router.get("")
    def read_exports(run_id: str, language: Language = "en") -> list[ShownExport]:
        return [_listed(one, language) for one in reversed(ExportFolder.all_of(named_run(home, run_id)))]

    @router.get("/choices")
    def read_choices(run_id: str) -> ExportChoices:
        folder = named_run(home, run_id)
        there = has_result(folder.result)
        return ExportChoices(adapter=there, steps=result_steps(folder), kinds=kinds_of(folder))

    @router.post("")
    def begin(run_id: str, request: ExportRequest) -> dict[str, int]:
        plain = request.model_copy(update={"out": "", "name": ""})  # a page may name no place on the disk
        folder = create(named_run(home, run_id), plain)
        try:
            submit(folder)
        except BaseException:
            delete(folder)
            raise
        return {"number": folder.number}

    @router.post("/{number}/stop")
    def stop(run_id: str, number: int) -> dict[str, bool]:
        stop_job(folder_of(run_id, number))
        return {"asked": True}

    @router.post("/{number}/resume")
    def resume(run_id: str, number: int) -> dict[str, bool]:
        submit(folder_of(run_id, number))
        return {"asked": True}

    @router.delete("/{number}")
    def remove(run_id: str, number: int) -> dict[str, bool]:
        delete(folder_of(run_id, number))
        return {"deleted": True}

    @router.get("/{number}/download")
    def download(run_id: str, number: int) -> Response:
        """Send the file, or a part of it that a resumed download asks for; a folder is sent as a zip."""
        state = state_of(folder_of(run_id, number))
        if state.record is None or not state.there:
            raise FineTuneError.of(Code.NO_EXPORT, run=run_id, value=number, known=[])
        path = Path(state.record.path)
        return FileResponse(path, filename=path.name) if path.is_file() else zipped(path, path.name)

    return router


def _listed(folder: ExportFolder, language: Language) -> ShownExport:
    """Return an export for the list, to which one that can't be read is no obstacle."""
    try:
        return _shown(state_of(folder), folder, language)
    except FineTuneError as error:
        return ShownExport(
            run=folder.run.id, number=folder.number, request=ExportRequest(kind="adapter", name=folder.id), state="failed",
            over=True, phase="", progress=None, problem=sentence(error.problems[0], language), bytes=0, there=False,
            substituted=0, has_template=None, proof=None, unproven="", pushed="", usage=[],
        )  # fmt: skip


def _shown(state: ExportState, folder: ExportFolder, language: Language) -> ShownExport:
    record = state.record
    words = texts("reason", language)
    return ShownExport(
        run=state.run, number=state.number, request=state.request, state=state.state.value, over=state.over,
        phase=texts("phase", language).get(state.phase, ""), progress=state.progress,
        problem=sentence(state.problem, language) if state.problem else "", bytes=record.bytes if record else 0,
        there=state.there, substituted=record.substituted if record else 0,
        has_template=record.has_template if record else None, proof=record.proof if record else None,
        unproven=words[record.unproven] if record and record.unproven else "", pushed=record.pushed if record else "",
        usage=usage_of(state.request, base_here(folder.run), run_here(folder.run), state.number, generates(folder.run)) if state.there and state.state is RunState.FINISHED else [],
    )  # fmt: skip
