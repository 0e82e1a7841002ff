"""`finetune reproduce`: run a finished run again from its lineage, and say whether the adapter is the same."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from studio.cli.console import HomeOption, JsonOption, RunArgument, WaitOption, home_of, manager_of, open_console

if TYPE_CHECKING:
    from interfaces.run_records import Reproduction

reproduce_commands = typer.Typer()


@reproduce_commands.command()
def reproduce(run: RunArgument, home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = False) -> None:
    """Run a finished run again. Exit code 0: the result is bit-equal; 1: it differs, and by how much is printed."""
    from studio.cli.attach import attach, launch_or_wait
    from studio.runs.queue import device_of_run
    from studio.runs.reproduction import compare_with_original
    from studio.runs.state import find_run
    from studio.runs.trash import delete_run

    manager, console = manager_of(home_of(home)), open_console(stderr=as_json)
    original = find_run(manager.home, run)
    folder = manager.home.run(manager.reproduce(original.id))
    console.print(f"Run [bold]{folder.id}[/] repeats {original.id}.")
    try:
        if not wait:
            manager.queue.require_free(device_of_run(folder))
        launch_or_wait(manager, folder, console, wait)
    except BaseException:
        if not folder.attempts():
            delete_run(folder)
        raise
    code = attach(manager, folder, console, as_json=False, next_steps=False)
    found = compare_with_original(folder)
    if found is None:
        sys.exit(code or 1)
    if as_json:
        print(json.dumps({"run": folder.id, **found.model_dump(mode="json")}, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))
    sys.exit(0 if found.difference and found.difference.equal else 1)


def _lines(found: Reproduction) -> list[str]:
    """Describe how close a run came to the one that it repeats."""
    difference = found.difference
    assert difference is not None
    if difference.equal:
        lines = [f"Reproduced: all weights are bit-equal to those of run {found.of}."]
    elif difference.largest is None or difference.relative is None:
        lines = [f"Not reproduced: the result has other tensors than that of run {found.of}."]
    else:
        lines = [
            f"Not bit-equal to run {found.of}: weights differ by up to {difference.largest:.3g}, "
            f"{difference.relative:.2%} of their norm."
        ]
    lines += [f"  {name}: {before} then, {after} now" for name, (before, after) in found.conditions.items()]
    if not difference.equal and not found.conditions:
        lines.append("No recorded condition differs. Some GPU computations give slightly different results each time.")
    return lines
