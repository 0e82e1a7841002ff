"""`finetune runs`, `resume`, `stop`, `retry`, and `continue`: commands for existing runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.console import (
    DetachOption,
    HomeOption,
    JsonOption,
    RunArgument,
    SetOption,
    WaitOption,
    duration,
    figures,
    home_of,
    manager_of,
    open_console,
    print_table,
)

runs_commands = typer.Typer()


@runs_commands.command()
def resume(run: RunArgument, home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = False) -> None:
    """Resume a stopped, failed or interrupted run from its last complete checkpoint, and follow it."""
    from interfaces.job_folders import EvaluationFolder, JobFolder
    from studio.cli.attach import attach, launch_or_wait
    from studio.cli.evaluate import evaluate
    from studio.cli.export import export
    from studio.runs.queue import device_of_run
    from studio.runs.state import find_job

    manager = manager_of(home_of(home))
    folder = find_job(manager.home, run)
    if isinstance(folder, JobFolder):
        again = evaluate if isinstance(folder, EvaluationFolder) else export
        return again(folder.run.id, home=home, as_json=as_json, resume=folder.number)
    console = open_console(stderr=as_json)
    console.print(f"Run [bold]{folder.id}[/]")
    manager.require_resumable(folder.id)
    if not wait:
        manager.queue.require_free(device_of_run(folder))
    before = len(folder.attempts())
    launch_or_wait(manager, folder, console, wait)
    sys.exit(attach(manager, folder, console, as_json, since=before + 1))


@runs_commands.command()
def retry(
    run: RunArgument, settings: SetOption = None, home: HomeOption = None, as_json: JsonOption = False,
    detach: DetachOption = False, wait: WaitOption = False,
    apply_fix: Annotated[bool, typer.Option("--apply-fix", help="Apply the settings change that fixes the failure, if one is known.")] = False,
) -> None:  # fmt: skip
    """Start a new run with the same settings from the same starting point; the old run is kept."""
    _start_again(run, settings, home, as_json, detach, wait, continue_training=False, apply_fix=apply_fix)


@runs_commands.command(name="continue")
def continue_training(
    run: RunArgument, settings: SetOption = None, home: HomeOption = None, as_json: JsonOption = False,
    detach: DetachOption = False, wait: WaitOption = False,
) -> None:  # fmt: skip
    """Continue training from a run's result, or from its last checkpoint, as a new run."""
    _start_again(run, settings, home, as_json, detach, wait, continue_training=True)


def _start_again(
    run: str,
    settings: list[str] | None,
    home: Path | None,
    as_json: bool,
    detach: bool,
    wait: bool,
    continue_training: bool,
    apply_fix: bool = False,
) -> None:
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from studio.cli.attach import start_run
    from studio.config_file import apply_settings
    from studio.runs.diagnosis import fix_of
    from studio.runs.state import find_run
    from studio.sizing.estimate import changed

    manager = manager_of(home_of(home))
    folder = find_run(manager.home, run)
    config = manager.config_for_rerun(folder.id, continue_training)
    if apply_fix:
        fix = fix_of(folder)
        if not fix:
            expected = "run_with_fix"
            raise FineTuneError.of(Code.VALUE_INVALID, field="--apply-fix", value=folder.id, expected=expected)
        config = changed(config, fix)
    config = apply_settings(config, settings or [])
    sys.exit(start_run(manager, config, open_console(stderr=as_json), as_json, detach, wait))


@runs_commands.command()
def stop(
    run: RunArgument,
    discard: Annotated[bool, typer.Option("--discard", help="Stop immediately without saving.")] = False,
    home: HomeOption = None,
) -> None:
    """Stop a run after its current batch and save a checkpoint to resume from. RUN.NUMBER stops an evaluation, RUN.export-NUMBER an export."""
    from interfaces.job_folders import JobFolder
    from studio.cli.attach import wait_for_end
    from studio.runs.jobs import stop_job
    from studio.runs.state import RunState, find_job, summary_of

    manager = manager_of(home_of(home))
    folder = find_job(manager.home, run)
    if isinstance(folder, JobFolder):
        stop_job(folder)
        print(f"Stopped. 'finetune {folder.COMMAND} {folder.run.id} --resume {folder.number}' continues it.")
        return
    waited = folder.is_waiting
    manager.request_stop(folder.id, discard)
    console = open_console()
    if waited:
        console.print(f"{folder.id} was removed from the queue. 'finetune resume {folder.id}' starts it.")
        return
    console.print("Stopping now without saving..." if discard else "Stopping after this batch and saving...")
    state = wait_for_end(folder, console)
    summary = summary_of(folder)
    goes_on = summary.resumable and state is not RunState.FINISHED
    console.print(
        f"{folder.id} is {state}." + (f" 'finetune resume {folder.id}' continues from here." if goes_on else "")
    )


@runs_commands.command()
def runs(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all runs, newest first."""
    from studio.runs.state import RunState, list_runs

    summaries = list_runs(home_of(home))
    if as_json:
        print(json.dumps([summary.model_dump(mode="json") for summary in summaries], indent=2, ensure_ascii=False))
        return
    if not summaries:
        print("No runs yet. 'finetune demo' starts one on the sample data.")
        return
    print_table(
        ["ID", "STATE", "MODEL", "DATA", "STEP", "LOSS", "VALIDATION", "TIME", "NAME"],
        [
            [
                run.id, run.state.value, run.model.rsplit("/", 1)[-1], run.dataset, f"{run.step}/{run.total_steps}",
                figures(run.train_loss_first, run.train_loss_last), figures(run.eval_loss), duration(run.seconds), run.name,
            ]
            for run in summaries
        ],
    )  # fmt: skip
    for run in summaries:
        if run.state is RunState.INTERRUPTED:
            print(
                f"{run.id} was interrupted: 'finetune resume {run.id}' continues from step {run.step} or slightly earlier."
            )
