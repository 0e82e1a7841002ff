"""`/api/runs`: lists, live curves, logs, stopping, deleting, and the adapter as a streamed zip."""

from __future__ import annotations

import asyncio
import shutil
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Changes, Code
from interfaces.run_records import OF_A_RESUME, RunMeta, is_whole_model
from interfaces.texts import sentence
from studio.datasets.library import with_datasets
from studio.datasets.sample import demo_config
from studio.finetune_manager import FinetuneManager
from studio.pages.comparison import Comparison, compare, comparison_as_csv
from studio.pages.run_settings import RunSettings, settings_of
from studio.runs.changes import CURSOR, RunChanges, changes_since
from studio.runs.curves import curves_as_csv, curves_between, updates_since
from studio.runs.diagnosis import fix_of
from studio.runs.imports import import_adapter
from studio.runs.log_tail import find_in_log, tail_of
from studio.runs.names import describe_run, rename_run
from studio.runs.state import RunSummary, is_run, list_runs, named_run, summary_of
from studio.runs.status import Curves, RunUpdate
from studio.runs.trash import DeletedRun, delete_run, empty_trash, restore_run, trash_of
from studio.sizing.estimate import changed
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language
from studio.web.uploads import received
from studio.web.zips import zipped

RunIds = Annotated[str, Query(max_length=2000)]
"""Ids separated by commas, as in the page's address."""
Position = Annotated[int, Query(ge=0, le=10**12)]


class ImportedAdapter(BaseModel):
    """An adapter that has become a run, and what is to be known of it, in sentences."""

    run: str
    warnings: list[str]


def runs_router(manager: FinetuneManager) -> APIRouter:
    """The routes of one home's runs."""
    router = APIRouter(prefix="/api/runs", route_class=PlainRoute)
    histories: dict[str, RunHistory] = {}

    def folder_of(run_id: str) -> RunFolder:
        return named_run(manager.home, run_id)

    def history_of(run_id: str) -> RunHistory:
        folder = folder_of(run_id)
        return histories.setdefault(run_id, RunHistory(folder))

    @router.get("")
    def read_runs() -> list[RunSummary]:
        return list_runs(manager.home, histories)

    @router.get("/changes")
    def read_changes(cursor: Annotated[str, Query(pattern=f"^{CURSOR}$")] = "") -> RunChanges:
        return changes_since(manager.home, cursor, histories)

    def compared(ids: str, language: Language = "en") -> Comparison:
        known = [run_id for run_id in dict.fromkeys(ids.split(",")) if run_id]
        there = [run_id for run_id in known if is_run(manager.home, run_id)]
        return compare([history_of(run_id) for run_id in there], sorted(set(known) - set(there)), language)

    @router.get("/compare")
    def read_comparison(runs: RunIds, language: Language = "en") -> Comparison:
        return compared(runs, language)

    @router.get("/compare.csv")
    def download_comparison(runs: RunIds) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="comparison.csv"'}
        return Response(comparison_as_csv(compared(runs)), media_type="text/csv", headers=headers)

    @router.get("/trash")
    def read_trash() -> list[DeletedRun]:
        return trash_of(manager.home)

    @router.post("/trash/empty")
    def delete_for_good() -> dict[str, int]:
        return {"freed_bytes": empty_trash(manager.home)}

    @router.post("/demo")
    def start_demo() -> dict[str, str]:
        """Train the starter on the sample data: one click from an empty home to a curve."""
        return {"run": manager.launch_new(with_datasets(manager.home, demo_config()))}

    @router.post("/resume-interrupted")
    def resume_interrupted() -> dict[str, list[str]]:
        return {"runs": manager.resume_interrupted()}

    @router.get("/{run_id}")
    def read_run(run_id: str) -> RunSummary:
        return summary_of(folder_of(run_id), histories)

    @router.get("/{run_id}/events")
    def read_events(run_id: str, since: Position = 0, language: Language = "en") -> RunUpdate:
        return updates_since(history_of(run_id), since, language)

    @router.get("/{run_id}/curves")
    def read_curves(run_id: str, first: Position = 0, last: Position = 10**12) -> Curves:
        """Return a part of the curves in detail, for a page that has zoomed in."""
        return curves_between(history_of(run_id), first, last)

    @router.get("/{run_id}/curves.csv")
    def download_curves(run_id: str) -> StreamingResponse:
        headers = {"Content-Disposition": f'attachment; filename="curves-{run_id}.csv"'}
        return StreamingResponse(curves_as_csv(history_of(run_id)), media_type="text/csv", headers=headers)

    @router.get("/{run_id}/log")
    def read_log(run_id: str, find: Annotated[str, Query(max_length=200)] = "") -> dict[str, str]:
        """Return the end of the log, or the lines of the whole log that contain a text."""
        log = folder_of(run_id).log
        return {"text": "\n".join(find_in_log(log, find)) if find else tail_of(log)}

    @router.get("/{run_id}/config")
    def read_config(run_id: str) -> RunSettings:
        return settings_of(folder_of(run_id))

    @router.post("/{run_id}/stop")
    def stop(run_id: str, discard: Annotated[bool, Body(embed=True)] = False) -> dict[str, bool]:
        manager.request_stop(folder_of(run_id).id, discard)
        return {"asked": True}

    @router.post("/{run_id}/resume")
    def resume(run_id: str) -> dict[str, str]:
        folder = folder_of(run_id)
        manager.resume(folder.id)
        return {"run": folder.id}

    @router.post("/{run_id}/retry")
    def retry(run_id: str, change: Annotated[Changes | None, Body(embed=True)] = None) -> dict[str, str]:
        """Run again, unchanged or with the fix that the page has shown."""
        folder = folder_of(run_id)
        if change is not None and change != fix_of(folder):
            expected = "shown_change"
            raise FineTuneError.of(Code.VALUE_INVALID, field="change", value=str(change)[:80], expected=expected)
        config = manager.config_for_rerun(folder.id)
        return {"run": manager.launch_new(changed(config, change) if change else config)}

    @router.post("/{run_id}/rename")
    def rename(run_id: str, name: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        return {"name": rename_run(folder_of(run_id), name)}

    @router.post("/{run_id}/describe")
    def describe(
        run_id: str, tags: Annotated[list[str] | None, Body()] = None, note: Annotated[str | None, Body()] = None
    ) -> RunMeta:
        return describe_run(folder_of(run_id), tags=tags, note=note)

    @router.post("/import")
    async def take_adapter(
        request: Request, name: str = "", model: str = "", language: Language = "en"
    ) -> ImportedAdapter:
        """Take an adapter's zip file, the body of the request, as a finished run."""
        async with received(request, manager.home, name or "adapter.zip", 2) as path:
            try:
                folder, warnings = await asyncio.to_thread(import_adapter, manager.home, path, model.strip(), path.stem)
            finally:
                shutil.rmtree(path.parent, ignore_errors=True)
        return ImportedAdapter(run=folder.id, warnings=[sentence(one, language) for one in warnings])

    @router.delete("/{run_id}")
    def delete(run_id: str) -> dict[str, str]:
        delete_run(folder_of(run_id))
        histories.pop(run_id, None)
        return {"deleted": run_id}

    @router.post("/{run_id}/restore")
    def restore(run_id: str) -> dict[str, str]:
        return {"run": restore_run(manager.home, run_id).id}

    @router.get("/{run_id}/adapter.zip")
    def download(run_id: str) -> StreamingResponse:
        place = folder_of(run_id).result
        return zipped(place, f"{place.name}-{run_id}")

    @router.get("/{run_id}/checkpoints/{step}.zip")
    def download_checkpoint(run_id: str, step: Annotated[int, PathParameter(ge=0, le=10**9)]) -> StreamingResponse:
        """Return the adapter or the model as it was at a step, without what only a resume needs."""
        place = folder_of(run_id).checkpoint(step)
        kept = tuple(sorted({path.name for path in place.glob("*")} - OF_A_RESUME))
        return zipped(place, f"{'model' if is_whole_model(place) else 'adapter'}-{run_id}-step-{step}", kept)

    return router
