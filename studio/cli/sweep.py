"""`finetune sweep`: starts, lists, stops, and resumes the runs that try several values of a few settings."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from studio.cli.console import (
    ConfigArgument,
    HomeOption,
    JsonOption,
    SetOption,
    duration,
    figures,
    home_of,
    manager_of,
    print_table,
    read_settings,
)

sweep = typer.Typer(help="Try several values of up to three settings.", no_args_is_help=True)
SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="The id of a sweep.")]


@sweep.command()
def start(
    config: ConfigArgument,
    values: Annotated[
        list[str], typer.Option("--values", metavar="KEY=A,B", help="Values of a setting; for up to three settings.")
    ],
    settings: SetOption = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count and time the runs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Queue one run for each combination of values. The runs continue if this terminal is closed."""
    from studio.config_file import with_preset
    from studio.sizing.devices import detect_devices, usable_device
    from studio.sweeps.family import start_sweep
    from studio.sweeps.plan import plan_of

    manager = manager_of(home_of(home))
    asked = {key.strip(): text for key, _, text in (value.partition("=") for value in values)}
    full, _ = with_preset(read_settings(config, settings, None), usable_device(detect_devices()), None)
    plan = plan_of(manager.home, full, asked)
    started = "" if dry_run else start_sweep(manager, full, asked)
    if as_json:
        print(json.dumps({"sweep": started, **plan.model_dump()}, indent=2))
        return
    time = f", about {duration(plan.seconds[0])} to {duration(plan.seconds[1])}" if plan.seconds else ""
    print(f"{plan.runs} runs{time}.")
    if plan.too_big:
        print(f"{plan.too_big} of them need more memory than is free.", file=sys.stderr)
    if started:
        print(f"Queued as sweep {started}. 'finetune sweep show {started}' shows its table.")


@sweep.command()
def show(which: SweepArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the runs of a sweep, the best first, and whether the best leads by more than noise."""
    from studio.sweeps.ranking import sweep_of

    found = sweep_of(home_of(home), which, {})
    if as_json:
        print(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return
    by_id = {one.run.id: one for one in found.runs}
    ranked = [(place, by_id[run]) for place, one in enumerate(found.ranking.candidates, 1) for run in one.runs]
    rows = [
        [str(place), one.run.id, one.run.state.value, *(str(one.values[name]) for name in found.settings),
         figures(one.best_validation_loss)]
        for place, one in ranked
    ]  # fmt: skip
    print_table(["PLACE", "RUN", "STATE", *found.settings, "VALIDATION"], rows)
    print(found.said)


@sweep.command()
def stop(which: SweepArgument, home: HomeOption = None) -> None:
    """Stop all runs of a sweep: waiting ones leave the queue, the active one saves a checkpoint."""
    from studio.sweeps.family import stop_sweep

    print(f"Runs that stop: {stop_sweep(manager_of(home_of(home)), which)}.")


@sweep.command()
def resume(which: SweepArgument, home: HomeOption = None) -> None:
    """Queue the runs of a sweep that ended before they had finished."""
    from studio.sweeps.family import resume_sweep

    print(f"Runs that continue: {resume_sweep(manager_of(home_of(home)), which)}.")
