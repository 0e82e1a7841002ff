"""`finetune queue`: lists, reorders, pauses, and resumes the runs that wait for a device."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, RunArgument, home_of, print_table

queue = typer.Typer(help="Manage queued runs.", invoke_without_command=True)


@queue.callback()
def show(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List active and queued runs, in order."""
    if context.invoked_subcommand is not None:
        return
    from studio.runs.queue import RunQueue

    reported = RunQueue(home_of(home))
    record = reported.to_record()
    if as_json:
        print(json.dumps(record.model_dump(), indent=2, ensure_ascii=False))
        return
    rows = [["-", run, device, "running"] for device, run in sorted(record.running.items())]
    rows += [[str(one.position), one.run, one.device, f"queued  {one.name}".rstrip()] for one in record.waiting]
    if rows:
        print_table(["POSITION", "RUN", "DEVICE", "STATE"], rows)
    else:
        print("No runs are active or queued.")
    if stuck := [one.run for one in record.waiting if one.device not in record.running]:
        print(f"{stuck[0]} is queued although its device is free; 'finetune queue resume' starts it.")
    elif record.paused:
        print("The queue is paused; 'finetune queue resume' resumes it.")


@queue.command()
def pause(home: HomeOption = None) -> None:
    """Pause the queue. Active runs continue."""
    from studio.runs.queue import RunQueue

    RunQueue(home_of(home)).pause()
    print("Paused. Active runs continue; 'finetune queue resume' lets queued runs start.")


@queue.command(name="resume")
def resume(home: HomeOption = None) -> None:
    """Resume the queue, so that queued runs start."""
    from studio.runs.queue import RunQueue

    started = RunQueue(home_of(home)).resume()
    print("Queue resumed." + "".join(f" Started: {run}." for run in started))


@queue.command()
def move(
    run: RunArgument, position: Annotated[int, typer.Argument(min=1, help="The new position; 1 is next.")],
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Move a queued run to another position."""
    from studio.runs.queue import RunQueue
    from studio.runs.state import find_job

    reported = RunQueue(home_of(home))
    folder = find_job(reported.home, run)
    reported.move(folder, position)
    if place := reported.place_of(folder):  # it may just have been started
        print(f"{folder.id} is now at position {place.position}.")


@queue.command()
def cancel(run: RunArgument, home: HomeOption = None) -> None:
    """Remove a run from the queue; its settings are kept, and it can be started later."""
    from interfaces.job_folders import JobFolder
    from studio.runs.queue import RunQueue
    from studio.runs.state import find_job

    reported = RunQueue(home_of(home))
    folder = find_job(reported.home, run)
    reported.cancel(folder)
    again = f"resume {folder.id}"
    if isinstance(folder, JobFolder):
        again = f"{folder.COMMAND} {folder.run.id} --resume {folder.number}"
    print(f"{folder.id} was removed from the queue. 'finetune {again}' starts it.")
