"""Executes one evaluation in its folder: answers and losses of the base model and of the adapter, row by row.

Each batch is on the disk before the next begins, and batches are the same in each attempt, so that an evaluation that
was killed continues where it was and has the same result.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interfaces.config import FineTuneConfig
from interfaces.disk import at
from interfaces.evaluations import (
    EvaluationLine,
    EvaluationOrigin,
    EvaluationQuestion,
    EvaluationSpec,
    Side,
    read_lines,
    read_questions,
)
from interfaces.events import Started, Warned
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Problem
from interfaces.run_records import is_whole_model, result_sha256
from trainer.training.event_log import EventLog
from trainer.training.job import ResultJob, execute

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trainer.models.device import Compute
    from trainer.models.model_files import ModelFiles

log = logging.getLogger(__name__)


def evaluate(folder: EvaluationFolder, attempt: int, listens: bool = True) -> Problem | None:
    """Execute or continue an evaluation. Return its problem if it failed."""
    return execute(folder, attempt, lambda config, events: _Evaluation(folder, config, events).execute(), listens)


class _Evaluation(ResultJob):
    """One attempt of an evaluation."""

    def __init__(self, folder: EvaluationFolder, config: FineTuneConfig, events: EventLog) -> None:
        self._folder, self._spec = folder, EvaluationSpec.of(folder)
        super().__init__(folder, self._spec.step, config, events)

    def execute(self) -> int:
        """Compute what is missing. Return the peak memory in bytes.

        Raises:
            FineTuneError: the rows, the model, or the adapter can't be used.
        """
        from trainer.evaluation.questions import gather, write_questions
        from trainer.models.device import choose_compute, peak_memory_bytes

        compute = choose_compute(self._config, self._machine)  # as the run, so each attempt computes the same
        self._events.append(
            Started(
                run=self._folder.id, model_name=self._config.model_name, device=str(compute.device),
                dtype=compute.dtype_name, threads=compute.threads,
            )
        )  # fmt: skip
        self._warn(*compute.warnings)
        self._events.phase("data")
        sha256 = result_sha256(self._result)
        origin = EvaluationOrigin.of(self._folder)
        if origin is None or origin.adapter_sha256 != sha256:  # the first attempt, or the run has been resumed since
            self._folder.answers.unlink(missing_ok=True)
            self._folder.votes.unlink(missing_ok=True)
            rows = gather(self._folder, self._spec, self._config)
            self._warn(*rows.warnings)
            write_questions(self._folder, rows.questions)
            EvaluationOrigin(
                adapter_sha256=sha256, rows=len(rows.questions), leaked=rows.leaked, device=str(compute.device),
                dtype=compute.dtype_name,
            ).write(self._folder)  # fmt: skip
        self._compute(read_questions(self._folder), compute)
        return peak_memory_bytes(compute.device)

    def _warn(self, *problems: Problem) -> None:
        for problem in problems:
            self._events.append(Warned(problem=problem))

    def _compute(self, questions: list[EvaluationQuestion], compute: Compute) -> None:
        from trainer.evaluation.rows import Batches
        from trainer.tokens.marks import Marks
        from trainer.tokens.tokenizer import load_template

        files = self._find_base()
        template = load_template(files, self._config.model_name).with_marks(Marks.of(self._config))
        batches = Batches(questions, template, self._spec, self._config)
        sides: list[Side] = ["base", "tuned"] if self._spec.base else ["tuned"]
        missing = {side: batches.missing(read_lines(self._folder), side) for side in sides}
        if not any(missing.values()):
            return
        self._events.phase("model")
        total = len(sides) * batches.total
        done = total - sum(batch.size for side in sides for batch in missing[side])
        with _Appender(self._folder.answers) as lines:
            model = None
            for side in sides:
                if is_whole_model(self._result):
                    model = None  # or both models would be in memory while the second one is loaded
                model = self._model_of(side, files, compute, model)
                for batch in missing[side]:
                    before = done
                    tell = self._teller(before, total)
                    tell(0)
                    lines.write(batch.compute(model, side, tell))
                    done += batch.size
            self._events.phase("answer", done, total, "rows")

    def _model_of(self, side: Side, files: ModelFiles, compute: Compute, base: PreTrainedModel | None) -> Any:
        """Load the model of a side. `base` is the base model if it is loaded, which an adapter is added to."""
        from peft import PeftModel

        from trainer.models.base_model import load_model
        from trainer.models.model_files import ModelFiles

        whole = side == "tuned" and is_whole_model(self._result)
        if whole:
            files = ModelFiles(self._result, files.portable_name, None)
        model = base or load_model(files, self._config, compute).eval().requires_grad_(False)
        if side == "base" or whole:
            return model
        lora = self._config.lora
        adapted = PeftModel.from_pretrained(
            model, str(self._result), autocast_adapter_dtype=lora.autocast_adapter_dtype
        )
        return adapted.eval()

    def _teller(self, before: int, total: int) -> Callable[[int], None]:
        return lambda more: self._events.phase("answer", before + more, total, "rows")


class _Appender:
    """Appends lines that are durable when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Appender:
        self._file = self._path.open("ab")
        if self._file.tell():
            self._file.write(b"\n")  # an attempt that was killed may have left half a line
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, lines: Sequence[EvaluationLine]) -> None:
        with at(self._path):
            for line in lines:
                self._file.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
