"""The curves of a run for a page: new points only, downsampled so that extremes stay."""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Iterator, Sequence

from interfaces.events import Sampled, read_tail
from interfaces.folders import RunFolder
from interfaces.history import Points, RunHistory
from interfaces.run_config import generates
from interfaces.run_records import RunMeta
from interfaces.texts import sentence, texts
from studio.runs.diagnosis import problem_of_run
from studio.runs.log_tail import last_lines
from studio.runs.preference_reading import read_preferences
from studio.runs.queue import RunQueue
from studio.runs.reading import Reading, read_curves
from studio.runs.state import RunState, require_known, run_state
from studio.runs.status import (
    AnswerAt,
    CheckpointAt,
    Curve,
    Curves,
    PhaseTime,
    RunStatus,
    RunUpdate,
    SamplePair,
    StepCurve,
)  # fmt: skip
from studio.sizing.calibration import estimate_of_run

MOST_POINTS = 2000
EVIDENCE_LINES = 12
WORTH_A_STOP = ("diverging", "overfitting", "too_easy", "displaced")
"""What is said of a run that still trains."""
_found: dict[RunFolder, tuple[int, Reading | None]] = {}
"""What the curves of each run said, and up to which event: the tabs of a run ask each second."""
POINTS_WHILE_RUNNING = 40
"""Points before which nothing is said of a running run: noise alone looks like divergence in a few points."""


def kept_points(values: Sequence[float], most: int = MOST_POINTS) -> Sequence[int]:
    """Choose about `most` points: the first, the last, and the minimum and maximum of each segment."""
    if len(values) <= most:
        return range(len(values))
    segments = max((most - 2) // 2, 1)
    chosen = {0, len(values) - 1}
    for number in range(segments):
        start, end = number * len(values) // segments, (number + 1) * len(values) // segments
        part = values[start:end]
        if not math.isfinite(sum(part)):  # rare and slower: skip values that are not finite
            part = [value if math.isfinite(value) else math.inf for value in part]
            highest = max((value for value in part if value < math.inf), default=math.inf)
        else:
            highest = max(part)
        chosen |= {start + part.index(min(part)), start + part.index(highest)}
    return sorted(chosen)


def updates_since(history: RunHistory, seq: int, language: str) -> RunUpdate:
    """Return the update for a page that has seen all events up to `seq`."""
    if seq == 0:
        require_known(history.folder)
    with history.lock:
        history.refresh()
        many = history.train.count_since(seq) > MOST_POINTS
        reset = seq == 0 or seq < history.restarted or many
        reported = 0 if reset else seq
        return RunUpdate(
            last=history.last,
            reset=reset,
            train=_steps(history, bisect.bisect_right(history.train.seqs, reported)),
            validation=_evaluations(history, bisect.bisect_right(history.validation.seqs, reported)),
            status=_status(history, language),
        )


def curves_between(history: RunHistory, first: int, last: int) -> Curves:
    """Return the curves between two steps, with all points if they are not too many."""
    require_known(history.folder)
    with history.lock:
        history.refresh()
        ends = [
            (bisect.bisect_left(points.steps, first), bisect.bisect_right(points.steps, last))
            for points in (history.train, history.validation)
        ]
        return Curves(train=_steps(history, *ends[0]), validation=_evaluations(history, *ends[1]))


def best_validation(history: RunHistory) -> tuple[float, int] | None:
    """Return the lowest finite validation loss, in nats per trained token, with its step; None if there is none."""
    with history.lock:
        points = zip(history.validation.losses, history.validation.steps, strict=True)
        return min((point for point in points if math.isfinite(point[0])), default=None)


def whole_curves(history: RunHistory, most: int) -> Curves:
    """Return the curves of a whole run with about `most` points each."""
    require_known(history.folder)
    with history.lock:
        history.refresh()
        return Curves(train=_steps(history, 0, most=most), validation=_evaluations(history, 0))


def curves_as_csv(history: RunHistory) -> Iterator[str]:
    """Yield all steps of a run as lines of a CSV file; the validation loss is in the line of its step."""
    require_known(history.folder)
    with history.lock:
        history.refresh()
        curve = _steps(history, 0, most=len(history.train.steps))
        losses = dict(zip(history.validation.steps, history.validation.losses, strict=True))
    names = ("step,tokens,seconds,loss,validation_loss,learning_rate,grad_norm,memory_bytes", *curve.metrics)
    yield ",".join(names) + "\n"
    columns = (curve.x, curve.tokens, curve.seconds, curve.y, curve.learning_rate, curve.grad_norm, curve.memory)
    for step, tokens, seconds, loss, rate, norm, memory, *more in zip(*columns, *curve.metrics.values(), strict=True):
        cells = (step, tokens, round(seconds, 3), loss, losses.get(step), rate, norm, memory, *more)
        yield ",".join("" if cell is None else str(cell) for cell in cells) + "\n"


def _steps(history: RunHistory, start: int, end: int | None = None, most: int = MOST_POINTS) -> StepCurve:
    """The steps from one index to another, without most of them where they are too many."""
    losses, figures = history.train.losses[start:end], history.figures
    order = kept_points(losses, most)
    if len(order) < len(losses):  # a spike of the gradient stays too
        norms = figures.grad_norms[start:end]
        order = sorted({*kept_points(losses, most * 3 // 4), *kept_points(norms, most // 4)})
    chosen = [start + index for index in order]
    tokens, seconds = history.totals.tokens, history.totals.seconds
    speeds = [_ratio(tokens[at + 1] - tokens[at], seconds[at + 1] - seconds[at]) for at in chosen]
    return StepCurve(
        x=[history.train.steps[at] for at in chosen], y=[_number(history.train.losses[at]) for at in chosen],
        tokens=[tokens[at + 1] for at in chosen], seconds=[round(seconds[at + 1], 3) for at in chosen],
        learning_rate=[figures.learning_rates[at] for at in chosen], speed=speeds,
        grad_norm=[_number(figures.grad_norms[at]) for at in chosen], memory=[figures.memory[at] for at in chosen],
        metrics=_metrics(history.train, chosen),
    )  # fmt: skip


def _evaluations(history: RunHistory, start: int, end: int | None = None) -> Curve:
    """The evaluations from one index to another."""
    points, totals = history.validation, history.totals
    chosen = [start + index for index in kept_points(points.losses[start:end])]
    steps = [points.steps[at] for at in chosen]
    before = [bisect.bisect_right(history.train.steps, step) for step in steps]
    return Curve(
        x=steps, y=[_number(points.losses[at]) for at in chosen],
        tokens=[totals.tokens[at] for at in before], seconds=[round(totals.seconds[at], 3) for at in before],
        metrics=_metrics(points, chosen),
    )  # fmt: skip


def _metrics(points: Points, chosen: Sequence[int]) -> dict[str, list[float | None]]:
    return {name: [_number(column[at]) for at in chosen] for name, column in points.metrics.items()}


def _latest_metrics(history: RunHistory) -> dict[str, float]:
    """Return each metric of the last evaluation, or of the last step where there is none."""
    found = {
        name: column[-1]
        for points in (history.train, history.validation)
        for name, column in points.metrics.items()
        if column
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _ratio(amount: float, by: float) -> float | None:
    return round(amount / by, 1) if by > 0 else None


def _status(history: RunHistory, language: str) -> RunStatus:
    tail = read_tail(history.folder.events)
    state = run_state(history.folder, tail)
    last, throughput = history.latest, history.throughput
    left = throughput.seconds_left(last.total_steps) if last and not state.is_over else None
    speed = throughput.tokens_per_second
    progress, meta = history.progress, RunMeta.of(history.folder)
    problem = problem_of_run(history.folder, tail) if state == "failed" else None
    return RunStatus(
        state=state.value,
        over=state.is_over,
        name=meta.name,
        tags=meta.tags,
        note=meta.note,
        phase=_phase(history, state, language),
        phases=_phases(history, state, language),
        done=progress.done if progress else None,
        total=progress.total if progress else None,
        unit=progress.unit if progress else "",
        step=last.step if last else 0,
        total_steps=last.total_steps if last else 0,
        epoch=last.epoch if last else 0.0,
        loss=_number(last.loss) if last else None,
        validation_loss=_number(history.validation.losses[-1]) if history.validation.losses else None,
        metrics=_latest_metrics(history),
        eta_seconds=None if left is None else round(left, 1),
        tokens_per_second=None if speed is None else round(speed, 1),
        memory_bytes=last.memory_bytes if last else None,
        peak_memory_bytes=history.peak_memory_bytes,
        estimated_bytes=expected.comparable_bytes if (expected := estimate_of_run(history.folder)) else None,
        attempt=history.started.attempt if history.started else 0,
        resumed_from_step=history.started.resumed_from_step if history.started else None,
        resumes=history.resumes,
        saved_step=history.checkpoints[-1].step if history.checkpoints else None,
        checkpoints=_checkpoints(history),
        stop_seconds=_stop_seconds(history, state),
        problem=sentence(problem, language) if problem else "",
        code=problem.code.value if problem else "",
        fix=(problem.change or {}) if problem else {},
        evidence=last_lines(history.folder.log, EVIDENCE_LINES) if problem else [],
        warnings=list(dict.fromkeys(sentence(warning, language) for warning in history.warnings)),
        reading=_reading(history, state, language),
        samples=pairs_of(history.samples),
        adapter=history.folder.result.is_dir(),
        generates=generates(history.folder),
    )


def _checkpoints(history: RunHistory) -> list[CheckpointAt]:
    """Return the checkpoints that are still there, newest first; the run keeps only some."""
    losses = dict(zip(history.validation.steps, history.validation.losses, strict=True))
    there = {path.name for path in history.folder.checkpoints.glob("step-*")}
    kept = {one.step: one for one in history.checkpoints if history.folder.checkpoint(one.step).name in there}
    return [
        CheckpointAt(step=step, size_bytes=one.size_bytes, validation_loss=_number(losses.get(step, math.nan)))
        for step, one in sorted(kept.items(), reverse=True)
    ]


def _reading(history: RunHistory, state: RunState, language: str) -> str:
    train, validation = history.train, history.validation
    last, found = _found.get(history.folder, (0, None))
    if last != history.last:
        found = read_curves(train.steps, train.losses, validation.steps, validation.losses)
        if found is None or found.finding != "diverging":
            found = read_preferences(train.steps, train.metrics, validation.metrics) or found
        _found[history.folder] = (history.last, found)
    early = len(train.losses) < POINTS_WHILE_RUNNING
    if found is None or (not state.is_over and (early or found.finding not in WORTH_A_STOP)):
        return ""  # while a run trains, only what would make a person stop it
    unfinished = state.is_over and history.latest is not None and history.latest.step < history.latest.total_steps
    key = "falling_unfinished" if found.finding == "falling" and unfinished else found.finding
    return texts("reading", language).of(key, step=found.step, count=found.count)


def _phase(history: RunHistory, state: RunState, language: str) -> str:
    """Describe the run's phase, or the queue position and the runs ahead of it if it is queued."""
    if state is RunState.QUEUED:
        return place_in_queue(history.folder, language)
    return "" if state.is_over or not history.phase else texts("phase", language)[history.phase]


def _phases(history: RunHistory, state: RunState, language: str) -> list[PhaseTime]:
    """Return what happened before the first step of this attempt, with the time that each phase has taken."""
    if state.is_over or history.started is None or history.train.has_since(history.started.seq):
        return []
    ends = [phase.time for phase in history.phases[1:]] + [time.time()]
    return [
        PhaseTime(name=texts("phase", language)[phase.phase], seconds=round(max(end - phase.time, 0.0), 1))
        for phase, end in zip(history.phases, ends, strict=False)
    ]


def place_in_queue(folder: RunFolder, language: str) -> str:
    queue, words = RunQueue(folder.home), texts("page", language)
    own = queue.place_of(folder)
    if own is None:
        return ""
    holder = queue.holder_of(own.device)
    reason = words.of("queue_behind", run=holder.id, device=own.device) if holder else words["queue_free"]
    reason = words["queue_paused"] if queue.paused else reason
    return words.of("queue_place", position=own.position, count=len(queue.waiting()), reason=reason)


def _stop_seconds(history: RunHistory, state: RunState) -> float | None:
    """Return the maximum remaining seconds of a stop, or None if no stop is in progress or its bound is unknown."""
    asked = history.stopping
    if asked is None or state is not RunState.STOPPING:
        return None
    return round(max(asked.within_seconds - max(time.time() - asked.time, 0.0), 0.0), 1)


def _number(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def pairs_of(samples: list[Sampled]) -> list[SamplePair]:
    """Return each prompt with the base model's answer and the newest one, which is empty until there is one."""
    pairs: dict[str, SamplePair] = {}
    for event in samples:
        pair = pairs.setdefault(event.prompt, SamplePair(prompt=event.prompt))
        if event.step == 0:
            pair.before = event.answer
            continue
        pair.after = event.answer
        # The kept adapter may answer the prompt again at the last step.
        others = [one for one in pair.answers if one.step != event.step]
        pair.answers = [*others, AnswerAt(step=event.step, answer=event.answer)]
    return list(pairs.values())
