"""`finetune estimate`: memory and time of a run, before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from studio.cli.console import (
    ConfigArgument,
    HomeOption,
    JsonOption,
    SetOption,
    SourceOption,
    WaitOption,
    duration,
    expanded,
    home_of,
    print_table,
    read_settings,
)

if TYPE_CHECKING:
    from interfaces.config import FineTuneConfig
    from interfaces.folders import Home
    from interfaces.problems import Changes
    from studio.sizing.assess import Assessment
    from studio.sizing.batch_lengths import Lengths
    from studio.sizing.fitting import Fit
    from studio.sizing.records import Loss

estimate_commands = typer.Typer()


@estimate_commands.command()
def estimate(
    config: ConfigArgument,
    device: Annotated[
        str, typer.Option("--device", help="detected, cpu, a GPU (rtx_3060), or a GPU memory size (24GB).")
    ] = "detected",
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="FILE",
            help="Use the actual row lengths of this file or dataset.",
            callback=expanded,
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            "--loss",
            help="trained: compute logits only for tokens that are trained on, as this trainer does. full: for all tokens, as other trainers do.",
        ),
    ] = "trained",
    time: Annotated[bool, typer.Option("--time", help="Run a few steps first, to measure the step time.")] = False,
    wait: WaitOption = False,
    settings: SetOption = None,
    source: SourceOption = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings for a type of machine; default: the preset for the device.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate memory and time without loading or downloading any weights. Exit code 1: too large."""
    from interfaces.config import FineTuneConfig
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from interfaces.validation import config_errors
    from studio.config_file import with_preset
    from studio.sizing.assess import assess
    from studio.sizing.devices import chosen_device, detect_devices, named_device

    if loss not in ("trained", "full"):
        raise FineTuneError.of(Code.VALUE_INVALID, field="--loss", value=repr(loss), expected="trained_or_full")
    place, machine = home_of(home), named_device(device)
    values = read_settings(config, settings, source)
    full, used = with_preset(values, machine, preset)
    if dataset is not None:
        full["dataset"] = str(Path(dataset).absolute()) if Path(dataset).exists() else dataset
    # A config without data can be estimated too.
    no_data = (Code.VALUE_MISSING, "dataset")
    if errors := [error for error in config_errors(full) if (error.code, error.params["field"]) != no_data]:
        raise FineTuneError(*errors)
    checked = FineTuneConfig.model_validate(full)
    if device == "detected":
        machine = chosen_device(checked.device, detect_devices())
    elif time:
        expected = "left_out_with_time"
        raise FineTuneError.of(Code.VALUE_INVALID, field="--device", value=repr(device), expected=expected)
    lengths, way = _lengths_of(place, checked, quiet=as_json), cast("Loss", loss)
    found = assess(place, checked, machine, way, online=True, lengths=lengths)
    if time and found.estimate.fit_level != "too_big":
        _time(place, found, wait)
        found = assess(place, checked, machine, way, online=True, lengths=lengths)
    fit = found.fit() if found.estimate.fit_level != "fits" and found.loss == "trained" else None
    if as_json:
        record = found.to_record().model_dump(mode="json")
        more = {"preset": used, "fit": fit.to_record().model_dump() if fit else None}
        print(json.dumps({**record, **more}, indent=2, ensure_ascii=False))
    else:
        _tell(found)
        if fit and fit.is_practical:
            print(f"To make it fit: {_changes(fit.changes)}  ({_costs(fit)})")
        elif fit and fit.step_seconds:
            took = duration(fit.step_seconds)
            print(
                f"With {_changes(fit.changes)} it would fit, but a single step would take {took}: use smaller batches, or a smaller model."
            )
    raise SystemExit(1 if found.estimate.fit_level == "too_big" else 0)


def _time(home: Home, found: Assessment, wait: bool) -> None:
    """Measure the speed with a short run, whose progress goes to stderr. If the run doesn't finish, end the command.

    Raises:
        FineTuneError: the model isn't downloaded, or the run can't be started.
    """
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from studio.cli.attach import attach, begin_run, left_alone
    from studio.cli.console import manager_of, open_console
    from studio.runs.state import RunState, run_state
    from studio.sizing.calibration import forget_calibration, timing_config

    if found.facts.download_bytes:
        name = found.facts.name
        seen = {"value": repr(name), "expected": "here_for_time", "known": name}
        raise FineTuneError.of(Code.VALUE_INVALID, field="model_name", **seen)
    manager, console = manager_of(home), open_console(stderr=True)
    settings = timing_config(found.config.model_dump(exclude={"output_dir"}))
    folder, interrupted = begin_run(manager, settings, console, wait, timing=True)
    if interrupted:
        console.print(left_alone(folder))
        raise SystemExit(130)
    code = attach(manager, folder, console, as_json=False)
    if run_state(folder) is not RunState.FINISHED:
        raise SystemExit(code or 130)
    forget_calibration(home)


def _lengths_of(home: Home, config: FineTuneConfig, quiet: bool) -> Lengths | None:
    """Return the row lengths of a config's data, counting them now if necessary. None without data or tokenizer."""
    from interfaces.errors import FineTuneError
    from interfaces.row_lengths import TokenStats
    from interfaces.trainer_jobs import StatsRequest
    from studio.cli.console import open_console
    from studio.datasets.library import with_datasets
    from studio.processes.trainer_child import Previews
    from studio.sizing.batch_lengths import Lengths
    from studio.sizing.lengths import known_lengths, remember_lengths

    if not isinstance(config.dataset, str) or not config.dataset:
        return None
    dataset = str(
        with_datasets(home, {"dataset": config.dataset, "columns": config.columns, "method": config.method})["dataset"]
    )
    if known := known_lengths(home, dataset, config.model_name):
        return known
    previews = Previews(home.path)
    try:
        request = StatsRequest(
            dataset=dataset, max_length=config.max_length, batch=config.per_device_train_batch_size,
            accumulation=config.gradient_accumulation_steps, long_rows=config.long_rows, method=config.method,
            train_on_reasoning=config.train_on_reasoning, assistant_only_loss=config.assistant_only_loss,
        )  # fmt: skip
        figures = previews.ask(config.model_name, config.model_revision, request, TokenStats)
    except FineTuneError as error:
        if not quiet:
            open_console(stderr=True).print(
                f"Assuming {config.max_length} tokens for every row, because the actual lengths are not available: {error}"
            )
        return None
    finally:
        previews.close()
    remember_lengths(home, dataset, config.model_name, figures)
    return Lengths.of_figures(figures)


def _tell(found: Assessment) -> None:
    from interfaces.texts import sentence, size, texts

    reported = found.estimate
    device = reported.device
    words = {"fits": "Fits:", "tight": "Tight (close other programs first):", "too_big": "Too large:"}[
        reported.fit_level
    ]
    print(f"{words} needs {size(reported.total_bytes)}; {size(device.free_memory_bytes)} is free on {device.name}.")
    labels = texts("page")
    parts = sorted(reported.parts.items(), key=lambda part: -part[1])
    print_table(
        ["PART", "SIZE", "SHARE"],
        [
            [labels[f"part_{part}"], size(amount), f"{amount / reported.total_bytes:.0%}"]
            for part, amount in parts
            if amount
        ],
    )
    rows = (
        f"{len(reported.lengths)} {'row' if len(reported.lengths) == 1 else 'rows'}, {sum(reported.lengths)} tokens"
        + ("" if found.lengths else " (assuming every row has max_length tokens)")
    )
    print(
        f"Largest batch: {rows}. Gradient checkpointing: {'on' if found.config.gradient_checkpointing is True else 'off'}."
    )
    for warning in found.warnings():
        print(f"Note: {sentence(warning)}")
    if found.facts.download_bytes:
        print(f"To download: about {size(found.facts.download_bytes)}.")
    print(f"Disk space: up to {size(reported.disk_bytes)}.")
    steps = f"{reported.steps} steps" if reported.steps else "number of steps depends on the data"
    print(
        f"Time: {steps}, "
        + (
            f"{duration(reported.seconds[0])} to {duration(reported.seconds[1])}, based on step times measured on this machine."
            if reported.seconds
            else "duration unknown until a few steps of any run have been timed on this machine"
            + ("." if reported.fit_level == "too_big" else "; use --time to time them now.")
        )
    )
    for one in found.savings()[:4]:
        print(f"  {_changes(one.changes)}: {size(one.estimate.total_bytes)}  ({_costs(one)})")


def _costs(fit: Fit) -> str:
    from interfaces.texts import texts

    return "; ".join(texts("page")[f"cost_{cost}"] for cost in fit.costs)


def _changes(changes: Changes) -> str:
    return ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in changes.items()
    )
