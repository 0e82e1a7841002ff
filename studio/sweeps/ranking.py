"""Which values of a sweep are best by validation loss, and whether their lead is more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import BaseModel

from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.run_records import SweepValue
from interfaces.texts import Texts, texts
from studio.evaluation.statistics import Interval, student_interval
from studio.runs.curves import best_validation
from studio.runs.state import RunState, RunSummary, summary_of
from studio.sweeps.family import family
from studio.sweeps.plan import Values

_UNDER_WAY = (RunState.RUNNING, RunState.STOPPING)
"""Their ranking is provisional."""
Verdict = Literal["unfinished", "not_finished", "no_validation", "only_one", "no_seeds", "noise", "lead"]


class SweepRun(BaseModel):
    """A run of a sweep with its values, and its lowest validation loss in nats per trained token, with its step."""

    run: RunSummary
    values: Values
    best_validation_loss: float | None
    best_step: int | None


class Candidate(BaseModel):
    """The runs that differ only in their seed. `mean` is that of their lowest validation losses."""

    values: Values
    runs: list[str]
    mean: float | None


class Ranking(BaseModel):
    """`candidates` begin with the best. `lead` is by how much the first is below the second, with its interval of 95 %.

    The lead is computed over the seeds that both have: the same seed means the same validation rows and order.
    """

    candidates: list[Candidate]
    seeds: int
    lead: float | None = None
    interval: Interval | None = None
    verdict: Verdict

    def in_words(self, words: Texts) -> str:
        """Return what the table says, in a sentence."""
        first, second = ([_in_words(one.values) for one in self.candidates] + ["", ""])[:2]
        lead = "" if self.lead is None else f"{self.lead:.4f}"
        reach = f"{self.interval.low:.4f} … {self.interval.high:.4f}" if self.interval else ""
        return words.of(f"sweep_{self.verdict}", best=first, second=second, lead=lead, range=reach, count=self.seeds)


class Sweep(BaseModel):
    """A sweep's table. `wanted` is the number of its runs at the start: some may have been deleted."""

    id: str
    name: str
    settings: list[str]
    wanted: int
    over: bool
    runs: list[SweepRun]
    ranking: Ranking
    said: str
    """What the table says, in a sentence."""


def sweep_of(home: Home, sweep: str, histories: dict[str, RunHistory], language: str = "en") -> Sweep:
    """Return the table of a sweep.

    Raises:
        FineTuneError: there is no such sweep.
    """
    members = family(home, sweep)
    first = members[0][1]
    runs = [_figures(folder, point.values, histories) for folder, point in members]
    ranking = ranking_of(runs)
    return Sweep(
        id=sweep, name=first.name, settings=list(first.values), wanted=first.runs, runs=runs,
        over=all(one.run.over for one in runs), ranking=ranking, said=ranking.in_words(texts("page", language)),
    )  # fmt: skip


def _figures(folder: RunFolder, values: Values, histories: dict[str, RunHistory]) -> SweepRun:
    summary = summary_of(folder, histories)
    best = best_validation(histories.setdefault(folder.id, RunHistory(folder)).refresh())
    return SweepRun(
        run=summary, values=values, best_validation_loss=best[0] if best else None, best_step=best[1] if best else None
    )


def ranking_of(runs: Sequence[SweepRun]) -> Ranking:
    """Rank the values by the mean of their runs' lowest validation losses."""
    by_values: dict[str, list[SweepRun]] = {}
    for one in runs:
        by_values.setdefault(repr(_without_seed(one.values)), []).append(one)
    candidates = [_candidate(group) for group in by_values.values()]
    candidates.sort(key=lambda one: (one.mean is None, one.mean or 0.0))
    seeds = len({one.values.get("seed") for one in runs})
    found = Ranking(candidates=candidates, seeds=seeds, verdict="unfinished")
    if not all(one.run.over for one in runs):
        return found
    ranked = [one for one in candidates if one.mean is not None]
    if len(ranked) < 2 and any(one.run.state is not RunState.FINISHED for one in runs):
        return found.model_copy(update={"verdict": "not_finished"})
    if not ranked:
        return found.model_copy(update={"verdict": "no_validation"})
    if len(ranked) < 2:
        return found.model_copy(update={"verdict": "only_one"})
    losses = {one.run.id: one for one in runs}
    first, second = (_by_seed([losses[run] for run in one.runs]) for one in ranked[:2])
    leads = [second[seed] - first[seed] for seed in first if seed in second]
    interval = student_interval(leads)
    if interval is None:
        lead = (ranked[1].mean or 0.0) - (ranked[0].mean or 0.0)
        return found.model_copy(update={"verdict": "no_seeds", "lead": lead})
    verdict = "lead" if interval.low > 0 else "noise"
    return found.model_copy(update={"verdict": verdict, "lead": fmean(leads), "interval": interval})


def _in_words(values: Values) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _without_seed(values: Mapping[str, SweepValue]) -> Values:
    return {name: value for name, value in values.items() if name != "seed"}


def _candidate(group: Sequence[SweepRun]) -> Candidate:
    # A run that was stopped or has failed has had less training than the others.
    losses = [
        one.best_validation_loss
        for one in group
        if one.best_validation_loss is not None and one.run.state in (RunState.FINISHED, *_UNDER_WAY)
    ]
    return Candidate(
        values=_without_seed(group[0].values), runs=[one.run.id for one in group],
        mean=fmean(losses) if losses and len(losses) == len(group) else None,
    )  # fmt: skip


def _by_seed(group: Sequence[SweepRun]) -> dict[SweepValue, float]:
    return {
        one.values.get("seed", 0): one.best_validation_loss for one in group if one.best_validation_loss is not None
    }
