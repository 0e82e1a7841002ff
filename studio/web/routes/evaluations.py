"""`/api/evaluations` and `/api/runs/{run}/evaluations`: evaluating runs, their tables and rows, and blind votes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.evaluations import HELD_OUT, METRICS, EvaluationSpec, GateOutcome, Metric
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from interfaces.run_records import RunMeta, has_result, result_steps
from interfaces.texts import sentence, texts
from studio.datasets.library import find_dataset
from studio.evaluation.evaluations import EvaluationState, create, delete, evaluation, keeps_rows, state_of, submit
from studio.evaluation.gate import decide
from studio.evaluation.scoring import EvaluationResult, MetricResult, result_of
from studio.evaluation.statistics import FEWEST_OF_A_MEAN
from studio.evaluation.table import comparison, finished_evaluations, rows_as_csv, rows_as_jsonl, rows_by_difference
from studio.evaluation.votes import Choice, Votes, undo_vote, vote, votes_of
from studio.runs.jobs import stop_job
from studio.runs.state import RunState, named_run
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language

MOST_ROWS = 100
"""Rows in one answer; a page asks for more as they are scrolled to."""


class ShownLine(MetricResult):
    """A line of the table with its name and what its difference says, in the page's language."""

    label: str
    verdict: str


class ShownEvaluation(BaseModel):
    """An evaluation as the page shows it: no rows, and problems as sentences."""

    run: str
    run_name: str
    number: int
    spec: EvaluationSpec
    state: str
    over: bool
    after_training: bool
    phase: str
    progress: tuple[int, int] | None
    problem: str
    warnings: list[str]
    outdated: bool
    table: list[ShownLine]
    metrics: list[Metric]
    data_rows: int
    few: bool
    """The means have too few rows for an interval."""
    gate: GateOutcome | None


class ShownRows(BaseModel):
    """A page of rows with answers and scores."""

    total: int
    rows: list[dict[str, object]]


class EvaluationChoices(BaseModel):
    """What can be evaluated of a run, and how."""

    adapter: bool
    steps: list[int]
    held_out: bool
    """The run keeps rows for validation."""
    metrics: dict[str, str]


def evaluations_router(home: Home) -> APIRouter:
    """The routes of one home's evaluations."""
    router = APIRouter(route_class=PlainRoute)

    def folder_of(run_id: str, number: int) -> EvaluationFolder:
        return evaluation(named_run(home, run_id), number)

    @router.get("/api/evaluations")
    def read_finished(language: Language = "en") -> list[ShownEvaluation]:
        return [_listed(folder, language) for folder, _, _ in finished_evaluations(home)]

    @router.get("/api/evaluations.csv")
    def download_comparison() -> Response:
        text = comparison(home).to_csv(index=False, lineterminator="\n")
        return Response(text, media_type="text/csv", headers=_attachment("evaluations.csv"))

    @router.get("/api/runs/{run_id}/evaluations")
    def read_evaluations(run_id: str, language: Language = "en") -> list[ShownEvaluation]:
        return [_listed(folder, language) for folder in reversed(EvaluationFolder.all_of(named_run(home, run_id)))]

    @router.get("/api/runs/{run_id}/evaluations/choices")
    def read_choices(run_id: str, language: Language = "en") -> EvaluationChoices:
        folder, words = named_run(home, run_id), texts("metric", language)
        return EvaluationChoices(
            adapter=has_result(folder.result), steps=result_steps(folder),
            held_out=keeps_rows(folder), metrics={name: words[name] for name in METRICS},
        )  # fmt: skip

    @router.post("/api/runs/{run_id}/evaluations")
    def begin(run_id: str, spec: EvaluationSpec) -> dict[str, int]:
        if spec.dataset not in ("", HELD_OUT):  # a page may refer only to datasets of the library, never to file paths
            spec = spec.model_copy(update={"dataset": find_dataset(home, spec.dataset).id})
        folder = create(named_run(home, run_id), spec)
        try:
            submit(folder)
        except BaseException:
            delete(folder)
            raise
        return {"number": folder.number}

    @router.get("/api/runs/{run_id}/evaluations/{number}")
    def read_evaluation(
        run_id: str, number: int, metrics: Annotated[list[Metric] | None, Query()] = None, language: Language = "en"
    ) -> ShownEvaluation:
        """`metrics` scores the answers by these, instead of the evaluation's own."""
        folder = folder_of(run_id, number)
        state = state_of(folder)
        if metrics is not None:
            state = state.model_copy(update={"result": result_of(folder, metrics)})
        return _shown(state, folder, language)

    @router.post("/api/runs/{run_id}/evaluations/{number}/stop")
    def stop_evaluation(run_id: str, number: int) -> dict[str, bool]:
        stop_job(folder_of(run_id, number))
        return {"asked": True}

    @router.post("/api/runs/{run_id}/evaluations/{number}/resume")
    def resume(run_id: str, number: int) -> dict[str, bool]:
        submit(folder_of(run_id, number))
        return {"asked": True}

    @router.delete("/api/runs/{run_id}/evaluations/{number}")
    def remove(run_id: str, number: int) -> dict[str, bool]:
        delete(folder_of(run_id, number))
        return {"deleted": True}

    @router.get("/api/runs/{run_id}/evaluations/{number}/rows")
    def read_rows(run_id: str, number: int, start: Annotated[int, Query(ge=0)] = 0, by: str = "") -> ShownRows:
        """`by` is the metric whose largest differences come first."""
        rows = rows_by_difference(folder_of(run_id, number), by)
        return ShownRows(total=len(rows), rows=rows[start : start + MOST_ROWS])

    @router.get("/api/runs/{run_id}/evaluations/{number}/rows.jsonl")
    def download_jsonl(run_id: str, number: int) -> StreamingResponse:
        folder = folder_of(run_id, number)
        headers = _attachment(f"evaluation-{folder.id}.jsonl")
        return StreamingResponse(rows_as_jsonl(folder), media_type="application/jsonl", headers=headers)

    @router.get("/api/runs/{run_id}/evaluations/{number}/rows.csv")
    def download_csv(run_id: str, number: int) -> Response:
        folder = folder_of(run_id, number)
        headers = _attachment(f"evaluation-{folder.id}.csv")
        return Response(rows_as_csv(folder), media_type="text/csv", headers=headers)

    @router.get("/api/runs/{run_id}/evaluations/{number}/votes")
    def read_votes(run_id: str, number: int) -> Votes:
        return votes_of(folder_of(run_id, number))

    @router.post("/api/runs/{run_id}/evaluations/{number}/votes")
    def add_vote(
        run_id: str, number: int, question: Annotated[int, Body()], choice: Annotated[Choice, Body()]
    ) -> Votes:
        folder = folder_of(run_id, number)
        vote(folder, question, choice)
        return votes_of(folder)

    @router.delete("/api/runs/{run_id}/evaluations/{number}/votes")
    def take_back(run_id: str, number: int) -> Votes:
        folder = folder_of(run_id, number)
        undo_vote(folder)
        return votes_of(folder)

    return router


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _shown(state: EvaluationState, folder: EvaluationFolder, language: Language) -> ShownEvaluation:
    result = state.result
    same = state.model_dump(include={"run", "number", "over", "after_training", "phase", "progress", "outdated"})
    return ShownEvaluation(
        **same, run_name=RunMeta.of(folder.run).name, spec=state.spec, state=state.state.value,
        problem=sentence(state.problem, language) if state.problem else "",
        warnings=[sentence(problem, language) for problem in state.warnings],
        table=_lines(result, language) if result else [], metrics=result.metrics if result else [],
        data_rows=result.data_rows if result else 0, few=result is not None and 0 < result.data_rows < FEWEST_OF_A_MEAN,
        gate=decide(state.spec.gate, result, folder.number) if state.spec.gate and result and state.state is RunState.FINISHED else None,
    )  # fmt: skip


def _listed(folder: EvaluationFolder, language: Language) -> ShownEvaluation:
    """Return an evaluation for a list, to which one that can't be read is no obstacle."""
    try:
        return _shown(state_of(folder), folder, language)
    except FineTuneError as error:
        return ShownEvaluation(
            run=folder.run.id, run_name="", number=folder.number, state="failed", over=True, after_training=False, phase="",
            spec=EvaluationSpec(dataset="unreadable", dataset_name=folder.id), progress=None, warnings=[], outdated=False,
            problem=sentence(error.problems[0], language), table=[], metrics=[], data_rows=0, few=False, gate=None,
        )  # fmt: skip


def _lines(result: EvaluationResult, language: Language) -> list[ShownLine]:
    words, verdicts = texts("metric", language), texts("verdict", language)
    return [
        ShownLine(
            **line.model_dump(), label=words[line.name],
            verdict=verdicts.of(line.difference.verdict, count=line.rows) if line.difference else "",
        )
        for line in result.table
    ]  # fmt: skip
