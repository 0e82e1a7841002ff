"""`/api/models`: local models, Hub search, background downloads, and Hub access."""

from __future__ import annotations

import functools
import threading
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.model_folder import is_path
from interfaces.problems import Code
from interfaces.trainer_jobs import OnProgress, WrittenPath
from studio.jobs import DatasetJobs
from studio.models.facts import FoundModel, found_on_hub, model_facts
from studio.models.hub_access import HubAccess, access_of, choose_endpoint, forget_token, keep_token
from studio.models.local import LocalModel, delete_model, local_models
from studio.processes.trainer_child import TrainerChild
from studio.runs.jobs import runs_in_use
from studio.runs.queue import RunQueue
from studio.runs.state import RunSummary, list_runs
from studio.sizing.offers import Need, Offer, need_of, offers_of
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language

DOWNLOAD_SECONDS = 86_400.0
LONGEST_NAME = 200
MOST_DOWNLOADS = 3


class ShownModel(BaseModel):
    """What a page shows of a model. `job` is the download that is running."""

    model: str
    here: bool
    download_bytes: int
    parameters: int
    job: str | None


class ModelHere(LocalModel):
    """A model on this machine with the runs that were trained on it, the newest first, and the memory it needs."""

    runs: list[str]
    need: Need | None


def models_router(home: Home, jobs: DatasetJobs) -> APIRouter:
    """The routes of one home's models."""
    router = APIRouter(prefix="/api/models", route_class=PlainRoute)
    downloads: dict[str, tuple[TrainerChild, str]] = {}
    guard = threading.Lock()

    @router.get("/recommended")
    def read_recommended(language: Language = "en") -> list[Offer]:
        return offers_of(home, language)

    @router.get("/here")
    def read_here() -> list[ModelHere]:
        used = runs_by_model()
        return [
            ModelHere(**dict(one), runs=[run.id for run in used.get(one.id, [])], need=need_of(home, one.id))
            for one in local_models(home)
        ]

    def runs_by_model() -> dict[str, list[RunSummary]]:
        used: dict[str, list[RunSummary]] = {}
        for run in list_runs(home):
            used.setdefault(run.model, []).append(run)
        return used

    @router.post("/delete")
    def delete(model: Annotated[str, Body(embed=True)]) -> dict[str, int]:
        """Delete a model that nothing uses at the moment."""
        with RunQueue(home).alone():  # nothing that needs it is started meanwhile
            active = {run.id for run in runs_in_use(home)}
            busy = [run.id for run in runs_by_model().get(model, []) if run.id in active]
            if busy or model in downloads:
                raise FineTuneError.of(Code.MODEL_IN_USE, model=model[:LONGEST_NAME], run=(busy or [model])[0])
            return {"freed_bytes": delete_model(home, model)}

    @router.get("/search")
    def search(text: str) -> list[FoundModel]:
        return found_on_hub(text.strip()[:LONGEST_NAME])

    @router.get("/facts")
    def read_facts(model: str, revision: str = "main", online: bool = False) -> ShownModel:
        """Return whether a model is downloaded, and its size. Only `online` requests contact the Hub."""
        facts = model_facts(home, model, revision, online)
        running = downloads.get(model)
        return ShownModel(
            model=model, here=facts.path is not None, download_bytes=facts.download_bytes, parameters=facts.shape.parameters,
            job=running[1] if running else None,
        )  # fmt: skip

    @router.get("/downloads")
    def read_downloads() -> list[str]:
        """Return the models that are being downloaded."""
        return list(downloads)

    @router.post("/download")
    def download(model: Annotated[str, Body()], revision: Annotated[str, Body()] = "main") -> dict[str, str]:
        """Start a download, or return the active one, so that a reload or a second click follows the same one."""
        if len(model) > LONGEST_NAME or len(revision) > LONGEST_NAME or is_path(model):
            raise FineTuneError.of(
                Code.MODEL_NOT_FOUND, model=model[:LONGEST_NAME], revision=revision, endpoint="the Hub"
            )
        with guard:
            if model not in downloads:
                if len(downloads) >= MOST_DOWNLOADS:
                    raise FineTuneError.of(Code.STUDIO_BUSY, count=len(downloads))
                arguments = ["download", "--home", str(home.path), f"--revision={revision}", "--", model]
                child = TrainerChild(arguments, model)
                downloads[model] = (child, jobs.start(functools.partial(follow, model, child), at_once=True).id)
            return {"job": downloads[model][1]}

    def follow(model: str, child: TrainerChild, tell: OnProgress) -> WrittenPath:
        try:
            return child.ask(None, WrittenPath, tell, DOWNLOAD_SECONDS)
        finally:
            with guard:
                downloads.pop(model, None)
            child.close()

    @router.post("/download/stop")
    def stop_download(model: Annotated[str, Body(embed=True)]) -> dict[str, bool]:
        """Stop a download. The received data stays, and a later download continues from there."""
        with guard:
            running = downloads.get(model)
        if running:
            running[0].end()
        return {"stopped": running is not None}

    @router.get("/access")
    def read_access() -> HubAccess:
        return access_of(home)

    @router.post("/access")
    def set_access(endpoint: Annotated[str, Body(embed=True)]) -> HubAccess:
        choose_endpoint(home, endpoint)
        return access_of(home)

    @router.post("/token")
    def set_token(token: Annotated[str, Body(embed=True)]) -> HubAccess:
        keep_token(home, token)
        return access_of(home)

    @router.delete("/token")
    def remove_token() -> HubAccess:
        forget_token(home)
        return access_of(home)

    return router
