"""`/api/datasets/ID/...`: rows by text and length, changed copies of a dataset, and what shouldn't be in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel

from interfaces.dataset_requests import (
    ChangeRequest,
    DividedDatasets,
    DivideRequest,
    Duplicates,
    DuplicatesRequest,
    MaskRequest,
    PersonalData,
    PersonalKind,
    PersonalRequest,
    RowChange,
)
from interfaces.example import Example
from interfaces.folders import DatasetFolder, Home
from interfaces.trainer_jobs import AddedDataset, OnProgress
from studio.datasets.library import ask_trainer
from studio.datasets.searching import FoundRows, Order, find_rows
from studio.jobs import DatasetJobs
from studio.web.errors import PlainRoute
from studio.web.routes.dataset_answers import JobStarted

MOST_ROWS = 100
MOST_TEXT = 1000
MOST_ADDED = 1000
Answered = TypeVar("Answered", bound=BaseModel)
Position = Annotated[int, Query(ge=0, le=10**12)]


def dataset_changes_router(home: Home, jobs: DatasetJobs, folder_of: Callable[[str], DatasetFolder]) -> APIRouter:
    """Create the routes. `folder_of` finds a dataset by its id, or raises."""
    router = APIRouter(route_class=PlainRoute)

    def started(request: BaseModel, answer: type[Answered]) -> JobStarted:
        def work(tell: OnProgress) -> Answered:
            return ask_trainer(home, request, answer, tell)

        return JobStarted(job=jobs.start(work).id)

    @router.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> dict[str, bool]:
        jobs.get(job_id).cancel()
        return {"asked": True}

    @router.get("/{dataset_id}/search")
    def search(
        dataset_id: str, text: Annotated[str, Query(max_length=MOST_TEXT)] = "", order: Order = "file",
        only_warnings: bool = False, start: Position = 0, count: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 10,
    ) -> FoundRows:  # fmt: skip
        return find_rows(folder_of(dataset_id), text, order, only_warnings, start, count)

    @router.get("/{dataset_id}/difference")
    def read_difference(
        dataset_id: str, start: Position = 0, count: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 20
    ) -> list[RowChange]:
        """Return what was changed from the dataset that this one comes from."""
        folder, found = folder_of(dataset_id), []
        if not folder.difference.is_file():
            return []
        with folder.difference.open("rb") as file:
            for number, line in enumerate(file):
                if number >= start + count:
                    break
                if number >= start:
                    found.append(RowChange.model_validate_json(line))
        return found

    @router.post("/{dataset_id}/change")
    def change(
        dataset_id: str, changes: Annotated[dict[int, Example | None] | None, Body()] = None,
        added: Annotated[list[Example] | None, Body(max_length=MOST_ADDED)] = None,
    ) -> JobStarted:  # fmt: skip
        folder_of(dataset_id)
        return started(ChangeRequest(dataset=dataset_id, changes=changes or {}, added=added or []), AddedDataset)

    @router.post("/{dataset_id}/mask")
    def mask(dataset_id: str, kinds: Annotated[list[PersonalKind], Body(embed=True)]) -> JobStarted:
        folder_of(dataset_id)
        return started(MaskRequest(dataset=dataset_id, kinds=kinds), AddedDataset)

    @router.post("/{dataset_id}/divide")
    def divide(
        dataset_id: str, share: Annotated[float, Body(gt=0, lt=1)], seed: Annotated[int, Body(ge=0, lt=2**32)] = 42
    ) -> JobStarted:
        folder_of(dataset_id)
        return started(DivideRequest(dataset=dataset_id, share=share, seed=seed), DividedDatasets)

    @router.post("/{dataset_id}/duplicates")
    def find_duplicates(dataset_id: str) -> JobStarted:
        folder_of(dataset_id)
        return started(DuplicatesRequest(dataset=dataset_id), Duplicates)

    @router.post("/{dataset_id}/personal")
    def find_personal(dataset_id: str) -> JobStarted:
        folder_of(dataset_id)
        return started(PersonalRequest(dataset=dataset_id), PersonalData)

    return router
