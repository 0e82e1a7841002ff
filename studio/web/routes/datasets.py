"""`/api/datasets`: the library, jobs that read files, rows and problems by page, and model previews."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from interfaces.dataset_records import ShownRow, SplitCounts
from interfaces.errors import FineTuneError
from interfaces.example import ExampleRecord
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code
from interfaces.row_lengths import TokenStats
from interfaces.trainer_jobs import AddedDataset, FoundRow, OnProgress
from studio.datasets.library import (
    DatasetSummary,
    Imports,
    delete_dataset,
    describe,
    edit_dataset,
    forget_unfinished,
    import_files,
    list_datasets,
    mix_datasets,
    problem_lines,
    problems_of,
    rename_dataset,
    restore_dataset,
    rows_of,
)
from studio.datasets.sample import SAMPLE, SAMPLES
from studio.jobs import DatasetJobs
from studio.processes.trainer_child import Previews, add_dataset, hub_splits
from studio.sizing.lengths import remember_lengths
from studio.web.errors import PlainRoute
from studio.web.routes.dataset_answers import (
    Answer,
    DatasetPage,
    FindQuestion,
    JobStarted,
    JobStatus,
    Question,
    RowAnswer,
    RowQuestion,
    ShownProblem,
    SplitQuestion,
    StatsAnswer,
    StatsQuestion,
    in_words,
)
from studio.web.routes.dataset_changes import dataset_changes_router
from studio.web.routes.texts import Language
from studio.web.uploads import received, uploads_of

SHOWN_ROWS = 20
MOST_ROWS = 200
WHOLE_SECONDS = 6 * 3600.0
_CHOOSE_COLUMNS = {Code.TABLE_CHOICE, Code.FORMAT_UNKNOWN, Code.COLUMN_MISSING, Code.COLUMNS_INCOMPLETE}
Seen = TypeVar("Seen", bound=BaseModel)
FolderOf = Callable[[str], DatasetFolder]
"""The folder of a dataset by its id; raises if there is none."""
DATASET_ID = re.compile(r"[0-9a-f]{16}")
Position = Annotated[int, Query(ge=0, le=10**12)]


def datasets_router(home: Home, jobs: DatasetJobs) -> APIRouter:
    """Create the dataset routes of one home. `jobs` holds all background jobs, including model downloads."""
    router = APIRouter(prefix="/api/datasets", route_class=PlainRoute)
    previews = Previews(home.path)
    # Uploads that an earlier studio did not finish reading.
    shutil.rmtree(uploads_of(home), ignore_errors=True)
    forget_unfinished(home)

    def folder_of(dataset_id: str) -> DatasetFolder:
        if not DATASET_ID.fullmatch(dataset_id) or not home.dataset(dataset_id).report.is_file():
            raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=dataset_id)
        return home.dataset(dataset_id)

    # Files with unknown columns, which wait for the user to assign them.
    waiting: dict[str, Path | str] = {}

    def read_file(path: Path | str, name: str = "", move: bool = False, **options: Any) -> JobStarted:
        def work(tell: OnProgress) -> AddedDataset:
            keep = not move
            try:
                return AddedDataset(dataset=add_dataset(home.path, path, name=name, move=move, tell=tell, **options))
            except FineTuneError as error:
                keep = keep or error.problems[0].code in _CHOOSE_COLUMNS
                raise
            finally:
                if not keep:
                    shutil.rmtree(Path(path).parent, ignore_errors=True)

        job = jobs.start(work)
        waiting[job.id] = path
        return JobStarted(job=job.id)

    @router.post("")
    async def upload(request: Request, name: str = "") -> JobStarted:
        async with received(request, home, name, 3) as path:  # the file, its rows, and their index
            return read_file(path, path.name, move=True)

    @router.post("/sample")
    def take_sample() -> JobStarted:
        return read_file(SAMPLES / SAMPLE)

    @router.get("/imports")
    def read_imports() -> Imports:
        return Imports(folder=str(home.imports), files=import_files(home))

    @router.post("/imports")
    def take_import(name: Annotated[str, Body(embed=True)]) -> JobStarted:
        if name.startswith("hub:"):
            return read_file(name)
        if name not in [file.name for file in import_files(home)]:
            raise FineTuneError.of(Code.FILE_MISSING, path=name)
        return read_file(home.imports / name)

    @router.post("/hub")
    def look_on_hub(name: Annotated[str, Body(embed=True, max_length=300)]) -> JobStarted:
        """Look up the configs and splits of a Hub dataset in the background."""
        return JobStarted(job=jobs.start(lambda _tell: hub_splits(name)).id)

    @router.post("/{dataset_id}/columns")
    def choose_columns(
        dataset_id: str, columns: Annotated[dict[str, str], Body()], sample_by: Annotated[str, Body()] = "paragraph"
    ) -> JobStarted:
        folder = folder_of(dataset_id)
        source = folder.find_source()
        if source is None:
            raise FineTuneError.of(Code.NOT_EDITABLE, path=dataset_id, reason="is_a_mix")
        return read_file(source, describe(home, dataset_id).name, columns=columns, sample_by=sample_by)

    @router.post("/jobs/{job_id}/columns")
    def choose_first_columns(
        job_id: str, columns: Annotated[dict[str, str], Body()], sample_by: Annotated[str, Body()] = "paragraph"
    ) -> JobStarted:
        path = waiting.get(job_id)
        if isinstance(path, str):  # a Hub dataset, whose files are in the cache
            return read_file(path, columns=columns, sample_by=sample_by)
        if path is None or not path.is_file():
            raise FineTuneError.of(Code.JOB_NOT_FOUND, value=job_id)
        return read_file(
            path, path.name, move=path.is_relative_to(uploads_of(home)), columns=columns, sample_by=sample_by
        )

    @router.get("/jobs/{job_id}")
    def read_job(job_id: str, language: Language = "en") -> JobStatus:
        return JobStatus.of(jobs.get(job_id), language)

    # Register these after the fixed paths above, which would otherwise be parsed as ids.
    router.include_router(dataset_changes_router(jobs=jobs, home=home, folder_of=folder_of))
    _library_routes(router, home, folder_of, jobs)
    _row_routes(router, home, folder_of)
    _model_routes(router, home, folder_of, jobs, previews)
    return router


def _library_routes(router: APIRouter, home: Home, folder_of: FolderOf, jobs: DatasetJobs) -> None:
    @router.get("")
    def read_all() -> list[DatasetSummary]:
        return list_datasets(home)

    @router.post("/mix")
    def mix(parts: Annotated[dict[str, float], Body(embed=True)]) -> JobStarted:
        for dataset_id, weight in parts.items():
            folder_of(dataset_id)
            if not 0 < weight <= 100:
                raise FineTuneError.of(Code.VALUE_INVALID, field="weight", value=weight, expected="above_0_at_most_100")
        return JobStarted(job=jobs.start(lambda _tell: AddedDataset(dataset=mix_datasets(home, parts))).id)

    @router.get("/{dataset_id}")
    def read(dataset_id: str, language: Language = "en") -> DatasetPage:
        folder_of(dataset_id)
        return DatasetPage.of_report(describe(home, dataset_id), rows_of(home, dataset_id, 0, SHOWN_ROWS), language)

    @router.post("/{dataset_id}/rename")
    def rename(dataset_id: str, name: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        rename_dataset(home, folder_of(dataset_id).id, name)
        return {"dataset": dataset_id}

    @router.delete("/{dataset_id}")
    def delete(dataset_id: str, although_used: bool = False) -> dict[str, str]:
        delete_dataset(home, folder_of(dataset_id).id, although_used)
        return {"deleted": dataset_id}

    @router.post("/{dataset_id}/restore")
    def restore(dataset_id: str) -> dict[str, str]:
        restore_dataset(home, dataset_id)
        return {"dataset": dataset_id}


def _row_routes(router: APIRouter, home: Home, folder_of: FolderOf) -> None:
    @router.get("/{dataset_id}/rows")
    def read_rows(dataset_id: str, start: Position = 0, count: Position = SHOWN_ROWS) -> list[ExampleRecord]:
        folder_of(dataset_id)
        return rows_of(home, dataset_id, start, min(count, MOST_ROWS))

    @router.get("/{dataset_id}/problems")
    def read_problems(
        dataset_id: str,
        start: Position = 0,
        count: Position = SHOWN_ROWS,
        whole: bool = False,
        language: Language = "en",
    ) -> list[ShownProblem]:
        folder_of(dataset_id)
        found = problems_of(home, dataset_id, start, min(count, MOST_ROWS), whole)
        return [ShownProblem.of(one, language) for one in found]

    @router.get("/{dataset_id}/problems.csv")
    def download_problems(dataset_id: str, language: Language = "en") -> StreamingResponse:
        folder = folder_of(dataset_id)
        return StreamingResponse(
            _problems_as_csv(folder, language),
            media_type="text/csv; charset=utf-8",
            headers=_as_file(home, dataset_id, "problems.csv"),
        )

    @router.get("/{dataset_id}/examples.jsonl")
    def download_examples(dataset_id: str) -> FileResponse:
        folder = folder_of(dataset_id)
        return FileResponse(
            folder.examples, media_type="application/x-ndjson", headers=_as_file(home, dataset_id, "examples.jsonl")
        )


def _model_routes(router: APIRouter, home: Home, folder_of: FolderOf, jobs: DatasetJobs, previews: Previews) -> None:
    @router.post("/{dataset_id}/edit")
    def edit(dataset_id: str, changes: Annotated[dict[int, str | None], Body(embed=True)]) -> JobStarted:
        folder_of(dataset_id)

        def work(tell: OnProgress) -> AddedDataset:
            return AddedDataset(dataset=edit_dataset(home, dataset_id, changes, tell))

        return JobStarted(job=jobs.start(work).id)

    @router.post("/{dataset_id}/see")
    def see(dataset_id: str, question: Question, language: Language = "en") -> Answer:
        """What a model sees: an answer of `trainer/tokens/preview.py`, with its notes as sentences."""
        folder_of(dataset_id)

        def ask(answer: type[Seen]) -> Seen:
            request = question.model_copy(update={"dataset": dataset_id})
            return previews.ask(question.model, question.revision, request, answer, offline=not question.online)

        if isinstance(question, RowQuestion):
            return RowAnswer.of(ask(ShownRow), language)
        if isinstance(question, FindQuestion):
            return ask(FoundRow)
        if isinstance(question, SplitQuestion):
            return ask(SplitCounts)
        stats = ask(TokenStats)
        remember_lengths(home, dataset_id, question.model, stats)
        return StatsAnswer(**dict(stats), remarks=in_words(stats.warnings, language))

    @router.post("/{dataset_id}/tokenize")
    def tokenize(dataset_id: str, question: StatsQuestion) -> JobStarted:
        """Tokenize all rows in the background, in a separate child, so that statistics cover the whole dataset."""
        folder_of(dataset_id)
        request = question.model_copy(update={"dataset": dataset_id, "whole": True})

        def work(tell: OnProgress) -> TokenStats:
            alone = Previews(home.path)
            try:
                return alone.ask(question.model, question.revision, request, TokenStats, tell, WHOLE_SECONDS)
            finally:
                alone.close()

        return JobStarted(job=jobs.start(work).id)


def _problems_as_csv(folder: DatasetFolder, language: str) -> Iterator[str]:
    """Yield every problem as a CSV line. A leading apostrophe keeps spreadsheets from running a cell as a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    header = ["row", "line", "offset", "field", "kind", "severity", "reason", "text"]
    buffer.write("\ufeff")  # the BOM, without which Excel doesn't detect UTF-8
    writer.writerow(header)
    for record in problem_lines(folder):
        shown = ShownProblem.of(record, language)
        cells = ["" if getattr(shown, name) is None else str(getattr(shown, name)) for name in header]
        writer.writerow([f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _as_file(home: Home, dataset_id: str, kind: str) -> dict[str, str]:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", describe(home, dataset_id).name).strip("-.")[:60] or "dataset"
    return {"Content-Disposition": f'attachment; filename="{stem}-{kind}"'}
