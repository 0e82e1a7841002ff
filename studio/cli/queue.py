"""`finetune queue`: the runs that wait for their device; their order, a pause."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, RunArgument, home_of, print_table

queue = typer.Typer(help="Runs that wait for their device.", invoke_without_command=True)


@queue.callback()
def show(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what runs and what waits, in order."""
    if context.invoked_subcommand is not None:
        return
    from studio.runs.queue import RunQueue

    told = RunQueue(home_of(home))
    told.advance()  # a supervisor may have been killed, and nobody else been there
    record = told.to_record()
    if as_json:
        print(json.dumps(record, indent=2, ensure_ascii=False))
        return
    rows = [["-", run, device, "running"] for device, run in sorted(record["running"].items())]
    rows += [
        [str(one["position"]), one["run"], one["device"], f"waiting  {one['name']}".rstrip()]
        for one in record["waiting"]
    ]
    if rows:
        print_table(["NUMBER", "RUN", "DEVICE", "STATE"], rows)
    else:
        print("Nothing runs, and nothing waits.")
    if told.paused:
        print("The queue is paused: 'finetune queue go-on' lets it start runs again.")


@queue.command()
def pause(home: HomeOption = None) -> None:
    """Start nothing more; what runs goes on to its end."""
    from studio.runs.queue import RunQueue

    RunQueue(home_of(home)).pause()
    print("Paused. What runs goes on; 'finetune queue go-on' lets the next ones start.")


@queue.command(name="go-on")
def go_on(home: HomeOption = None) -> None:
    """End the pause."""
    from studio.runs.queue import RunQueue

    started = RunQueue(home_of(home)).go_on()
    print("The queue goes on." + "".join(f" Started: {run}." for run in started))


@queue.command()
def move(
    run: RunArgument, position: Annotated[int, typer.Argument(min=1, help="Its new place; 1 is next.")],
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Give a waiting run another place."""
    from studio.runs.queue import RunQueue
    from studio.runs.state import find_run

    told = RunQueue(home_of(home))
    folder = find_run(told.home, run)
    told.move(folder, position)
    if place := told.place_of(folder):  # it may just have been started
        print(f"{folder.id} is number {place.position}.")


@queue.command()
def cancel(run: RunArgument, home: HomeOption = None) -> None:
    """Take a run out of the queue; its settings stay, and it can be started later."""
    from studio.runs.queue import RunQueue
    from studio.runs.state import find_run

    told = RunQueue(home_of(home))
    folder = find_run(told.home, run)
    told.cancel(folder)
    print(f"{folder.id} has left the queue. 'finetune resume {folder.id}' starts it.")
