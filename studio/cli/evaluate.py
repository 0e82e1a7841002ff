"""`finetune evaluate`: is the result better than its base model, and what has it forgotten?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.console import (
    DetachOption,
    HomeOption,
    JsonOption,
    RunArgument,
    expanded,
    home_of,
    open_console,
    print_table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from interfaces.evaluations import Metric
    from interfaces.job_folders import EvaluationFolder
    from studio.evaluation.scoring import EvaluationResult, MetricResult
    from studio.evaluation.statistics import Interval

evaluate_commands = typer.Typer()


@evaluate_commands.command()
def evaluate(
    run: RunArgument, home: HomeOption = None, as_json: JsonOption = False, detach: DetachOption = False,
    data: Annotated[str, typer.Option("--data", metavar="FILE", help="A file or a dataset's id; default: the rows that the run kept for validation.", callback=expanded)] = "",
    base: Annotated[bool, typer.Option("--base/--no-base", help="Evaluate the base model beside it.")] = True,
    checkpoint: Annotated[int | None, typer.Option("--checkpoint", metavar="STEP", min=0, help="Evaluate the result of this checkpoint.")] = None,
    general: Annotated[bool, typer.Option("--general/--no-general", help="Also ask 60 general questions, to see what was forgotten.")] = False,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="exact_match, rouge_l, chrf, number_match, pattern_match, json_valid, json_schema or tool_call; may be repeated. Default: chosen by what the references look like.")] = None,
    pattern: Annotated[str | None, typer.Option("--pattern", help="A regular expression that answers have to match.")] = None,
    json_schema: Annotated[Path | None, typer.Option("--json-schema", metavar="FILE", help="A JSON schema that answers have to fit.", callback=expanded)] = None,
    gate: Annotated[str | None, typer.Option("--gate", help="Exit with 1 unless these hold, such as 'exact match >= 0.8, forgetting <= 2'.")] = None,
    max_rows: Annotated[int, typer.Option("--max-rows", min=0, help="The most rows, chosen at random but always the same; 0 is all.")] = 200,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, max=8192, help="The longest answer, in tokens.")] = 256,
    resume: Annotated[int | None, typer.Option("--resume", metavar="NUMBER", help="Continue this evaluation, or show its table if it is finished.")] = None,
    rows_to: Annotated[Path | None, typer.Option("--rows", metavar="FILE", help="Write every row with its answers and scores to this .csv or .jsonl file.", callback=expanded)] = None,
) -> None:  # fmt: skip
    """Compare a run's answers with those of its base model. An evaluation waits in the queue and can be stopped and resumed."""
    from interfaces.errors import FineTuneError
    from interfaces.evaluations import HELD_OUT, EvaluationSpec
    from interfaces.problems import Code
    from studio.cli.job_progress import run_job
    from studio.evaluation.conditions import conditions
    from studio.evaluation.evaluations import create, delete, evaluation, submit
    from studio.runs.state import RunState, find_run, run_state

    _check_options(rows_to, gate, pattern)
    gate, pattern = gate or "", pattern or ""
    folder = find_run(home_of(home), run)
    console = open_console(stderr=as_json)
    spec = EvaluationSpec(
        dataset=data or HELD_OUT, base=base, step=checkpoint, probe=general, pattern=pattern,
        metrics=_metrics(metric or []), json_schema=_schema_of(json_schema), gate=gate, max_rows=max_rows,
        max_new_tokens=max_new_tokens,
    )  # fmt: skip
    if resume is not None:
        conditions(gate)
        if spec.model_copy(update={"gate": ""}) != EvaluationSpec(dataset=HELD_OUT):
            raise FineTuneError.of(
                Code.VALUE_INVALID, field="--resume", value=str(resume), expected="without_other_settings"
            )
        job = evaluation(folder, resume)
    else:
        job = create(folder, spec)
    gone = (lambda: delete(job)) if resume is None else None
    if run_state(job) is not RunState.FINISHED and not run_job(
        job, lambda: submit(job), gone, console, detach=detach, as_json=as_json
    ):
        return
    sys.exit(_tell(job, console, gate, as_json, rows_to))


def _check_options(rows_to: Path | None, gate: str | None, pattern: str | None) -> None:
    """
    Raises:
        FineTuneError: the rows can't be written there, or an option is empty, as from a variable that isn't set.
    """
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code

    for field, value in (("--gate", gate), ("--pattern", pattern)):
        if value is not None and not value.strip():
            raise FineTuneError.of(Code.VALUE_MISSING, field=field)
    if rows_to is None:
        return
    if rows_to.exists():
        raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(rows_to))
    if rows_to.suffix.lower() not in (".csv", ".jsonl") or not rows_to.absolute().parent.is_dir():
        expected = "a_csv_or_jsonl_file"
        raise FineTuneError.of(Code.VALUE_INVALID, field="--rows", value=repr(str(rows_to)), expected=expected)


def _metrics(names: list[str]) -> list[Metric]:
    """
    Raises:
        FineTuneError: there is no such metric.
    """
    from interfaces.errors import FineTuneError
    from interfaces.evaluations import METRICS
    from interfaces.problems import Code

    if unknown := [name for name in names if name not in METRICS]:
        known = ", ".join(METRICS)
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="--metric", value=repr(unknown[0][:40]), expected="one_of", known=known
        )
    return names  # type: ignore[return-value]


def _schema_of(file: Path | None) -> dict[str, object] | None:
    """
    Raises:
        FineTuneError: the file isn't a JSON object.
    """
    from interfaces.errors import FineTuneError
    from interfaces.files import read_json
    from interfaces.problems import Code

    if file is None:
        return None
    found = read_json(file)
    if found is None:
        code = Code.VALUE_INVALID if file.exists() else Code.FILE_MISSING
        raise FineTuneError.of(code, field="--json-schema", value=str(file), path=str(file), expected="a_json_schema")
    return found


def _tell(job: EvaluationFolder, console: Console, gate: str, as_json: bool, rows_to: Path | None) -> int:
    """Print the table and what it says, and return the exit code. Without a gate, that of the evaluation decides."""
    from rich.markup import escape

    from interfaces.problems import BROKEN_RUN
    from interfaces.texts import sentence
    from studio.evaluation.evaluations import finish, state_of
    from studio.evaluation.gate import decide
    from studio.evaluation.table import rows_as_csv, rows_as_jsonl
    from studio.runs.state import RunState

    finish(job)  # the process that handles the end may still be busy
    now = state_of(job)
    if now.problem is not None:
        console.print(f"[red]Failed.[/] {escape(sentence(now.problem))}")
        return 1 if now.problem.code in BROKEN_RUN else 2
    finished = now.state is RunState.FINISHED
    gate = gate or now.spec.gate
    outcome = decide(gate, now.result, job.number) if gate and now.result and finished else None
    if as_json:
        record = now.result.model_dump(mode="json", exclude={"rows", "read_bytes"}) if now.result else {}
        record["gate"] = outcome.model_dump() if outcome else None
        print(json.dumps({"evaluation": job.id, "state": now.state, **record}, ensure_ascii=False))
    else:
        for problem in now.warnings:
            console.print(f"[yellow]Note:[/] {escape(sentence(problem))}")
        if now.result is not None and now.result.table:
            _print_result(now.result)
        if outcome is not None:
            print("The gate is passed." if outcome.passed else f"The gate is not passed: {', '.join(outcome.failed)}.")
        if now.state is not RunState.FINISHED:
            word = "Stopped" if now.state is RunState.STOPPED else "Interrupted"
            print(f"{word}. 'finetune evaluate {job.run.id} --resume {job.number}' continues it.")
    if rows_to is not None:
        text = rows_as_csv(job) if rows_to.suffix.lower() == ".csv" else "".join(rows_as_jsonl(job))
        rows_to.write_text(text, encoding="utf-8")
    return 1 if not finished or (outcome is not None and not outcome.passed) else 0


def _print_result(result: EvaluationResult) -> None:
    from interfaces.texts import texts

    words, verdicts = texts("metric"), texts("verdict")
    lines = [
        [
            ("  " if "." in one.name else "") + words[one.name], str(one.rows), _figure(one.base, one.base_interval),
            _figure(one.tuned, one.tuned_interval), _difference(one),
            verdicts.of(one.difference.verdict, count=one.rows) if one.difference else "",
        ]
        for one in result.table
    ]  # fmt: skip
    print_table(["", "ROWS", "BASE MODEL", "FINE-TUNED", "DIFFERENCE", ""], lines)
    print("In brackets: intervals of 95 %.")


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _difference(line: MetricResult) -> str:
    found = line.difference
    if found is None:
        return "-"
    return f"{found.value:+.3f}" + (
        f" [{found.interval.low:+.3f}, {found.interval.high:+.3f}]" if found.interval else ""
    )
